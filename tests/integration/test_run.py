"""The main job on a real engine, emulated."""

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

import edgesim as api
from edgesim import profiles
from edgesim.engine import docker_engine
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.predictions import predict
from tests.integration.conftest import EMULATED, begin, container_of, edgesim, wait_for
from tests.support.leftovers import assert_none_since, leftovers
from tests.support.this_host import ONE_IMAGE, ROUNDING, accuracy_on_this_host, board_memory

pytestmark = [pytest.mark.docker, pytest.mark.emulation]


def test_the_board_is_what_the_profile_says_as_seen_from_inside(digits_run: dict[str, Any]) -> None:
    device, nano = digits_run["device"], profiles.load("jetson-nano")
    assert digits_run["execution"] == "emulated"
    assert device["architecture"] == "aarch64"
    assert device["cpu_model"] == "cortex-a57"
    assert device["memory_limit_bytes"] == board_memory(nano)
    assert device["cpu_limit"] == min(nano.cpu.cores, docker_engine.Engine().facts.cores)
    assert device["intra_op_threads"] == device["cpu_limit"], "each thread has a whole core"
    assert device["qemu_cpu"] == "cortex-a57"
    for limit in device["limits"]:
        assert limit["applied"] == limit["requested"], limit["name"]


def test_the_emulated_core_lacks_what_the_board_lacks(digits_run: dict[str, Any]) -> None:
    features = set(digits_run["device"]["cpu_features"])
    assert {"fp", "asimd", "aes", "crc32"} <= features
    assert not features & {"asimddp", "asimdhp", "atomics", "sve", "i8mm"}


def test_the_server_can_do_no_more_than_serve(digits_run: dict[str, Any]) -> None:
    device = digits_run["device"]
    assert device["user_id"] != 0
    assert int(device["capabilities"], 16) == 0
    assert device["no_new_privileges"] is True
    assert device["read_only_root"] is True
    assert device["swap_limit_bytes"] in (0, None), "None where the kernel does not account for swap"


def test_the_board_is_as_accurate_as_this_host_over_http(digits_run: dict[str, Any], digits: Model) -> None:
    agreement = digits_run["agreement"]
    assert agreement["compared"] == 360
    stated = float(digits.metadata["test_accuracy"])  # scikit-learn's, which computes in double precision
    assert agreement["accuracy_host"] == pytest.approx(stated, abs=ONE_IMAGE)
    assert agreement["accuracy_device"] == pytest.approx(accuracy_on_this_host(digits), abs=ONE_IMAGE)
    assert agreement["accuracy_device"] >= 0.95
    assert agreement["same_class"] >= 1 - ONE_IMAGE
    assert agreement["max_abs_difference"] < ROUNDING


def test_a_run_measures_and_keeps_what_it_measured(digits_run: dict[str, Any]) -> None:
    assert digits_run["validity"]["valid"] is True
    assert digits_run["validity"]["reasons"] == []
    assert digits_run["complete"] is True
    assert digits_run["requests"]["sent"] == len(digits_run["samples"]) >= 5
    assert digits_run["requests"]["failed"] == 0
    assert digits_run["resources"]["cpu_seconds"] > 0
    assert 0 < digits_run["resources"]["memory_peak_bytes"] < digits_run["device"]["memory_limit_bytes"]
    assert len(digits_run["timeline"]) >= 2
    assert all(value > 0 for value in digits_run["lifecycle_s"].values())


def test_emulated_time_is_never_given_as_device_time(digits_run: dict[str, Any]) -> None:
    predicted = predict(profiles.load("jetson-nano"), repository.find("digits"))
    assert digits_run["device_time_ms"]["p50"] == predicted.p50_ms
    assert digits_run["device_time_ms"]["low"] <= predicted.p50_ms <= digits_run["device_time_ms"]["high"]
    assert "predicted" in digits_run["device_time_ms"]["method"]


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_second_build_does_nothing_and_says_so() -> None:
    assert edgesim("build", "jetson-nano").returncode == 0
    again = edgesim("build", "jetson-nano")
    assert "unchanged, nothing to build" in again.stdout
    built = json.loads(edgesim("build", "jetson-nano", "--json").stdout)
    inspected = json.loads(subprocess.check_output(["docker", "image", "inspect", built["id"]]))[0]
    assert inspected["Architecture"] == "arm64"
    assert inspected["Config"]["User"] not in ("", "0", "root")
    assert "edgesim" in inspected["Config"]["Labels"]


