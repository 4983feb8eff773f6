"""What the doctor says of the machine that runs boards."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.counting import emulator
from edgesim.engine.context import Context
from edgesim.engine.delegation import DELEGATE
from edgesim.engine.engine_facts import EngineFacts
from edgesim.errors import HostError
from edgesim.host import identity
from edgesim.host.identity import CoreGroup, MachineIdentity
from edgesim.jobs import doctor

HERE = Context(name=None, url="unix:///nowhere")


def said_of(machine: MachineIdentity, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(identity, "of_this_host", lambda: machine)
    (finding,) = (each.finding for each in doctor.diagnose(HERE) if each.name == "machine")
    return finding


def test_machine_that_is_a_board_is_named_with_its_power_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    name = profiles.load("jetson-nano").device_tree[0]
    cores = (CoreGroup(core="Cortex-A57", count=2, clock_hz=918_000_000),)
    words = said_of(MachineIdentity(architecture="arm64", cores=cores, board=name), monkeypatch)
    assert words == f"{name}: 2 cores Cortex-A57; it is the board of jetson-nano:5w, whose times are measured here"


def test_machine_that_is_no_board_measures_no_boards_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = (CoreGroup(core="Neoverse-N1", count=4),)
    words = said_of(MachineIdentity(architecture="arm64", cores=cores), monkeypatch)
    assert words == "4 cores Neoverse-N1; no board of edgesim's profiles, so no board's time is measured here"


def test_counting_emulator_has_a_line_whether_it_is_made_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path))
    (missing,) = (each for each in doctor.diagnose(HERE) if "edgesim count" in each.finding)
    assert missing.status == "optional"
    assert missing.finding.startswith("the counting emulator is not built: ")
    assert "scripts/counting-emulator build" in missing.fix
    made = emulator.CountingEmulator(tmp_path, "10.0.2")
    monkeypatch.setattr(emulator, "find", lambda: made)
    findings = [each.finding for each in doctor.diagnose(HERE)]
    assert "QEMU 10.0.2, counting instructions, for edgesim count" in findings


def test_limits_that_are_not_delegated_are_a_problem_and_rates_that_a_kernel_lacks_are_not() -> None:
    facts = EngineFacts("26.1", 2, 1 << 30, Path("/"), "amd64", "host", "6.1", unlimited=("storage rates",))
    assert "storage rates cannot" in doctor.limits_of_engine(facts)
    without_root = replace(facts, rootless=True, cgroup_version="2", unlimited=("cores", "storage rates"))
    with pytest.raises(HostError, match="cannot limit cores, storage rates on its host") as caught:
        doctor.limits_of_engine(without_root)
    assert caught.value.fix == DELEGATE
    assert "storage" not in doctor.limits_of_engine(replace(without_root, unlimited=()))
