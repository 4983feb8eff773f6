"""A board on another machine: a second engine with an address of its own, which is another machine to edgesim."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.host import identity
from tests.integration.conftest import edgesim
from tests.integration.other_engine import OtherEngine
from tests.support.command_line import edgesim_here
from tests.support.this_host import ROUNDING_OF_A_VERSION, whole_pages

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]


def test_board_runs_natively_on_another_machine_and_the_result_names_it(
    other_engine: OtherEngine, desk: Path, tmp_path: Path
) -> None:
    options = ("--context", other_engine.address, "--requests", "70")
    done = edgesim("run", desk, "digits", *options, "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert (document["execution"], document["host"]["emulator"]) == ("native", None)
    assert document["host"]["context"].startswith(other_engine.address)
    assert other_engine.address in done.stdout
    device = document["device"]
    assert (device["mount"], device["memory_limit_bytes"]) == ("volume", whole_pages(2_000_000_000))
    assert any("latency: includes the network to" in words for words in device["shortfalls"])
    assert not any(limit["proven"] for limit in device["limits"]), "probes concern this host"
    assert document["agreement"]["max_abs_difference"] < ROUNDING_OF_A_VERSION
    assert document["resources"]["cpu_seconds"] > 0
    assert document["device_time_ms"]["method"].startswith(f"the time of {other_engine.address}")
    applied = {limit["name"]: limit["applied"] for limit in device["limits"]}
    assert (applied["cpus"], applied["processes"]) == (device["cpu_limit"], None), (
        "only what the server finds inside its container"
    )
    assert other_engine.docker("ps", "--all", "--quiet") == ""


def test_machine_behind_a_context_is_read_by_a_container_and_is_not_the_board(
    other_engine: OtherEngine, desk: Path, tmp_path: Path
) -> None:
    board = tmp_path / "board.yaml"
    board.write_text(desk.read_text().replace("core: host", "core: some-core").replace("name: desk", "name: product"))
    options = ("--context", other_engine.address, "--requests", "70")
    done = edgesim("run", board, "digits", *options, "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["execution"] == "same-architecture"
    host, here = document["host"], identity.of_this_host()
    assert (host["same_architecture"], host["is_the_board"]) == (True, False)
    assert here.cores[0].core in {compared["host"] for compared in host["compared"]}, "the second engine runs here"
    assert document["device_time_ms"]["p50"] is None
    assert "include the network" in document["not_scaled"]
    refused = edgesim("run", board, "digits", "--context", other_engine.address, "--execution", "native")
    assert refused.returncode == 2
    assert "is not proven to be the board" in refused.stderr
    assert other_engine.docker("ps", "--all", "--quiet") == ""


def test_named_context_serves_the_checked_model(other_engine: OtherEngine, desk: Path, tmp_path: Path) -> None:
    environment = os.environ | {"DOCKER_CONFIG": str(tmp_path)}
    create = ["docker", "context", "create", "board1", "--docker", f"host={other_engine.address}"]
    subprocess.run(create, env=environment, capture_output=True, check=True)
    done = edgesim("check", desk, "digits", "--context", "board1", "--json", env=environment)
    assert (done.returncode, json.loads(done.stdout)["execution"]) == (0, "native"), done.stderr
    listed = edgesim("volumes", "list", "--context", "board1", "--json", env=environment)
    assert [volume["models"] for volume in json.loads(listed.stdout)] == [["digits"]]
    examined = edgesim("doctor", "--context", "board1", env=environment)
    assert "arm64 through QEMU" in examined.stdout or "not needed: board1 runs" in examined.stdout
    assert edgesim("gc", "--context", "board1", env=environment).stdout == "nothing was left behind\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mount", "bind"], "--mount bind: {machine} cannot see this host's files"),
        (["--results", "."], "--results: {machine} cannot see this host's files"),
        (["--execution", "scaled"], "each request's time would include the network to {machine}"),
        (["--engine", "local"], "--engine local: uses no Docker Engine, and --context"),
    ],
)
def test_options_that_need_this_hosts_files_are_refused_before_any_work(
    other_engine: OtherEngine, options: list[str], words: str
) -> None:
    done = edgesim_here("run", "jetson-nano", "digits", "--context", other_engine.address, *options)
    assert (done.returncode, words.format(machine=other_engine.machine) in done.stderr) == (2, True), done.stderr


@pytest.mark.emulation
@pytest.mark.timeout(300)
@pytest.mark.long
def test_board_of_another_architecture_is_emulated_on_a_machine_that_has_an_emulator(
    other_engine: OtherEngine, tmp_path: Path
) -> None:
    options = ("--context", other_engine.address, "--requests", "5", "-o", tmp_path / "r.json")
    done = edgesim("run", "jetson-nano", "digits", *options)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert (document["execution"], document["device"]["qemu_cpu"]) == ("emulated", "cortex-a57")
    assert document["device"]["architecture"] == "aarch64"


@pytest.mark.long
@pytest.mark.timeout(300)
def test_two_models_take_turns_on_another_machine(other_engine: OtherEngine, desk: Path, tmp_path: Path) -> None:
    rules = [f"--rule={rule}" for rule in ("latency_ms.p50: +900 %", "memory_peak_bytes: +200 %")]
    sides, where = ("--base", "digits", "--cand", "digits"), ("--context", other_engine.address)
    done = edgesim("gate", desk, *sides, *where, *rules, "--max-rounds", "5", "-o", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for side in ("base", "candidate"):
        document = json.loads((tmp_path / f"{side}.json").read_text())
        assert document["host"]["context"].startswith(other_engine.address)
        assert (document["interleaved"]["side"], len(document["restarts"])) == (side, 5)
    assert other_engine.docker("ps", "--all", "--quiet") == ""


def test_engine_that_does_not_answer_is_named(desk: Path) -> None:
    done = edgesim_here("run", desk, "digits", "--context", "tcp://127.0.0.1:1")
    assert (done.returncode, "no Docker Engine answers at tcp://127.0.0.1:1" in done.stderr) == (3, True), done.stderr


@pytest.mark.long
def test_another_machine_is_measured_in_a_container_there(other_engine: OtherEngine, tmp_path: Path) -> None:
    file = tmp_path / "board.yaml"
    done = edgesim("profiles", "measure", "--context", other_engine.address, "--name", "there", "-o", file)
    assert done.returncode == 0, done.stderr
    there, here = profiles.load(file), identity.of_this_host()
    assert (there.cpu.brand, there.cpu.cores) == (here.cores[0].core, here.count)
    assert there.system is not None
    assert there.system.kernel is not None
    assert os.uname().release.startswith(f"{there.system.kernel}.")
    assert there.cpu.bandwidth.copy_bytes_per_s is not None
    assert there.storage[0].read_bytes_per_s is not None
    assert other_engine.docker("ps", "--all", "--quiet") == ""
