"""Doubts about a profile: facts beyond what a part of the named kind is known to do."""

from collections.abc import Mapping
from typing import Any

import pytest

from edgesim import profiles
from edgesim.profiles import DeviceProfile, doubts

SHIPPED = {profile.name: profile for profile in profiles.shipped()}
GB = 10**9


def board(name: str, **sections: Any) -> DeviceProfile:
    """A shipped profile with other facts in some sections."""
    facts = SHIPPED[name].model_dump(mode="json", exclude_unset=True)
    for section, values in sections.items():
        facts[section] = facts[section] | values if isinstance(values, Mapping) else values
    return profiles.of_facts(facts, "board")


def doubted(profile: DeviceProfile) -> dict[str, str]:
    return {doubt.fact: doubt.reason for doubt in doubts.of(profile, SHIPPED.values())}


@pytest.mark.parametrize("name", SHIPPED)
def test_no_profile_that_comes_with_edgesim_has_a_doubt(name: str) -> None:
    assert doubted(SHIPPED[name]) == {}


@pytest.mark.parametrize(
    ("kind", "most_gb"),
    [
        ("LPDDR4", 136.5),
        ("LPDDR4, 64 bits", 34.13),
        ("lpddr4x-4267, two channels of 32 bits", 34.14),
        ("LPDDR5X, 4 x 64-bit", 273.1),
        ("DDR4-3200, dual-channel of 64 bits", 51.2),
        ("DDR4-3200, two SO-DIMMs of 64 bits", 51.2),
        ("DDR4-3200 dual channel, 64 bits", 102.4),  # whether the channels have 64 bits is not clear: 256 are taken
        ("LPDDR4-1600 MHz, 32 bits", 17.06),  # a clock and no rate
    ],
)
def test_bandwidth_beyond_what_the_kind_of_memory_carries_is_doubtful(kind: str, most_gb: float) -> None:
    at_most = board("jetson-nano", memory={"kind": kind, "bandwidth_bytes_per_s": round(most_gb * GB)})
    assert "memory.bandwidth_bytes_per_s" not in doubted(at_most)
    above = board("jetson-nano", memory={"kind": kind, "bandwidth_bytes_per_s": round(most_gb * 1.05 * GB)})
    assert f"the {most_gb:.4g} GB/s that" in doubted(above)["memory.bandwidth_bytes_per_s"]


def test_the_reason_names_the_standard_and_how_a_wider_bus_is_stated() -> None:
    profile = board("jetson-nano", memory={"kind": "LPDDR4", "bandwidth_bytes_per_s": 900 * GB})
    assert doubted(profile)["memory.bandwidth_bytes_per_s"] == (
        "900 GB/s is more than the 136.5 GB/s that LPDDR4 carries with 256 bits at 4266 MT/s (JEDEC JESD209-4); "
        "for a wider bus, state its width: memory.kind: 'LPDDR4, 512 bits'"
    )


def test_memory_of_no_stated_kind_is_held_to_the_fastest_kind() -> None:
    profile = board("jetson-nano", memory={"kind": None, "bandwidth_bytes_per_s": 900 * GB})
    assert "DDR5, the fastest kind," in doubted(profile)["memory.bandwidth_bytes_per_s"]


@pytest.mark.parametrize("kind", ["HBM3", "GDDR6, 384 bits", "LPDDR6", "LPDDR5X, 1024 bits", "of our own"])
def test_a_kind_without_a_known_limit_and_a_wide_bus_are_not_doubted(kind: str) -> None:
    assert doubted(board("jetson-nano", memory={"kind": kind, "bandwidth_bytes_per_s": 900 * GB})) == {}


@pytest.mark.parametrize("kind", [f"LPDDR4X, {'9' * 5000} bits", f"{'9' * 5000} x {'9' * 5000} bits LPDDR5"])
def test_a_width_of_thousands_of_digits_is_no_width(kind: str) -> None:
    doubts = doubted(board("jetson-nano", memory={"kind": kind, "bandwidth_bytes_per_s": 900 * GB}))
    assert "with 256 bits" in doubts["memory.bandwidth_bytes_per_s"]


def test_the_bandwidth_of_a_mode_is_doubted_by_its_key() -> None:
    modes = {"fast": {"cores": 4, "clock_hz": GB, "memory_bandwidth_bytes_per_s": 900 * GB}}
    assert list(doubted(board("jetson-nano", modes=modes))) == ["modes.fast.memory_bandwidth_bytes_per_s"]


def test_one_core_that_moves_more_than_the_memory_is_doubtful() -> None:
    cpu = {"bandwidth": {"copy_bytes_per_s": 14 * GB, "fill_bytes_per_s": 25 * GB, "read_bytes_per_s": 30 * GB}}
    profile = board("jetson-nano", cpu=cpu)
    assert list(doubted(profile)) == ["cpu.bandwidth.copy_bytes_per_s", "cpu.bandwidth.read_bytes_per_s"]


@pytest.mark.parametrize("soc", ["RK3399", "Rockchip RK3399 (OP1)", "rk3399"])
def test_more_cores_than_the_same_soc_has_are_doubtful(soc: str) -> None:
    profile = board("rk3399", soc=soc, cpu={"cores": 12})
    assert doubted(profile) == {"cpu.cores": "12 cores Cortex-A72, and RK3399 has 2 (profile rk3399)"}


def test_the_soc_with_the_most_cores_of_a_family_is_the_limit() -> None:
    assert doubted(board("jetson-orin-nano", cpu={"cores": 12})) == {}
    assert list(doubted(board("jetson-orin-nano", cpu={"cores": 16}))) == ["cpu.cores"]


def test_another_soc_may_have_any_number_of_cores() -> None:
    assert doubted(board("rk3399", soc="LX2160A", cpu={"cores": 16})) == {}


def test_a_core_that_computes_more_in_a_cycle_than_its_design_is_doubtful() -> None:
    profile = board("rk3399", soc="some other", cpu={"fp32_flops_per_cycle": 32})
    (reason,) = doubted(profile).values()
    assert reason.startswith("32, and a Cortex-A72 does 8 (profile ")
