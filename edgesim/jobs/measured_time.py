"""A time of one inference that somebody measured on a board: a number, a result of a run, or a file of trtexec."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from edgesim import untrusted
from edgesim.errors import ModelError, UsageError
from edgesim.measure import trtexec
from edgesim.measure.trtexec import TrtexecTime
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from edgesim.options import CPU
from edgesim.printable import printable
from edgesim.profiles import DeviceProfile
from edgesim.results.run_result import RunResult
from edgesim.units import format_hz, parse_seconds

# What people add to the name of a network when they name its file.
_ADDED = re.compile(
    r"[._-](sim|simplified|opt|optimized|fp16|fp32|int8|qdq|quant|static|dynamic|trt|engine|b\d+|bs\d+|opset\d+|"
    r"\d+x\d+(x\d+)*)(?=[._-]|$)",
    re.IGNORECASE,
)
_TRTEXEC = "trtexec --onnx=MODEL.onnx --fp16 > MODEL.log"
# Clocks of one power mode differ by less.
_CLOCK_TOLERANCE = 0.05


@dataclass(frozen=True, kw_only=True)
class MeasuredTime:
    """A measured time, and what a prediction for it has to be made for.

    Attributes:
        ms: of one inference, or of one request where `is_request`.
        what: what was measured, in words.
        shapes: sizes by input name; None means those of the model.
        threads: of the inference; None means the prediction's own.
        is_request: whether the server and its connection are in it.
        remarks: sentences about what the file does not say, or says otherwise.
    """

    model: Model
    ms: float
    what: str
    shapes: Mapping[str, Sequence[int]] | None = None
    threads: int | None = None
    is_request: bool = False
    remarks: tuple[str, ...] = ()


def read(word: str, profile: DeviceProfile, target: str, *, models: str | Path | None = None) -> MeasuredTime:
    """Read a measured time on a target of a board.

    Args:
        word: a file: a result of ``edgesim run``, or what trtexec printed or exported; or ``MODEL=FILE``; or
            ``MODEL=29.3``, in milliseconds, with or without a unit. A log of trtexec names its model itself.
        models: the repository of the models; None means ``models/``, then the sample models.

    Raises:
        UsageError: the word is none of these, the file is of another network, target or board, or shows no time.
        ResultError: a file is not a result.
        ModelError: no such model.
    """
    if _is_file(word):
        return _of_file(Path(word), None, profile, target, models)
    name, separator, value = word.partition("=")
    if not separator or not name:
        if separator or not _is_model(word, models):
            raise UsageError(
                f"{word}: no such file, nor MODEL=TIME",
                fix=f"a result of edgesim run on the board; or MODEL=29.3 in ms; or the log of {_TRTEXEC}",
            )
        raise UsageError(f"{word}: the measured time is missing", fix=f"{word}=29.3 in ms, or {word}=FILE of trtexec")
    model = repository.find(name, models)
    if _is_file(value):
        return _of_file(Path(value), model, profile, target, models)
    return MeasuredTime(model=model, ms=_milliseconds(word, value), what="given")


def _is_file(word: str) -> bool:
    try:
        # A pipe is one, too: of the shell's <(command).
        return Path(word).exists() and not Path(word).is_dir() and not repository.names_a_file(word)
    except (OSError, ValueError):  # too long for a path, or a zero byte
        return False


def _is_model(word: str, models: str | Path | None) -> bool:
    try:
        repository.find(word, models)
    except ModelError:
        return False
    return True


def _milliseconds(word: str, value: str) -> float:
    try:
        ms = float(value)
    except ValueError:
        try:
            ms = 1000 * parse_seconds(value)
        except ValueError:
            raise UsageError(
                f"{word}: {value!r} is neither a time nor a file", fix="for example MODEL=29.3, in milliseconds"
            ) from None
    if not math.isfinite(ms) or ms <= 0:
        raise UsageError(f"{word}: {value} is not the time of an inference", fix="milliseconds above 0")
    return ms


def _of_file(
    path: Path, model: Model | None, profile: DeviceProfile, target: str, models: str | Path | None
) -> MeasuredTime:
    if _is_result(path):
        return _of_result(path, model, profile, target, models)
    return _of_trtexec(path, trtexec.read(path), model, profile, target, models)


def _is_result(path: Path) -> bool:
    """Whether a file is to be read as a result: a JSON object. What cannot be opened is told when it is read."""
    try:
        with untrusted.opened(path) as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    except OSError:
        return False


# --- results ----------------------------------------------------------------------------------------------------------


def _of_result(
    path: Path, named: Model | None, profile: DeviceProfile, target: str, models: str | Path | None
) -> MeasuredTime:
    result = RunResult.read(path)
    ms = _service_ms(path, result, profile, target)
    model = named if named is not None else repository.find(result.model.name, models)
    if model.sha256 != result.model.sha256:
        raise UsageError(
            f"{path}: model {result.model.name} here is not the measured model",
            fix="`models=DIR`, with the repository of the run",
        )
    return MeasuredTime(
        model=model,
        ms=ms,
        what="median service time of a run",
        threads=result.device.intra_op_threads if target == CPU else None,
        is_request=True,
    )


def _service_ms(path: Path, result: RunResult, profile: DeviceProfile, target: str) -> float:
    """Return the median service time of a run that shows the time of the board's target.

    Raises:
        UsageError: the run does not.
    """
    problem, of_target = None, _target_of(result)
    if result.profile.name != profile.name or result.profile.mode != profile.mode:
        problem = f"is of {result.profile.name}, not of {profile.reference}"
    elif result.time_origin != "board":
        problem = f"is {_whose(result)}; only a run on the board itself shows the board's time"
    elif of_target != target:
        problem = f"ran on {of_target}, not on {target}"
    elif not result.validity.valid or not result.complete:
        problem = "is INVALID, or was cut short"
    elif result.scenario.name != "single-stream" or result.scenario.clients != 1:
        problem = "has concurrent requests, which delay each other"
    elif result.generation is not None:
        problem = "is a generation, whose requests have no size in common"
    elif result.service_time_ms.p50 is None:
        problem = "has no median"
    if problem is not None or result.service_time_ms.p50 is None:
        run = f"edgesim run {profile.reference} MODEL -o {path.name}"
        raise UsageError(f"{path}: {problem}", fix=f"on the board, or with its `context`: {run}")
    return result.service_time_ms.p50


def _target_of(result: RunResult) -> str:
    """Return the target that a run measured; runs of older releases have measured the CPU."""
    return result.device_time_ms.target


def _whose(result: RunResult) -> str:
    """Return what a run on another machine than the board is, and why the machine was not taken for the board."""
    if result.profile.has_core_of_host:
        return f"of {result.profile.name}, which has the core of its host: its time is that host's"
    if result.execution != "same-architecture":
        return f"a run of execution {result.execution}"
    differences = "; ".join(
        f"{each.name} {each.host or 'not reported'}, the board's {each.profile or 'is not in the profile'}"
        for each in result.host.compared
        if each.stands_against
    )
    return "a run on a machine that has not proven to be the board" + (f" ({differences})" if differences else "")


# --- trtexec ----------------------------------------------------------------------------------------------------------


def _of_trtexec(
    path: Path,
    time: TrtexecTime,
    named: Model | None,
    profile: DeviceProfile,
    target: str,
    models: str | Path | None,
) -> MeasuredTime:
    _require_target(path, time, profile, target)
    model = named if named is not None else _named_by(path, time, models)
    if (other := next(_differences(time, model), None)) is not None:
        raise UsageError(
            f"{path}: of another network than {model.name}: {other}",
            fix=f"the log of this one: {_TRTEXEC}; or the number alone: {model.name}={time.ms:.4g}",
        )
    return MeasuredTime(
        model=model,
        ms=time.ms,
        what=time.what,
        shapes={tensor.name: time.inputs[tensor.name] for tensor in model.inputs} if time.inputs else None,
        remarks=(*_open_sizes(time, model), *_remarks(time, profile, target)),
    )


def _require_target(path: Path, time: TrtexecTime, profile: DeviceProfile, target: str) -> None:
    accelerator, _, runtime = target.partition(":")
    program, _, precision = runtime.partition("-")
    if program != "tensorrt":
        raise UsageError(
            f"{path}: is of TensorRT, and says nothing of {target}", fix="`target=gpu:tensorrt-fp16` or another"
        )
    if time.precision is not None and time.precision != precision:
        raise UsageError(
            f"{path}: was built for {time.precision}, not for {precision}",
            fix=f"`target={accelerator}:tensorrt-{time.precision}`, if the board has that target",
        )
    own = next((other for other in profile.accelerators if other.name == accelerator), None)
    capability = own.compute_capability if own is not None else None
    if None not in (capability, time.compute_capability) and capability != time.compute_capability:
        raise UsageError(
            f"{path}: measured on a GPU of compute capability {printable(time.compute_capability or '')}, the board's "
            f"has {capability}",
            fix="run trtexec on the board itself",
        )


def _named_by(path: Path, time: TrtexecTime, models: str | Path | None) -> Model:
    """Return the model that a log names, from the repository.

    Raises:
        UsageError: the file names none, or none that is there.
    """
    if time.model is not None:
        for name in _names(time.model):
            try:
                return repository.find(name, models)
            except ModelError:
                continue
    names = f"names {printable(time.model)}, which is no model here" if time.model is not None else "names no model"
    raise UsageError(f"{path}: {names}", fix=f"name the model: MODEL={path}")


def _names(file: str) -> list[str]:
    """Return the names that a model's file may stand for, the likeliest first: ``net``, ``net-sim``, its directory."""
    # A path of the machine that trtexec ran on.
    pure = PureWindowsPath(file) if "\\" in file else PurePosixPath(file)
    directories = [part for part in pure.parts[:-1][-2:] if not part.isdecimal()]
    names = [pure.stem, _ADDED.sub("", f"-{pure.stem}")[1:], *reversed(directories)]
    return [name for name in dict.fromkeys(names) if re.fullmatch(r"\w[\w.+-]*", name)]


