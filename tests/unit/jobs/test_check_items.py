"""The items of a check, by themselves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from edgesim import profiles
from edgesim.errors import (
    BuildFailed,
    DeviceDied,
    DeviceError,
    EmulatorCrashed,
    EngineRefused,
    ImageUnavailable,
    KilledFromOutside,
    OutOfMemory,
)
from edgesim.images import runtime_releases
from edgesim.jobs import check_items
from edgesim.jobs.check_items import ReferenceOutputs
from edgesim.measure.detections import Matcher
from edgesim.measure.output_difference import Outputs
from edgesim.measure.resource_usage import ResourceUsage
from edgesim.measure.tolerance import Tolerance, half_precision
from edgesim.models.repository import Model
from edgesim.options import DetectionMatch
from edgesim.results.sections import EmulatorSection

GIB = 1 << 30
SHARE = EmulatorSection(floor_bytes=80 << 20, native_bytes=30 << 20, share_bytes=50 << 20)


@pytest.mark.parametrize(
    ("needed_gib", "peak_gib", "emulator", "emulated", "word"),
    [
        (0.1, 0.2, SHARE, True, "PASS"),
        (0.1, 0.2, None, False, "PASS"),
        # Page cache fills what is free, and is given back.
        (2.3, 3.9, SHARE, True, "PASS"),
        (2.3, 3.9, None, False, "PASS"),
        (3.7, 3.9, None, False, "FAIL"),
        # The emulator's memory is in the figures: the share of 50 MiB at least, and as much again at most.
        (3.10, 3.9, SHARE, True, "PASS"),
        (3.15, 3.9, SHARE, True, "INCONCLUSIVE"),
        (3.20, 3.9, SHARE, True, "FAIL"),
        # A share that is not known is 256 MiB at most.
        (3.20, 3.9, None, True, "INCONCLUSIVE"),
        (3.70, 3.9, None, True, "FAIL"),
        # Without the memory that cannot be given back, the peak shows only that a model fits.
        (None, 0.2, None, True, "PASS"),
        (None, 3.9, None, True, "INCONCLUSIVE"),
        (None, 3.9, None, False, "INCONCLUSIVE"),
        (None, None, None, True, "INCONCLUSIVE"),
    ],
)
def test_memory_is_judged_without_page_cache_and_fails_only_beyond_what_the_emulator_can_take(
    needed_gib: float | None, peak_gib: float | None, emulator: EmulatorSection | None, emulated: bool, word: str
) -> None:
    profile = profiles.load("jetson-nano")
    assert profile.memory.usable_bytes is not None
    assert 3.3 * GIB < profile.memory.usable_bytes < 3.5 * GIB, "the cases are about this board"
    used = ResourceUsage(
        memory_unreclaimable_bytes=int(needed_gib * GIB) if needed_gib is not None else None,
        memory_peak_bytes=int(peak_gib * GIB) if peak_gib is not None else None,
    )
    item = check_items.memory(used, emulator, profile, emulated=emulated)
    assert item.verdict == word
    assert peak_gib is None or "peak " in item.finding


def test_memory_that_the_engine_did_not_limit_is_judged_and_said() -> None:
    used = ResourceUsage(memory_unreclaimable_bytes=GIB, memory_peak_bytes=GIB)
    items = [
        check_items.memory(used, None, profiles.load("jetson-nano"), emulated=False, limited=limited)
        for limited in (True, False)
    ]
    assert [item.verdict for item in items] == ["PASS", "PASS"]
    assert ["without the board's limit" in item.finding for item in items] == [False, True]


def test_kill_under_emulation_is_inconclusive_and_a_kill_of_the_boards_own_memory_fails() -> None:
    error = OutOfMemory("killed at the limit")
    assert check_items.failure(error).verdict == "FAIL"
    error.emulated = True
    assert check_items.failure(error).verdict == "INCONCLUSIVE"


def test_locale_that_the_image_lacks_is_no_fault_of_the_model() -> None:
    log = "edgesim-server: Failed to construct locale with name:en_US.UTF-8:locale::facet::_S_create_c_locale name"
    assert check_items.failure(DeviceDied("the serving image lacks the locale", log=log)).verdict == "INCONCLUSIVE"
    assert check_items.failure(DeviceDied("ended", log="edgesim-server: bad graph")).verdict == "FAIL"


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


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (DeviceDied("the server ended with exit code 3"), "FAIL"),
        (EmulatorCrashed("the emulator crashed"), "INCONCLUSIVE"),
        (KilledFromOutside("the server ended with exit code 137"), "INCONCLUSIVE"),
        (EngineRefused("the engine refuses: error setting rlimits"), "INCONCLUSIVE"),
        (BuildFailed("the serving image cannot be built"), "INCONCLUSIVE"),
        (ImageUnavailable("the engine does not have the image"), "INCONCLUSIVE"),
    ],
)
def test_only_what_the_model_did_is_its_failure(error: DeviceError, word: str) -> None:
    item = check_items.failure(error)
    assert (item.name, item.verdict) == ("loads", word)
    assert error.problem in item.finding


def test_detection_more_at_the_threshold_passes_and_is_told_with_its_figures() -> None:
    host = {"boxes": np.array([[0, 0, 9, 9]], np.float32), "scores": np.array([0.9], np.float32)}
    board = {
        "boxes": np.array([[0, 0, 9, 9], [20, 20, 30, 30]], np.float32),
        "scores": np.array([0.9, 0.30001], np.float32),
    }
    reference = ReferenceOutputs([{}], [host], "this host", [1])
    matcher = Matcher(option=DetectionMatch(), threshold=0.3)
    item = check_items.answers([board], reference, None, matcher)
    assert item.verdict == "PASS"
    assert "1 more (score 0.3), at the threshold of 0.3" in item.finding
    assert item.figures["more"] == 1
    assert check_items.answers([board], reference, None).verdict == "FAIL"


@pytest.mark.parametrize(
    ("profile", "served", "verdict", "words"),
    [
        ("jetson-nano", "1.31.1", "FAIL", "does not load the model: opset 17; it loads up to 16"),
        ("jetson-xavier-nx", "1.31.1", "PASS", "ONNX Runtime 1.18.0, the newest that the vendor publishes"),
        ("odroid-n2-plus", "1.31.1", "FAIL", "ONNX Runtime 1.10.0, the newest with a wheel"),
    ],
)
def test_the_boards_release_outside_of_a_container_is_judged_by_the_file(
    digits: Model, profile: str, served: str, verdict: str, words: str
) -> None:
    item = check_items.boards_release(digits, profiles.load(profile), runtime_releases.choose(served))
    assert item is not None
    assert item.verdict == verdict
    assert words in item.finding


def test_a_board_that_is_served_with_its_own_release_needs_no_item_on_it(digits: Model) -> None:
    nano = profiles.load("jetson-nano")
    assert check_items.boards_release(digits, nano, runtime_releases.choose("1.11.0")) is None


@pytest.mark.parametrize(
    ("operation", "library"), [("ai.onnx.contrib:BertTokenizer", "onnxruntime-extensions"), ("mine:MyOp", "FILE.so")]
)
def test_an_unknown_operation_is_told_with_the_library_to_name(operation: str, library: str) -> None:
    log = (
        "edgesim-server: model 'net' does not load: [ONNXRuntimeError] : 1 : FAIL : Load model from /tmp/a/model.onnx "
        f"failed:Fatal error: {operation}(-1) is not a registered function/op"
    )
    item = check_items.failure(DeviceDied("the server ended", log=log))
    assert (item.name, item.verdict) == ("operations", "FAIL")
    assert f"libraries: [{library}] in config.yaml" in item.finding
    assert "/tmp/a" not in item.finding
