"""A bundle with its images: equal bytes, replayed without building, and its page's commands with Docker alone."""

import json
import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.integration.conftest import EMULATED, edgesim

pytestmark = [pytest.mark.emulation, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle")
    run = edgesim("run", "jetson-nano", "digits", *EMULATED, "--requests", "3", "-o", "r.json", cwd=directory)
    assert run.returncode == 0, run.stderr
    made = edgesim("bundle", "r.json", "-o", "digits.edgesim.tar", "--with-image", cwd=directory)
    assert made.returncode == 0, made.stderr
    return directory / "digits.edgesim.tar"


def test_bundle_made_twice_has_the_same_bytes_and_is_small_without_its_image(bundle: Path) -> None:
    again, small = bundle.with_name("again.tar"), bundle.with_name("small.tar")
    assert edgesim("bundle", "r.json", "-o", again, "--with-image", cwd=bundle.parent).returncode == 0
    assert edgesim("bundle", "r.json", "-o", small, cwd=bundle.parent).returncode == 0
    assert subprocess.run(["cmp", bundle, again], check=False).returncode == 0
    assert small.stat().st_size < 1 << 20 < bundle.stat().st_size
    again.unlink()


def test_replay_runs_the_images_of_the_bundle_and_passes(bundle: Path, tmp_path: Path) -> None:
    replayed = edgesim("replay", bundle, "-o", "new.json", "--json", cwd=tmp_path)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    items = {item["name"]: item for item in json.loads(replayed.stdout)["items"]}
    assert items["answers: probabilities"]["finding"].startswith("equal to the bit")
    assert items["memory_unreclaimable_bytes"]["verdict"] == "PASS"
    assert json.loads((tmp_path / "new.json").read_text())["image"]["reference"].startswith("edgesim/bundled:")


def test_commands_of_the_bundles_page_serve_the_model_with_docker_alone(bundle: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", bundle], cwd=tmp_path, check=True)
    (commands,) = re.findall(r"```sh\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    _, load, serve, ask = commands.strip().splitlines()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.run(load, shell=True, cwd=tmp_path, check=True)
    serve = serve.replace("docker run --rm", "docker run -d --rm").replace("-p 8000:", f"-p 127.0.0.1:{port}:")
    container = subprocess.check_output(serve, shell=True, cwd=tmp_path, text=True).strip()
    try:
        url = ask.removeprefix("curl ").replace("localhost:8000", f"127.0.0.1:{port}")
        for _ in range(120):
            try:
                assert json.load(urllib.request.urlopen(url))["name"] == "digits"
                break
            except OSError:
                time.sleep(1)
        else:
            pytest.fail("the server never answered")
    finally:
        subprocess.run(["docker", "rm", "-f", container], check=True, capture_output=True)
