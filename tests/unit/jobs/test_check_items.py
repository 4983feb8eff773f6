"""The items of a check, by themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgesim import profiles
from edgesim.jobs import check_items
from edgesim.jobs.check_items import ReferenceOutputs
from edgesim.measure.output_difference import Outputs
from edgesim.measure.tolerance import Tolerance, half_precision
from edgesim.models import repository
from edgesim.options import Execution
from edgesim.results.sections import EmulatorSection
from tests.unit.predictions.test_graph import save

SHARE = EmulatorSection(floor_bytes=80 << 20, native_bytes=30 << 20, share_bytes=50 << 20)


@pytest.mark.parametrize(
    ("peak_bytes", "emulator", "emulated", "word"),
    [
        (100 << 20, SHARE, True, "PASS"),
        (100 << 20, None, False, "PASS"),
        (64 << 30, None, False, "FAIL"),
        # The emulator's memory is in the peak: what the board needs is less, by how much is not known.
        (64 << 30, SHARE, True, "INCONCLUSIVE"),
        (64 << 30, None, True, "INCONCLUSIVE"),
        (None, None, True, "INCONCLUSIVE"),
    ],
)
def test_memory_fails_only_if_no_emulator_is_in_the_peak(
    peak_bytes: int | None, emulator: EmulatorSection | None, emulated: bool, word: str
) -> None:
    profile = profiles.load("jetson-nano")
    assert check_items.memory(peak_bytes, emulator, profile, emulated=emulated).verdict == word


@pytest.mark.parametrize(
    ("execution", "extra", "word"),
    [
        ("same-architecture", ["asimddp", "sve"], "INCONCLUSIVE"),
        ("same-architecture", ["atomics"], "PASS"),  # decides no kernel
        ("native", ["asimddp"], "PASS"),
        ("emulated", [], "PASS"),
    ],
)
def test_quantized_answers_of_another_core_decide_nothing(
    tmp_path: Path, execution: Execution, extra: list[str], word: str
) -> None:
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale"], ["y"])]
    model = repository.find(save(tmp_path / "q.onnx", nodes, {"x": [4]}, scale=np.array(0.5, np.float32)))
    profile = profiles.load("jetson-nano")
    description = {"cpu_features": [*profile.cpu.features, *extra]}
    request = {"x": np.zeros(4, np.float32)}
    (item,) = check_items.low_precision(model, request, profile, description, execution)
    assert item.verdict == word
    assert ("differ in asimddp, sve" in item.finding) == (word == "INCONCLUSIVE")


def judged(
    board: Outputs,
    host: Outputs,
    again: Sequence[Outputs] | None = None,
    allowed: Mapping[str, Tolerance] | None = None,
) -> tuple[str, str]:
    """Return the verdict and the words on the answers to one request."""
    reference = ReferenceOutputs([{}], [host], "this host", [1], again=(lambda: again) if again is not None else None)
    item = check_items.answers([board], reference, allowed)
    return item.verdict, item.finding


def test_answers_of_a_model_without_inputs_are_one_sample() -> None:
    fixed = {"y": np.ones((1, 4), np.float32)}
    assert judged(fixed, fixed)[1].endswith("over 1 sample")


def test_answers_of_another_shape_fail_with_both_shapes() -> None:
    word, finding = judged({"boxes": np.ones((1, 2), np.float32)}, {"boxes": np.ones((5, 2), np.float32)})
    assert (word, finding) == ("FAIL", "boxes has another shape: [1, 2] for [5, 2] of this host; over 1 sample")


def test_nothing_on_both_sides_passes_and_says_so() -> None:
    none = {"boxes": np.zeros((0, 2), np.float32)}
    assert judged(none, none) == ("PASS", "boxes: nothing on both sides; over 1 sample")


def test_answers_that_are_nan_throughout_are_inconclusive() -> None:
    nan = {"y": np.full((1, 4), np.nan, np.float32)}
    assert judged(nan, nan) == ("INCONCLUSIVE", "y: these inputs give NaN on this host, too; over 1 sample")


def test_random_output_is_inconclusive_and_the_others_are_judged() -> None:
    def draw(value: float) -> Outputs:
        return {"noise": np.full((1, 4), value, np.float32), "y": np.ones(3)}

    board, host, again = draw(1), draw(2), draw(3)
    word, finding = judged(board, host, [again])
    assert word == "INCONCLUSIVE"
    assert finding.startswith("noise is random: two runs on this host differ by 1; all other outputs agree")
    wrong = {**board, "y": np.zeros(3)}
    assert judged(wrong, host, [again])[0] == "FAIL"


def test_finding_names_the_tolerance_of_the_models_precision() -> None:
    host = {"y": np.array([[90.0, 1.0]], np.float32)}
    board = {"y": host["y"] + np.float32(0.46)}
    assert judged(board, host)[0] == "FAIL"
    word, finding = judged(board, host, allowed={"y": half_precision("float16")})
    assert word == "PASS"
    assert "allowed: computed in float16" in finding
