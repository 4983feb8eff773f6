"""Fits the coefficients of TensorRT's kernels to published figures, and writes `fitted.json`.

``python -m edgesim.predictions.tensorrt.fit benchmarks/published`` does so with the figures of edgesim's repository:
`edgesim/predictions/published.csv` has each figure with its source, and the directory has ``kernels.csv``, the kernels
of the networks' graphs. ``python -m benchmarks.accelerators`` shows how good the fit is.

The fit is least squares over the logarithms of the coefficients, each with a prior. A source on a board has an offset,
which a prediction leaves out: nobody knows the clocks and releases of the next one. A network's figures weigh less the
more there are.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from edgesim.predictions.tensorrt import fitted
from edgesim.predictions.tensorrt.cost import NAMES
from edgesim.predictions.tensorrt.figures import Figure, Times, read
from edgesim.predictions.tensorrt.fitted import STEP, Z80, FittedCoefficients
from edgesim.predictions.tensorrt.kernels import KernelTable

# Terms of conditions that a prediction leaves out, see `edgesim.predictions.tensorrt.figures`.
CONDITIONS = ("nms launches", "python seconds", "old launch")
# Mean and standard deviation of the logarithm of each coefficient before any figure is seen. A deviation of one
# architecture, or of a precision, from the common value is small unless figures say otherwise; Blackwell's is not,
# because all its figures are of one source, whose offset would take it.
PRIORS: Mapping[str, tuple[float, float]] = {
    "tensor share": (math.log(0.6), 0.3),
    "plain share": (math.log(0.7), 0.2),
    "share maxwell": (0.0, 0.15),
    "share pascal": (0.0, 0.15),
    "share volta": (0.0, 0.15),
    "share ampere": (0.0, 0.15),
    "share blackwell": (0.0, 0.5),
    "tf32 share": (0.0, 0.2),
    "int8 share": (0.0, 0.2),
    "depthwise share": (math.log(0.3), 0.5),
    "grouped share": (math.log(0.5), 0.5),
    "winograd gain": (math.log(1.3), 0.3),
    "tensor tile": (math.log(4096), 1.0),
    "plain tile": (math.log(4096), 1.0),
    "tensor output": (math.log(32), 0.7),
    "plain output": (math.log(8), 0.7),
    "row padding": (math.log(0.5), 0.4),
    "depth padding": (math.log(0.5), 0.4),
    "memory share": (math.log(0.7), 0.15),
    "plain memory": (0.0, 0.2),
    "bytes per cycle": (math.log(64), 0.5),
    "cached": (0.0, 0.7),
    "cached blackwell": (math.log(4.0), 1.0),
    "concatenation bytes": (math.log(0.3), 0.7),
    "slice bytes": (math.log(1.0), 0.7),
    "function bytes": (math.log(0.3), 0.7),
    "launch cycles": (math.log(4000), 1.0),
    "launch seconds": (math.log(2e-6), 1.0),
    "concatenation launch": (math.log(0.5), 0.5),
    "slice launch": (math.log(1.0), 0.5),
    "function launch": (math.log(0.2), 0.7),
    "plain launch": (math.log(2.0), 0.4),
    "launch maxwell": (0.0, 0.1),
    "launch pascal": (0.0, 0.1),
    "launch volta": (0.0, 0.2),
    "launch ampere": (0.0, 0.2),
    "launch blackwell": (0.0, 0.7),
    "inference seconds": (math.log(50e-6), 1.0),
    "nms launches": (math.log(4), 0.5),
    "python seconds": (math.log(150e-6), 0.5),
    "old launch": (math.log(1.3), 0.3),
}
# Standard deviation of the logarithm of a figure beside what the coefficients and its source's offset say.
SCATTER = 0.12
# Standard deviation of a source's offset, by how far two sources of one network on one board are apart.
OFFSET = 0.15
# The same for a source that weighs less than this.
DOUBTFUL = 0.5
DOUBTFUL_OFFSET = 0.4
# A network with n figures weighs as much as n to this power, in place of n.
WEIGHT_BY_FIGURES = 0.2
# The part of the figures that a band contains.
SHARE_IN_BAND = 0.8
# Residuals beyond this many standard deviations count linearly.
ROBUST = 2.0


class Fit:
    """All coefficients, fitted to figures.

    Attributes:
        names: of the coefficients and of the conditions.
        values, covariance: logarithms; shapes (n,), (n, n). Those of the conditions are the last.
        offsets: logarithm of how much longer a source's times on a board are, by the two.
    """

    names = (*NAMES, *CONDITIONS)

    def __init__(
        self, figures: Sequence[Figure], networks: Mapping[str, KernelTable], start: "Fit | None" = None
    ) -> None:
        """Fit the figures of some weight.

        Args:
            networks: kernels by the figures' `kernels`.
            start: another fit to begin at, which is quicker than to begin at the priors.
        """
        figures = [figure for figure in figures if figure.weight > 0]
        self.values: np.ndarray
        self.covariance: np.ndarray
        self.offsets: dict[tuple[str, str], float]
        self._networks = networks
        times = Times(figures, networks)
        measured = np.log([figure.seconds for figure in figures])
        weights = _weights(figures) / SCATTER
        sources = sorted({_source(figure) for figure in figures})
        source = np.array([sources.index(_source(figure)) for figure in figures])
        doubtful = {_source(figure) for figure in figures if figure.weight < DOUBTFUL}
        means, deviations = (np.array(column) for column in zip(*(PRIORS[name] for name in self.names), strict=True))
        deviations = np.concatenate([deviations, [DOUBTFUL_OFFSET if s in doubtful else OFFSET for s in sources]])
        means = np.concatenate([means, np.zeros(len(sources))])
        count = len(self.names)
        has_source = np.eye(len(sources))[source]

        def logarithms(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(times.seconds(self._by_name(values), conditions=True)))

        def residuals(values: np.ndarray) -> np.ndarray:
            errors = logarithms(values[:count]) + values[count:][source] - measured
            return np.concatenate([errors * weights, (values - means) / deviations])

        def jacobian(values: np.ndarray) -> np.ndarray:
            slopes = np.hstack([_slopes(logarithms, values[:count]), has_source])
            return np.vstack([slopes * weights[:, None], np.diag(1 / deviations)])

        begin = means
        if start is not None:
            begin = np.concatenate([start.values, [start.offsets.get(source, 0.0) for source in sources]])
        solution = least_squares(
            residuals, begin, jac=jacobian, loss="soft_l1", f_scale=ROBUST, x_scale="jac", ftol=1e-5, xtol=1e-5
        )
        self.values = solution.x[:count]
        self.covariance = np.linalg.inv(solution.jac.T @ solution.jac)[:count, :count]
        self.offsets = dict(zip(sources, solution.x[count:], strict=True))

    def _by_name(self, values: np.ndarray) -> dict[str, float]:
        return dict(zip(self.names, np.exp(values), strict=True))

    def predict(self, figures: Sequence[Figure], *, conditions: bool = False) -> list["HeldOut"]:
        """Predict figures as a user's model is predicted: without offset and conditions, unless they are asked for."""
        times = Times(figures, self._networks)

        def logarithms(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(times.seconds(self._by_name(values), conditions=conditions)))

        slopes = _slopes(logarithms, self.values)
        variances = np.einsum("ij,jk,ik->i", slopes, self.covariance, slopes)
        seconds = np.exp(logarithms(self.values))
        return [
            HeldOut(figure=figure, seconds=float(s), deviation=math.sqrt(v))
            for figure, s, v in zip(figures, seconds, variances, strict=True)
        ]

    def coefficients(self, scale: float, boards: Sequence[str]) -> FittedCoefficients:
        """Return the coefficients that a prediction needs.

        Args:
            scale: see `FittedCoefficients`; `scale_of` finds it.
            boards: names of the profiles with figures.
        """
        count = len(NAMES)
        return FittedCoefficients(
            names=NAMES,
            values=self.values[:count],
            covariance=self.covariance[:count, :count],
            scale=scale,
            boards=frozenset(boards),
        )


