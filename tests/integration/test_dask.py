"""A sweep on real workers of a real scheduler; its cells are predictions, slowed down."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import distributed
import pytest

from tests.conftest import write_model
from tests.integration.conftest import begin, edgesim, wait_for
from tests.support.dask_cluster import DaskCluster, running

# Makes each prediction take a while, and ends the first worker that gets a cell of one model.
_PRELOAD = """
import os, pathlib, signal, time
from edgesim.sweeps.run_cell import run_cell  # not the worker's, which Dask may have replaced: it loads this file twice
from edgesim.sweeps.workers import worker
planted = pathlib.Path(os.environ["PLANTED"])
def slow(cell):
    time.sleep(0.3)
    if cell.label == "deadly" and not planted.exists():
        planted.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_cell(cell)
worker.run_cell = slow
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    directory = tmp_path_factory.mktemp("dask")
    (directory / "preload.py").write_text(_PRELOAD)
    with running(directory) as started:
        for name in ("a", "b"):
            _start_worker(started, name)
        yield started


def _start_worker(cluster: DaskCluster, name: str) -> None:
    directory = cluster.directory
    environment = {"PLANTED": str(directory / "planted"), "EDGESIM_CACHE_DIR": str(directory / f"{name}-cache")}
    cluster.start_worker(name, preload=directory / "preload.py", environment=environment)


def _models(directory: Path, *names: str) -> str:
    for name in names:
        write_model(directory / "models" / f"{name}.onnx", shape=(1, 4 + len(name)))
    return f"{directory}/models/*"


# Four boards.
BOARDS = ("--profile", "raspberry-pi-?", "--profile", "raspberry-pi-zero-2")


def _cells(directory: Path) -> list[Path]:
    return sorted((directory / "cells").glob("*.json"))


def test_cells_of_a_worker_that_is_killed_are_done_by_the_other_one(cluster: DaskCluster, tmp_path: Path) -> None:
    models = _models(tmp_path, "deadly", "other")
    words = [
        "sweep",
        *BOARDS,
        "--model",
        models,
        "--scheduler",
        cluster.address,
    ]
    done = edgesim(*words, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["cells"]) == len(_cells(tmp_path / "out")) == 8
    assert "is gone, with" in done.stderr
    (survivor,) = [name for name in ("a", "b") if cluster.processes[name].poll() is None]
    trees = list((cluster.directory / f"{survivor}-cache" / "sweep-files").glob("[0-9a-f]*"))
    assert len(trees) == 2, "each model came once"
    dead = "ab".replace(survivor, "")
    cluster.processes.pop(dead).wait()
    _start_worker(cluster, dead)


def test_interrupt_cancels_what_is_queued_and_leaves_the_workers_idle(cluster: DaskCluster, tmp_path: Path) -> None:
    models = _models(tmp_path, "one", "two", "three")
    sweeping = begin("sweep", "--profile", "*", "--model", models, "--scheduler", cluster.address, "-o", tmp_path / "o")
    wait_for(sweeping, "cells")
    while not _cells(tmp_path / "o"):
        assert sweeping.poll() is None
    sweeping.send_signal(signal.SIGINT)
    _, errors = sweeping.communicate(timeout=60)
    assert sweeping.returncode == 130
    assert "cells are done: repeat the command for the others" in errors
    assert "Traceback" not in errors
    with distributed.Client(cluster.address, set_as_default=False) as client:
        assert not any(client.processing().values())


def test_scheduler_that_is_killed_loses_no_cell_that_is_done(cluster: DaskCluster, tmp_path: Path) -> None:
    models = _models(tmp_path, "one", "two")
    words = [
        "sweep",
        *BOARDS,
        "--model",
        models,
        "-o",
        str(tmp_path / "out"),
    ]
    sweeping = begin(*words, "--scheduler", cluster.address)
    while len(_cells(tmp_path / "out")) < 2:
        assert sweeping.poll() is None
    cluster.kill("scheduler")
    _, errors = sweeping.communicate(timeout=60)
    assert sweeping.returncode == 3
    (problem,) = [line for line in errors.splitlines() if "no longer answers" in line]
    assert "of 8 cells are done" in problem
    assert "Traceback" not in errors
    kept = len(_cells(tmp_path / "out"))
    again = edgesim(*words, "--json")
    assert again.returncode == 0, again.stderr
    assert kept >= 2
    assert len(_cells(tmp_path / "out")) == 8


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], 3, "--scheduler tcp://127.0.0.1:9: no Dask scheduler answers"),
        (["--scheduler", "http://x"], 2, "--scheduler http://x:"),
        (["--registry", "x:5000"], 2, "--registry: is for the workers of a --scheduler"),
    ],
)
def test_address_that_is_none_is_refused_in_one_line(words: list[str], code: int, problem: str, tmp_path: Path) -> None:
    models = _models(tmp_path, "one")
    done = edgesim("sweep", "--profile", "rk3588", "--model", models, "-o", tmp_path / "out", *words)
    assert done.returncode == code, done.stderr
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
