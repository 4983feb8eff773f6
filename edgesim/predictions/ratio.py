"""The ratio of two predictions for one board, with a band: errors that both share cancel."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edgesim.options import CPU
from edgesim.predictions import band
from edgesim.predictions.cost import Machine, Term, amounts
from edgesim.predictions.fitted import load_fitted
from edgesim.predictions.prediction import NodeTime, Prediction
from edgesim.profiles import DeviceProfile

# Standard deviations of the logarithm of a time, as in the predictor: of the factor of a precision, and of operations
# without a published cost.
_DOUBT_OF_PRECISION: Mapping[str, float] = {"int8": 0.3, "int4": 0.4, "fp16": 0.4, "bf16": 0.4, "fp8": 0.4}
_DOUBT_OF_OPERATION = 1.0


@dataclass(frozen=True, kw_only=True)
class RatioBand:
    """The candidate's predicted time over the base's.

    Attributes:
        low, high: the band; as sure as that of a prediction, 80 %.
        reasons: what the two predictions do not share, in a few words each.
    """

    ratio: float
    low: float
    high: float
    reasons: tuple[str, ...] = ()


def ratio_band(profile: DeviceProfile, base: Prediction, candidate: Prediction) -> RatioBand:
    """Return the ratio of two predictions for the same board.

    What both take alike cancels: the board, its core, its memory, a calibration, and each node that both graphs have.
    What is left, each as the standard deviation of a logarithm:

    - the nodes of one graph alone, by their share of its time, with the spread of published figures around the fit;
    - the coefficients, by the covariance of the fit and the difference of both gradients;
    - the core's arithmetic around its family, by the difference of the shares of arithmetic, if no figure is of the
      core;
    - the factor of a precision, and operations without a published cost, by the difference of their shares.
    """
    ratio = candidate.p50_ms / base.p50_ms
    only_base, only_candidate = _shares_of_own_nodes(base.nodes, candidate.nodes)
    if not only_base and not only_candidate:
        return RatioBand(ratio=ratio, low=ratio, high=ratio)
    reasons = [f"{100 * max(only_base, only_candidate):.0f} % of the time is in nodes that one model has alone"]
    if base.target != CPU:
        return _of_accelerator(base, candidate, (only_base, only_candidate), reasons)
    fitted, machine = load_fitted(), Machine.of(profile, base.threads)
    variance = fitted.spread**2 * (only_base**2 + only_candidate**2 + (only_candidate - only_base) ** 2)
    gradients = [fitted.gradient(machine, _work(side.nodes)) for side in (base, candidate)]
    difference = gradients[1] - gradients[0]
    variance += float(difference @ fitted.covariance @ difference)
    if machine.core not in fitted.seen:
        arithmetic = [sum(node.arithmetic_ms for node in side.nodes) / side.p50_ms for side in (base, candidate)]
        variance += ((arithmetic[1] - arithmetic[0]) * fitted.core_spread) ** 2
    for precision, doubt in _DOUBT_OF_PRECISION.items():
        shares = [_share(side, [n.node.precision == precision for n in side.nodes]) for side in (base, candidate)]
        if shares[0] != shares[1]:
            variance += ((shares[1] - shares[0]) * doubt) ** 2
            reasons.append(f"{precision} makes {100 * shares[0]:.0f} and {100 * shares[1]:.0f} % of it")
    unknown = [_share(side, [not n.node.known for n in side.nodes]) for side in (base, candidate)]
    variance += ((unknown[1] - unknown[0]) * _DOUBT_OF_OPERATION) ** 2
    width = band.factor_of(variance)
    return RatioBand(ratio=ratio, low=ratio / width, high=ratio * width, reasons=tuple(reasons))


def _of_accelerator(
    base: Prediction, candidate: Prediction, only: tuple[float, float], reasons: list[str]
) -> RatioBand:
    """Return the band of the ratio on an accelerator, where the wider of both predictions' bands stands for each node.

    That band has the board's own error, too, which cancels: this one is wide enough rather than exact.
    """
    spread = max(math.log(side.high_ms / side.p50_ms) for side in (base, candidate)) / band.Z80
    variance = spread**2 * (only[0] ** 2 + only[1] ** 2 + (only[1] - only[0]) ** 2)
    ratio, width = candidate.p50_ms / base.p50_ms, band.factor_of(variance)
    return RatioBand(ratio=ratio, low=ratio / width, high=ratio * width, reasons=tuple(reasons))


def _shares_of_own_nodes(base: tuple[NodeTime, ...], candidate: tuple[NodeTime, ...]) -> tuple[float, float]:
    """Return, for each graph, the share of its time in nodes that the other graph does not have."""
    counts = Counter(map(_key, base)), Counter(map(_key, candidate))
    times = {_key(node): node.ms for node in (*base, *candidate)}

    def share(own: Counter[tuple[object, ...]], other: Counter[tuple[object, ...]]) -> float:
        total = sum(times[key] * count for key, count in own.items())
        return sum(times[key] * count for key, count in (own - other).items()) / total if total else 0.0

    return share(*counts), share(*counts[::-1])


def _key(time: NodeTime) -> tuple[object, ...]:
    """Return what two nodes have in common that take the same time for the same reason."""
    return time.node.operation, time.node.precision, f"{time.arithmetic_ms:.6g}", f"{time.memory_ms:.6g}"


def _work(nodes: tuple[NodeTime, ...]) -> Counter[Term]:
    work: Counter[Term] = Counter()
    for time in nodes:
        if time.node.known:
            work.update(amounts(time.node))
    return work


def _share(prediction: Prediction, chosen: list[bool]) -> float:
    total = sum(time.ms for time in prediction.nodes)
    own = sum(time.ms for time, is_chosen in zip(prediction.nodes, chosen, strict=True) if is_chosen)
    return own / total if total else 0.0