@pytest.mark.usefixtures("nothing_left_behind")
def test_byte_code_is_in_the_image_for_the_library_the_packages_and_the_server() -> None:
    reference = json.loads(edgesim("build", "jetson-nano", "--json").stdout)["reference"]
    script = (
        "import importlib.util as u, os, tempfile;"
        "tempfile.TemporaryFile();"
        "print([os.path.exists(u.cache_from_source(u.find_spec(m).origin))"
        " for m in ('json.decoder', 'numpy', 'onnxruntime', 'edgesim_server.routes')])"
    )
    command = ["docker", "run", "--rm", "--platform", "linux/arm64", "--label", "edgesim", "--entrypoint", "python3.11"]
    output = subprocess.check_output([*command, reference, "-c", script], text=True)
    assert output.strip() == "[True, True, True, True]"


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_model_that_does_not_fit_into_memory_is_named_with_the_figures(tiny_board: Path) -> None:
    done = edgesim("run", tiny_board, "resnet18", *EMULATED)
    assert done.returncode == 4
    assert "model resnet18 (44.6 MiB on disk) does not fit into memory together with the emulator" in done.stderr
    assert "killed at the board's memory limit of 100.0 MiB" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_container_killed_in_the_middle_of_a_run_ends_it_and_what_was_measured_is_kept(tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    running = begin("run", "jetson-nano", "digits", *EMULATED, "--duration", "60", "-o", result)
    wait_for(running, "single-stream")
    time.sleep(1)
    subprocess.check_call(["docker", "kill", container_of(running.pid)], stdout=subprocess.DEVNULL)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 4
    assert "the server ended with exit code 137 while measuring" in stderr
    kept = json.loads(result.read_text())
    assert kept["validity"]["valid"] is False
    assert kept["requests"]["ok"] > 0
    assert "INVALID" in stdout


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_board_that_another_program_pauses_is_no_slow_model_but_an_invalid_run(tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    running = begin("run", "x86-gateway", "digits", "--duration", "4", "-o", result)
    wait_for(running, "single-stream")
    container = container_of(running.pid)
    for verb in ("pause", "unpause"):
        time.sleep(0.5)
        subprocess.check_call(["docker", verb, container], stdout=subprocess.DEVNULL)
    running.communicate(timeout=60)
    assert running.returncode == 5
    reasons = json.loads(result.read_text())["validity"]["reasons"]
    assert any(reason.startswith("not paused: another program paused the board's container") for reason in reasons)


@pytest.mark.parametrize(("board", "reason"), [(False, "edgesim not stopped"), (True, "not paused")])
def test_a_signal_that_stops_edgesim_or_its_server_makes_the_run_invalid(
    board: bool, reason: str, tmp_path: Path
) -> None:
    result = tmp_path / "r.json"
    running = begin("run", "x86-gateway", "digits", "--engine", "local", "--duration", "2", "-o", result)
    wait_for(running, "single-stream")
    process = psutil.Process(running.pid)
    (server,) = (child for child in process.children() if "edgesim.server" in child.cmdline())
    for verb in (signal.SIGSTOP, signal.SIGCONT):
        time.sleep(0.5)
        (server if board else process).send_signal(verb)
    running.communicate(timeout=60)
    assert running.returncode == 5
    reasons = json.loads(result.read_text())["validity"]["reasons"]
    assert [each.partition(":")[0] for each in reasons] == [reason]


def interrupted(moment: str, delay_ms: int, result: Path) -> tuple[int, str]:
    """Return how a run ends, and what it said, that is interrupted so long after it announced a moment."""
    running = begin("run", "jetson-nano", "digits", *EMULATED, "--duration", "60", "-o", result)
    wait_for(running, moment)
    time.sleep(delay_ms / 1000)
    running.send_signal(2)
    _, stderr = running.communicate(timeout=60)
    return running.returncode, stderr


# At each stage, and at any moment of the talk with the engine.
INTERRUPTS = [
    *((moment, 0) for moment in ("starting edgesim", "waiting for the server", "first inference", "single-stream")),
    *(("looking at the engine", delay_ms) for delay_ms in (0, 10, 40, 160)),
]


@pytest.mark.usefixtures("nothing_left_behind")
def test_an_interrupt_at_any_moment_is_heard_and_leaves_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:  # most of a start is waiting
        results = (tmp_path / f"{number}.json" for number in range(len(INTERRUPTS)))
        endings = list(pool.map(interrupted, *zip(*INTERRUPTS, strict=True), results))
    for interrupt, (code, stderr) in zip(INTERRUPTS, endings, strict=True):
        assert code == 130, (interrupt, stderr)
        assert "interrupted" in stderr, interrupt
        assert "Traceback" not in stderr, interrupt


@pytest.mark.usefixtures("nothing_left_behind")
def test_an_interrupted_measurement_is_kept_as_an_invalid_one(tmp_path: Path) -> None:
    running = begin("run", "jetson-nano", "digits", *EMULATED, "--duration", "60", "-o", tmp_path / "r.json")
    wait_for(running, "single-stream")
    time.sleep(1)
    running.terminate()
    running.communicate(timeout=60)
    assert running.returncode == 130
    assert json.loads((tmp_path / "r.json").read_text())["validity"]["valid"] is False


def test_what_a_killed_run_left_behind_is_collected_and_a_living_one_s_is_not() -> None:
    # A test run that was killed on this engine before may have left something too.
    assert edgesim("gc").returncode == 0
    before = leftovers()
    running = begin("run", "jetson-nano", "digits", *EMULATED, "--duration", "60")
    wait_for(running, "single-stream")
    assert not leftovers() - before
    assert edgesim("gc").returncode == 0
    running.kill()
    running.communicate(timeout=60)
    (abandoned,) = leftovers() - before
    assert f"removed {abandoned}\n" in edgesim("gc").stdout
    assert_none_since(before, leftovers)


@pytest.mark.usefixtures("nothing_left_behind")
def test_two_runs_at_once_do_not_meet() -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: codes.append(
                edgesim("run", "jetson-nano", "digits", *EMULATED, "--requests", "3").returncode
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0]


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_board_serves_a_repository_from_python(digits: Any) -> None:
    with api.board("jetson-nano", models=digits.path.parents[2]) as board:
        with urllib.request.urlopen(f"{board.url}/v2/models/digits", timeout=30) as response:
            metadata = json.load(response)
        assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8]}]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{board.url}/v2/models/other", timeout=30)
        assert caught.value.code == 404
        assert "model 'other' is not served here" in json.load(caught.value)["error"]


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    for child in psutil.Process().children():
        if child.pid not in before:
            child.kill()


