"""Results as runs of a real MLflow server, whose runs are in SQLite, by MLflow's own client."""

import json
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgesim.histories.history import history
from tests.conftest import write_model
from tests.support.histories import scaled
from tests.support.pages import ROOT

pytestmark = pytest.mark.long

_READ = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
experiment = client.get_experiment_by_name("edgesim").experiment_id
runs = client.search_runs([experiment])
print(json.dumps([
    [run.info.status, run.data.params, run.data.metrics, run.data.tags,
     sorted(file.path for file in client.list_artifacts(run.info.run_id))] for run in runs
]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with MLflow beside the packages of this one."""
    directory = tmp_path_factory.mktemp("mlflow") / "venv"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    packages = next((directory / "lib").glob("python*")) / "site-packages"
    (packages / "edgesim.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n{ROOT}\n")
    installed = subprocess.run(
        [directory / "bin" / "pip", "install", "-q", "mlflow"], check=False, capture_output=True, text=True
    )
    assert installed.returncode == 0, f"MLflow cannot be installed: {installed.stderr[-300:]}"
    return directory / "bin" / "python"


@pytest.fixture(scope="module")
def address(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server, without ``http://``."""
    directory = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["server", "--backend-store-uri", f"sqlite:///{directory}/runs.db", "--workers", "1", "--port", str(port)]
    command = [str(python), "-m", "mlflow", *words, "--artifacts-destination", str(directory / "artifacts")]
    with (directory / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for _ in range(240):
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
                time.sleep(0.5)
            else:
                pytest.fail((directory / "log").read_text()[-2000:])
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


def test_results_are_runs_with_their_report_and_no_password_is_printed(
    python: Path, address: str, tmp_path: Path
) -> None:
    scaled(50.0).write(tmp_path / "r.json")
    kept = history(tmp_path / "history")
    kept.add(*(scaled(50.0 + number, number=number) for number in range(1, 4)))
    secret = f"http://me:s3cr%40t@{address}"

    def edgesim(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(python), "-m", "edgesim.cli", *words, "--mlflow", secret]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = [edgesim("gate", "r.json", "--rule", "device_time_ms.p50 <= 120", "--json")]
    done += [edgesim("history", "export", "mlflow") for _ in range(2)]
    assert [command.returncode for command in done] == [6, 0, 0], done
    assert json.loads(done[0].stdout)["verdict"] == "INCONCLUSIVE"
    assert ["3 of 3" in done[1].stdout, "0 of 3" in done[2].stdout] == [True, True]
    assert all(word not in command.stdout + command.stderr for word in ("s3cr", "me:") for command in done)

    read = subprocess.run([python, "-c", _READ, f"http://{address}"], capture_output=True, text=True, check=True)
    runs = json.loads(read.stdout.splitlines()[-1])
    assert "s3cr" not in read.stdout
    assert sorted(metrics["latency_ms.p50"] for _, _, metrics, _, _ in runs) == [50.0, 51.0, 52.0, 53.0]
    assert {status for status, *_ in runs} == {"FINISHED"}
    ((_, parameters, _, tags, artifacts),) = [run for run in runs if "edgesim.verdict" in run[3]]
    assert (parameters["profile"], parameters["execution"]) == ("jetson-nano:MAXN", "scaled")
    assert (tags["edgesim.validity"], tags["edgesim.verdict"]) == ("VALID", "INCONCLUSIVE")
    assert len(tags["edgesim.fingerprint"]) == 12
    assert artifacts == ["entry.json", "report.html", "verdict.json"]


def test_a_sweep_is_a_run_with_one_below_it_for_each_cell_and_none_twice(
    python: Path, address: str, tmp_path: Path
) -> None:
    for name in ("net", "other"):
        write_model(tmp_path / f"{name}.onnx")

    def sweep(*models: str) -> str:
        boards = ("--profile", "jetson-nano", "--profile", "raspberry-pi-5")
        words = (*(word for model in models for word in ("--model", model)), "--set", "job=predict", "-o", "results")
        command = [str(python), "-m", "edgesim.cli", "sweep", *boards, *words, "--mlflow", f"http://{address}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "4 of 4 cells" in sweep("net.onnx", "other.onnx")
    assert "0 of 4 cells" in sweep("net.onnx", "other.onnx"), "the same cells are the same sweep"
    read = subprocess.run([python, "-c", _READ, f"http://{address}"], capture_output=True, text=True, check=True)
    runs = json.loads(read.stdout.splitlines()[-1])
    ((_, parameters, _, _, artifacts),) = [run for run in runs if "edgesim.sweep" in run[3]]
    assert (parameters["cells"], parameters["jobs"], artifacts) == ("4", "predict", ["sweep.html"])
    cells = [run for run in runs if "edgesim.cell" in run[3]]
    assert len(cells) == 4
    assert len({tags["mlflow.parentRunId"] for _, _, _, tags, _ in cells}) == 1
    assert {parameters["profile"].partition(":")[0] for _, parameters, *_ in cells} == {"jetson-nano", "raspberry-pi-5"}
    assert all(metrics["device_time_ms.p50"] > 0 for _, _, metrics, _, _ in cells)
    assert all(artifacts == ["cell.json"] for *_, artifacts in cells)
