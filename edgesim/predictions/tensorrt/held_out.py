"""Figures that were held out of a fit, with their predictions: errors, and bands of which width hold how many."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from edgesim.predictions import band
from edgesim.predictions.band import Z80
from edgesim.predictions.tensorrt.figures import Figure

# The part of the figures that a band contains.
SHARE_IN_BAND = 0.8


# A published figure of an accelerator, and its prediction.
HeldOut = band.HeldOut[Figure]


def predictions(
    figures: Sequence[Figure], logarithms: np.ndarray, slopes: np.ndarray, covariance: np.ndarray
) -> list[HeldOut]:
    """Return the predictions of figures from the logarithms of their times and what is open about these."""
    variances = np.einsum("ij,jk,ik->i", slopes, covariance, slopes)
    return [
        HeldOut(figure=figure, seconds=math.exp(logarithm), deviation=math.sqrt(variance))
        for figure, logarithm, variance in zip(figures, logarithms, variances, strict=True)
    ]


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


def by_network(figure: Figure) -> str:
    """Return the figure's network."""
    return figure.published.model


def weights(items: Sequence[HeldOut]) -> list[float]:
    """Return the weight of each: a network's figures count as much as the root of their number.

    That is between a count of figures, which one source rules, and a count of networks.
    """
    counts = Counter(item.figure.published.model for item in items)
    return [counts[item.figure.published.model] ** -0.5 for item in items]


def scale_of(items: Sequence[HeldOut]) -> float:
    """Return the smallest scale of the deviations with which 80 % of the figures are in their bands, by `weights`."""
    needed = np.array([abs(math.log(1 + item.error)) / (Z80 * item.deviation) for item in items])
    order = np.argsort(needed)
    within = np.cumsum(np.array(weights(items))[order])
    return float(needed[order][np.searchsorted(within, (SHARE_IN_BAND - 1e-9) * within[-1])])
