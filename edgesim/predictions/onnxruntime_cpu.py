"""The predictor of ONNX Runtime on a board's arm64 cores: from the model's graph and the profile alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgesim.errors import ModelError, ProfileError, did_you_mean
from edgesim.options import CPU
from edgesim.predictions import band, calibration
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.cost import Coefficients, Machine, Term, amounts, seconds, unit_seconds
from edgesim.predictions.fitted import FittedCoefficients, load_fitted
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.operations import Kind
from edgesim.predictions.prediction import Declined, NodeTime, Prediction
from edgesim.predictions.refusals import require_loadable
from edgesim.predictions.server_time import ServerTime
from edgesim.profiles import DeviceProfile, cores
from edgesim.units import format_ms

if TYPE_CHECKING:
    from edgesim.predictions.graph import Graph
    from edgesim.predictions.node import Node, Precision
    from edgesim.predictions.yardstick import Yardstick

# Standard deviations of the logarithm of a time, for doubts that no published figure quantifies. Assumed, and wide.
_DOUBT: Mapping[str, float] = {"int8": 0.3, "int4": 0.4, "fp16": 0.4, "bf16": 0.4, "fp8": 0.4, "fact": 0.3}
_DOUBT_OF_KIND: Mapping[Kind, float] = {"recurrent": 0.4, "attention": 0.3, "tree ensemble": 0.7, "control flow": 0.3}
_NAMES: Mapping[Kind, str] = {
    "recurrent": "recurrent layers",
    "attention": "attention operations",
    "tree ensemble": "decision trees",
    "control flow": "branches and loops",
}
# How a precision is counted, by whether the core computes in fp16.
_HOW_COUNTED: Mapping["Precision", tuple[str, str]] = {
    "int8": ("by a handful of published pairs",) * 2,
    "int4": ("as fp32 that is unpacked from 2 to 8 bits",) * 2,
    "fp8": ("as conversions from and to fp32, in which the runtime computes",) * 2,
    "bf16": ("as moves of two bytes an element, with the runtime's few kernels for it",) * 2,
    "fp16": ("as fp32, since the core has no half-precision arithmetic", "as fp32, which the runtime mostly uses"),
}
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
# A branch that was not taken is told if it changes the device time by more than this part.
_NOTABLE = 0.1
# ONNX Runtime's optimizations make a model up to about this many times as quick.
_MOST_BY_OPTIMIZATION = 2.0
_ARITHMETIC: frozenset[Term] = frozenset(("products", "depthwise", "functions"))


class OnnxRuntimeCpu:
    """Predicts ONNX Runtime on arm64 cores, by coefficients that are fitted to published figures."""

    def targets(self, profile: DeviceProfile) -> Sequence[str]:
        """Return ``cpu``, which every board has."""
        return (CPU,)

    def predict(
        self,
        profile: DeviceProfile,
        reader: ModelReader,
        *,
        target: str = CPU,
        threads: int | None = None,
        use_calibration: bool = True,
    ) -> Prediction | Declined:
        """Return the device time of one inference; the arguments are those of `edgesim.predict`."""
        try:
            _require_predictable(profile)
            graph = reader.graph()
            if graph.run is None:  # which has loaded the model
                require_loadable(reader.model, target)
            return predict_graph(profile, graph, batch=reader.batch, threads=threads, use_calibration=use_calibration)
        except (ModelError, ProfileError) as error:
            return Declined.because_of(error)


def predict_graph(
    profile: DeviceProfile,
    graph: "Graph",
    *,
    batch: int = 1,
    threads: int | None = None,
    use_calibration: bool = True,
) -> Prediction:
    """Predict the device time of a graph, and say which sizes are of these inputs.

    Raises:
        ProfileError, ModelError: see `predict_nodes`.
    """
    prediction = predict_nodes(profile, graph.nodes, batch=batch, threads=threads, use_calibration=use_calibration)
    server = ServerTime.of(Machine.of(profile, threads), graph.request_bytes)
    prediction = replace(prediction, server=server)
    if graph.guessed:
        prediction = replace(prediction, notes=(graph.guessed, *prediction.notes))
    if graph.run is None:
        return prediction
    run = graph.run
    notes = [f"{graph.opened}: counted as run on this host with {run.inputs}; other inputs may take another time"]
    for choice in graph.choices:
        taken_ms, other_ms = (
            predict_nodes(profile, nodes, threads=threads, use_calibration=use_calibration).p50_ms if nodes else 0.0
            for nodes in (choice.taken, choice.other)
        )
        if abs(other_ms - taken_ms) > _NOTABLE * prediction.p50_ms:
            notes.append(
                f"If {choice.name}: the other branch takes {format_ms(other_ms)} ms"
                f" in place of {format_ms(taken_ms)} ms"
            )
    one_thread = predict_nodes(profile, graph.nodes, threads=1, use_calibration=use_calibration)
    if (doubt := _too_quick(profile, one_thread.p50_ms, 1e3 * run.seconds)) is not None:
        notes.append(doubt)
    return replace(prediction, notes=(*prediction.notes, *notes), sizes=f"a run on this host with {run.inputs}")


def _too_quick(profile: DeviceProfile, one_thread_ms: float, host_ms: float) -> str | None:
    """Return a doubt where a slower core than this host's is predicted to be quicker than this host was.

    Args:
        host_ms: of one thread without optimizations, which may have made the run that much quicker.
    """
    if one_thread_ms >= host_ms / _MOST_BY_OPTIMIZATION:
        return None
    from edgesim.predictions import plausibility  # here, because it runs ONNX Runtime

    slower = plausibility.times_as_slow(profile)
    if slower <= 1:
        return None
    return (
        f"suspect: predicted for one thread {format_ms(one_thread_ms)} ms, and this host, whose core is "
        f"{slower:.2g} times as quick, took {format_ms(host_ms)} ms without optimizations: the prediction counts too "
        "little"
    )


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
        ModelError: the cost of an operation is not known, and it was not timed on this host.
    """
    _require_predictable(profile)
    machine, fitted = Machine.of(profile, threads), load_fitted()
    coefficients = fitted.coefficients(machine.core)
    units = unit_seconds(machine, coefficients)
    unknown = _Unknown.of(nodes, machine, coefficients)
    times = [unknown.seconds(node) if not node.known else seconds(node, units, machine) for node in nodes]
    stored = calibration.find(profile) if use_calibration else None
    if use_calibration and stored is None:
        _require_known(machine.core)
    doubt, notes = _doubts(profile.title, machine, nodes, times, fitted, stored, unknown)
    if stored is not None:
        factor, variance, source = stored.factor, stored.variance, f"calibrated by {stored.source}"
    else:
        work: Counter[Term] = Counter()
        for node in nodes:
            work.update(unknown.amounts(node) if not node.known else amounts(node))
        factor, variance = 1.0, fitted.variance(machine, work)
        source = "80 % band, tested on published figures that the fit had not seen"
    p50_ms = 1e3 * factor * sum(sum(time.values()) for time in times)
    width = band.factor_of(variance + doubt)
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


