"""The least squares behind the coefficients of TensorRT's kernels: priors, weights, and the fit to figures.

The squares are over the logarithms of the coefficients, each with a prior. A source on a board has an offset, which a
prediction leaves out: nobody knows the clocks and releases of the next one. A network's figures weigh less the more
there are.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from edgesim.predictions.tensorrt import held_out
from edgesim.predictions.tensorrt.cost import NAMES
from edgesim.predictions.tensorrt.figures import Figure, Times
from edgesim.predictions.tensorrt.fitted import STEP
from edgesim.predictions.tensorrt.held_out import HeldOut
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
    "depthwise bytes": (math.log(1.5), 0.5),
    "concatenation bytes": (math.log(0.3), 0.7),
    "slice bytes": (math.log(1.0), 0.7),
    "function bytes": (math.log(0.3), 0.7),
    "launch cycles": (math.log(4000), 1.0),
    "launch processor cycles": (math.log(4000), 1.0),
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
# Standard deviation of a source's offset, by how far two sources of one network on one board are apart.
OFFSET = 0.15
# The same for a source that weighs less than this.
DOUBTFUL = 0.5
DOUBTFUL_OFFSET = 0.4
# Residuals beyond this many standard deviations count linearly.
ROBUST = 2.0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a fit assumes of the figures before it sees them.

    Attributes:
        scatter: standard deviation of the logarithm of a figure beside what the coefficients and its source's offset
            say.
        weight_by_figures: a network with n figures weighs as much as n to this power, in place of n.
        width: the standard deviations of the priors are as many times theirs.
    """

    scatter: float = 0.12
    weight_by_figures: float = 0.2
    width: float = 1.0


class Problem:
    """Figures with all that the squares over them need beside the times.

    Attributes:
        figures: those of some weight.
        sources: by repository and board, each of which has an offset.
        measured: logarithms of the published times; shape (figures,).
        means, deviations: the priors of the logarithms of coefficients, conditions and offsets.
        weights: of the differences of logarithms; shape (figures,).
    """

    names = (*NAMES, *CONDITIONS)

    def __init__(self, figures: Sequence[Figure], settings: Settings) -> None:
        """Take the figures that have some weight."""
        self.figures = [figure for figure in figures if figure.weight > 0]
        self.measured = np.log([figure.seconds for figure in self.figures])
        self.weights = self._weights(settings)
        self.sources = sorted({source_of(figure) for figure in self.figures})
        self.source = np.array([self.sources.index(source_of(figure)) for figure in self.figures])
        doubtful = {source_of(figure) for figure in self.figures if figure.weight < DOUBTFUL}
        means, deviations = (np.array(column) for column in zip(*(PRIORS[name] for name in self.names), strict=True))
        offsets = [DOUBTFUL_OFFSET if source in doubtful else OFFSET for source in self.sources]
        self.deviations = np.concatenate([deviations * settings.width, offsets])
        self.means = np.concatenate([means, np.zeros(len(self.sources))])

    def _weights(self, settings: Settings) -> np.ndarray:
        """Return the weight of each difference; the mean square is that of the sources' weights."""
        counts = Counter(figure.published.model for figure in self.figures)
        power = (settings.weight_by_figures - 1) / 2
        by_network = np.array([counts[figure.published.model] ** power for figure in self.figures])
        by_network /= math.sqrt(float(np.mean(by_network**2)))
        return np.asarray(by_network * np.array([figure.weight for figure in self.figures]) / settings.scatter)

    def residuals(self, logarithms: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the weighted differences, and those of the priors; `logarithms` are of the times without offsets."""
        errors = logarithms + values[len(self.names) :][self.source] - self.measured
        return np.concatenate([errors * self.weights, (values - self.means) / self.deviations])

    def jacobian(self, slopes: np.ndarray) -> np.ndarray:
        """Return the derivatives of the residuals; `slopes` are those of the times' logarithms."""
        slopes = np.hstack([slopes, np.eye(len(self.sources))[self.source]])
        return np.vstack([slopes * self.weights[:, None], np.diag(1 / self.deviations)])


class Fit:
    """All coefficients, fitted to figures.

    Attributes:
        names: of the coefficients and of the conditions.
        values, covariance: logarithms; shapes (n,), (n, n). Those of the conditions are the last.
        offsets: logarithm of how much longer a source's times on a board are, by the two.
    """

    names = Problem.names

    def __init__(
        self,
        figures: Sequence[Figure],
        networks: Mapping[str, KernelTable],
        settings: Settings | None = None,
        start: "Fit | None" = None,
    ) -> None:
        """Fit the figures of some weight.

        Args:
            networks: kernels by the figures' `kernels`.
            start: another fit to begin at, which is quicker than to begin at the priors.
        """
        problem = Problem(figures, settings if settings is not None else Settings())
        self.networks = networks
        times = Times(problem.figures, networks)
        count = len(self.names)

        def logarithms(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(times.seconds(self.by_name(values), conditions=True)))

        begin = problem.means
        if start is not None:
            begin = np.concatenate([start.values, [start.offsets.get(source, 0.0) for source in problem.sources]])
        solution = least_squares(
            lambda values: problem.residuals(logarithms(values[:count]), values),
            begin,
            jac=lambda values: problem.jacobian(_slopes(logarithms, values[:count])),
            loss="soft_l1",
            f_scale=ROBUST,
            x_scale="jac",
            ftol=1e-4,
            xtol=1e-4,
        )
        self.values: np.ndarray = solution.x[:count]
        # SciPy has scaled this Jacobian by the loss, see `Linear`.
        self.covariance: np.ndarray = np.linalg.inv(solution.jac.T @ solution.jac)[:count, :count]
        self.offsets: dict[tuple[str, str], float] = dict(zip(problem.sources, solution.x[count:], strict=True))

    def by_name(self, values: np.ndarray) -> dict[str, float]:
        """Return coefficients by their names; `values` are logarithms."""
        return dict(zip(self.names, np.exp(values), strict=True))

    def linear(self, figures: Sequence[Figure], *, conditions: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithms of the times of figures at the fit, and their slopes.

        Args:
            conditions: whether with what the sources timed besides the networks.
        """
        times = Times(figures, self.networks)

        def logarithms(values: np.ndarray) -> np.ndarray:
            return np.asarray(np.log(times.seconds(self.by_name(values), conditions=conditions)))

        return logarithms(self.values), _slopes(logarithms, self.values)

    def predict(self, figures: Sequence[Figure], *, conditions: bool = False) -> list[HeldOut]:
        """Predict figures as a user's model is predicted: without offset and conditions, unless they are asked for."""
        logarithms, slopes = self.linear(figures, conditions=conditions)
        return held_out.predictions(figures, logarithms, slopes, self.covariance)


def _slopes(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the derivatives of a function; shape (results, values)."""
    here = function(values)
    shifts = np.eye(len(values)) * STEP
    return np.stack([(function(values + shift) - here) / STEP for shift in shifts], axis=1)


def source_of(figure: Figure) -> tuple[str, str]:
    """Return what has one offset: a repository on a board."""
    return figure.repository, figure.board
