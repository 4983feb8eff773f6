"""The settings of a fit and the widths of its bands, chosen by figures that are held out of it.

A choice sees the figures of a fit and no others, so that a fit to a part of the figures, with its own choice, tells how
good predictions for the rest are: the rest had no say in either (a nested choice).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from edgesim.predictions.tensorrt import held_out
from edgesim.predictions.tensorrt.figures import Figure
from edgesim.predictions.tensorrt.held_out import Group, HeldOut, by_board, by_family, by_network, scale_of
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.predictions.tensorrt.least_squares import ROBUST, Fit, Problem, Settings

# What a choice is made among.
SETTINGS: tuple[Settings, ...] = tuple(
    Settings(scatter=scatter, weight_by_figures=power, width=width)
    for scatter, power, width in product((0.12, 0.2), (0.2, 0.8), (1.0, 2.0))
)
# Turns of the reweighted least squares, after which values change by less than a thousandth.
_TURNS = 8


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Settings of a fit, and by how much the deviations of its predictions are scaled.

    Attributes:
        scale, unseen_scale: for the bands of a GPU with figures, and of one without. With them, 80 % of the figures of
            a family of networks, and of a GPU, that is held out are in their bands.
    """

    settings: Settings
    scale: float
    unseen_scale: float

    @classmethod
    def of(cls, fit: Fit, figures: Sequence[Figure]) -> "Choice":
        """Choose what predicts families of networks and GPUs best that are held out of the figures of a fit."""
        linear = Linear(fit, figures)
        tries = []
        for each in SETTINGS:
            families = linear.hold_out(by_family, each) or linear.hold_out(by_network, each)
            tries.append((each, families, linear.hold_out(by_board, each) or families))
        settings, families, boards = min(tries, key=lambda each: _error(each[1]) + _error(each[2]))
        return cls(settings=settings, scale=scale_of(families), unseen_scale=scale_of(boards))


def _error(items: Sequence[HeldOut]) -> float:
    return float(np.average([abs(item.error) for item in items], weights=held_out.weights(items)))


class Linear:
    """Quick fits to parts of a fit's figures: the logarithms of times are taken as linear around the fit."""

    def __init__(self, fit: Fit, figures: Sequence[Figure]) -> None:
        """Take the slopes of all times at a fit."""
        self._fit, self._figures = fit, figures
        self._all, self._slopes = fit.linear(figures, conditions=True)
        self._own, self._own_slopes = fit.linear(figures, conditions=False)

    def hold_out(self, group: Group, settings: Settings) -> list[HeldOut]:
        """Predict the figures of each group by a fit to all others; nothing where all figures are of one group."""
        groups = np.array([group(figure) for figure in self._figures])
        names = np.unique(groups)
        return [item for name in names if len(names) > 1 for item in self._predict(groups == name, settings)]

    def _predict(self, out: np.ndarray, settings: Settings) -> Iterator[HeldOut]:
        values, covariance = self._fit_to(~out, settings)
        figures = [figure for figure, is_out in zip(self._figures, out, strict=True) if is_out]
        slopes = self._own_slopes[out]
        logarithms = self._own[out] + slopes @ (values - self._fit.values)
        yield from held_out.predictions(figures, logarithms, slopes, covariance)

    def _fit_to(self, seen: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
        """Fit to some of the figures by least squares that are weighted anew in each turn, as the loss asks for."""
        seen = seen & np.array([figure.weight > 0 for figure in self._figures])
        problem = Problem([figure for figure, is_seen in zip(self._figures, seen, strict=True) if is_seen], settings)
        count = len(problem.names)
        jacobian = problem.jacobian(self._slopes[seen])
        here = np.concatenate([self._fit.values, np.zeros(len(problem.sources))])
        at_here = problem.residuals(self._all[seen], here)
        step = np.zeros(len(here))
        for _ in range(_TURNS):
            weights = (1 + ((at_here + jacobian @ step) / ROBUST) ** 2) ** -0.5
            weighted = jacobian * weights[:, None]
            step = -np.linalg.solve(weighted.T @ jacobian, weighted.T @ at_here)
        # The curvature of the loss soft_l1, as SciPy takes it.
        curved = jacobian * ((1 + ((at_here + jacobian @ step) / ROBUST) ** 2) ** -0.75)[:, None]
        return (here + step)[:count], np.linalg.inv(curved.T @ curved)[:count, :count]


def hold_out(
    figures: Sequence[Figure],
    networks: Mapping[str, KernelTable],
    out: Sequence[bool],
    start: Fit,
    *,
    conditions: bool = False,
) -> list[HeldOut]:
    """Predict some of the figures by a fit to the others, with the choice that the others make.

    Args:
        out: which figures are held out.
        start: a fit that this one begins at.

    Returns:
        the figures with deviations that are scaled already.
    """
    seen = [figure for figure, is_out in zip(figures, out, strict=True) if not is_out]
    fit = Fit(seen, networks, start=start)
    choice = Choice.of(fit, seen)
    fit = Fit(seen, networks, choice.settings, start=fit)
    gpus = {by_board(figure) for figure in seen}
    chosen = [figure for figure, is_out in zip(figures, out, strict=True) if is_out]
    return [
        replace(
            item, deviation=item.deviation * (choice.scale if by_board(item.figure) in gpus else choice.unseen_scale)
        )
        for item in fit.predict(chosen, conditions=conditions)
    ]
