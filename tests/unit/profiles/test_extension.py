"""Profiles that extend another: what is inherited, what an overridden fact takes along, and what modes do with it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from edgesim import paths, profiles
from edgesim.errors import ProfileError
from edgesim.profiles import DeviceProfile
from edgesim.profiles.extension import _REQUIRED_IN_OPTIONAL, OWN, TAKES_ALONG, Extended, FactPath, dotted


def board(directory: Path, text: str, name: str = "board.yaml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def read(directory: Path, text: str) -> DeviceProfile:
    return profiles.read(board(directory, text))


def problem(directory: Path, text: str) -> str:
    with pytest.raises(ProfileError) as caught:
        read(directory, text)
    return caught.value.problem.replace(f"{directory}/", "")


# --- memory -----------------------------------------------------------------------------------------------------------


def test_less_visible_memory_is_not_given_the_extended_boards_usable_memory(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nmemory: {marketed_bytes: 2 GB, visible_bytes: 1.93 GiB}\n")
    assert profile.memory.usable_bytes is None
    assert profile.memory.kind == "LPDDR4, 64 bits", "which does not depend on the size"
    assert [(dropped.fact, dropped.origin, dropped.because) for dropped in profile.dropped] == [
        ("device_tree", "jetson-nano", "memory.marketed_bytes"),
        ("memory.usable_bytes", "jetson-nano", "memory.marketed_bytes"),
    ]


def test_own_usable_memory_is_kept(tmp_path: Path) -> None:
    profile = read(
        tmp_path, "extends: jetson-nano\nmemory: {marketed_bytes: 2 GB, visible_bytes: 1.9 GiB, usable_bytes: 1 GiB}\n"
    )
    assert profile.memory.usable_bytes == 2**30
    assert "memory.usable_bytes" not in {dropped.fact for dropped in profile.dropped}


def test_another_marketed_size_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    assert problem(tmp_path, "extends: jetson-nano\nname: b\nmemory: {marketed_bytes: 2 GB}\n") == (
        "board.yaml:3: key 'memory.visible_bytes' is missing: jetson-nano's goes with memory.marketed_bytes, which "
        "this profile overrides; state both"
    )


def test_a_value_that_is_the_same_in_another_unit_takes_nothing_along(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nmemory: {marketed_bytes: 4000 MB, visible_bytes: 3.9 GiB}\n")
    assert (profile.memory, profile.dropped) == (profiles.load("jetson-nano").memory, ())


@pytest.mark.parametrize(
    ("memory", "key"),
    [
        ("{marketed_bytes: 2 GB, visible_bytes: 64 GiB}", "memory.visible_bytes"),
        ("{marketed_bytes: 2 GB, visible_bytes: 1 GiB, usable_bytes: 128 GiB}", "memory.usable_bytes"),
        ("{visible_bytes: 4.1 GiB}", "memory.visible_bytes"),
        ("{usable_bytes: 3.95 GiB}", "memory.usable_bytes"),
    ],
)
def test_usable_is_at_most_visible_and_visible_at_most_marketed(tmp_path: Path, memory: str, key: str) -> None:
    assert f"board.yaml:2: {key}: " in problem(tmp_path, f"extends: jetson-nano\nmemory: {memory}\n")


def test_all_of_the_visible_memory_may_be_usable(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nmemory: {usable_bytes: 3.9 GiB}\n")
    assert profile.memory.usable_bytes is not None


# --- power modes ------------------------------------------------------------------------------------------------------


def test_an_overridden_clock_applies_in_the_inherited_modes(tmp_path: Path) -> None:
    path = board(tmp_path, "extends: jetson-nano\ncpu: {clock_hz: 2_000_000_000}\n")
    for reference in (path, f"{path}:MAXN", f"{path}:5w"):
        assert profiles.load(reference).cpu.clock_hz == 2_000_000_000
    assert profiles.load(f"{path}:5w").cpu.cores == 2


def test_a_mode_that_the_file_states_keeps_its_own_clock(tmp_path: Path) -> None:
    path = board(
        tmp_path, "extends: jetson-nano\ncpu: {clock_hz: 2_000_000_000}\nmodes: {5w: {clock_hz: 500_000_000}}\n"
    )
    assert (profiles.load(f"{path}:5w").cpu.clock_hz, profiles.load(f"{path}:5w").cpu.cores) == (500_000_000, 2)


def test_fewer_cores_than_those_of_an_inherited_mode_need_no_own_modes(tmp_path: Path) -> None:
    path = board(tmp_path, "extends: raspberry-pi-4\ncpu: {cores: 2}\n")
    assert profiles.load(path).cpu.cores == 2
    assert (profiles.load(f"{path}:1.1").cpu.cores, profiles.load(f"{path}:1.1").cpu.clock_hz) == (2, 1_500_000_000)


@pytest.mark.parametrize("nothing", ["{}", "null"])
def test_inherited_modes_can_be_removed(tmp_path: Path, nothing: str) -> None:
    profile = profiles.load(board(tmp_path, f"extends: raspberry-pi-4\nmodes: {nothing}\n"))
    assert (profile.modes, profile.default_mode, profile.mode) == ({}, None, None)


def test_one_inherited_mode_can_be_removed(tmp_path: Path) -> None:
    profile = profiles.load(board(tmp_path, 'extends: raspberry-pi-4\ndefault_mode: "1.1"\nmodes: {"1.4": null}\n'))
    assert (list(profile.modes), profile.cpu.clock_hz) == (["1.1"], 1_500_000_000)


def test_modes_of_another_cluster_follow_that_cluster(tmp_path: Path) -> None:
    others = "[{core: Cortex-A55, cores: 2, clock_hz: 2_000_000_000}]"
    path = board(tmp_path, f"extends: rk3588\ncpu: {{others: {others}}}\n")
    little = profiles.load(f"{path}:little")
    assert (little.cpu.core, little.cpu.cores, little.cpu.clock_hz) == ("Cortex-A55", 2, 2_000_000_000)
    assert little.origins["cpu.core"] == little.origins["cpu.clock_hz"] == OWN
    assert profiles.load(path).cpu.clock_hz == 2_256_000_000


def test_modes_of_a_cluster_that_is_removed_go_with_it(tmp_path: Path) -> None:
    profile = profiles.load(board(tmp_path, "extends: rk3588\ncpu: {others: []}\n"))
    assert list(profile.modes) == ["big", "big-2400"]
    assert profile.emulation is not None
    assert profile.emulation.others == {}


def test_two_modes_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    text = "extends: jetson-nano\nmodes:\n  5W: {cores: 2, clock_hz: 918_000_000}\n"
    assert problem(tmp_path, text) == "board.yaml:3: modes.5W: differs from mode '5w' only in upper and lower case"


# --- processor, system, image -----------------------------------------------------------------------------------------


def test_another_core_takes_along_all_that_was_that_cores(tmp_path: Path) -> None:
    text = (
        "extends: raspberry-pi-4\ncpu: {core: Cortex-A76, clock_hz: 2_000_000_000}\nemulation: {qemu_cpu: cortex-a76}\n"
    )
    profile = read(tmp_path, text)
    assert (profile.cpu.features, profile.cpu.fp32_flops_per_cycle, profile.modes) == ((), None, {})
    assert profile.cpu.bandwidth.copy_bytes_per_s is None
    assert profile.emulation is not None
    assert profile.emulation.wrong == ()
    missing = problem(tmp_path, "extends: raspberry-pi-4\ncpu: {core: Cortex-A76}\n")
    assert "key 'cpu.clock_hz' is missing: raspberry-pi-4's goes with cpu.core" in missing
    assert "board.yaml:2: key 'emulation.qemu_cpu' is missing: raspberry-pi-4's goes with cpu.core" in missing


def test_the_inherited_core_in_another_case_is_no_other_core(tmp_path: Path) -> None:
    nano = profiles.load("jetson-nano")
    profile = profiles.load(board(tmp_path, "extends: jetson-nano\ncpu: {core: cortex-a57}\n"))
    assert (profile.cpu, profile.emulation, profile.modes) == (nano.cpu, nano.emulation, nano.modes)
    assert profile.dropped == ()


@pytest.mark.parametrize("core", ["Cortex-A55", "cortex-a55", "CORTEX-A55"])
def test_a_mode_may_name_the_core_of_its_cluster_in_any_case(tmp_path: Path, core: str) -> None:
    text = f"extends: rk3588\nmodes: {{two: {{cores: 2, clock_hz: 1_800_000_000, core: {core}}}}}\n"
    two = profiles.load(f"{board(tmp_path, text)}:two")
    assert (two.cpu.core, two.cpu.cores) == ("Cortex-A55", 2)
    assert two.emulation is not None
    assert two.emulation.qemu_cpu == "cortex-a55"
    assert two.origins["cpu.others"] == "rk3588"


def test_the_emulated_core_of_a_cluster_can_be_overridden_in_any_case(tmp_path: Path) -> None:
    text = (
        "extends: rk3588\nemulation: {others: {cortex-a55: cortex-a53}}\n"
        "sources: [{facts: [emulation.others.cortex-a55], source: our board}]\n"
    )
    profile = read(tmp_path, text)
    assert profile.emulation is not None
    assert profile.emulation.others == {"Cortex-A55": "cortex-a53"}
    little = profile.in_mode("little").emulation
    assert little is not None
    assert little.qemu_cpu == "cortex-a53"


def test_a_cluster_in_another_case_keeps_its_modes(tmp_path: Path) -> None:
    others = "[{core: cortex-a55, cores: 2, clock_hz: 2_000_000_000}]"
    path = board(tmp_path, f"extends: rk3588\ncpu: {{others: {others}}}\n")
    little = profiles.load(f"{path}:little")
    assert (little.cpu.core, little.cpu.cores, little.cpu.clock_hz) == ("Cortex-A55", 2, 2_000_000_000)
    assert little.emulation is not None
    assert little.emulation.qemu_cpu == "cortex-a55"


@pytest.mark.parametrize("core", ["cortex-a76", "CORTEX-A76"])
def test_two_clusters_of_one_core_are_refused_in_any_case(tmp_path: Path, core: str) -> None:
    text = f"extends: rk3588\ncpu: {{others: [{{core: {core}, cores: 2, clock_hz: 2_000_000_000}}]}}\n"
    assert "'Cortex-A76' is another cluster's; one name is for one cluster" in problem(tmp_path, text)


def test_a_core_that_no_table_knows_is_compared_in_any_case_too(tmp_path: Path) -> None:
    text = (
        "extends: rk3588\ncpu: {others: [{core: Mystery-1, cores: 2, clock_hz: 2_000_000_000}]}\n"
        "emulation: {others: {MYSTERY-1: cortex-a53}}\n"
        "modes: {slow: {cores: 1, clock_hz: 1_000_000_000, core: mystery-1}}\n"
    )
    slow = profiles.load(f"{board(tmp_path, text)}:slow")
    assert (slow.cpu.core, slow.cpu.cores) == ("Mystery-1", 1)
    assert slow.emulation is not None
    assert slow.emulation.qemu_cpu == "cortex-a53"


def test_two_emulated_cores_of_one_cluster_are_refused(tmp_path: Path) -> None:
    text = "extends: rk3588\nemulation:\n  others: {cortex-a55: cortex-a53, Cortex-A55: cortex-a55}\n"
    assert problem(tmp_path, text) == (
        "board.yaml:3: emulation.others.cortex-a55: differs from core 'Cortex-A55' only in upper and lower case"
    )


def test_another_system_has_not_the_inherited_version_of_its_library(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nsystem: {name: Ubuntu 24.04}\n")
    assert profile.system is not None
    assert (profile.system.glibc, profile.system.kernel, profile.memory.usable_bytes) == (None, None, None)


def test_an_image_by_reference_takes_the_place_of_a_dockerfile(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nimage: {reference: my/server, port: 8080}\n")
    assert (profile.image.dockerfile, profile.image.reference, profile.image.port) == (None, "my/server", 8080)
    again = board(tmp_path, "extends: ./board.yaml\nimage: {dockerfile: Dockerfile.jetson}\n", "again.yaml")
    assert profiles.read(again).image == profiles.load("jetson-nano").image


def test_null_and_an_empty_mapping_remove_what_would_be_inherited(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: raspberry-pi-4\npower: null\ncpu: {caches: {}, fp32_flops_per_cycle: null}\n")
    assert (profile.power, profile.cpu.caches.l2_bytes, profile.cpu.fp32_flops_per_cycle) == (None, None, None)


# --- sources and origins ----------------------------------------------------------------------------------------------


def test_a_source_stays_for_the_facts_that_are_still_the_extended_profiles(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: raspberry-pi-4\ncpu: {clock_hz: 2_000_000_000}\n")
    assert profile.source_of("cpu.clock_hz") is None
    assert profile.source_of("modes.1.4.clock_hz") is None
    extended = profiles.load("raspberry-pi-4")
    for fact in ("cpu.core", "cpu.caches.l2_bytes"):
        here, there = profile.source_of(fact), extended.source_of(fact)
        assert here is not None
        assert there is not None
        assert (here.source, here.confidence) == (there.source, there.confidence)


def test_a_new_fact_is_not_under_the_extended_profiles_source_of_its_section(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: raspberry-pi-4\ncpu: {bandwidth: {read_bytes_per_s: 4000 MB}}\n")
    assert profile.source_of("cpu.bandwidth.read_bytes_per_s") is None
    assert profile.source_of("cpu.bandwidth.copy_bytes_per_s") is not None


def test_each_fact_has_the_profile_that_states_it_as_its_origin(tmp_path: Path) -> None:
    board(tmp_path, "extends: jetson-nano\nname: team\nmemory: {visible_bytes: 3.8 GiB}\n", "team.yaml")
    path = board(tmp_path, "extends: ./team.yaml\nname: mine\ncpu: {clock_hz: 2_000_000_000}\n")
    profile = profiles.load(path)
    origins = profile.origins
    assert (origins["memory.visible_bytes"], origins["cpu.core"]) == ("./team.yaml", "jetson-nano")
    assert origins["name"] == origins["cpu.clock_hz"] == origins["modes.5w.clock_hz"] == OWN
    assert (origins["modes.5w.cores"], origins["cpu.cores"]) == ("jetson-nano", "jetson-nano")
    assert [(entry.fact, entry.because) for entry in profile.dropped] == [
        ("device_tree", "name"),
        ("memory.usable_bytes", "memory.visible_bytes"),
    ]
    assert profiles.load("jetson-nano").origins == {}


def test_a_wrong_fact_of_an_extended_file_is_said_to_be_that_files(tmp_path: Path) -> None:
    board(tmp_path, "extends: jetson-nano\nname: team\ncpu: {cores: many}\n", "team.yaml")
    text = problem(tmp_path, "extends: ./team.yaml\nname: mine\n")
    assert text.startswith("board.yaml: cpu.cores: ")
    assert text.endswith("(stated by ./team.yaml)")


@pytest.mark.parametrize(
    "text",
    [
        "extends: jetson-nano\ncpu: 3\nmodes: [1]\nsources: null\n",
        "extends: jetson-nano\nsources: [{facts: [[1], {a: 1}], source: 3}, 4, {facts: cpu}]\n",
        "extends: rk3588\ncpu: {others: {a: 1}}\ndefault_mode: [1]\n",
        "extends: rk3588\nmodes: {1.4: {cores: 1}, big: [3], little: {core: [1]}}\n",
    ],
)
def test_nonsense_on_top_of_a_profile_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    assert problem(tmp_path, text).startswith("board.yaml")
    board(tmp_path, text, "team.yaml")
    assert problem(tmp_path, "extends: ./team.yaml\ncpu: {cores: 2, clock_hz: 5}\n").startswith("board.yaml")


def test_alias_within_what_it_stands_for_is_refused(tmp_path: Path) -> None:
    text = problem(tmp_path, "extends: jetson-nano\ncpu: &a\n  others: *a\n")
    assert text == "board.yaml: not valid YAML: line 2: an alias within what it stands for"


# --- what the board calls itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "name: other\n",
        "title: Another board\n",
        "memory: {marketed_bytes: 2 GB, visible_bytes: 1.9 GiB}\n",
        "cpu: {cores: 2}\n",
        "soc: Another chip\n",
    ],
)
def test_another_board_does_not_call_itself_what_the_extended_one_does(text: str, tmp_path: Path) -> None:
    profile = read(tmp_path, f"extends: jetson-nano\n{text}")
    assert profile.device_tree == ()
    assert "device_tree" in {entry.fact for entry in profile.dropped}


def test_the_same_board_with_limits_of_its_own_still_calls_itself_so(tmp_path: Path) -> None:
    profile = read(tmp_path, "extends: jetson-nano\nlimits: {processes: 64}\nstorage: []\n")
    assert profile.device_tree == profiles.load("jetson-nano").device_tree == ("NVIDIA Jetson Nano Developer Kit",)
    stated = read(tmp_path, "extends: jetson-nano\nname: other\ndevice_tree: [Our Other Board]\n")
    assert stated.device_tree == ("Our Other Board",)


# --- any overridden facts ---------------------------------------------------------------------------------------------


def document(name: str) -> Extended:
    facts = YAML(typ="safe", pure=True).load(paths.profiles_directory() / f"{name}.yaml")
    return Extended.stated(facts, name)


SHIPPED = {name: document(name) for name in profiles.names()}
_OPTIONAL: dict[str, st.SearchStrategy[Any]] = {
    "memory.usable_bytes": st.integers(2**20, 2**36),
    "memory.bandwidth_bytes_per_s": st.integers(10**9, 10**11),
    "cpu.bandwidth.copy_bytes_per_s": st.integers(10**8, 10**10),
    "cpu.bandwidth.read_bytes_per_s": st.integers(10**8, 10**10),
    "power.idle_w": st.floats(0.5, 20),
    "power.load_w": st.floats(0.5, 20),
    "thermal.full_speed_s": st.floats(1, 100),
    "thermal.clock_hz": st.integers(10**8, 10**9),
    "system.glibc": st.sampled_from(["2.27", "2.36"]),
    "limits.processes": st.integers(16, 10_000),
}


def values_of(path: FactPath, value: Any) -> st.SearchStrategy[Any]:
    key = dotted(path)
    if path[-1] == "cores":
        return st.integers(1, 16)
    if path[-1] == "clock_hz":
        return st.integers(10**8, 4 * 10**9)
    if key.startswith("memory.") and key.endswith("_bytes"):
        return st.one_of(st.sampled_from(["512 MB", "2 GB", "3.5 GiB", "64 GB"]), st.integers(2**20, 2**36))
    if path[-1] == "core":
        return st.sampled_from(["Cortex-A53", "Cortex-A72", "Cortex-A76", "Cortex-A78AE"])
    if key == "architecture":
        return st.sampled_from(["arm64", "amd64"])
    if path[-1] == "qemu_cpu" or path[:2] == ("emulation", "others"):
        return st.sampled_from(["cortex-a53", "cortex-a72", "cortex-a76"])
    if key == "default_mode":
        return st.sampled_from(["MAXN", "5w", "big", "little"])
    if key == "name":
        return st.just("mine")
    if isinstance(value, str) and path[-1].endswith(("_bytes", "_per_s")):
        return st.integers(10**5, 10**10)
    if isinstance(value, list):
        return st.just([]) if isinstance(value[0], dict) else st.sampled_from([value[:1], []])
    return st.sampled_from([f"another {path[-1]}"]) if isinstance(value, str) else st.integers(1, 64)


@st.composite
def overrides(draw: st.DrawFn) -> tuple[str, dict[FactPath, Any]]:
    """Draw a shipped profile, and other values for some of its facts or for facts that the profile may lack."""
    name = draw(st.sampled_from(sorted(SHIPPED)))
    candidates = {path: values_of(path, value) for path, value in SHIPPED[name].facts.items()}
    candidates |= {tuple(key.split(".")): values for key, values in _OPTIONAL.items()}
    candidates.pop(("extends",), None)  # the test says itself what the profile extends
    chosen = draw(st.lists(st.sampled_from(sorted(candidates, key=dotted)), min_size=1, max_size=6, unique=True))
    return name, {path: draw(candidates[path]) for path in chosen}


def at(facts: Any, path: FactPath) -> Any:
    """Return the value at a path; None where a section on the way is None or has no such key."""
    for key in path:
        facts = facts.get(key) if isinstance(facts, dict) else None
    return facts


def is_below(path: FactPath, key: str) -> bool:
    keys = key.split(".")
    return len(path) >= len(keys) and all(part in ("*", str(of)) for part, of in zip(keys, path, strict=False))


@given(overrides=overrides(), has_source=st.booleans())
def test_any_overridden_facts_give_a_named_error_or_a_profile_that_does_not_contradict_them(
    overrides: tuple[str, dict[FactPath, Any]], has_source: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, own = overrides
    written = Extended(own, {}, []).document() | {"extends": name}
    written["sources"] = [{"facts": [dotted(path) for path in own], "source": "our board"}] if has_source else []
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    YAML(typ="safe", pure=True).dump(written, path)
    try:
        profile = profiles.read(path)
    except ProfileError as error:
        for line in error.problem.splitlines():
            assert line.startswith(f"{path}:"), line
            key = line.removeprefix(f"{path}:").lstrip("0123456789: ")
            assert key.startswith(
                ("key '", "sources", *(section.split(".")[0] for section in map(dotted, own)))
            ) or any(section in key for section in ("modes", "thermal", "emulation", "power", "memory", "cpu")), line
        return

    extended = profiles.read(paths.profiles_directory() / f"{name}.yaml")
    stated = DeviceProfile.model_dump(profile, mode="json")
    inherited = extended.model_dump(mode="json")
    memory = profile.memory
    assert (memory.usable_bytes or 0) // 4096 * 4096 <= memory.visible_bytes <= memory.marketed_bytes * 1.0738

    for fact in own:
        value = own[fact]
        parsed = at(stated, fact)
        if isinstance(value, str) and isinstance(parsed, int):
            value = {"512 MB": 512 * 10**6, "2 GB": 2 * 10**9, "3.5 GiB": 7 * 2**29, "64 GB": 64 * 10**9}[value]
        if dotted(fact) == "memory.visible_bytes":
            value = value // 4096 * 4096
        assert parsed == value, fact
        assert profile.origins[dotted(fact)] == OWN
        source = profile.source_of(dotted(fact))
        assert source is None or source.source == "our board", fact

    changed = {fact for fact in own if fact in SHIPPED[name].facts and at(stated, fact) != at(inherited, fact)}
    gone = {section for fact in changed for section in TAKES_ALONG.get(dotted(fact), ())}
    for fact, value in SHIPPED[name].facts.items():
        if fact in own:
            continue
        if any(is_below(fact, section) for section in gone):
            assert at(stated, fact) in (None, [], {}), f"{fact} is still {value}"
            assert dotted(fact) not in profile.origins
        elif fact[0] not in ("modes", "default_mode", "image") and fact[:2] != ("emulation", "others"):
            assert at(stated, fact) == at(inherited, fact), f"{fact} is lost"

    for mode, facts in profile.modes.items():
        cpu = profile.in_mode(mode).cpu
        for key in ("cores", "clock_hz"):
            if ("modes", mode, key) in own:
                assert getattr(cpu, key) == own[("modes", mode, key)]
            elif ("cpu", key) in changed and facts.core is None:
                assert getattr(cpu, key) == own[("cpu", key)]
                assert profile.in_mode(mode).origins[f"cpu.{key}"] == OWN
                assert profile.source_of(f"modes.{mode}.{key}") is None
        if facts.core is None:
            assert cpu.core == profile.cpu.core


def test_the_reference_lists_what_each_overridden_fact_takes_along() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "profile-file.md").read_text()
    for fact, sections in TAKES_ALONG.items():
        assert f"| `{fact}` | {', '.join(f'`{section}`' for section in sections)} |" in text


def test_one_required_key_of_an_optional_section_is_taken_along_without_its_section() -> None:
    schema = DeviceProfile.model_json_schema()
    optional = {name: facts for name, facts in schema["properties"].items() if name not in schema["required"]}
    sections = {
        name: choice["$ref"]
        for name, facts in optional.items()
        for choice in facts.get("anyOf", [])
        if "$ref" in choice
    }
    keys = {
        f"{name}.{key}"
        for name, part in sections.items()
        for key in schema["$defs"][part.rpartition("/")[2]].get("required", [])
    }
    assert {"emulation.qemu_cpu", "system.name", "thermal.clock_hz"} <= keys
    taken = {key for keys in TAKES_ALONG.values() for key in keys}
    assert taken & keys == {dotted(_REQUIRED_IN_OPTIONAL)}
