"""`edgesim profiles`: who states each fact of a profile that extends another."""

import json
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.cli import profiles as commands
from edgesim.errors import ExitCode
from edgesim.jobs import measure_machine
from tests.support.command_line import exit_code_of
from tests.support.machines import machine, machine_survey

BOARD = """
extends: jetson-nano
name: two-gigabytes
title: Jetson Nano 2GB
memory: {marketed_bytes: 2 GB, visible_bytes: 1.93 GiB}
cpu: {clock_hz: 2_000_000_000}
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    path = tmp_path / "board.yaml"
    path.write_text(BOARD)
    return path


def shown(capsys: pytest.CaptureFixture[str], profile: str | Path, *, as_json: bool = False) -> str:
    assert commands.show_command(str(profile), as_json=as_json) == 0
    return capsys.readouterr().out


def test_the_data_sheet_says_beside_each_fact_who_states_it(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(line[:13].strip(), line[13:].strip()) for line in shown(capsys, board).splitlines()]
    rows = dict(lines)
    assert rows["two-gigabytes"] == "Jetson Nano 2GB (yours)"
    assert rows["CPU"] == "4 x Cortex-A57 at 2 GHz (from jetson-nano: core, cores; yours: clock_hz)"
    assert rows["memory"].endswith(
        "(yours: marketed_bytes, visible_bytes; from jetson-nano: kind, bandwidth_bytes_per_s)"
    )
    assert rows["mode 5w"] == (
        "2 cores at 2 GHz, gpu at 640 MHz (from jetson-nano: cores, accelerators.gpu.clock_hz; yours: clock_hz)"
    )
    assert [text for label, text in lines if label == "without"] == [
        "device_tree of jetson-nano is not inherited: goes with name, which this profile overrides",
        "memory.usable_bytes of jetson-nano is not inherited: goes with memory.marketed_bytes, which this profile "
        "overrides",
    ]


def test_a_slip_of_the_pen_is_told_as_a_doubt_and_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("extends: rk3399\nname: ours\ntitle: Ours\ncpu: {cores: 12}\n")
    doubt = "cpu.cores: 12 cores Cortex-A72, and RK3399 has 2 (profile rk3399)"
    assert commands.validate_command(path) == ExitCode.OK
    assert f"  doubt: {doubt}\n" in capsys.readouterr().out
    assert doubt in " ".join(shown(capsys, path).split())
    assert doubt in " ".join(shown(capsys, f"{path}:little").split()), "in a mode with fewer cores, too"
    (entry,) = json.loads(shown(capsys, path, as_json=True))["doubts"]
    assert entry == {"fact": "cpu.cores", "reason": doubt.partition(": ")[2]}


def test_the_data_sheet_of_a_board_that_extends_none_has_no_origins(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "jetson-nano")
    assert "yours" not in text
    assert "(from" not in text
    assert "calls itself  NVIDIA Jetson Nano Developer Kit\n" in text


def test_json_has_the_origins_and_what_was_dropped(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(shown(capsys, board, as_json=True))
    assert (facts["origins"]["cpu.clock_hz"], facts["origins"]["cpu.core"]) == ("yours", "jetson-nano")
    assert facts["dropped"] == [
        {"fact": "device_tree", "origin": "jetson-nano", "because": "name"},
        {"fact": "memory.usable_bytes", "origin": "jetson-nano", "because": "memory.marketed_bytes"},
    ]
    assert json.loads(shown(capsys, "jetson-nano", as_json=True))["origins"] == {}


def test_validate_says_what_is_not_inherited(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.validate_command(board)
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"{board}: a valid profile of Jetson Nano 2GB"
    assert [line.split(" is not inherited: ")[0] for line in others] == [
        "  device_tree of jetson-nano",
        "  memory.usable_bytes of jetson-nano",
    ]


SURVEY = machine_survey(machine("Jetson Nano"))


@pytest.fixture
def measured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine be a Jetson Nano."""
    monkeypatch.setattr(measure_machine, "_survey_here", lambda *_: SURVEY)


@pytest.mark.usefixtures("measured_here")
def test_a_measured_machine_is_written_to_a_file_or_to_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "board.yaml"
    assert exit_code_of(["profiles", "measure", "-o", str(file), "--name", "our-box"]) == ExitCode.OK
    assert capsys.readouterr().out == f"profile: {file}\n"
    assert profiles.load(file).name == "our-box"
    assert exit_code_of(["profiles", "measure", "--name", "our-box"]) == ExitCode.OK
    assert capsys.readouterr().out == file.read_text()


@pytest.mark.usefixtures("measured_here")
def test_json_of_a_measured_machine_names_what_could_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(["profiles", "measure", "--json"]) == ExitCode.OK
    facts = json.loads(capsys.readouterr().out)
    assert (facts["cpu"]["core"], facts["problem"]) == ("Cortex-A57", None)
    assert "memory.bandwidth_bytes_per_s" in facts["not_read"]


def test_a_machine_without_a_clock_gives_a_file_that_is_said_to_be_no_profile_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure_machine, "_survey_here", lambda *_: machine_survey(machine("virtual machine of a Mac")))
    file = tmp_path / "board.yaml"
    assert exit_code_of(["profiles", "measure", "-o", str(file)]) == ExitCode.HOST
    assert "not a valid profile yet: profile.yaml:" in capsys.readouterr().err
    assert "cpu.clock_hz" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["-o", "missing/board.yaml"], "missing/board.yaml: no such directory"),
        (["--models", "missing"], "--models"),
        (["--name", "Our Box"], "--name"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_measured(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code_of(["profiles", "measure", *arguments]) == ExitCode.USAGE
    assert problem in capsys.readouterr().err
