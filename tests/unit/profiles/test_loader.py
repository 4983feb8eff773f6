"""Profiles: their facts and sources, extension, power modes, and errors that name the wrong line."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

import edgesim
from edgesim import paths, profiles
from edgesim.errors import ExitCode, ProfileError

NANO = (paths.profiles_directory() / "jetson-nano.yaml").read_text()


def write(directory: Path, text: str) -> Path:
    path = directory / "board.yaml"
    path.write_text(text)
    return path


def refused(directory: Path, old: str, new: str) -> str:
    assert old in NANO
    with pytest.raises(ProfileError) as caught:
        profiles.read(write(directory, NANO.replace(old, new, 1)))
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in caught.value.problem
    return caught.value.problem


@pytest.mark.parametrize("name", profiles.names())
def test_every_shipped_profile_is_valid_and_has_the_name_of_its_file(name: str) -> None:
    assert profiles.load(name).name == name


def facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of all facts that a profile states."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from facts(value, f"{prefix}{key}.")
        elif value not in (None, (), []):
            yield prefix + key


@pytest.mark.parametrize("name", profiles.names())
def test_every_fact_of_every_shipped_profile_has_a_source_and_a_confidence(name: str) -> None:
    profile = profiles.load(name)
    stated = profile.model_dump(exclude_unset=True, exclude={"name", "title", "mode", "image", "sources"})
    for fact in facts(stated):
        source = profile.source_of(fact)
        assert source is not None, fact
        assert source.confidence is not None, fact


@pytest.mark.parametrize("name", profiles.names())
def test_every_mode_of_every_profile_can_be_chosen(name: str) -> None:
    for mode in profiles.load(name).modes:
        profile = profiles.load(f"{name}:{mode}")
        assert profile.mode == mode
        assert profile.cpu.cores >= 1


def test_the_shipped_profiles_are_these_twenty_six() -> None:
    assert set(profiles.names()) == {
        "coral-dev-board",
        "intel-i3-n305",
        "intel-j4125",
        "intel-n100",
        "intel-x6425e",
        "jetson-agx-orin",
        "jetson-agx-orin-64gb",
        "jetson-agx-thor",
        "jetson-agx-xavier",
        "jetson-nano",
        "jetson-nano-2gb",
        "jetson-orin-nano",
        "jetson-orin-nx",
        "jetson-orin-nx-16gb",
        "jetson-tx2",
        "jetson-tx2-nx",
        "jetson-xavier-nx",
        "odroid-n2-plus",
        "raspberry-pi-3",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "raspberry-pi-5-ai-hat",
        "raspberry-pi-zero-2",
        "rk3399",
        "rk3588",
        "x86-gateway",
    }


def test_the_little_cluster_has_its_own_core_clock_and_emulated_core() -> None:
    big, little = profiles.load("rk3588:big"), profiles.load("rk3588:little")
    assert (big.cpu.core, big.cpu.clock_hz) == ("Cortex-A76", 2_256_000_000)
    assert (little.cpu.core, little.cpu.clock_hz) == ("Cortex-A55", 1_800_000_000)
    assert little.emulation is not None
    assert little.emulation.qemu_cpu == "cortex-a55"
    assert little.cpu.caches.l2_bytes == 128 << 10
    assert [other.core for other in little.cpu.others] == ["Cortex-A76"]
    assert "asimddp" in little.cpu.features, "a cluster without features has those of the main cluster"


# --- extending --------------------------------------------------------------------------------------------------------

MINE = """
extends: raspberry-pi-4
name: my-board
title: Raspberry Pi 4B, 8 GB, in our box
memory: {marketed_bytes: 8 GB, visible_bytes: 7.6 GiB}
sources:
  - {facts: [memory.marketed_bytes, memory.visible_bytes], source: our own board, confidence: strong}
