"""What NVIDIA's ``trtexec`` prints and exports: the GPU's time for one inference, and what it was measured on.

Files are read as people have them: with or without time stamps, quoted, with another program's prefix, cut off. Printed
text is that of TensorRT 7 to 10 (samples/common/sampleOptions.cpp and sampleReporting.cpp of NVIDIA/TensorRT).
"""

import codecs
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from edgesim import untrusted
from edgesim.errors import UsageError
from edgesim.printable import printable

# A verbose log of a large network has some 10 MiB.
_MOST_BYTES = 64 * untrusted.MIB
# An inference that takes longer than a day is none.
_MOST_MS = 86_400_000.0
_WHOLE_LOG = "give the whole log, from &&&& RUNNING to its last line, &&&& PASSED"

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LOGGED = re.compile(r"\s*\[(?:[0-9]+/[0-9]+/[0-9]+-|[VIWE]\])")
_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?)"
# People also paste it with some of its equals signs lost.
_IS = r"\s*(?:=\s*)?"
_COMPUTE = re.compile(
    rf"(?<!Total )GPU Compute Time: min{_IS}{_NUMBER} ms, max{_IS}{_NUMBER} ms, mean{_IS}{_NUMBER} ms, "
    rf"median{_IS}{_NUMBER} ms"
)
# TensorRT 7 has a heading, and a line for each figure.
_HEADING = re.compile(r"(?:\[I\] |^\W*)(Host Latency|Enqueue Time|GPU Compute)\s*$")
_MEDIAN = re.compile(rf"(?:\[I\] |^\W*)median: {_NUMBER} ms")
# Averages of some runs each, which the summary comes after.
_AVERAGE = re.compile(rf"Average on [0-9]+ runs - GPU latency: {_NUMBER} ms")
_CUT_COMPUTE = re.compile(r"(?<!Total )GPU Compute Time: min")
_BANNER = re.compile(
    r"&&&& (RUNNING|PASSED|FAILED) TensorRT\.trtexec(?: \[TensorRT v([0-9]{3,6})\])?[^#\n]*(?:# (.*))?"
)
_ERROR = re.compile(r"\[E\] (.*)")
_OPTION = re.compile(
    r"(?:\[I\] |^\W*)(Model|Precision|Load engine|DLACore|Inference Streams|Streams|Batch|CUDA Graph|"
    r"Profile|Compute Capability|SMs|(?:Application )?Compute Clock Rate|TensorRT version): ?(.*?)\s*$"
)
_BINDING = re.compile(
    r"(Created )?(input|output) binding for (\S+) with dimensions ([0-9]+(?:x[0-9]+)*)(?=\s|$)", re.IGNORECASE
)
_SHAPE = re.compile(r"Input inference shape ?: ?(\S+)=([0-9]+(?:x[0-9]+)*)(?:\+|\s|$)")
_PRECISION_FLAG = re.compile(r"--(fp16|int8|best|fp8|bf16|int4|stronglyTyped|noTF32)\b")


@dataclass(frozen=True, kw_only=True)
class TrtexecTime:
    """A measured time, and what trtexec says of the network and the device that it was measured on.

    Attributes:
        ms: of one inference on the GPU, without transfers.
        what: what `ms` is, in words.
        model: path of the ONNX file, or of the engine; None where the file names neither.
        is_engine: whether `model` is an engine, whose name need not be the network's and whose precision is unknown.
        precision: ``fp32``, ``fp16``, ``int8`` or another; None where the file does not say.
        release: of TensorRT, such as ``8.2.1``.
        inputs, outputs: shapes by name.
        compute_capability, units, clock_hz: of the device.
        layers: names of the engine's layers, made of the names of the nodes in them.
        cuda_graph: whether kernels were launched as one graph.
        profiled: whether layers were timed one by one in the same run.
    """

    ms: float
    what: str
    model: str | None = None
    is_engine: bool = False
    precision: str | None = None
    release: str | None = None
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    compute_capability: str | None = None
    units: int | None = None
    clock_hz: float | None = None
    layers: tuple[str, ...] = ()
    cuda_graph: bool = False
    profiled: bool = False


