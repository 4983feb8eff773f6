"""The profile of a measured machine: of recorded machines, as the probe would have read them."""

from pathlib import Path
from typing import Any

import pytest

from edgesim import profiles
from edgesim.errors import ProfileError
from edgesim.host import identity
from edgesim.measure.machine_profile import MachineProfile, machine_profile
from edgesim.profiles import DeviceProfile
from tests.support.machines import MACHINES, RecordedMachine, machine, machine_survey


def measured(recorded: RecordedMachine, name: str | None = None, **other: Any) -> MachineProfile:
    return machine_profile(machine_survey(recorded, **other), name=name, date="2026-01-31")


def read(tmp_path: Path, profile: MachineProfile) -> DeviceProfile:
    path = tmp_path / "board.yaml"
    path.write_text(profile.text)
    return profiles.read(path)


def test_a_measured_jetson_nano_has_the_facts_of_the_profile_that_comes_with_edgesim(tmp_path: Path) -> None:
    profile, shipped = read(tmp_path, measured(machine("Jetson Nano"))), profiles.load("jetson-nano")
    assert (profile.name, profile.title) == ("nvidia-jetson-nano-developer-kit", "NVIDIA Jetson Nano Developer Kit")
    assert profile.device_tree == shipped.device_tree
    for key in ("core", "cores", "clock_hz", "features", "fp32_flops_per_cycle"):
        assert getattr(profile.cpu, key) == getattr(shipped.cpu, key), key
    assert (profile.cpu.caches.l2_bytes, profile.cpu.caches.l2_cores) == (2 << 20, 4)
    assert profile.cpu.bandwidth.copy_bytes_per_s == 3_735_000_000
    assert profile.emulation is not None
    assert profile.emulation.qemu_cpu == "cortex-a57"
    assert (profile.memory.visible_bytes, profile.memory.usable_bytes) == (4058976 * 1024, 3565432 * 1024)
    assert profile.memory.marketed_bytes == 4_000_000_000
    assert profile.system is not None
    assert (profile.system.name, profile.system.kernel) == ("Ubuntu 18.04.6 LTS", "4.9")
    assert (profile.system.glibc, profile.system.python) == ("2.27", "3.6")
    assert [(each.kind, each.read_bytes_per_s) for each in profile.storage] == [("32 GB SD card (SC32G)", 88_000_000)]


def test_every_measured_fact_says_when_and_how_it_was_measured(tmp_path: Path) -> None:
    profile = read(tmp_path, measured(machine("Jetson Nano")))
    for fact in ("cpu.clock_hz", "cpu.bandwidth.copy_bytes_per_s", "memory.visible_bytes", "device_tree", "storage"):
        source = profile.source_of(fact)
        assert source is not None, fact
        assert source.source.startswith("measured on the machine by edgesim"), fact
        assert "2026-01-31" in source.source
    for fact, words in (("cpu.fp32_flops_per_cycle", "the same core"), ("memory.marketed_bytes", "size that is sold")):
        source = profile.source_of(fact)
        assert source is not None
        assert words in source.source


KNOWN = [each for each in MACHINES if each.boards and all(cores.khz for cores in each.cores)]


@pytest.mark.parametrize("recorded", KNOWN, ids=lambda recorded: recorded.name)
def test_a_measured_machine_is_the_board_of_its_own_profile(recorded: RecordedMachine, tmp_path: Path) -> None:
    profile = read(tmp_path, measured(recorded, name="measured"))
    assert profile.name == "measured"
    comparison = identity.compare(recorded.identity, profile)
    assert comparison.is_the_board, comparison.differences


def test_models_run_on_the_fastest_cores_of_a_measured_machine(tmp_path: Path) -> None:
    cpu = read(tmp_path, measured(machine("Orange Pi 5"))).cpu
    assert (cpu.core, cpu.cores, cpu.clock_hz) == ("Cortex-A76", 4, 2_400_000_000)
    assert [(each.core, each.cores, each.clock_hz) for each in cpu.others] == [("Cortex-A55", 4, 1_800_000_000)]


def test_a_core_that_qemu_lacks_is_emulated_as_in_the_profile_with_the_same_core(tmp_path: Path) -> None:
    emulation = read(tmp_path, measured(machine("Jetson Orin Nano"))).emulation
    assert emulation is not None
    assert emulation.qemu_cpu == "cortex-a76"
    assert "no A78AE in QEMU" in emulation.wrong[0]


def test_an_x86_processor_has_its_core_its_brand_and_the_flags_that_compute(tmp_path: Path) -> None:
    profile = read(tmp_path, measured(machine("box with a Celeron J4125")))
    assert (profile.architecture, profile.cpu.core) == ("amd64", "Goldmont Plus")
    assert profile.cpu.brand == "Intel(R) Celeron(R) J4125 CPU @ 2.00GHz"
    assert profile.cpu.features == ("sse2", "ssse3", "sse4_1", "sse4_2", "aes", "sha_ni")
    assert profile.device_tree == ()


def test_what_cannot_be_read_is_left_out_and_named_in_a_comment(tmp_path: Path) -> None:
    profile = measured(
        machine("Jetson Nano"), storage={"kind": None, "read_bytes_per_s": None, "problem": "Is a disk?"}
    )
    assert read(tmp_path, profile).storage == ()
    for key in ("storage", "memory.kind", "memory.bandwidth_bytes_per_s", "power", "modes"):
        assert key in profile.not_read
        assert f"\n#   {key}: " in profile.text


def test_a_clock_that_the_kernel_does_not_report_leaves_no_valid_profile(tmp_path: Path) -> None:
    profile = measured(machine("virtual machine of a Mac"))
    assert "cpu.clock_hz" in profile.not_read
    with pytest.raises(ProfileError, match=r"cpu\.clock_hz"):
        read(tmp_path, profile)


def test_a_busy_machine_is_said_to_be_busy(tmp_path: Path) -> None:
    profile = measured(machine("Jetson Nano"), load=3.2)
    assert "Other programs ran (3.2 on average)" in profile.text
    source = read(tmp_path, profile).source_of("cpu.bandwidth")
    assert source is not None
    assert source.confidence == "medium"
    assert "Other programs" not in measured(machine("Jetson Nano")).text


@pytest.mark.parametrize(
    ("visible_kib", "marketed_bytes"),
    [(437_000, 512 * 10**6), (949_000, 10**9), (7_823_360, 8 * 10**9), (130_000_000, 128 * 10**9)],
)
def test_memory_is_marketed_as_the_next_size_that_is_sold(
    visible_kib: int, marketed_bytes: int, tmp_path: Path
) -> None:
    facts = machine_survey(machine("Jetson Nano"))
    facts["files"]["/proc/meminfo"] = f"MemTotal:       {visible_kib} kB\n"
    profile = read(tmp_path, machine_profile(facts, name=None, date="2026-01-31"))
    assert profile.memory.marketed_bytes == marketed_bytes
    assert profile.memory.usable_bytes is None
