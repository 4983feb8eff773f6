"""How one model is to be served, whatever file says so: see `config_files`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .tensor_types import Signature

# What Triton calls a server of ONNX models; clients read it.
PLATFORM = "onnxruntime_onnx"
BACKEND = "onnxruntime"
MODEL_FILE = "model.onnx"

OPTIMIZATION_LEVELS = ("disable", "basic", "extended", "all")
EXECUTION_MODES = ("sequential", "parallel")


_MOST_LETTERS = 500


class ConfigError(ValueError):
    """An error in a model's configuration; the message names the file, the field and what is expected.

    The message is one line, and is shown in logs and to clients: it holds no control characters of the file's.
    """

    def __init__(self, message: str) -> None:
        one_line = " ".join(message.split())
        if len(one_line) > _MOST_LETTERS:
            one_line = f"{one_line[: _MOST_LETTERS // 2]} … {one_line[-_MOST_LETTERS // 2 :]}"
        super().__init__("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in one_line))


class Versions(NamedTuple):
    """Which versions of a model are served: the newest `latest` ones, the `specific` ones, or all if both are None."""

    latest: int | None = None
    specific: tuple[str, ...] | None = None

    def choose(self, on_disk: Sequence[str]) -> list[str]:
        """Return those of the versions on disk that are to be served, oldest first."""
        ordered = sorted(on_disk, key=int)
        if self.specific is not None:
            return [version for version in ordered if version in self.specific]
        return ordered[-self.latest :] if self.latest is not None else ordered

    def __str__(self) -> str:
        if self.specific is not None:
            return f"version_policy serves {', '.join(self.specific)}"
        return f"version_policy serves the latest {self.latest}" if self.latest is not None else "all are served"


_ALL_VERSIONS = Versions()

# Python packages that bring a library of custom operations; the serving image installs them for a model that asks.
PACKAGES = ("onnxruntime-extensions",)
ARCHITECTURES = ("arm64", "amd64")


class Library(NamedTuple):
    """A library of custom operations: a package, or a file for each architecture, in the model's directory.

    The architecture of a file that is for whatever runs the server is empty.
    """

    package: str | None = None
    files: tuple[tuple[str, str], ...] = ()

    def file(self, architecture: str) -> str | None:
        """Return the path of the file for an architecture; None if there is none."""
        files = dict(self.files)
        return files.get(architecture, files.get(""))

    def __str__(self) -> str:
        if self.package is not None:
            return self.package
        return ", ".join(f"{architecture}: {path}" if architecture else path for architecture, path in self.files)


class Declared(NamedTuple):
    """An input or output as the configuration declares it; `ModelConfig.check` compares it with the model's.

    None stands for what the configuration does not declare. `dims` is the shape without the batch.
    """

    name: str
    datatype: str | None = None
    dims: tuple[int, ...] | None = None
    label_filename: str | None = None


@dataclass(frozen=True)
class ModelConfig:
    """How to load and run a model.

    Attributes:
        max_batch_size: the first dimension of all inputs and outputs is the batch, of up to this size; 0 is no batch.
        dynamic_batching: waiting requests are put together into batches.
        max_queue_delay_us: how long the first request of a batch waits for others, in microseconds.
        preferred_batch_size: a batch that has grown to this size waits no longer; None is `max_batch_size`.
        graph_optimization_level, execution_mode, enable_cpu_mem_arena, enable_mem_pattern: ONNX Runtime's session
            options of these names.
        intra_op_threads, inter_op_threads: threads of one inference, never more than the board's cores; None is the
            number of cores, and 1 for `inter_op_threads`.
        versions: which versions are served.
        inputs, outputs: tensors that the configuration declares.
        libraries: libraries of custom operations, which are registered before the model is loaded.
        source: where the configuration was read, for messages.

    Raises:
        ConfigError: two fields contradict each other.
    """

    max_batch_size: int = 0
    dynamic_batching: bool = False
    max_queue_delay_us: int = 0
    preferred_batch_size: int | None = None
    graph_optimization_level: str = "all"
    execution_mode: str = "sequential"
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    intra_op_threads: int | None = None
    inter_op_threads: int | None = None
    versions: Versions = _ALL_VERSIONS
    inputs: tuple[Declared, ...] = ()
    outputs: tuple[Declared, ...] = ()
    libraries: tuple[Library, ...] = ()
    source: str = field(default="the default configuration", compare=False)

    def __post_init__(self) -> None:
        if self.dynamic_batching and self.max_batch_size < 2:
            raise ConfigError(f"{self.source}: dynamic_batching: needs max_batch_size, 2 or more")
        if not self.dynamic_batching and (self.max_queue_delay_us or self.preferred_batch_size):
            raise ConfigError(f"{self.source}: max_queue_delay_us, preferred_batch_size: need dynamic_batching")
        if self.preferred_batch_size is not None and self.preferred_batch_size > self.max_batch_size:
            raise ConfigError(
                f"{self.source}: preferred_batch_size: {self.preferred_batch_size} is more than "
                f"max_batch_size, {self.max_batch_size}"
            )

    def check(self, inputs: Mapping[str, Signature], outputs: Mapping[str, Signature], board_cores: int) -> None:
        """Compare the configuration with the model and the board.

        Args:
            inputs, outputs: the model's own, by name.
            board_cores: the most threads that the configuration may ask for.

        Raises:
            ConfigError: the configuration does not fit.
        """
        for name, threads in (("intra_op_threads", self.intra_op_threads), ("inter_op_threads", self.inter_op_threads)):
            if threads is not None and threads > board_cores:
                raise ConfigError(f"{self.source}: {name}: {threads} is more than the board's {board_cores}")
        for kind, declared, signatures in (("input", self.inputs, inputs), ("output", self.outputs, outputs)):
            for tensor in declared:
                self._check_declared(kind, tensor, signatures)
        if self.max_batch_size:
            for kind, signatures in (("input", inputs), ("output", outputs)):
                for signature in signatures.values():
                    if not signature.any_rank and (not signature.shape or signature.shape[0] != -1):
                        raise ConfigError(
                            f"{self.source}: max_batch_size: {kind} {signature.name!r} has shape "
                            f"{list(signature.shape)}; its first dimension must be open (-1) to hold a batch"
                        )

    def _check_declared(self, kind: str, tensor: Declared, signatures: Mapping[str, Signature]) -> None:
        where = f"{self.source}: {kind} {tensor.name!r}"
        signature = signatures.get(tensor.name)
        if signature is None:
            raise ConfigError(f"{where}: the model has {', '.join(map(repr, signatures))}")
        if tensor.datatype is not None and tensor.datatype != signature.datatype:
            raise ConfigError(f"{where}: data_type {tensor.datatype}; the model's is {signature.datatype}")
        if tensor.dims is not None and not signature.any_rank:
            dims = self.without_batch(signature)
            fits = len(dims) == len(tensor.dims) and all(
                -1 in (size, declared) or size == declared for size, declared in zip(dims, tensor.dims)
            )
            if not fits:
                raise ConfigError(f"{where}: dims {list(tensor.dims)}; the model's are {list(dims)}")

    def without_batch(self, signature: Signature) -> tuple[int, ...]:
        """Return the shape of one row of a batch; the whole shape for a model without batches, -1 for any rank."""
        if signature.any_rank:
            return (-1,)
        return signature.shape[1:] if self.max_batch_size else signature.shape


def suggestion(word: object, words: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: the nearest known one, else all of them."""
    import difflib  # needed for an error alone

    known = list(words)
    match = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else f"; there are {', '.join(known)}"
