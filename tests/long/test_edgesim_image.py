"""edgesim's own image, built, and run as a job or a pod runs it: non-root, with a read-only root, without a network."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import write_model
from tests.integration.conftest import edgesim

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900), pytest.mark.usefixtures("nothing_left_behind")]

STRANGER = 54321  # a user that the image does not know
SOCKET = Path("/var/run/docker.sock")


@pytest.fixture(scope="module")
def image() -> str:
    done = edgesim("build", "--self", "--json", timeout=900)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["reference"])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory of the stranger's with a model in it."""
    if os.getuid() != 0:
        pytest.skip("only root can give files to another user")
    write_model(tmp_path / "net.onnx")
    for path in (tmp_path, tmp_path / "net.onnx"):
        os.chown(path, STRANGER, STRANGER)
    return tmp_path


def run(image: str, work: Path, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = ["docker", "run", "--rm", "--label", "edgesim", "--read-only", "--tmpfs", "/tmp"]
    command += ["--user", f"{STRANGER}:{STRANGER}", "-v", f"{work}:/work", *options, image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


NO_NETWORK = ("--network", "none")


def test_image_is_kept_while_its_content_stays(image: str) -> None:
    again = json.loads(edgesim("build", "--self", "--json").stdout)
    assert (again["reference"], again["cached"]) == (image, True)


def test_image_names_a_user_that_is_not_root_and_its_packages_fit_each_other(image: str, work: Path) -> None:
    facts = json.loads(subprocess.check_output(["docker", "image", "inspect", image]))[0]["Config"]
    assert (facts["User"], facts["WorkingDir"]) == ("65532:65532", "/work")
    shell = ("--entrypoint", "sh", *NO_NETWORK)
    script = "python3 -m pip check && edgesim --version && git --version && docker buildx version && id -un 65532"
    done = run(image, work, "-c", script, options=shell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No broken requirements" in done.stdout
    assert run(image, work, "-c", "command -v dockerd", options=shell).returncode != 0, "no engine is inside"


def test_image_predicts_and_runs_without_an_engine_or_a_network(image: str, work: Path) -> None:
    done = run(image, work, "predict", "jetson-nano", "net.onnx", "--json", options=NO_NETWORK)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    local = ("run", "jetson-nano", "net.onnx", "--engine", "local", "--requests", "20", "-o", "result.json")
    done = run(image, work, *local, options=NO_NETWORK)
    assert done.returncode == 0, done.stderr
    result = json.loads((work / "result.json").read_text())
    assert (result["execution"], result["requests"]["failed"]) == ("host", 0)
    assert (work / "result.json").stat().st_uid == STRANGER
    gated = run(image, work, "gate", "result.json", "--rule", "device_time_ms.p50 <= 0.000000001", options=NO_NETWORK)
    assert gated.returncode == 1, gated.stderr


def test_doctor_in_the_image_says_how_the_container_gets_an_engine(image: str, work: Path) -> None:
    done = run(image, work, "doctor", "--json", options=NO_NETWORK)
    assert done.returncode == 3, done.stderr
    diagnoses = {each["name"]: each for each in json.loads(done.stdout)}
    assert [name for name, each in diagnoses.items() if each["status"] == "problem" and name != "base"] == ["engine"]
    assert "-v /var/run/docker.sock" in diagnoses["engine"]["fix"]


@pytest.mark.skipif(not SOCKET.is_socket(), reason="the engine has no socket at its usual place")
def test_image_runs_a_board_on_the_engine_whose_socket_it_has(image: str, work: Path, desk: Path) -> None:
    assert edgesim("build", desk).returncode == 0
    socket = ("-v", f"{SOCKET}:{SOCKET}", "--group-add", str(SOCKET.stat().st_gid))
    (work / "desk.yaml").write_bytes(desk.read_bytes())
    volume = f"edgesim-test-{os.getpid()}"
    words = ("run", "desk.yaml", "net.onnx", "--requests", "20", "--mount", "volume", "--volume", volume)
    done = run(image, work, *words, "-o", "result.json", options=socket)
    subprocess.run(["docker", "volume", "rm", "-f", volume], capture_output=True, check=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((work / "result.json").read_text())["device"]["mount"] == "volume"
