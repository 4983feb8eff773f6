"""Accelerators of a profile: their facts, what power modes change, and profiles of earlier releases."""

from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.errors import ProfileError
from edgesim.profiles.accelerator import Accelerator, from_text
from edgesim.profiles.extension import OWN

JETSONS = sorted(name for name in profiles.names() if name.startswith("jetson"))

BOARD = """
name: board
title: A board
soc: SoC
architecture: arm64
cpu: {core: Cortex-A57, cores: 4, clock_hz: 1_500_000_000}
memory: {marketed_bytes: 4 GB, visible_bytes: 3.8 GiB, bandwidth_bytes_per_s: 25 GB}
emulation: {qemu_cpu: cortex-a57}
image: {dockerfile: Dockerfile.jetson}
accelerators:
  - {name: gpu, kind: gpu, title: A GPU, units: 8, clock_hz: 900_000_000, flops_per_cycle: {fp32: 256}}
modes:
  low: {cores: 2, clock_hz: 1_000_000_000}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "board.yaml"
    path.write_text(text)
    return path


def gpu(reference: str) -> Accelerator:
    return next(each for each in profiles.load(reference).accelerators if each.name == "gpu")


@pytest.mark.parametrize("name", JETSONS)
def test_every_jetson_has_what_a_prediction_for_its_gpu_needs(name: str) -> None:
    assert profiles.load(name).memory.bandwidth_bytes_per_s
    accelerator = gpu(name)
    assert accelerator.architecture
    assert accelerator.compute_capability
    assert accelerator.units
    assert accelerator.clock_hz
    assert accelerator.runtime is not None
    assert accelerator.runtime.version
    for precision in accelerator.precisions:
        assert accelerator.peak_flops_per_s(precision)
    assert accelerator.targets == ("gpu:tensorrt-fp16", "gpu:tensorrt-fp32", "gpu:tensorrt-int8")


def test_peaks_are_those_that_the_vendor_states() -> None:
    """TFLOPS of the boxes: 0.472 in fp16 (Nano), 1.33 (TX2), 85 dense int8 TOPS (AGX Orin), 1035/2 dense fp8 (Thor)."""
    assert gpu("jetson-nano").peak_flops_per_s("fp16") == pytest.approx(0.472e12, rel=0.01)
    assert gpu("jetson-tx2:maxn").peak_flops_per_s("fp16") == pytest.approx(1.33e12, rel=0.01)
    assert gpu("jetson-agx-orin").peak_flops_per_s("int8") == pytest.approx(85e12, rel=0.01)
    assert gpu("jetson-orin-nano:super").peak_flops_per_s("int8") == pytest.approx(67e12 / 2, rel=0.01)
    assert gpu("jetson-agx-thor").peak_flops_per_s("fp8") == pytest.approx(1035e12 / 2, rel=0.01)
    assert gpu("jetson-nano").peak_flops_per_s("int8") is None, "no fast path, no peak"


def test_a_mode_sets_clock_gated_units_and_memory_bandwidth() -> None:
    default, low, high = (profiles.load(f"jetson-orin-nano{mode}") for mode in ("", ":7w", ":super"))
    assert (gpu("jetson-orin-nano").units, gpu("jetson-orin-nano").clock_hz) == (8, 625_000_000)
    assert (gpu("jetson-orin-nano:7w").units, gpu("jetson-orin-nano:7w").clock_hz) == (4, 408_000_000)
    assert (gpu("jetson-orin-nano:super").units, gpu("jetson-orin-nano:super").clock_hz) == (8, 1_020_000_000)
    bandwidths = [each.memory.bandwidth_bytes_per_s for each in (default, low, high)]
    assert bandwidths == [68_000_000_000, 68_000_000_000, 102_400_000_000]


def test_what_a_mode_does_not_state_is_the_boards(tmp_path: Path) -> None:
    board = profiles.load(f"{write(tmp_path, BOARD)}:low")
    assert board.accelerators[0].clock_hz == 900_000_000
    assert board.memory.bandwidth_bytes_per_s == 25_000_000_000


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "1_000_000_000}",
            "1_000_000_000, accelerators: {gpo: {units: 4}}}",
            "modes.low.accelerators.gpo: the board has",
        ),
        (
            "1_000_000_000}",
            "1_000_000_000, accelerators: {gpu: {units: 9}}}",
            "modes.low.accelerators.gpu.units: 9 is more than the accelerator's 8",
        ),
        ("name: gpu,", "name: cpu,", "accelerators.0.name: cpu is the processor's own name"),
        ("{fp32: 256}", "{fp32: 256}, precisions: [fp16]", "accelerators.0.precisions: fp16 has no flops_per_cycle"),
        ("{fp32: 256}", "{half: 256}", "accelerators.0.flops_per_cycle.half"),
        ("kind: gpu,", 'kind: npu, compute_capability: "5.3",', "accelerators.0.compute_capability: is for a GPU"),
    ],
)
def test_facts_that_contradict_each_other_are_named(tmp_path: Path, before: str, after: str, problem: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profiles.load(str(write(tmp_path, BOARD.replace(before, after))))
    assert problem in str(caught.value)


def test_two_accelerators_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = BOARD.replace("modes:", "  - {name: gpu, kind: gpu, title: Another}\nmodes:")
    with pytest.raises(ProfileError, match=r"accelerators.1.name: 'gpu' is another accelerator's"):
        profiles.load(str(write(tmp_path, twice)))


# --- earlier releases -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Maxwell GPU, 128 cores", "gpu"), ("NPU, 6 TOPS", "npu"), ("two NVDLA", "dla"), ("Hailo-8", "npu")],
)
def test_the_text_of_an_earlier_profile_becomes_one_accelerator(tmp_path: Path, text: str, kind: str) -> None:
    former = (
        BOARD.split("accelerators:")[0] + f'accelerator: "{text}"\nsources:\n  - {{facts: [accelerator], source: us}}\n'
    )
    board = profiles.load(str(write(tmp_path, former)))
    assert [(each.name, each.kind, each.title) for each in board.accelerators] == [(kind, kind, text)]
    assert board.accelerator == text
    assert board.accelerators[0].targets == (kind,)
    source = board.source_of("accelerators")
    assert source is not None
    assert source.source == "us"


def test_what_is_no_text_is_left_for_the_schema_to_refuse() -> None:
    assert from_text(None) is None
    assert from_text(7) == 7


# --- extending --------------------------------------------------------------------------------------------------------


def test_own_accelerators_leave_behind_what_the_inherited_modes_say_of_the_former(tmp_path: Path) -> None:
    text = "extends: jetson-nano\nname: mine\naccelerators: [{name: npu, kind: npu, title: Ours}]"
    mine = profiles.load(f"{write(tmp_path, text)}:5w")
    assert [each.name for each in mine.accelerators] == ["npu"]
    assert mine.modes["5w"].accelerators == {}
    assert ("modes.*.accelerators", "accelerators") in {(entry.fact, entry.because) for entry in mine.dropped}


def test_own_bandwidth_holds_in_the_inherited_modes(tmp_path: Path) -> None:
    text = "extends: jetson-orin-nano\nname: mine\nmemory: {bandwidth_bytes_per_s: 50 GB}"
    mine = profiles.load(f"{write(tmp_path, text)}:super")
    assert mine.memory.bandwidth_bytes_per_s == 50_000_000_000


def test_origins_in_a_mode_name_who_states_its_clocks(tmp_path: Path) -> None:
    text = "extends: jetson-nano\nname: mine\nmodes: {5w: {memory_bandwidth_bytes_per_s: 12 GB}}"
    mine = profiles.load(f"{write(tmp_path, text)}:5w")
    assert mine.memory.bandwidth_bytes_per_s == 12_000_000_000
    assert mine.origins["memory.bandwidth_bytes_per_s"] == OWN
    assert mine.origins["accelerators"] == "jetson-nano"