def _differences(time: TrtexecTime, model: Model) -> Iterator[str]:
    """Yield why a file is of another network than a model, the plainest reason first."""
    if time.model is not None and not _may_be(time.model, model):
        yield f"its {'engine' if time.is_engine else 'model'} is {printable(time.model)}"
    for kind, shapes, tensors in (("input", time.inputs, model.inputs), ("output", time.outputs, model.outputs)):
        if shapes:
            yield from _of_tensors(kind, shapes, tensors)
    if time.layers and (words := _of_layers(time.layers, model)) is not None:
        yield words


def _may_be(file: str, model: Model) -> bool:
    """Whether a file's name may be a model's; ``model.onnx`` and the like say nothing."""
    own = {_plain(name) for name in (model.name, model.path.stem, *_names(model.path.name))}
    named = {_plain(name) for name in _names(file)}
    return bool(own & named) or named <= {"model", "best", "network", "net"}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _of_tensors(kind: str, shapes: Mapping[str, tuple[int, ...]], tensors: Sequence[Tensor]) -> Iterator[str]:
    own = {tensor.name: tensor.shape for tensor in tensors}
    if set(shapes) != set(own):
        yield f"its {kind}s are {printable(', '.join(sorted(shapes)))}, the model's {', '.join(sorted(own))}"
        return
    for name, sizes in shapes.items():
        fixed = own[name]
        if len(fixed) != len(sizes) or any(size not in (-1, other) for size, other in zip(fixed, sizes, strict=True)):
            yield f"its {kind} {printable(name)} has the shape {_shape(sizes)}, the model's {_shape(fixed)}"


