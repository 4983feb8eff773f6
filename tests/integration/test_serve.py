"""`edgesim serve`: the simulated board as an endpoint."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from edgesim.cli._serving import curl_line
from edgesim.models.repository import Model
from edgesim.server.rpc.messages import SERVICE, TYPES
from tests.integration.conftest import begin, edgesim
from tests.support.command_line import edgesim_here
from tests.support.serving import running_server, save, scale
from tests.support.waiting import eventually

BOARD = [pytest.mark.emulation, pytest.mark.usefixtures("nothing_left_behind")]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    save(scale(2.0), tmp_path / "models", "m")
    return tmp_path / "models"


def stop(running: "subprocess.Popen[str]") -> tuple[int, str]:
    running.send_signal(2)
    _, stderr = running.communicate(timeout=60)
    return running.returncode, stderr


def ask(url: str, model: str) -> float:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}).encode()
    with urllib.request.urlopen(f"{url}/v2/models/{model}/infer", body, timeout=30) as answer:
        return float(json.load(answer)["outputs"][0]["data"][0])


@pytest.mark.parametrize(
    "engine", [pytest.param("local", id="local"), pytest.param("docker", id="docker", marks=pytest.mark.emulation)]
)
@pytest.mark.usefixtures("nothing_left_behind")
def test_it_gives_an_address_a_line_that_works_and_stops_with_a_count(repository: Path, engine: str) -> None:
    running = begin("serve", "jetson-nano", "--models", repository, "--engine", engine)
    try:
        assert running.stdout is not None
        assert running.stderr is not None
        url = running.stdout.readline().strip()
        line = next(line for line in running.stderr if line.startswith("curl "))
        answer = json.loads(subprocess.check_output(["bash", "-c", line]))
        sent = re.search(r'"data": ?\[([^\]]+)\]', line)
        assert sent is not None, line
        assert answer["outputs"][0]["data"] == [pytest.approx(2 * float(sent[1]))]
        assert ask(url, "m") == 2.0
    finally:
        code, stderr = stop(running)
    assert code == 0
    assert "2 requests answered, 0 failed" in stderr


@pytest.mark.emulation
@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("local", id="local"),
        # Builds a serving image of its own, which has grpcio.
        pytest.param("docker", id="docker", marks=[pytest.mark.emulation, pytest.mark.long]),
    ],
)
@pytest.mark.usefixtures("nothing_left_behind")
def test_board_with_grpc_says_where_it_answers_and_answers_there(repository: Path, engine: str) -> None:
    running = begin("serve", "jetson-nano", "--models", repository, "--engine", engine, "--grpc", "--json")
    try:
        assert running.stdout is not None
        facts = json.loads(running.stdout.readline())
        message = TYPES["ModelInferRequest"](model_name="m", raw_input_contents=[np.float32(1).tobytes()])
        message.inputs.add(name="x", datatype="FP32", shape=[1])
        with grpc.insecure_channel(facts["grpc_address"]) as channel:
            call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
            answer = TYPES["ModelInferResponse"].FromString(call(message.SerializeToString(), timeout=60))
        assert np.frombuffer(answer.raw_output_contents[0], np.float32).tolist() == [2.0]
        assert ask(facts["url"], "m") == 2.0
    finally:
        code, stderr = stop(running)
    assert code == 0
    assert "2 requests answered, 0 failed" in stderr


@pytest.mark.usefixtures("nothing_left_behind")
def test_what_changes_on_the_host_shows_in_the_container_and_an_idle_board_rests(repository: Path) -> None:
    running = begin("serve", "jetson-nano", "--models", repository, "--watch", "--json")
    try:
        assert running.stdout is not None
        url = json.loads(running.stdout.readline())["url"]
        save(scale(3.0), repository, "m", 2)
        save(scale(5.0), repository, "new")
        eventually(lambda: ask(url, "m") == 3.0 and ask(url, "new") == 5.0, timeout_s=60)
        shutil.rmtree(repository / "m" / "2")
        eventually(lambda: ask(url, "m") == 2.0, timeout_s=60)
        before = _cpu_seconds(url)
        time.sleep(3)
        assert _cpu_seconds(url) - before < 1.5
    finally:
        code, _ = stop(running)
    assert code == 0


def _cpu_seconds(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("process_cpu_seconds_total ")))


@pytest.mark.usefixtures("nothing_left_behind")
def test_a_broken_model_is_left_out_and_the_others_are_served(repository: Path) -> None:
    (repository / "broken" / "1").mkdir(parents=True)
    (repository / "broken" / "1" / "model.onnx").write_text("no model")
    running = begin("serve", "jetson-nano", "--models", repository, "--engine", "local")
    try:
        assert running.stdout is not None
        assert ask(running.stdout.readline().strip(), "m") == 2.0
    finally:
        code, stderr = stop(running)
    assert code == 0
    assert "model broken is left out" in stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--port", "TAKEN"], "Address already in use"),
        (["--image-port", "8080"], "--image-port: needs an image other than edgesim's own"),
        (["--image", "some/image", "--engine", "local"], "image some/image needs --engine docker"),
        (["--image", "some/image", "--grpc"], "--grpc: needs edgesim's own server"),
        (["--image", "some/image", "--watch"], "--watch: needs edgesim's own server"),
        (["--image", "some/image", "--image-health", "ready"], "image.health_path"),
        (["--image", "Some Image"], "image.reference"),
        (["--env", "THREADS"], "--env THREADS: not NAME=VALUE"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    repository: Path, taken_port: int, options: list[str], words: str
) -> None:
    given = [str(taken_port) if option == "TAKEN" else option for option in options]
    done = edgesim_here("serve", "jetson-nano", "--models", repository, *given)
    assert done.returncode == 2
    assert words in done.stderr


def test_the_line_for_large_inputs_sends_zeros_as_they_are(tmp_path: Path, resnet18: Model) -> None:
    with running_server(resnet18.path.parents[2], "--model", "resnet18") as server:
        line = curl_line(f"http://{server.address}", resnet18)
        answer = json.loads(subprocess.check_output(["bash", "-c", line]))
    assert "binary_data_size" in line
    assert answer["outputs"][0]["shape"] == [1, 1000]


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left_behind")
def test_an_image_that_nobody_has_is_named_with_how_to_get_it(digits: Model) -> None:
    done = edgesim("run", "jetson-nano", "digits", "--image", "127.0.0.1:1/none:1")
    assert done.returncode == 4
    assert "the engine has no image '127.0.0.1:1/none:1', and cannot pull the image" in done.stderr
    assert "fix:" in done.stderr
