"""The reference in another release of ONNX Runtime than edgesim's: a model on this host, in a process of its own.

A board's answers differ from the newest release's by the board and by the release. The same release on this host tells
one from the other.
"""

import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import finalize

from numpy.typing import NDArray

from edgesim.errors import HostError, ModelError
from edgesim.host import cores, own_modules
from edgesim.host.parent_death import AT_START, end_with_parent
from edgesim.host.scratch import full_disk_is_told, scratch_directory
from edgesim.measure import release_worker
from edgesim.measure.host_session import MOST_S, TooLong
from edgesim.measure.output_difference import Outputs
from edgesim.measure.reference import Reference, RunFailed
from edgesim.models import bounded_process
from edgesim.models.gathered import gathered, has_links
from edgesim.models.repository import Model


@dataclass(frozen=True, kw_only=True)
class ReleaseReference:
    """A model that runs on this host in a given release, in a process that ends with this object.

    Attributes:
        release: of ONNX Runtime, such as ``1.16.3``.
        python: the command of a Python that the release has a wheel for.
        packages: the directory with the release and with numpy.
    """

    model: Model
    release: str
    python: str
    packages: Path
    other_release: None = None  # as `Reference` has it

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs for one set of inputs, by name; raises as `run_all`."""
        return dict(self.run_all([inputs])[0])

    def run_all(self, requests: Sequence[Mapping[str, NDArray[Any]]]) -> Sequence[Outputs]:
        """Return the outputs for each set of inputs.

        Raises:
            ModelError: this release does not load the model.
            RunFailed: it loads the model, and does not take the inputs.
            TooLong: it does not end within the time that it may take.
            HostError: the process ended without an answer.
        """
        with scratch_directory() as scratch:
            files = [str(Path(scratch) / name) for name in ("requests.zip", "answers.zip")]
            with full_disk_is_told("the inputs of the comparison"):
                release_worker.write(files[0], requests)
            self._process.ask(json.dumps(files), most_s=MOST_S * len(requests))
            return release_worker.read(files[1])

    @cached_property
    def _process(self) -> "_Process":
        """The process, which has loaded the model."""
        with gathered(self.model) if has_links(self.model) else nullcontext(self.model.path) as path:
            process = _Process(self, path)
            process.ask(None, most_s=MOST_S)
        return process


class _Process:
    """The process that has loaded the model; each answer of it is a line."""

    def __init__(self, reference: ReleaseReference, path: Path) -> None:
        self._path, self._release = reference.model.path, reference.release
        most_bytes = bounded_process.spare_bytes()

        def prepare() -> None:
            end_with_parent()
            bounded_process.bound(most_bytes)

        # A file in memory: the process is to work where no directory can be written.
        self._stderr = os.fdopen(os.memfd_create("stderr"), "w+", errors="replace")
        self._process = subprocess.Popen(
            [reference.python, release_worker.__file__, str(path), str(cores.count())],
            # PYTHONPATH goes before the installed packages, so that edgesim's own ONNX Runtime is not found.
            env={
                **own_modules.environment(),
                "PYTHONPATH": str(reference.packages),
                "ORT_DISABLE_TELEMETRY": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            preexec_fn=prepare if AT_START is not None else None,
        )
        self._end = finalize(self, _end, self._process)

    def ask(self, line: str | None, *, most_s: float) -> None:
        """Send a line, and wait for the answer; None waits for the model to be loaded.

        Raises:
            See `ReleaseReference.run_all`.
        """
        assert self._process.stdin is not None, "the process was started with it"
        assert self._process.stdout is not None, "the process was started with it"
        with suppress(BrokenPipeError):  # it has ended: there is no answer either
            if line is not None:
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], most_s)[0]:
            self._end()
            raise TooLong(f"ONNX Runtime {self._release} on this host did not end within {most_s:g} s")
        try:
            failure = json.loads(self._process.stdout.readline())
        except ValueError as error:
            code = self._process.wait()
            self._stderr.seek(0)
            last = (self._stderr.read().strip().splitlines() or [f"exit code {code}"])[-1]
            raise HostError(f"ONNX Runtime {self._release} does not run on this host: {last}") from error
        if not failure:
            return
        why = " ".join(str(failure["why"]).split())
        if failure["failed"] == "load":
            raise ModelError(f"{self._path}: ONNX Runtime {self._release} does not load it: {why}")
        raise RunFailed(why)


def _end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


AnyReference = Reference | ReleaseReference