def test_the_emulator_s_share_of_the_memory_is_estimated_and_shown_apart(digits_run: dict[str, Any]) -> None:
    found = digits_run["emulator_memory"]
    assert found["share_bytes"] == found["floor_bytes"] - found["native_bytes"] > 1 << 20
    assert found["floor_bytes"] < digits_run["resources"]["memory_anon_bytes"] * 1.5


def test_resources_are_read_through_the_run_on_the_clock_of_the_samples(digits_run: dict[str, Any]) -> None:
    phases = {phase["name"]: phase for phase in digits_run["phases"]}
    assert list(phases) == ["first inference", "load", "comparison"]
    load = phases["load"]
    times = [reading["at_ns"] for reading in digits_run["timeline"]]
    assert times == sorted(times)
    assert load["begin_ns"] <= digits_run["samples"][0]["scheduled_ns"]
    assert sum(load["begin_ns"] < at < load["end_ns"] for at in times) >= 10, "three seconds at ten a second"
    resources = digits_run["resources"]
    assert resources["source"] in ("cgroup v1", "cgroup v2", "the engine's API")
    assert 0 < resources["memory_anon_bytes"] < resources["memory_peak_bytes"]
    assert resources["received_bytes"] > 100 * digits_run["requests"]["sent"]
    assert resources["processes"] == 1
    assert resources["threads"] > 1
    assert 0 < resources["cpu_percent_of_board"] <= 110


@pytest.mark.usefixtures("nothing_left_behind")
def test_boards_that_have_ended_keep_no_connection_to_the_engine() -> None:
    ended, files = [], []
    for _ in range(3):
        with api.board("x86-gateway", models=samples.ensure("digits")) as board:
            ended.append(board)
        files.append(psutil.Process().num_fds())
    assert files[-1] <= files[0]


@pytest.mark.usefixtures("nothing_left_behind")
def test_an_emulator_that_fails_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    running = begin("run", "jetson-nano", "digits", *EMULATED, "--requests", "5", "-o", tmp_path / "r.json")
    wait_for(running, "waiting for the server")
    time.sleep(0.5)
    subprocess.check_call(["docker", "kill", "--signal", "SEGV", container_of(running.pid)], stdout=subprocess.DEVNULL)
    stdout, stderr = running.communicate(timeout=120)
    assert running.returncode == 0, stderr
    assert "the emulator crashed, which says nothing about the model" in stderr
    assert json.loads((tmp_path / "r.json").read_text())["emulator_failures"] == 1
    assert "failed once by itself" in stdout


@pytest.mark.usefixtures("nothing_left_behind")
def test_containers_one_after_the_other_are_started_afresh(tmp_path: Path) -> None:
    done = edgesim(
        "run", "jetson-nano", "digits", *EMULATED, "--repeat", "2", "--requests", "20", "-o", tmp_path / "r.json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["restarts"]) == 2
    assert all(restart["lifecycle_s"]["start"] > 0 for restart in result["restarts"])
    assert "between containers" in done.stdout