def _require_predictable(profile: DeviceProfile) -> None:
    if profile.has_core_of_host:
        raise ProfileError(
            f"{profile.reference}: no prediction: it has the core of its host (cpu.core), and the host's speed",
            fix="edgesim run measures this host's time within the profile's limits; this is not the time of a board",
        )
    if profile.architecture != "arm64":
        raise ProfileError(
            f"{profile.reference}: no prediction for {profile.architecture}: all published figures behind it are "
            "from arm64 cores, and other cores run other kernels",
            fix="measure the time on the board itself: edgesim run there, or with `context`",
        )


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    """The time of operations of unknown cost on a board, by their time on this host.

    Attributes:
        doubt: standard deviation of the logarithm of such a time.
    """

    yardstick: "Yardstick | None"
    units: Mapping[Term, float]
    machine: Machine
    doubt: float = 0.0

    @classmethod
    def of(cls, nodes: Sequence["Node"], machine: Machine, coefficients: Coefficients) -> "_Unknown":
        """Measure the yardstick if a node needs it.

        Raises:
            ModelError: a node was not timed.
        """
        # One thread on both sides: nothing tells how such an operation uses more.
        units = unit_seconds(replace(machine, threads=1), coefficients)
        unknown = [node for node in nodes if not node.known]
        if untimed := sorted({node.operation for node in unknown if node.host_seconds is None}):
            raise ModelError(
                f"the cost of {', '.join(untimed)} is not known, and a run on this host did not time it",
                fix="run the model on the board itself: edgesim run there",
            )
        if not unknown:
            return cls(yardstick=None, units=units, machine=machine)
        from edgesim.predictions import yardstick  # here, because it runs ONNX Runtime

        measured = yardstick.measure()
        return cls(yardstick=measured, units=units, machine=machine, doubt=measured.doubt(units, machine))

    def seconds(self, node: "Node") -> dict[Term, float]:
        """Return the seconds that each term adds to the time of a node of unknown cost."""
        assert self.yardstick is not None, "`of` measures it for such a node"
        assert node.host_seconds is not None, "`of` has checked that"
        return self.yardstick.seconds(node.host_seconds, self.units, self.machine)

    def amounts(self, node: "Node") -> dict[Term, float]:
        """Return the work of a node of unknown cost, by term."""
        assert self.yardstick is not None, "`of` measures it for such a node"
        assert node.host_seconds is not None, "`of` has checked that"
        return self.yardstick.amounts(node.host_seconds, self.units, self.machine)


def _doubts(
    title: str,
    machine: Machine,
    nodes: Sequence["Node"],
    times: Sequence[Mapping[Term, float]],
    fitted: FittedCoefficients,
    stored: Calibration | None,
    by_host: _Unknown,
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
        part = share(unknown)
        variance += (part * by_host.doubt) ** 2
        notes.append(f"the cost of {names} is not known: {100 * part:.0f} % of the time, by its time on this host")
    for kind, doubt in _DOUBT_OF_KIND.items():
        chosen = [node.kind == kind for node in nodes]
        if any(chosen):
            variance += (share(chosen) * doubt) ** 2
            notes.append(f"{_NAMES[kind]} are counted by their arithmetic and bytes; no published figure tests that")
    for precision, how in _HOW_COUNTED.items():
        chosen = [node.precision == precision for node in nodes]
        if any(chosen):
            variance += (share(chosen) * _DOUBT[precision]) ** 2
            notes.append(f"{precision} is counted {how[machine.half_precision]}")
    return variance, tuple(notes)


def _require_known(core: str) -> None:
    """Refuse a core that is not in the table: the mean of other cores would pass for a prediction."""
    if cores.find(core) is None:
        names = [known.title for known in cores.CORES]
        raise ProfileError(
            f"core {core}: not in the table of cores, so the speed of its arithmetic is unknown"
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
        notes.append(
            f"ONNX Runtime on {title}: an extrapolation, since no figure is published for it or another {machine.core}"
        )
    elif machine.soc not in fitted.seen_socs:
        notes.append(f"ONNX Runtime on {title}: no published figure, only on other boards with a {machine.core}")
    if cores.family(machine.core) is None:
        notes.append(f"core {machine.core} is in no family of the table of cores: taken as the mean of all families")
    return notes
