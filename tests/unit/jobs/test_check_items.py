"""The items of a check, by themselves."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from edgesim import profiles
from edgesim.jobs import check_items
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
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("MatMulInteger", ["q", "w"], ["y"]),
    ]
    model = repository.find(save(tmp_path / "q.onnx", nodes, {"x": [4]}, w=np.zeros((4, 4), np.uint8)))
    profile = profiles.load("jetson-nano")
    description = {"cpu_features": [*profile.cpu.features, *extra]}
    request = {"x": np.zeros(4, np.float32)}
    (item,) = check_items.low_precision(model, request, profile, description, execution)
    assert item.verdict == word
    assert ("differ in asimddp, sve" in item.finding) == (word == "INCONCLUSIVE")
