"""A host of the board's architecture that is not the board: slowed down to a time, or emulated all the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesim.boards import scaling_targets
from edgesim.boards import start as starting
from edgesim.boards.placement import Placement, place
from edgesim.jobs.run import run
from edgesim.models.repository import Model
from edgesim.predictions import Prediction, plausibility

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]
TARGET_MS = 60.0


@pytest.fixture
def product(desk: Path, tmp_path: Path) -> Path:
    """A board of this host's architecture, and of a core that this host does not have."""
    path = tmp_path / "product.yaml"
    path.write_text(desk.read_text().replace("core: host", "core: some-core").replace("name: desk", "name: product"))
    return path


def predicted(*_: Any, **__: Any) -> Prediction:
    return Prediction(
        p50_ms=TARGET_MS, low_ms=40.0, high_ms=90.0, method="predicted", threads=2, batch=1, notes=(), nodes=()
    )


def test_one_container_has_the_answers_the_memory_and_the_predicted_time(
    product: Path, digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling_targets, "predicted", predicted)
    monkeypatch.setattr(plausibility, "on_threads", lambda *_: TARGET_MS)
    monkeypatch.setattr(plausibility, "times_as_slow", lambda _: 1.0)
    result = run(product, digits, requests=20)
    assert (result.execution, result.emulated, result.not_scaled) == ("same-architecture", None, None)
    assert (result.time_origin, result.host.is_the_board) == ("slowed down host", False)
    assert result.device_time_ms.p50 == TARGET_MS
    assert result.scaling is not None
    assert result.service_time_ms.p50 == pytest.approx(TARGET_MS, rel=0.3), "a busy host holds it badly"
    assert result.agreement is not None
    assert result.resources.memory_peak_bytes is not None
    assert any(words.startswith("threads: the board runs 2") for words in result.device.shortfalls)


@pytest.fixture
def emulator_in_command(monkeypatch: pytest.MonkeyPatch) -> list[Placement]:
    """Have an emulated board start the emulator itself, as on a host that runs the board's programs without one."""
    placements: list[Placement] = []

    def placed(*arguments: Any, **options: Any) -> Placement:
        placements.append(replace(place(*arguments, **options), emulator_in_command=True))
        return placements[-1]

    monkeypatch.setattr(starting, "place", placed)
    return placements


@pytest.mark.emulation
def test_emulator_before_the_command_runs_the_boards_core(digits: Model, emulator_in_command: list[Placement]) -> None:
    result = run("jetson-nano", digits, execution="emulated", requests=3)
    assert emulator_in_command
    assert (result.execution, result.device.cpu_model, result.device.qemu_cpu) == (
        "emulated",
        "cortex-a57",
        "cortex-a57",
    )
    assert result.host.emulator is not None
    assert result.host.emulator.startswith("QEMU ")
    assert result.requests.ok >= 3
