"""Scaled runs: the board's time on this host. A benchmark shows how exact the time is on a quiet host."""

import json
import shutil
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgesim import inputs, profiles
from edgesim.boards.dial import Target
from edgesim.boards.launch import Launch
from edgesim.boards.start import start
from edgesim.errors import HostTooSlow
from edgesim.loadgen.client import Client
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, InputOptions
from edgesim.predictions import predict
from edgesim.progress import Stages
from edgesim.results.run_result import RunResult
from tests.integration.conftest import begin, edgesim, wait_for
from tests.support.serving import running_server, save, scale
from tests.support.this_host import board_memory

pytestmark = [pytest.mark.docker, pytest.mark.timing, pytest.mark.usefixtures("nothing_left_behind")]


@pytest.fixture(scope="module")
def mobilenet() -> Model:
    return repository.find("mobilenet_v2", samples.ensure("mobilenet_v2"))


@pytest.fixture(scope="module")
def scaled_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The result file of ``edgesim run jetson-nano mobilenet_v2 --execution scaled``."""
    path = tmp_path_factory.mktemp("scaled") / "r.json"
    done = edgesim("run", "jetson-nano", "mobilenet_v2", "--execution", "scaled", "-o", path)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_scaled_run_takes_about_the_predicted_time_and_says_how(scaled_run: dict[str, Any], mobilenet: Model) -> None:
    predicted = predict(profiles.load("jetson-nano"), mobilenet)
    (found,) = scaled_run["scaling"]["models"]
    assert scaled_run["execution"] == "scaled"
    assert scaled_run["emulated"] is None
    assert scaled_run["device_time_ms"]["p50"] == pytest.approx(predicted.p50_ms)
    assert scaled_run["device_time_ms"]["request"] == found["target_ms"] == pytest.approx(predicted.request_ms)
    assert found["host_ms"] < found["target_ms"]
    assert 0 < scaled_run["scaling"]["share"] <= scaled_run["host"]["cores"]
    # Other programs on the host may make the time longer; nothing makes it shorter.
    assert 0.9 < scaled_run["service_time_ms"]["p50"] / found["target_ms"] < 2
    assert len(found["tries"]) >= 1
    assert found["check_ms"] / found["target_ms"] - 1 == pytest.approx(found["error_percent"] / 100)
    assert "scale held" in {rule["name"] for rule in scaled_run["validity"]["rules"]}


def test_scaled_board_has_the_hosts_architecture_and_the_boards_memory(scaled_run: dict[str, Any]) -> None:
    device = scaled_run["device"]
    assert device["memory_limit_bytes"] == board_memory(profiles.load("jetson-nano"))
    assert device["cpu_limit"] == pytest.approx(scaled_run["scaling"]["share"])
    assert not device["features_missing"], "features of another architecture are not missing on the board"
    for limit in device["limits"]:
        assert limit["applied"] == limit["requested"], limit["name"]


@pytest.mark.emulation
def test_run_without_an_execution_is_scaled_and_emulated(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    done = edgesim("run", "jetson-nano", "mobilenet_v2", "--duration", "2", "-o", path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = RunResult.read(path)
    assert found.execution == "scaled"
    assert found.emulated is not None
    assert found.emulated.execution == "emulated"
    assert found.emulated.device.architecture == "aarch64"
    assert found.emulated.agreement is not None
    assert found.emulated.emulator_memory is not None
    assert found.emulated.requests.ok >= 3
    assert found.device_time_ms == found.emulated.device_time_ms
    lines = done.stdout.splitlines()
    assert "scaled (time) and emulated" in lines[0]
    assert any(line.startswith("device time") for line in lines[:4])
    assert "aarch64, cortex-a57" in done.stdout


FAST_BOARD = """
extends: jetson-nano
name: fast
title: A board that no host keeps up with
cpu:
  cores: 64
  clock_hz: 10_000_000_000
  fp32_flops_per_cycle: 64
  bandwidth: {copy_bytes_per_s: 1000 GB, fill_bytes_per_s: 1000 GB, read_bytes_per_s: 1000 GB}