def read(path: Path) -> TrtexecTime:
    """Read a log of trtexec, or a file of its ``--exportTimes`` or ``--exportProfile``.

    Raises:
        UsageError: the file cannot be read, is none of these, is cut off, or is of a run that failed or does not show
            the time of one inference on the GPU.
    """
    try:
        content = untrusted.read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot read: {error.strerror}", fix=untrusted.fix_of(error)) from error
    text = _decoded(content)
    # A log begins with a bracket, too: that of its first time stamp, or of its first line's kind.
    if text.lstrip().startswith("[") and not _LOGGED.match(text):
        try:
            return _exported(path, orjson.loads(text))
        except ValueError as error:
            raise UsageError(
                f"{path}: neither a log of trtexec nor whole JSON: {error}", fix="export the times again"
            ) from error
    return _logged(path, _ANSI.sub("", text))


def _decoded(content: bytes) -> str:
    """Return text as terminals, editors and PowerShell's redirection write it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


# --- logs -------------------------------------------------------------------------------------------------------------


def _logged(path: Path, text: str) -> TrtexecTime:
    lines = text.splitlines()
    banners = [match for line in lines if (match := _BANNER.search(line)) is not None]
    words = [match[1] for match in banners]
    times = list(_medians(lines))
    if "FAILED" in words:
        reason = next((match[1] for line in lines if (match := _ERROR.search(line)) is not None), "")
        reason = f": {printable(reason.strip())}" if reason.strip() else ""
        raise UsageError(f"{path}: trtexec failed{reason}", fix="fix the failure first; a failed run shows no time")
    if words.count("RUNNING") > 1 or len(set(times)) > 1:
        raise UsageError(f"{path}: has more than one run of trtexec", fix="give one file for each run")
    if "RUNNING" in words and "PASSED" not in words:
        raise UsageError(
            f"{path}: the log of trtexec is cut off: its last line, &&&& PASSED, is missing", fix=_WHOLE_LOG
        )
    averages = [float(match[1]) for line in lines if (match := _AVERAGE.search(line)) is not None]
    # A log that begins with its banner has a summary; lines that somebody has pasted may be all there is.
    pasted = not words and not _CUT_COMPUTE.search(text)
    if not times and not (averages and pasted):
        raise UsageError(f"{path}: {_why_no_time(text, words)}", fix=_WHOLE_LOG)
    what = "median GPU compute time" if times else f"mean of {len(averages)} averages of the GPU latency"
    ms = _positive(path, times[0] if times else statistics.fmean(averages), f"the {what}")
    facts = _facts(lines)
    command = next((match[3] for match in banners if match[3]), "")
    _require_one_inference_at_a_time(path, facts)
    release = next((_release(match[2]) for match in banners if match[2]), facts.get("TensorRT version") or None)
    engine = facts.get("Load engine") or _argument(command, "loadEngine")
    model = engine or facts.get("Model") or _argument(command, "onnx")
    return TrtexecTime(
        ms=ms,
        what=f"{what} of trtexec",
        model=model or None,
        is_engine=bool(engine),
        precision=None if engine else _precision(facts.get("Precision"), command),
        release=release,
        inputs=_bindings(lines, "input"),
        outputs=_bindings(lines, "output"),
        compute_capability=facts.get("Compute Capability") or None,
        units=int(units) if (units := facts.get("SMs", "")).isdecimal() and len(units) < 5 else None,
        clock_hz=_gigahertz(facts.get("Application Compute Clock Rate") or facts.get("Compute Clock Rate", "")),
        cuda_graph=facts.get("CUDA Graph") == "Enabled",
        profiled=facts.get("Profile") == "Enabled",
    )


def _medians(lines: Sequence[str]) -> Iterator[str]:
    """Yield each median of the GPU's time for one inference, in milliseconds, as it is printed."""
    heading = ""
    for line in lines:
        if (match := _COMPUTE.search(line)) is not None:
            yield match[4]
        elif (match := _HEADING.search(line)) is not None:
            heading = match[1]
        elif heading == "GPU Compute" and (match := _MEDIAN.search(line)) is not None:
            yield match[1]


def _why_no_time(text: str, words: Sequence[str]) -> str:
    if _CUT_COMPUTE.search(text):
        return "the log of trtexec is cut off within its line GPU Compute Time"
    if "PASSED" in words:
        return "trtexec passed without a time, as with --buildOnly or --skipInference"
    if "trtexec" in text or "[TRT]" in text:
        return "the log of trtexec is cut off before its line GPU Compute Time"
    return "no log of trtexec: it has no line GPU Compute Time"


def _facts(lines: Sequence[str]) -> dict[str, str]:
    """Return the options and facts of the device, each as first printed."""
    facts: dict[str, str] = {}
    for line in lines:
        if (match := _OPTION.search(line)) is not None:
            facts.setdefault(match[1], match[2])
    return facts


