"""The cells of a sweep as tables and files."""

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgesim.errors import HostError, ResultError
from edgesim.reports import formats
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.cell_result import Figure
from tests.support.cells import cell, failed
from tests.support.command_line import edgesim_here

OVERVIEW = SweepOverview(
    (
        cell(precision="fp32"),
        cell(precision="int8", ms=4.0),
        cell("rk3588", precision="int8", ms=None, figures={"device_time_ms.p50": Figure(note="not predicted: why")}),
        failed("rk3588", precision="fp32"),
    ),
    left_out=("no variant",),
)


def test_table_has_what_tells_cells_apart_and_what_came_of_each() -> None:
    table = OVERVIEW.table()
    assert OVERVIEW.heading == "4 cells: 2 boards, 1 model; 1 failed"
    assert table.heads[:4] == ("job", "profile", "model", "precision")
    assert [row[-1] for row in table.rows] == ["predicted", "predicted", "not predicted", "failed: OutOfMemory"]
    assert list(OVERVIEW.notes()) == [
        "rk3588 digits fp32: the model <b>needs</b> 5 GiB; a smaller model",
        "1 cell: not predicted: why",
        "left out: no variant",
    ]


def test_figures_of_two_hosts_are_two_columns_and_never_one() -> None:
    def measured(host: str, ms: float) -> dict[str, Figure]:
        return {"latency_ms.p50": Figure(value=ms, host=host)}

    cells = (cell(job="run", figures=measured("a", 3)), cell(job="run", host="b", figures=measured("b", 5)))
    rows = SweepOverview(cells).rows()
    assert [(row["latency_ms.p50@a"], row["latency_ms.p50@b"]) for row in rows] == [(3, None), (None, 5)]
    assert not any("latency_ms.p50" in row for row in rows)
    assert [row["device_time_ms.p50"] for row in rows] == [10, 10]


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_every_format_has_a_form_for_a_sweep(suffix: str) -> None:
    content = formats.render_sweep(OVERVIEW, Path(f"cells{suffix}")).decode()
    if suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(content)))
        assert [row["device_time_ms.p50"] for row in rows] == ["10.0", "4.0", "", ""]
    elif suffix == ".json":
        assert [row["result"] for row in json.loads(content)["cells"]][-1] == "failed: OutOfMemory"
    elif suffix == ".xml":
        kinds = [[child.tag for child in case] for case in ElementTree.fromstring(content).iter("testcase")]
        assert [("failure" in kind, "skipped" in kind) for kind in kinds] == [
            (False, False),
            (False, False),
            (False, True),
            (True, False),
        ]
    assert "<b>needs</b>" not in content or suffix in (".csv", ".json")


def test_parquet_has_a_row_for_each_cell_or_says_what_it_needs() -> None:
    try:
        from pyarrow import BufferReader, parquet
    except ModuleNotFoundError:
        with pytest.raises(HostError, match="needs pyarrow"):
            formats.render_sweep(OVERVIEW, Path("cells.parquet"))
        return
    table = parquet.read_table(BufferReader(formats.render_sweep(OVERVIEW, Path("cells.parquet"))))
    assert table.column("device_time_ms.p50").to_pylist() == [10, 4, None, None]


def test_report_of_a_directory_has_the_newest_result_of_each_cell(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for key, created, ms in (("1", "2026-01-01", 9.0), ("2", "2026-02-01", 5.0)):
        (tmp_path / "cells" / f"x.{key}.json").write_text(cell(key=key, created=created, ms=ms).as_json())
    overview = SweepOverview.read(tmp_path)
    assert [one.value("device_time_ms.p50") for one in overview.cells] == [5.0]
    shown = edgesim_here("report", tmp_path, "-o", tmp_path / "page.html", "-o", tmp_path / "cells.csv")
    assert shown.returncode == 0
    assert (tmp_path / "cells.csv").read_text().count("\n") == 2
    assert "1 cell: 1 board, 1 model" in edgesim_here("report", tmp_path).stdout


def test_rows_of_a_directory_are_in_the_order_of_boards_and_options(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for key, threads in (("a", 16), ("b", 2), ("c", 4)):
        for profile in ("jetson-nano-2gb", "jetson-nano"):
            text = cell(profile, key=key, settings={"threads": threads}).as_json()
            (tmp_path / "cells" / f"{profile}.{key}.json").write_text(text)
    rows = [(one.profile, one.settings["threads"]) for one in SweepOverview.read(tmp_path).cells]
    assert rows == [(profile, threads) for profile in ("jetson-nano", "jetson-nano-2gb") for threads in (2, 4, 16)]


def test_directory_without_a_cell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    with pytest.raises(ResultError, match="contains no result of a sweep"):
        SweepOverview.read(tmp_path)
