"""The table of cores: agrees with the server's table, the profiles and the fitted coefficients."""

import re
from pathlib import Path
from typing import get_args

import pytest

from edgesim import profiles
from edgesim.errors import ProfileError
from edgesim.predictions.fitted import load_fitted
from edgesim.profiles import cores
from edgesim.profiles.cores import CORES, X86_CORES
from edgesim.server import introspection

# No arm64 core: the gateway's processor is whatever the host has.
UNKNOWN = {cores.HOST}


@pytest.mark.parametrize("name", profiles.names())
def test_every_core_of_a_profile_is_in_the_table_or_named_as_unknown(name: str) -> None:
    profile = profiles.load(name)
    for cluster in (profile.cpu, *profile.cpu.others):
        core = cores.find(cluster.core)
        if cluster.core in UNKNOWN:
            assert core is None
        else:
            assert core is not None, cluster.core
            assert core.title == cluster.core, "a profile uses the vendor's spelling"
            assert core.architecture == profile.architecture


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_the_server_names_a_core_as_the_table_does(core: cores.ArmCore) -> None:
    cpuinfo = f"CPU implementer\t: {core.implementer:#x}\nCPU part\t: {core.part:#05x}\n"
    assert introspection.cpu_model(cpuinfo) == core.name


def test_a_name_is_found_in_any_case() -> None:
    assert cores.find("cortex-a57") is cores.find("Cortex-A57") is cores.find("CORTEX-A57")
    assert cores.title("cortex-a78ae") == "Cortex-A78AE"
    assert cores.title("Mystery-1") == "Mystery-1"
    assert cores.family("Mystery-1") is None


def test_an_x86_core_is_found_by_vendor_family_and_model() -> None:
    gracemont = cores.of_cpuid("GenuineIntel", 6, 0xBE)
    assert gracemont is cores.find("gracemont")
    assert gracemont is not None
    assert gracemont.architecture == "amd64"
    assert cores.of_cpuid("AuthenticAMD", 6, 0xBE) is None


def test_a_core_of_another_architecture_than_the_boards_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("extends: intel-n100\nname: b\ncpu: {core: Cortex-A57, clock_hz: 1_000_000_000}\n")
    with pytest.raises(
        ProfileError, match=r"board\.yaml:3: cpu\.core: Cortex-A57 is a core of arm64, and the board is amd64"
    ):
        profiles.read(path)


def test_names_midr_fields_and_cpuid_models_are_unique() -> None:
    everything = (*CORES, *X86_CORES)
    assert len({core.name for core in everything}) == len(everything)
    models = [(core.vendor, *cpuid) for core in X86_CORES for cpuid in core.cpuid]
    assert len(set(models)) == len(models)
    assert len({(core.implementer, core.part) for core in CORES}) == len(CORES)


def test_every_family_has_a_fitted_coefficient_and_every_seen_core_a_family() -> None:
    fitted = load_fitted()
    assert set(cores.FAMILIES) <= set(fitted.names)
    assert {core.family for core in CORES} - {None} == set(cores.FAMILIES) == set(get_args(cores.CoreFamily))
    assert all(cores.family(core) is not None for core in fitted.seen)


def test_the_schema_lists_the_emulated_cores() -> None:
    schema = profiles.json_schema()["$defs"]["Emulation"]["properties"]["qemu_cpu"]
    assert schema["enum"] == sorted(["max", *(core.name for core in CORES if core.emulated)])
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in schema["enum"])