def _shape(sizes: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in sizes)


def _of_layers(layers: Sequence[str], model: Model) -> str | None:
    """Return why profiled layers are another network's: none is made of a node of the model."""
    products = ("Conv", "ConvTranspose", "Gemm", "MatMul")
    nodes = [node.name for node in repository.parse(model.path).graph.node if node.op_type in products and node.name]
    text = "\n".join(layers)
    # TensorRT hides the nodes of what it compiles as one: {ForeignNode[first...last]}.
    if not nodes or "ForeignNode" in text or any(name in text for name in nodes):
        return None
    return f"none of its {len(layers)} layers has a node of the model in its name ({printable(nodes[0])})"


def _open_sizes(time: TrtexecTime, model: Model) -> Iterator[str]:
    """Yield the sizes that were measured with, of inputs whose sizes the model leaves open."""
    for tensor in model.inputs:
        sizes = time.inputs.get(tensor.name)
        if sizes is not None and -1 in tensor.shape and sizes[:1] != (1,):
            yield f"measured with {printable(tensor.name)} of {_shape(sizes)}, and compared with a prediction for that"


def _remarks(time: TrtexecTime, profile: DeviceProfile, target: str) -> Iterator[str]:
    own = next((each for each in profile.accelerators if each.name == target.partition(":")[0]), None)
    if time.is_engine or time.precision is None:
        yield f"the file does not say for which precision the engine was built; taken as {target.rpartition('-')[2]}"
    if own is None:
        return
    version = own.runtime.version if own.runtime is not None else None
    if version is not None and time.release is not None and not f"{time.release}.".startswith(f"{version}."):
        yield f"measured with TensorRT {time.release}; the board's system comes with {version}"
    if time.units is not None and own.units is not None and time.units != own.units:
        yield f"measured with {time.units} streaming multiprocessors; {profile.reference} has {own.units}"
    clock_hz = time.clock_hz
    if clock_hz is not None and own.clock_hz is not None and abs(clock_hz / own.clock_hz - 1) > _CLOCK_TOLERANCE:
        yield (
            f"measured at {format_hz(clock_hz)}; {profile.reference} has {format_hz(own.clock_hz)}: "
            "another power mode, maybe"
        )
    if time.cuda_graph:
        yield "measured with a CUDA graph, which starts kernels faster than most programs do"
    if time.profiled:
        yield "measured while each layer was timed, which takes longer: run trtexec without --dumpProfile"
    if time.layers:
        yield "the sum of profiled layers is without the gaps between them"
