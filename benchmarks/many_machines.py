"""What it costs to send cells to workers of Dask, and how much of two engines on one machine twelve boards use.

The first part sends cells of no work: all CPU time is what Dask and edgesim need to place them and to take results.
The second part runs the same boards in one process with one engine, and on two workers with an engine each that share
their image by a registry. It takes root, dockerd and Debian's docker-registry.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from edgesim.models import samples
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.sweep import SweepResult, sweep
from edgesim.sweeps.workers.dask_executor import DaskExecutor
from tests.integration import other_engine
from tests.integration.conftest import DESK
from tests.support import dask_cluster, debian_registry
from tests.support.dask_cluster import DaskCluster

COUNTS = (1_000, 10_000)
WORKERS = ("a", "b")
REQUESTS = range(5, 17)
_NO_WORK = """
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.workers import worker
def nothing(cell):
    no = dict.fromkeys(("created", "edgesim_version", "profile", "board", "model", "host"), "")
    return CellResult(key=cell.key, job=cell.job, **no)
worker.run_cell = nothing
"""


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU time of a process until now."""
    return sum(process.cpu_times()[:2])


def send(cells: list[Cell], cluster: DaskCluster) -> tuple[float, float]:
    """Send cells; return the CPU time of the scheduler and of this process for each, in milliseconds."""
    processes = [psutil.Process(cluster.processes["scheduler"].pid), psutil.Process()]
    with DaskExecutor(cluster.address) as executor:
        left, under_way = list(cells), 0
        before = [cpu_s(process) for process in processes]
        while left or under_way:
            while left and under_way < executor.most:
                executor.submit(left.pop())
                under_way += 1
            executor.next_result()
            under_way -= 1
        spent = [cpu_s(process) - begun for process, begun in zip(processes, before, strict=True)]
    scheduler, own = (1e3 * seconds / len(cells) for seconds in spent)
    return scheduler, own


def no_work(directory: Path) -> None:
    """Print the cost of cells of no work."""
    (directory / "no_work.py").write_text(_NO_WORK)
    (cell,) = plan(Matrix.of(["jetson-nano"], ["digits"])).cells
    print("| cells of no work on two workers, CPU time for each | scheduler | the sweep's process |\n|---|---:|---:|")
    with dask_cluster.running(directory) as cluster:
        for name in WORKERS:
            cluster.start_worker(name, preload=directory / "no_work.py")
        send([replace(cell, label=f"first-{number}") for number in range(100)], cluster)  # also imports
        for count in COUNTS:
            cells = [replace(cell, label=f"{count}-{number}") for number in range(count)]
            scheduler, own = send(cells, cluster)
            print(f"| {count:,} | {scheduler:.2f} ms | {own:.2f} ms |")


def boards(directory: Path) -> None:
    """Print how long boards take on one engine and on two."""
    desk = directory / "desk.yaml"
    desk.write_text(DESK)
    settings = {"job": ["run"], "requests": list(REQUESTS)}
    matrix = Matrix.of([str(desk)], ["digits"], settings)
    first = Matrix.of([str(desk)], ["digits"], {"job": ["run"], "requests": [1, 2]})

    def timed(name: str, executor: DaskExecutor | None = None) -> tuple[SweepResult, float]:
        begun = time.monotonic()
        result = sweep(matrix, directory / name, executor=executor)
        assert not result.failed, [cell.error for cell in result.failed]
        return result, time.monotonic() - begun

    with (
        other_engine.running(required=True) as a,
        other_engine.running(required=True) as b,
        debian_registry.served(directory) as registry,
        dask_cluster.running(directory) as cluster,
    ):
        for name, engine in zip(WORKERS, (a, b), strict=True):
            environment = {"DOCKER_HOST": engine.host, "EDGESIM_MOST_BUSY_PERCENT": "100"}
            cluster.start_worker(name, environment=environment)
        for executor in (None, DaskExecutor(cluster.address, registry)):  # the image is built, pushed and pulled
            sweep(first, directory / f"first-{executor is None}", executor=executor)
        alone, one_s = timed("one")
        _, two_s = timed("two", DaskExecutor(cluster.address, registry))
    sum_s = sum(cell.seconds for cell in alone.cells)
    print(f"\n| {len(alone.cells)} boards | seconds | to the sum of the cells alone |\n|---|---:|---:|")
    print(f"| the cells alone, in sum | {sum_s:.1f} | 1 |")
    print(f"| in one process, one engine | {one_s:.1f} | {one_s / sum_s:.2f} |")
    print(f"| on two workers, an engine each | {two_s:.1f} | {two_s / sum_s:.2f} |")


def main() -> None:
    samples.ensure("digits")
    for part in (no_work, boards):
        with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as directory:
            part(Path(directory))


if __name__ == "__main__":
    main()