"""


def test_a_profile_inherits_the_facts_that_it_does_not_state(tmp_path: Path) -> None:
    mine, extended = profiles.load(str(write(tmp_path, MINE))), profiles.load("raspberry-pi-4")
    assert (mine.name, mine.cpu, mine.mode) == ("my-board", extended.cpu, "1.4")
    assert mine.memory.marketed_bytes == 8_000_000_000
    assert mine.memory.kind == extended.memory.kind, "a mapping is merged key by key"
    assert mine.source_of("memory.visible_bytes") == mine.sources[0]
    assert mine.source_of("cpu.core") == extended.source_of("cpu.core")


def test_profile_in_a_git_repository_takes_nothing_from_outside_of_it(tmp_path: Path) -> None:
    repository = tmp_path / "checkout"
    (repository / "boards").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", repository], check=True)
    secret = tmp_path / "shadow.yaml"
    secret.write_text("root:$6$salt$hash:20228:0:99999:7:::\n")
    mine, linked = repository / "boards" / "mine.yaml", repository / "boards" / "linked.yaml"
    linked.symlink_to("../../shadow.yaml")
    for reference in ("../../shadow.yaml", str(secret), "./linked.yaml"):
        mine.write_text(f"extends: {reference}\nname: mine\ntitle: Mine\n")
        with pytest.raises(ProfileError, match="is outside of the file's git repository; edgesim does not read it"):
            profiles.load(mine)
    subprocess.run(["git", "-C", repository, "add", "--all"], check=True)
    with pytest.raises(ProfileError, match="a symbolic link in a git repository that leads out of the repository"):
        profiles.load(linked)
    (repository / "base.yaml").write_text("extends: raspberry-pi-4\nname: base\ntitle: Base\n")
    mine.write_text("extends: ../base.yaml\nname: mine\ntitle: Mine\n")
    assert profiles.load(mine).name == "mine"


def test_another_file_in_place_of_a_profile_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "shadow.yaml"
    path.write_text("root:$6$salt$hash:20228:0:99999:7:::\nname: x\n")
    with pytest.raises(ProfileError) as refused:
        profiles.load(path)
    assert "shadow.yaml:1: unknown key in the place of one: a text of 35 letters" in refused.value.problem
    assert "salt" not in str(refused.value)


def test_a_profile_may_extend_a_file_that_extends_another(tmp_path: Path) -> None:
    write(tmp_path, MINE)
    (tmp_path / "team.yaml").write_text("extends: ./board.yaml\nname: team\n")
    assert profiles.load(tmp_path / "team.yaml").memory.marketed_bytes == 8_000_000_000


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "extends: raspberry-pi-4",
            "extends: raspbery-pi-4",
            "unknown profile 'raspbery-pi-4'; did you mean 'raspberry-pi-4'?",
        ),
        ("extends: raspberry-pi-4", "extends: ./board.yaml", "extends: the profiles extend each other in a circle"),
        ("extends: raspberry-pi-4", "extends: [a]", "extends: must be a profile's name or file"),
        ("extends: raspberry-pi-4", "extend: raspberry-pi-4", "unknown key 'extend'; did you mean 'extends'?"),
        ("marketed_bytes: 8 GB", "market_bytes: 8 GB", ":5: unknown key 'memory.market_bytes'"),
    ],
)
def test_a_wrong_extension_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profiles.load(str(write(tmp_path, MINE.replace(old, new, 1))))
    assert problem in caught.value.problem


def test_the_schema_accepts_every_profile_and_refuses_a_typo() -> None:
    schema = profiles.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in [*paths.profiles_directory().glob("*.yaml")]:
        assert list(validator.iter_errors(YAML(typ="safe", pure=True).load(path))) == [], path
    assert list(validator.iter_errors(YAML(typ="safe", pure=True).load(MINE))) == []
    assert list(validator.iter_errors(YAML(typ="safe", pure=True).load(MINE.replace("title", "titel")))) != []


def test_the_schema_requires_whole_sections_only_of_a_profile_that_extends_none() -> None:
    validator = jsonschema.Draft202012Validator(profiles.json_schema())
    part = {"extends": "raspberry-pi-4", "memory": {"visible_bytes": "3.6 GiB"}, "power": None}
    assert validator.is_valid(part | {"modes": {"1.4": None, "1.1": {"cores": 2}}})
    assert not validator.is_valid(part | {"storage": [{"read_bytes_per_s": "50 MB"}]}), "a list is replaced"
    whole = YAML(typ="safe", pure=True).load(NANO)
    for section, key in (("memory", "visible_bytes"), ("cpu", "cores"), ("emulation", "qemu_cpu")):
        lacking = whole | {section: {name: value for name, value in whole[section].items() if name != key}}
        assert not validator.is_valid(lacking), key
    assert not validator.is_valid(whole | {"modes": {"5w": {"cores": 2}}})


def test_the_jetson_nano_is_four_a57_cores_with_4_gb() -> None:
    nano = profiles.load("jetson-nano")
    assert (nano.architecture, nano.cpu.core, nano.cpu.cores, nano.cpu.clock_hz) == (
        "arm64",
        "Cortex-A57",
        4,
        1_479_000_000,
    )
    assert nano.memory.marketed_bytes == 4_000_000_000
    assert 3.89 * 2**30 < nano.memory.visible_bytes <= 3.9 * 2**30


def test_a_core_in_any_case_is_the_same_board(tmp_path: Path) -> None:
    assert "core: Cortex-A57" in NANO
    path = write(tmp_path, NANO.replace("core: Cortex-A57", "core: cortex-a57", 1))
    assert profiles.load(path).sha256 == profiles.load("jetson-nano").sha256


def test_a_power_mode_changes_cores_clock_and_digest() -> None:
    slow = profiles.load("jetson-nano:5w")
    assert (slow.cpu.cores, slow.cpu.clock_hz, slow.reference) == (2, 918_000_000, "jetson-nano:5w")
    assert slow.sha256 != profiles.load("jetson-nano").sha256


def test_what_the_board_calls_itself_and_its_source_are_no_part_of_the_digest(tmp_path: Path) -> None:
    """No run depends on it: baselines and calibrations stay comparable when a profile gains it."""
    digest = profiles.load("jetson-nano").sha256
    renamed = NANO.replace("NVIDIA Jetson Nano Developer Kit", "Another name")
    assert profiles.read(write(tmp_path, renamed)).in_mode("MAXN").sha256 == digest
    document = YAML(typ="safe", pure=True).load(NANO)
    del document["device_tree"]
    document["sources"] = [source for source in document["sources"] if source["facts"] != ["device_tree"]]
    assert len(document["sources"]) == len(profiles.load("jetson-nano").sources) - 1
    path = tmp_path / "without.yaml"
    YAML(typ="safe", pure=True).dump(document, path)
    assert profiles.read(path).in_mode("MAXN").sha256 == digest
    another_source = NANO.replace("gist kitsook/", "gist another/")
    assert profiles.read(write(tmp_path, another_source)).in_mode("MAXN").sha256 != digest


@pytest.mark.parametrize("name", ["", "N", " Jetson Nano", "Jetson Nano ", '"Jetson Nano\\0"'])
def test_a_name_that_no_board_or_every_board_has_is_refused(name: str, tmp_path: Path) -> None:
    quoted = name if name.startswith('"') else f"'{name}'"
    assert "device_tree" in refused(tmp_path, "NVIDIA Jetson Nano Developer Kit", quoted)


def test_a_board_without_a_device_tree_cannot_state_its_text(tmp_path: Path) -> None:
    text = (paths.profiles_directory() / "x86-gateway.yaml").read_text()
    with pytest.raises(ProfileError, match=r"device_tree: is for arm64 boards"):
        profiles.read(write(tmp_path, text.replace("cpu:\n", "device_tree: [Some Name]\ncpu:\n", 1)))


def test_the_default_mode_is_the_board_without_a_mode() -> None:
    assert profiles.load("jetson-nano:maxn") == profiles.load("jetson-nano")
    assert profiles.load("jetson-nano").reference == "jetson-nano"


def test_an_unknown_mode_is_refused_with_the_board_s_modes() -> None:
    with pytest.raises(ProfileError, match=r"no power mode '10w'; it has MAXN, 5w"):
        profiles.load("jetson-nano:10w")


def test_memory_is_rounded_to_whole_pages() -> None:
    assert profiles.load("jetson-nano").memory.visible_bytes % 4096 == 0


@pytest.mark.parametrize("reference", ["Jetson-Nano:5W", "JETSON-NANO:5w"])
def test_names_of_profiles_and_modes_may_be_in_any_case(reference: str) -> None:
    assert profiles.load(reference).sha256 == profiles.load("jetson-nano:5w").sha256


def test_an_unknown_profile_names_the_nearest_one() -> None:
    with pytest.raises(ProfileError, match=r"unknown profile 'jetson-nanoo'; did you mean 'jetson-nano'\?"):
        profiles.load("jetson-nanoo")


SWAPPED = "profile and model are swapped: 'jetson-nano:5w' is a profile, and 'digits' is not"


def test_profile_and_model_that_are_swapped_are_named() -> None:
    with pytest.raises(ProfileError, match=SWAPPED) as caught:
        profiles.load("digits", model="jetson-nano:5w")
    assert caught.value.fix == "name the profile first, then the model: jetson-nano:5w digits"
    with pytest.raises(ProfileError, match="unknown profile 'digits'"):
        profiles.load("digits", model="resnet18")


@pytest.mark.parametrize("function", [edgesim.run, edgesim.check, edgesim.pack, edgesim.predict, edgesim.count])
def test_each_function_says_that_profile_and_model_are_swapped(function: Callable[[str, str], object]) -> None:
    with pytest.raises(ProfileError, match=SWAPPED):
        function("digits", "jetson-nano:5w")


def test_a_yaml_file_in_place_of_the_model_is_a_swapped_profile(tmp_path: Path) -> None:
    path = write(tmp_path, NANO)
    with pytest.raises(ProfileError, match="profile and model are swapped"):
        profiles.load("model.onnx", model=path)


def test_a_path_to_a_profile_works_with_and_without_a_mode(tmp_path: Path) -> None:
    path = write(tmp_path, NANO)
    assert profiles.load(str(path)).sha256 == profiles.load("jetson-nano").sha256
    assert profiles.load(f"{path}:5w").sha256 == profiles.load("jetson-nano:5w").sha256


def test_a_missing_profile_file_is_named() -> None:
    with pytest.raises(ProfileError, match=r"no/such\.yaml: no such profile file"):
        profiles.load("no/such.yaml")


def test_a_typo_in_a_key_names_file_line_key_and_the_right_one(tmp_path: Path) -> None:
    problem = refused(tmp_path, "  cores: 4", "  coers: 4")
    assert f"{tmp_path / 'board.yaml'}:10: unknown key 'cpu.coers'; did you mean 'cores'?" in problem


def test_a_typo_in_a_key_at_the_top_names_the_right_one(tmp_path: Path) -> None:
    assert "unknown key 'architectur'; did you mean 'architecture'?" in refused(
        tmp_path, "architecture:", "architectur:"
    )


def test_a_typo_in_a_key_below_a_mode_names_the_right_one(tmp_path: Path) -> None:
    problem = refused(tmp_path, "5w: {cores: 2, clock_hz:", "5w: {cores: 2, clokc_hz:")
    assert "unknown key 'modes.5w.clokc_hz'; did you mean 'clock_hz'?" in problem


def test_a_typo_in_a_value_names_the_right_one(tmp_path: Path) -> None:
    problem = refused(tmp_path, "qemu_cpu: cortex-a57", "qemu_cpu: cortex-a75")
    assert "emulation.qemu_cpu: 'cortex-a75' is not one of" in problem
    assert "did you mean 'cortex-a5" in problem or "did you mean 'cortex-a7" in problem


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    assert "key 'soc' is missing" in refused(tmp_path, "soc: Tegra X1 (T210)\n", "")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("cores: 4\n", "cores: 0\n", "cpu.cores"),
        ("cores: 4\n", "cores: many\n", "cpu.cores"),
        ("fp32_flops_per_cycle: 8\n", "fp32_flops_per_cycle: 800\n", "cpu.fp32_flops_per_cycle"),
        ("visible_bytes: 3.9 GiB", "visible_bytes: lots", "memory.visible_bytes"),
        ("visible_bytes: 3.9 GiB", "visible_bytes: 12", "memory.visible_bytes"),
        ("default_mode: MAXN", "default_mode: MAXM", "did you mean 'MAXN'?"),
        ("5w: {cores: 2", "5w: {cores: 8", "modes.5w.cores: 8 is more than the board's 4"),
        ("facts: [cpu.features]", "facts: [cpu.featurs]", "did you mean 'cpu.features'?"),
        ("name: jetson-nano", "name: Jetson Nano!", "name"),
        ("name: jetson-nano", "mode: 5w\nname: jetson-nano", "unknown key 'mode'; did you mean 'modes'?"),
        ("emulation:\n  qemu_cpu: cortex-a57\n", "", "needs emulation.qemu_cpu: cortex-a57"),
    ],
)
def test_a_wrong_value_names_its_key(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert what in refused(tmp_path, old, new)


def test_all_problems_of_a_file_are_named_each_with_its_line(tmp_path: Path) -> None:
    text = NANO.replace("  cores: 4\n", "  coers: 4\n").replace("visible_bytes: 3.9 GiB", "visible_bytes: lots")
    with pytest.raises(ProfileError) as caught:
        profiles.read(write(tmp_path, text.replace("soc: Tegra X1 (T210)\n", "")))
    path = tmp_path / "board.yaml"
    lines = caught.value.problem.splitlines()
    assert lines[0] == f"{path}:9: unknown key 'cpu.coers'; did you mean 'cores'?"
    assert lines[1].startswith(f"{path}:18: memory.visible_bytes: ")
    assert lines[2:] == [f"{path}: key 'soc' is missing"], "and cpu.cores is not: the typo explains it"


def test_all_contradictions_of_a_file_are_named_each_with_its_line(tmp_path: Path) -> None:
    text = NANO.replace("5w: {cores: 2", "5w: {cores: 8").replace("default_mode: MAXN", "default_mode: MAXM")
    with pytest.raises(ProfileError) as caught:
        profiles.read(write(tmp_path, text))
    keys = [line.split(": ")[1] for line in caught.value.problem.splitlines()]
    assert keys == ["default_mode", "modes.5w.cores"]


def test_more_problems_than_fit_are_counted(tmp_path: Path) -> None:
    unknown = "".join(f"key{number}: 1\n" for number in range(15))
    with pytest.raises(ProfileError) as caught:
        profiles.read(write(tmp_path, NANO + unknown))
    assert len(caught.value.problem.splitlines()) == 11
    assert caught.value.problem.endswith("5 more problems")


def test_a_line_is_found_for_a_mode_whose_name_has_a_dot(tmp_path: Path) -> None:
    text = NANO.replace("5w: {cores: 2", '"1.4": {cores: 8')
    line = 1 + next(number for number, written in enumerate(text.splitlines()) if '"1.4"' in written)
    with pytest.raises(ProfileError, match=rf"board\.yaml:{line}: modes\.1\.4\.cores: 8 is more than"):
        profiles.read(write(tmp_path, text))


def test_a_duplicate_key_is_refused(tmp_path: Path) -> None:
    assert "duplicate key" in refused(tmp_path, "name: jetson-nano", "name: jetson-nano\nname: other")


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words", "a: [", "\x00"])
def test_a_file_that_is_not_a_profile_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProfileError, match=r"board\.yaml"):
        profiles.read(write(tmp_path, text))


def test_heat_lowers_the_clock_and_cannot_raise_it(tmp_path: Path) -> None:
    hot = profiles.read(write(tmp_path, NANO + "\nthermal: {full_speed_s: 60, clock_hz: 900_000_000}\n")).in_mode(None)
    assert hot.heated().cpu.clock_hz == 900_000_000
    assert hot.in_mode("5w").heated().cpu.clock_hz == 900_000_000
    assert profiles.load("jetson-nano").heated() == profiles.load("jetson-nano")
    with pytest.raises(ProfileError, match=r"thermal\.clock_hz: 9000000000 is above the board's"):
        profiles.read(write(tmp_path, NANO + "\nthermal: {full_speed_s: 60, clock_hz: 9_000_000_000}\n"))


@pytest.mark.parametrize(("reference", "mode"), [("jetson-nano:5w", "5w"), ("./own.yaml:slow", "slow")])
def test_power_mode_cannot_be_extended_and_the_fix_names_the_mode(tmp_path: Path, reference: str, mode: str) -> None:
    (tmp_path / "own.yaml").write_text(NANO)
    with pytest.raises(ProfileError, match=f"'{reference}' is a power mode") as caught:
        profiles.read(write(tmp_path, f"name: mine\nextends: {reference}\n"))
    assert caught.value.fix == f"extends: {reference.rpartition(':')[0]}, and default_mode: {mode} for the mode"


@pytest.mark.parametrize("key", ["accelerators", "storage"])
def test_mapping_in_place_of_a_list_is_told_in_words_of_yaml(tmp_path: Path, key: str) -> None:
    with pytest.raises(ProfileError, match=f"board.yaml:3: {key}: must be a list \\(given: {{'name': 'gpu'}}\\)"):
        profiles.read(write(tmp_path, f"name: mine\nextends: jetson-nano\n{key}: {{name: gpu}}\n"))
