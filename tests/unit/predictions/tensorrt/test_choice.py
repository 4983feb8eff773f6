"""The choice of a fit's settings and bands: what decides it, and that figures that are held out have no say in it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accelerators import PUBLISHED
from edgesim.predictions.band import Z80
from edgesim.predictions.tensorrt import choice
from edgesim.predictions.tensorrt.choice import SETTINGS, Choice, Linear
from edgesim.predictions.tensorrt.figures import Figure, read
from edgesim.predictions.tensorrt.held_out import Group, HeldOut, by_board, by_family
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.predictions.tensorrt.least_squares import Fit, Settings

Read = tuple[list[Figure], dict[str, KernelTable]]


@pytest.fixture(scope="module")
def few() -> Read:
    """Return some figures of several families on several boards; a fit to all of them takes seconds."""
    figures, networks = read(PUBLISHED)
    return [figure for figure in figures if figure.weight][::16], networks


@pytest.fixture(scope="module")
def start(few: Read) -> Fit:
    return Fit(*few)


def test_held_out_figures_have_no_say_in_their_predictions(
    few: Read, start: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the fit nor the choice of its settings and bands sees them, whatever they say."""
    monkeypatch.setattr(choice, "SETTINGS", SETTINGS[:2])
    figures, networks = few
    out = [by_board(figure) == by_board(figures[0]) for figure in figures]
    assert 0 < sum(out) < len(out)
    lies = [
        replace(figure, seconds=10 * figure.seconds) if is_out else figure
        for figure, is_out in zip(figures, out, strict=True)
    ]
    honest, lied = (choice.hold_out(each, networks, out, start) for each in (figures, lies))
    assert len(honest) == sum(out)
    assert [(item.seconds, item.deviation) for item in lied] == [(item.seconds, item.deviation) for item in honest]


def test_a_quick_fit_predicts_a_held_out_family_about_as_a_whole_fit_does(few: Read, start: Fit) -> None:
    figures, networks = few
    quick = Linear(start, figures).hold_out(by_family, Settings())
    assert len(quick) == len(figures)
    family = by_family(figures[0])
    seen = [figure for figure in figures if by_family(figure) != family]
    whole = Fit(seen, networks, start=start).predict(
        [figure for figure in figures if by_family(figure) == family], conditions=False
    )
    chosen = [item for item in quick if by_family(item.figure) == family]
    assert [item.figure for item in chosen] == [item.figure for item in whole]
    ratios = np.array([a.seconds / b.seconds for a, b in zip(chosen, whole, strict=True)])
    assert np.median(np.abs(np.log(ratios))) < 0.1


def test_the_settings_of_the_least_error_are_chosen_with_bands_of_their_own_errors(
    few: Read, start: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures, best = few[0][:5], SETTINGS[3]

    def hold_out(_: Linear, group: Group, settings: Settings) -> Sequence[HeldOut]:
        error = (0.2 if group is by_board else 0.1) if settings == best else 0.4
        return [HeldOut(figure=each, seconds=each.seconds * np.exp(error), deviation=0.1) for each in figures]

    monkeypatch.setattr(Linear, "hold_out", hold_out)
    chosen = Choice.of(start, figures)
    assert chosen.settings == best
    assert chosen.scale == pytest.approx(0.1 / (Z80 * 0.1))
    assert chosen.unseen_scale == pytest.approx(0.2 / (Z80 * 0.1)), "a GPU without figures is less sure"
