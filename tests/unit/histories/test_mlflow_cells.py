"""The cells of a sweep as runs of MLflow, without a server."""

from pathlib import Path
from typing import Any

from edgesim.histories import mlflow_cells
from edgesim.histories.mlflow_runs import Record
from tests.support.cells import cell, failed


class Server:
    """The runs of an MLflow server, in memory."""

    def __init__(self) -> None:
        self.runs: list[tuple[Record, str | None]] = []
        self.updated: list[str] = []

    def add(self, record: Record, *, parent: str | None = None) -> str:
        self.runs.append((record, parent))
        return str(len(self.runs) - 1)

    def update(self, run_id: str, artifacts: Any) -> None:
        self.updated.append(run_id)

    def with_tag(self, tag: str, value: str) -> str | None:
        return next((str(i) for i, (run, _) in enumerate(self.runs) if run.tags.get(tag) == value), None)

    def tags_below(self, parent: str, tag: str) -> set[str]:
        return {run.tags[tag] for run, above in self.runs if above == parent and run.status == "FINISHED"}


def log(server: Server, *cells: Any) -> int:
    return mlflow_cells.log(server, cells, (), Path("results"))[1]  # type: ignore[arg-type]


def test_a_sweep_is_logged_once_and_a_cell_that_failed_again() -> None:
    cells = cell("jetson-nano", "net"), failed("jetson-nano", "large")
    server = Server()
    assert log(server, *cells) == 2
    assert log(server, *cells) == 1
    assert [(run.status, parent) for run, parent in server.runs] == [
        ("FINISHED", None),
        ("FINISHED", "0"),
        ("FAILED", "0"),
        ("FAILED", "0"),
    ]
    assert server.updated == ["0"], "the sweep's page is written anew"
    assert server.runs[2][0].tags["edgesim.error"] == "the model <b>needs</b> 5 GiB"


def test_other_cells_are_another_sweep() -> None:
    server = Server()
    log(server, cell("jetson-nano", "net"))
    log(server, cell("jetson-nano", "net"), cell("jetson-nano", "large"))
    assert sum(parent is None for _, parent in server.runs) == 2