def _slopes(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the derivatives of a function; shape (results, values)."""
    here = function(values)
    shifts = np.eye(len(values)) * STEP
    return np.stack([(function(values + shift) - here) / STEP for shift in shifts], axis=1)


def _source(figure: Figure) -> tuple[str, str]:
    return figure.repository, figure.board


def _weights(figures: Sequence[Figure]) -> np.ndarray:
    """Return the weight of each residual; the mean square is that of the sources' weights."""
    counts = Counter(figure.published.model for figure in figures)
    by_network = np.array([counts[figure.published.model] ** ((WEIGHT_BY_FIGURES - 1) / 2) for figure in figures])
    by_network /= math.sqrt(float(np.mean(by_network**2)))
    return np.asarray(by_network * np.array([figure.weight for figure in figures]))


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A figure, and its prediction by a fit that has not seen the figure.

    Attributes:
        seconds: the predicted time.
        deviation: standard deviation of the logarithm of `seconds`, by the coefficients' covariance alone.
    """

    figure: Figure
    seconds: float
    deviation: float

    @property
    def error(self) -> float:
        """Relative error of the prediction."""
        return self.seconds / self.figure.seconds - 1

    def in_band(self, scale: float) -> bool:
        """Whether the published time is in the 80 % band of the prediction."""
        return abs(math.log(self.seconds / self.figure.seconds)) <= Z80 * scale * self.deviation


# What figures have in common that are held out together.
Group = Callable[[Figure], str]


def by_board(figure: Figure) -> str:
    """Return the figure's GPU: boards of one module family share it in all facts."""
    return (
        f"{figure.facts.units:g} units at {figure.facts.clock_hz / 1e6:g} MHz, {figure.facts.bytes_per_s / 1e9:g} GB/s"
    )


def by_family(figure: Figure) -> str:
    """Return the figure's family of networks."""
    return figure.published.family


def hold_out(
    figures: Sequence[Figure], networks: Mapping[str, KernelTable], group: Group, *, conditions: bool = False
) -> list[HeldOut]:
    """Predict the figures of each group by a fit to all others; in the figures' order."""
    predicted: dict[int, HeldOut] = {}
    fit_to_all = Fit(figures, networks)
    for name in sorted({group(figure) for figure in figures}):
        fit_to_others = Fit([figure for figure in figures if group(figure) != name], networks, fit_to_all)
        indices = [i for i, figure in enumerate(figures) if group(figure) == name]
        predicted |= zip(
            indices, fit_to_others.predict([figures[i] for i in indices], conditions=conditions), strict=True
        )
    return [predicted[i] for i in range(len(figures))]


def scale_of(held_out: Sequence[HeldOut]) -> float:
    """Return the smallest scale of the deviations with which 80 % of the figures are in their bands.

    A network's figures count as much as the root of their number: between a count of figures, which one source rules,
    and a count of networks.

    Raises:
        RuntimeError: there is none below 10.
    """
    counts = Counter(item.figure.published.model for item in held_out)
    weights = [counts[item.figure.published.model] ** -0.5 for item in held_out]
    for scale in np.arange(0, 10, 0.05):
        if np.average([item.in_band(float(scale)) for item in held_out], weights=weights) >= SHARE_IN_BAND:
            return float(scale)
    raise RuntimeError("no scale below 10 puts 80 % of the figures into their bands")


def fit(figures: Sequence[Figure], networks: Mapping[str, KernelTable]) -> FittedCoefficients:
    """Fit the coefficients to all figures, and the bands to families and boards that are held out one by one."""
    scale = max(scale_of(hold_out(figures, networks, group)) for group in (by_family, by_board))
    boards = {name for figure in figures for name in figure.published.profiles}
    return Fit(figures, networks).coefficients(scale, sorted(boards))


def main() -> None:
    """Write the coefficients fitted to the figures of a directory: the command's one argument."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m edgesim.predictions.tensorrt.fit DIRECTORY")
    fit(*read(sys.argv[1])).write()
    print(fitted.FILE)  # noqa: T201 (the command's answer)


if __name__ == "__main__":
    main()
