"""Files of an edgesim that took any host of the board's architecture for the board."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgesim.options import Execution
from edgesim.results.load import load
from edgesim.results.proof import TimeOrigin, time_origin
from edgesim.results.run_result import RunResult
from edgesim.results.sections import DeviceTimeSection, EnergySection
from tests.support import results


@pytest.mark.parametrize(
    ("execution", "slowed_down", "has_core_of_host", "origin"),
    [
        ("emulated", False, False, "emulator"),
        ("scaled", True, False, "slowed down host"),
        ("scaled", False, False, "slowed down host"),
        ("same-architecture", True, False, "slowed down host"),
        ("same-architecture", False, False, "host"),
        ("native", False, False, "board"),
        ("native", False, True, "host"),
        ("host", False, False, "host"),
    ],
)
def test_times_are_the_boards_only_on_the_board(
    execution: Execution, slowed_down: bool, has_core_of_host: bool, origin: TimeOrigin
) -> None:
    assert time_origin(execution, slowed_down=slowed_down, has_core_of_host=has_core_of_host) == origin


def old_file(result: RunResult, path: Path, *, profile: str) -> Path:
    """Write a native result as an edgesim did that compared nothing."""
    time = DeviceTimeSection(p50=9.5, low=9.0, high=11.0, method="measured on this host, minimum to maximum")
    native = result.model_copy(
        update={"execution": "native", "device_time_ms": time, "energy_j": EnergySection(per_inference=1, method="")}
    )
    document: dict[str, Any] = json.loads(native.as_json())
    document["profile"]["name"] = profile
    del document["profile"]["core"]
    for field in ("same_architecture", "is_the_board", "compared"):
        del document["host"][field]
    path.write_text(json.dumps(document))
    return path


def test_native_file_without_the_proof_is_of_another_machine_than_the_board(result: RunResult, tmp_path: Path) -> None:
    read = RunResult.read(old_file(result, tmp_path / "r.json", profile="jetson-nano"))
    assert (read.execution, read.time_origin) == ("same-architecture", "host")
    assert (read.host.same_architecture, read.host.is_the_board) == (True, False)
    assert (read.device_time_ms.p50, read.device_time_ms.low, read.energy_j) == (None, None, None)
    assert "9.5 ms is that host's time" in read.device_time_ms.method
    assert read.latency_ms == result.latency_ms, "what was measured stays"
    read.write(tmp_path / "again.json")
    assert RunResult.read(tmp_path / "again.json") == read


@pytest.mark.parametrize("p50", ["9.5", None, "1e300", "-1", '"x"'])
def test_broken_time_in_an_old_file_is_no_fault_of_the_reader(
    result: RunResult, tmp_path: Path, p50: str | None
) -> None:
    path = old_file(result, tmp_path / "r.json", profile="jetson-nano")
    path.write_text(path.read_text().replace('"p50": 9.5', f'"p50": {p50 or "null"}'))
    assert RunResult.read(path).device_time_ms.p50 is None


def test_old_file_of_the_gateway_keeps_its_time_as_this_hosts(result: RunResult, tmp_path: Path) -> None:
    read = RunResult.read(old_file(result, tmp_path / "r.json", profile="x86-gateway"))
    assert (read.execution, read.time_origin, read.host.is_the_board) == ("native", "host", False)
    assert (read.device_time_ms.p50, read.time_label) == (9.5, "this host's time")
    assert read.device_time_ms.method.startswith("this host's time, not a board's")


def test_file_with_the_proof_stays_as_it_is(result: RunResult, tmp_path: Path) -> None:
    proven = results.on_the_board(result)
    proven.write(tmp_path / "r.json")
    assert RunResult.read(tmp_path / "r.json") == proven
    assert proven.time_origin == "board"


def test_native_stack_without_the_proof_is_of_another_machine_than_the_board(tmp_path: Path) -> None:
    document = json.loads(results.of_a_stack().model_copy(update={"execution": "native"}).as_json())
    (tmp_path / "r.json").write_text(json.dumps(document))
    read = load(tmp_path / "r.json")
    assert (read.execution, read.time_origin) == ("same-architecture", "host")
