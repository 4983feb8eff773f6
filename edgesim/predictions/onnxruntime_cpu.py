"""The predictor of ONNX Runtime on a board's arm64 cores: from the model's graph and the profile alone."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgesim.errors import ModelError, ProfileError, did_you_mean
from edgesim.models.repository import Model
from edgesim.predictions import calibration
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.cost import Machine, Term, amounts, seconds, unit_seconds
from edgesim.predictions.fitted import FittedCoefficients, load_fitted
from edgesim.predictions.prediction import Declined, NodeTime, Prediction
from edgesim.profiles import DeviceProfile, cores

if TYPE_CHECKING:
    from edgesim.predictions.graph import Node

# 80 % of a normal distribution lie within this many standard deviations.
_Z80 = 1.2816
# Standard deviations of the logarithm of a time, for doubts that no published figure quantifies. Assumed, and wide.
_DOUBT = {"operation": 1.0, "int8": 0.3, "fp16": 0.4, "fact": 0.3}
# For each fact that a prediction uses: what the prediction takes where the profile lacks the fact, and where to find
# the fact. tinymembench prints MB/s of 10^6 bytes.
_LACKING: dict[str, tuple[str, str]] = {
    "cpu.fp32_flops_per_cycle": (
        "taken from similar boards",
        "the core's manual has it: 8 for each 128-bit multiply-add that the core starts in a cycle",
    ),
    "cpu.bandwidth.copy_bytes_per_s": (
        "taken from similar boards",
        'measure it on the board: edgesim profiles measure, or tinymembench, whose "standard memcpy" is in MB/s',
    ),
    "memory.bandwidth_bytes_per_s": (
        "derived from the copy speed",
        "the data sheet has it: transfers per second times the width of the bus in bytes",
    ),
    "cpu.features": (
        "taken as a core without asimddp and asimdhp",
        "read it on the board: edgesim profiles measure, or grep -m1 Features /proc/cpuinfo",
    ),
}
_ARITHMETIC: frozenset[Term] = frozenset(("products", "depthwise", "functions"))


class OnnxRuntimeCpu:
    """Predicts ONNX Runtime on arm64 cores, by coefficients that are fitted to published figures."""

    target = "cpu"

    def predict(
        self,
        profile: DeviceProfile,
        model: Model,
        *,
        batch: int = 1,
        threads: int | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        use_calibration: bool = True,
    ) -> Prediction | Declined:
        """Return the device time of one inference; the arguments are those of `edgesim.predict`."""
        from edgesim.predictions import graph  # here, because importing onnx takes 50 ms

        try:
            nodes = graph.read(model.path, shapes=shapes, batch=batch)
            if not nodes:
                raise ModelError(f"{model.path}: nothing in the graph is left to do at run time")
            return predict_nodes(profile, nodes, batch=batch, threads=threads, use_calibration=use_calibration)
        except (ModelError, ProfileError) as error:
            return Declined.because_of(error)


def predict_nodes(
    profile: DeviceProfile,
    nodes: Sequence["Node"],
    *,
    batch: int = 1,
    threads: int | None = None,
    use_calibration: bool = True,
) -> Prediction:
    """Predict the device time of the nodes of a graph.

    Raises:
        ProfileError: the board's cores are not arm64, its core is not in the table of cores and no calibration corrects
            the prediction, or the stored calibration cannot be read.
    """
    if profile.has_core_of_host:
        raise ProfileError(
            f"{profile.reference}: no prediction: it has the core of its host (cpu.core), and is as fast as that",
            fix="edgesim run measures this host's time within the profile's limits, which is no board's",
        )
    if profile.architecture != "arm64":
        raise ProfileError(
            f"{profile.reference}: no prediction for {profile.architecture}: every published figure used is of an "
            "arm64 core, and other cores run other kernels",
            fix="measure the time on the board itself: edgesim run there, or with `context`",
        )
    machine, fitted = Machine.of(profile, threads), load_fitted()
    units = unit_seconds(machine, fitted.coefficients(machine.core))
    times = [seconds(node, units, machine) for node in nodes]
    stored = calibration.find(profile) if use_calibration else None
    if use_calibration and stored is None:
        _require_known(machine.core)
    doubt, notes = _doubts(profile.title, machine, nodes, times, fitted, stored)
    if stored is not None:
        factor, variance, source = stored.factor, stored.variance, f"calibrated by {stored.source}"
    else:
        work: Counter[Term] = Counter()
        for node in nodes:
            work.update(amounts(node))
        factor, variance = 1.0, fitted.variance(machine, work)
        source = "80 % band, tested on published figures that the fit had not seen"
    p50_ms = 1e3 * factor * sum(sum(time.values()) for time in times)
    width = math.exp(_Z80 * math.sqrt(variance + doubt))
    return Prediction(
        p50_ms=p50_ms,
        low_ms=p50_ms / width,
        high_ms=p50_ms * width,
        method=f"predicted from the graph for {machine.threads} threads of {machine.core}, {source}",
        threads=machine.threads,
        batch=batch,
        notes=notes,
        nodes=tuple(
            NodeTime(
                node=node,
                arithmetic_ms=1e3 * factor * sum(s for term, s in time.items() if term in _ARITHMETIC),
                memory_ms=1e3 * factor * sum(s for term, s in time.items() if term not in _ARITHMETIC),
            )
            for node, time in zip(nodes, times, strict=True)
        ),
    )


def _doubts(
    title: str,
    machine: Machine,
    nodes: Sequence["Node"],
    times: Sequence[Mapping[Term, float]],
    fitted: FittedCoefficients,
    stored: Calibration | None,
) -> tuple[float, tuple[str, ...]]:
    """Return the variance of the logarithm that comes on top of the coefficients', and a note for each reason.

    A calibration was measured on the board itself, so the doubts about the board do not apply with one.
    """
    total = sum(sum(time.values()) for time in times)

    def share(chosen: Sequence[bool]) -> float:
        return sum(sum(time.values()) for time, is_chosen in zip(times, chosen, strict=True) if is_chosen) / total

    variance, notes = 0.0, []
    if stored is None:
        notes += _doubts_about_core(title, machine, fitted)
        for fact in machine.guessed:
            variance += _DOUBT["fact"] ** 2
            notes.append(_lacking(fact))
        uses_features = "cpu.fp32_flops_per_cycle" in machine.guessed or any(node.precision == "int8" for node in nodes)
        notes += [_lacking(fact) for fact in machine.derived if fact != "cpu.features" or uses_features]
    unknown = [not node.known for node in nodes]
    if any(unknown):
        names = ", ".join(sorted({node.operation for node in nodes if not node.known}))
        variance += (share(unknown) * _DOUBT["operation"]) ** 2
        notes.append(f"the cost of {names} is not known: counted as moving its bytes")
    for precision in ("int8", "fp16"):
        chosen = [node.precision == precision for node in nodes]
        if any(chosen):
            variance += (share(chosen) * _DOUBT[precision]) ** 2
            how = "by a handful of published pairs" if precision == "int8" else "as fp32, which the runtime mostly uses"
            notes.append(f"{precision} is counted {how}")
    return variance, tuple(notes)


def _require_known(core: str) -> None:
    """Refuse a core that is not in the table: the mean of other cores would pass for a prediction."""
    if cores.find(core) is None:
        names = [known.title for known in cores.CORES]
        raise ProfileError(
            f"core {core}: not in the table of cores, so nothing says how fast its arithmetic is"
            f"{did_you_mean(core, names)}",
            fix=f"name one of {', '.join(names)}; or measure on the board: edgesim run there, then edgesim calibrate",
        )


def _lacking(fact: str) -> str:
    instead, source = _LACKING[fact]
    return f"the profile lacks {fact}: {instead}; {source}"


def _doubts_about_core(title: str, machine: Machine, fitted: FittedCoefficients) -> list[str]:
    """Return notes alone: `FittedCoefficients.variance` has the variance of a board and a core without a figure."""
    notes = []
    if machine.core not in fitted.seen:
        notes.append(f"ONNX Runtime on {title}: no published figure, nor on another {machine.core}; an extrapolation")
    elif machine.soc not in fitted.seen_socs:
        notes.append(f"ONNX Runtime on {title}: no published figure, only on other boards with a {machine.core}")
    if cores.family(machine.core) is None:
        notes.append(f"core {machine.core} is in no family of the table of cores: taken as the mean of all families")
    return notes