memory: {bandwidth_bytes_per_s: 1000 GB}
default_mode: all
modes: {all: {cores: 64, clock_hz: 10_000_000_000}}
"""


@pytest.mark.emulation
@pytest.mark.long
def test_board_faster_than_this_host_is_emulated_alone(tmp_path: Path) -> None:
    board = tmp_path / "fast.yaml"
    board.write_text(FAST_BOARD)
    done = edgesim("run", board, "mobilenet_v2", "--requests", "3", "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = RunResult.read(tmp_path / "r.json")
    assert found.execution == "emulated"
    assert found.emulated is None
    assert found.not_scaled is not None
    assert "it cannot be slowed down to that" in found.not_scaled
    assert found.device_time_ms.p50 is not None
    assert "not scaled" in done.stdout
    alone = edgesim("run", board, "mobilenet_v2", "--execution", "scaled")
    assert alone.returncode == 3
    assert "it cannot be slowed down to that" in alone.stderr


def test_host_slower_than_the_board_is_an_error_and_leaves_nothing(mobilenet: Model) -> None:
    board = profiles.load("jetson-nano")
    arrays = inputs.choose(mobilenet, InputOptions()).requests[0]
    launch = Launch.of(board, [mobilenet], BoardOptions())
    launch = launch.scaled_to([Target(model=mobilenet, arrays=arrays, time_ms=0.05)])
    with pytest.raises(HostTooSlow, match=r"the board 0\.05 ms"), start(launch, Stages()):
        pass


@pytest.mark.long
def test_heat_slows_the_board_in_the_middle_of_a_run(tmp_path: Path) -> None:
    board = tmp_path / "hot.yaml"
    board.write_text(
        "extends: jetson-nano\nname: hot\ntitle: A board that gets hot\n"
        "thermal: {full_speed_s: 4, clock_hz: 500_000_000}\n"
        "power: {idle_w: 1.5, load_w: 5.5}\n"
    )
    path = tmp_path / "r.json"
    done = edgesim("run", board, "mobilenet_v2", "--execution", "scaled", "--duration", "10", "-o", path)
    found = RunResult.read(path)
    assert found.scaling is not None, done.stderr
    throttle = found.scaling.throttle
    assert throttle is not None
    assert throttle.before_ms is not None
    assert throttle.after_ms is not None
    assert throttle.target_ms > found.scaling.models[0].target_ms
    assert throttle.after_ms > 1.2 * throttle.before_ms
    assert "after 4 s of load" in " ".join(done.stdout.split())
    assert found.energy_j is not None
    assert found.device_time_ms.p50 is not None
    assert found.energy_j.per_inference == pytest.approx(5.5 * found.device_time_ms.p50 / 1e3)
    assert found.energy_j.above_idle == pytest.approx(4.0 * found.device_time_ms.p50 / 1e3)
    assert "estimated" in found.energy_j.method


@pytest.mark.long
def test_board_that_is_served_scaled_takes_each_models_time(tmp_path: Path, mobilenet: Model, resnet18: Model) -> None:
    for served in (mobilenet, resnet18):
        shutil.copytree(served.path.parents[1], tmp_path / "models" / served.name)
    running = begin("serve", "jetson-nano", "--models", tmp_path / "models", "--execution", "scaled", "--json")
    try:
        assert running.stdout is not None
        facts = json.loads(running.stdout.readline())
        assert facts["execution"] == "scaled"
        assert {found["name"] for found in facts["scaling"]["models"]} == {"mobilenet_v2", "resnet18"}
        for found, served in zip(facts["scaling"]["models"], (mobilenet, resnet18), strict=True):
            with closing(Client(facts["url"], served, timeout_s=60)) as peer:
                payload = peer.encode(inputs.choose(served, InputOptions()).requests[0])
                peer.infer(payload)
                begun = time.monotonic()
                assert peer.infer(payload).outcome == "ok"
                assert (time.monotonic() - begun) * 1e3 > 0.9 * found["target_ms"]
    finally:
        running.send_signal(2)
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 0, stderr


def test_interrupted_calibration_leaves_nothing() -> None:
    running = begin("run", "jetson-nano", "mobilenet_v2", "--execution", "scaled")
    wait_for(running, "finding the share")
    time.sleep(1)
    running.send_signal(2)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in stderr


@pytest.mark.emulation
@pytest.mark.long
def test_interrupt_before_the_emulated_half_keeps_the_scaled_half(tmp_path: Path) -> None:
    running = begin("run", "jetson-nano", "mobilenet_v2", "--duration", "2", "-o", tmp_path / "r.json")
    wait_for(running, "checking that the scaled times")
    wait_for(running, "waiting for the server")
    running.send_signal(2)
    stdout, stderr = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in stderr
    kept = RunResult.read(tmp_path / "r.json")
    assert kept.execution == "scaled"
    assert len(kept.samples) >= 5
    assert not kept.complete
    assert kept.validity.reasons[-1].startswith("emulated: ")
    assert "INVALID" in stdout


def test_only_a_paced_server_accepts_a_pace(tmp_path: Path) -> None:
    save(scale(2.0), tmp_path / "models", "m")

    def post(address: str, text: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{address}/edgesim/pace", text.encode(), timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    with running_server(tmp_path / "models") as server:
        assert post(server.address, '{"least_ms": {"m": 1}}') == 404
    with running_server(tmp_path / "models", "--paced") as server:
        assert post(server.address, '{"least_ms": {"m": 1.5}}') == 200
        assert post(server.address, '{"least_ms": [1]}') == 400
        assert post(server.address, '{"least_ms": {"m": "long"}}') == 400


def test_server_answers_at_the_pace_of_the_boards_gpu_with_all_of_its_cpu_share(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    target = "gpu:tensorrt-fp16"
    done = edgesim(
        "run", "jetson-nano", "digits", "--execution", "scaled", "--target", target, "--duration", "1", "-o", path
    )
    document = json.loads(path.read_text())
    (found,) = document["scaling"]["models"]
    assert document["device_time_ms"]["target"] == target
    assert document["device_time_ms"]["p50"] == document["targets"][target]["p50_ms"]
    assert document["targets"]["cpu"]["p50_ms"] != document["targets"][target]["p50_ms"]
    assert found["target_ms"] == document["device_time_ms"]["request"]
    assert {attempt["share"] for attempt in found["tries"]} == {document["scaling"]["share"]}
    assert "without a CPU share" in document["scaling"]["method"]
    # Other programs on the host may make the time longer, by any factor.
    assert found["host_ms"] < 0.8 * found["target_ms"]
    assert document["service_time_ms"]["p50"] > found["target_ms"] - found["host_ms"]
    assert f"time of {target}; an accelerator's time is predicted, never emulated" in " ".join(done.stdout.split())


def test_host_slower_than_the_boards_gpu_is_refused() -> None:
    done = edgesim("run", "jetson-agx-thor", "resnet18", "--execution", "scaled", "--target", "gpu:tensorrt-fp16")
    assert done.returncode == 3
    assert "it cannot be slowed down to that" in done.stderr
