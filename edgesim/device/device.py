"""What a device is to the rest of edgesim, whatever runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgesim.model import FILE_NAME, Model
from edgesim.recording import Reading

READING_INTERVAL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class State:
    """Whether the server's process runs; once it has ended, how."""

    running: bool
    exit_code: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host at `target` in the container, read-only unless `writable`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class VolumeMount:
    """A named volume of the engine, read-only at `target` in the container."""

    volume: str
    target: str


RESULTS = "/results"  # in the container: the one place on the host that it may write to


class Device(Protocol):
    """A running server within a board's limits.

    `start_s` is how long it took to be started, once it was made; None where
    that is one.
    """

    start_s: float | None

    @property
    def url(self) -> str:
        """Where the server answers, e.g. ``http://127.0.0.1:49153``."""

    @property
    def direct_url(self) -> str:
        """The shortest way to the server from this host, for measuring: past the engine's proxy where it can be."""

    @property
    def source(self) -> str:
        """Where readings come from."""

    @property
    def reading_interval_s(self) -> float:
        """How often it can be read without disturbing what is measured."""

    def state(self) -> State: ...

    def log(self, lines: int = 20) -> str:
        """The end of what the server printed."""

    def from_outside(self) -> Mapping[str, Any]:
        """Architecture and limits as this host has them, for a server that does not tell what it finds inside."""

    def read(self) -> Reading:
        """The device's resources now, `at_ns` on `time.monotonic_ns`."""


def model_mounts(model: Model, repository: str) -> list[Mount]:
    """What makes one model a repository at `repository` inside the container, with nothing copied.

    The files are mounted one by one, so that a file of any name anywhere becomes ``NAME/VERSION/model.onnx``, with its
    files of weights beside it under the names by which it refers to them.
    """
    directory = f"{repository}/{model.name}/{model.version}"
    mounts = [Mount(model.path, f"{directory}/{FILE_NAME}")]
    for data in model.data_paths:
        mounts.append(Mount(data, f"{directory}/{data.relative_to(model.path.parent).as_posix()}"))
    return mounts


def server_arguments(
    model_names: Sequence[str],
    *,
    repository: str,
    intra_op_threads: int,
    host: str,
    port: int,
    watch: bool = False,
    paced: bool = False,
    results: bool = False,
) -> list[str]:
    """The command line of edgesim's own server; no model named is all that are there."""
    arguments = [
        "--models",
        repository,
        "--host",
        host,
        "--port",
        str(port),
        "--intra-op-threads",
        str(intra_op_threads),
    ]
    if watch:
        arguments.append("--watch")
    if paced:
        arguments.append("--paced")
    if results:
        arguments += ["--results", RESULTS]
    for name in model_names:
        arguments += ["--model", name]
    return arguments
