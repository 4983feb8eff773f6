"""Boards on two workers of Dask, each with a Docker Engine of its own, and images that they share by a registry."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import other_engine
from tests.integration.conftest import begin, desk, edgesim
from tests.integration.other_engine import OtherEngine
from tests.support import dask_cluster, debian_registry
from tests.support.dask_cluster import DaskCluster

__all__ = ["desk"]

pytestmark = [pytest.mark.long, pytest.mark.docker, pytest.mark.timeout(900)]
NAMES = ("a", "b")


@pytest.fixture(scope="module")
def engines(pytestconfig: pytest.Config) -> Iterator[dict[str, OtherEngine]]:
    required = pytestconfig.getoption("--require-docker")
    with other_engine.running(required=required) as a, other_engine.running(required=required) as b:
        yield {"a": a, "b": b}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with debian_registry.served(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def cluster(engines: dict[str, OtherEngine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster.running(tmp_path_factory.mktemp("dask")) as started:
        for name in NAMES:
            _start_worker(started, name, engines)
        yield started


def _start_worker(cluster: DaskCluster, name: str, engines: dict[str, OtherEngine]) -> None:
    # Both workers are on one host: each is busy with the other one's board.
    cluster.start_worker(name, environment={"DOCKER_HOST": engines[name].host, "EDGESIM_MOST_BUSY_PERCENT": "100"})


def _words(desk: Path, cluster: DaskCluster, registry: str, output: Path, *requests: int) -> list[str]:
    counts = ",".join(map(str, requests))
    return [
        *("sweep", "--profile", str(desk), "--model", "digits", "--set", "job=run", "--set", f"requests={counts}"),
        *("--scheduler", cluster.address, "--registry", registry, "-o", str(output)),
    ]


def _containers(engine: OtherEngine) -> list[str]:
    return engine.docker("ps", "-aq", "--filter", "label=edgesim").split()


def _wait_for_board(engine: OtherEngine, *, there: bool) -> None:
    until = time.monotonic() + 120
    while bool(_containers(engine)) != there:
        assert time.monotonic() < until, "the board does not start" if there else "the board stays"
        time.sleep(0.2)


def test_image_is_built_once_and_both_workers_run_boards(
    cluster: DaskCluster, engines: dict[str, OtherEngine], registry: str, desk: Path, tmp_path: Path
) -> None:
    done = edgesim(*_words(desk, cluster, registry, tmp_path / "out", 5, 6, 7, 8), "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert len(cells) == 4
    assert not any(cell["error"] for cell in cells), cells
    images = {
        name: engine.docker("images", "--no-trunc", "--format", "{{.ID}}", f"{registry}/edgesim/jetson").split()
        for name, engine in engines.items()
    }
    assert images["a"] == images["b"] != []


def test_board_of_a_worker_that_is_killed_is_taken_down_and_its_cell_done_elsewhere(
    cluster: DaskCluster, engines: dict[str, OtherEngine], registry: str, desk: Path, tmp_path: Path
) -> None:
    sweeping = begin(*_words(desk, cluster, registry, tmp_path / "out", 11, 12, 13))
    _wait_for_board(engines["a"], there=True)
    cluster.kill("a")
    _wait_for_board(engines["a"], there=False)
    _, errors = sweeping.communicate(timeout=300)
    assert sweeping.returncode == 0, errors
    assert "is gone, with desk digits" in errors
    assert len(list((tmp_path / "out" / "cells").glob("*.result.json"))) == 3
    _start_worker(cluster, "a", engines)


def test_interrupt_takes_down_the_boards_of_all_workers(
    cluster: DaskCluster, engines: dict[str, OtherEngine], registry: str, desk: Path, tmp_path: Path
) -> None:
    sweeping = begin(*_words(desk, cluster, registry, tmp_path / "out", 21, 22, 23))
    for engine in engines.values():
        _wait_for_board(engine, there=True)
    sweeping.send_signal(signal.SIGINT)
    _, errors = sweeping.communicate(timeout=120)
    assert sweeping.returncode == 130, errors
    for engine in engines.values():
        _wait_for_board(engine, there=False)
    again = edgesim(*_words(desk, cluster, registry, tmp_path / "out", 21, 22, 23), timeout=600)
    assert again.returncode == 0, again.stderr