def _require_one_inference_at_a_time(path: Path, facts: Mapping[str, str]) -> None:
    if facts.get("DLACore"):
        raise UsageError(f"{path}: measured on the DLA (core {printable(facts['DLACore'])}), which is not the GPU")
    streams = facts.get("Inference Streams") or facts.get("Streams") or "1"
    if streams != "1":
        raise UsageError(
            f"{path}: measured with {printable(streams)} streams, which delay each other",
            fix="run trtexec without --infStreams and --streams",
        )
    batch = facts.get("Batch") or "1"
    if batch.isdecimal() and batch.lstrip("0") not in ("", "1"):
        raise UsageError(f"{path}: measured with a batch of {printable(batch)}", fix="run trtexec without --batch")


def _release(digits: str) -> str:
    """Return 8.2.1 for 8201 and 10.3.0 for 100300: two digits for each part but the first, from TensorRT 10 on."""
    if len(digits) >= 5:
        return f"{int(digits[:-4])}.{int(digits[-4:-2])}.{int(digits[-2:])}"
    return f"{digits[0]}.{digits[1]}.{int(digits[2:])}"


def _argument(command: str, name: str) -> str:
    match = re.search(rf"--{name}[= ]('[^']*'|\"[^\"]*\"|\S+)", command)
    return match[1].strip("'\"") if match is not None else ""


def _precision(stated: str | None, command: str) -> str | None:
    """Return the lowest precision that the builder could choose, by the log's line or the command's options."""
    if stated is not None:
        words = set(re.findall(r"[A-Z]+[0-9]+", stated.partition("(")[0].upper()))
    elif command:
        flags = set(_PRECISION_FLAG.findall(command))
        words = {"INT8", "FP16"} if "best" in flags else {flag.upper() for flag in flags}
        words.add("FP32")
    else:
        return None
    if "STRONGLYTYPED" in words:
        return None
    return next((name for name in ("int4", "fp8", "int8", "fp16", "bf16", "fp32") if name.upper() in words), None)


def _bindings(lines: Sequence[str], kind: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for line in lines:
        if (match := _BINDING.search(line)) is not None and match[2].lower() == kind:
            shapes[match[3]] = _sizes(match[4])
        elif kind == "input" and (match := _SHAPE.search(line)) is not None:
            shapes.setdefault(match[1], _sizes(match[2]))
    return shapes


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) if len(size) < 12 else 10**12 for size in text.split("x"))


def _gigahertz(text: str) -> float | None:
    match = re.fullmatch(rf"{_NUMBER} GHz", text)
    return 1e9 * float(match[1]) if match is not None else None


# --- exported files ---------------------------------------------------------------------------------------------------


def _exported(path: Path, document: Any) -> TrtexecTime:
    entries = [entry for entry in document if isinstance(entry, dict)] if isinstance(document, list) else []
    if any("averageMs" in entry or "medianMs" in entry for entry in entries):
        layers = [entry for entry in entries if "name" in entry]
        ms = sum(_layer_ms(path, entry) for entry in layers)
        return TrtexecTime(
            ms=_positive(path, ms, "the sum of the layers"),
            what=f"sum of {len(layers)} layers that trtexec profiled",
            layers=tuple(str(entry["name"]) for entry in layers),
        )
    times = [time for entry in entries if (time := _compute_ms(entry)) is not None]
    if not times:
        raise UsageError(
            f"{path}: JSON, and neither of trtexec's --exportTimes nor of its --exportProfile",
            fix="give one of these files, or the log",
        )
    median = _positive(path, statistics.median(times), "the median compute time")
    return TrtexecTime(ms=median, what=f"median compute time of {len(times)} inferences of trtexec")


def _layer_ms(path: Path, entry: Mapping[str, Any]) -> float:
    value = entry.get("medianMs", entry.get("averageMs"))
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_MS:
        raise UsageError(f"{path}: layer {printable(str(entry['name']))} has no time")
    return float(value)


def _compute_ms(entry: Mapping[str, Any]) -> float | None:
    values = [entry.get(name) for name in ("computeMs", "startComputeMs", "endComputeMs")]
    compute, start, end = (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None for value in values
    )
    if compute is not None:
        return compute
    return end - start if start is not None and end is not None else None


def _positive(path: Path, value: str | float, what: str) -> float:
    ms = float(value)
    if not math.isfinite(ms) or not 0 < ms < _MOST_MS:
        raise UsageError(f"{path}: {what} is {ms:g} ms, which is not the time of an inference")
    return ms
