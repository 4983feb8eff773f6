"""The fit of TensorRT's kernels: the coefficients that come with edgesim are those of the figures that come with it."""

import numpy as np
import pytest

from benchmarks.accelerators import PUBLISHED
from edgesim.predictions.band import Z80
from edgesim.predictions.tensorrt import least_squares
from edgesim.predictions.tensorrt.cost import NAMES
from edgesim.predictions.tensorrt.figures import Figure, Times, read
from edgesim.predictions.tensorrt.fitted import load_fitted
from edgesim.predictions.tensorrt.held_out import HeldOut, scale_of
from edgesim.predictions.tensorrt.kernels import KernelTable

Read = tuple[list[Figure], dict[str, KernelTable]]


@pytest.fixture(scope="module")
def figures() -> Read:
    return read(PUBLISHED)


def test_shipped_coefficients_predict_the_figures_of_a_single_source_within_a_tenth(figures: Read) -> None:
    """The whole fit, which takes seconds, is compared in tests/long."""
    fitted = load_fitted()
    assert fitted.names == NAMES
    own = [figure for figure in figures[0] if figure.repository == "justincdavis/trtutils"]
    seconds = Times(own, figures[1]).seconds(fitted.by_name, conditions=False)
    measured = np.array([figure.seconds for figure in own])
    assert len(own) > 300
    assert np.mean(np.abs(seconds / measured - 1)) < 0.1


def test_every_coefficient_has_a_prior() -> None:
    assert set(least_squares.PRIORS) == {*NAMES, *least_squares.CONDITIONS}


def test_a_figure_of_no_weight_is_left_out_of_the_fit(figures: Read) -> None:
    """TensorRT 3 had no kernels for depthwise convolutions."""
    left_out = [figure for figure in figures[0] if not figure.weight]
    assert {figure.published.family for figure in left_out} == {"mobilenet"}


def test_every_published_figure_of_a_gpu_with_a_graph_has_kernels(figures: Read) -> None:
    assert len(figures[0]) > 600
    assert {figure.kernels for figure in figures[0]} == set(figures[1])


def test_the_scale_of_bands_is_the_smallest_that_puts_four_figures_of_five_within(figures: Read) -> None:
    errors = (0.02, 0.05, -0.1, 0.3, -0.9)
    items = [
        HeldOut(figure=figures[0][0], seconds=figures[0][0].seconds * np.exp(error), deviation=0.1) for error in errors
    ]
    assert scale_of(items) == pytest.approx(0.3 / (Z80 * 0.1))
