"""Text reports at any width: no figure is cut, no line is padded, no number is parted from its unit."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

import edgesim
from edgesim import predictions
from edgesim.models.repository import Model
from edgesim.reports.formats import terminal
from edgesim.reports.formats.text_layout import Entries, Entry, TextTable, wrap
from edgesim.reports.tables import Table, figure
from edgesim.results.run_result import RunResult
from edgesim.results.sections import Distribution, Level, Restart, Spread
from tests.support import results
from tests.unit.reports.test_formats import compared


def lines_of(rendered: RenderableType, *, width: int = 80, is_terminal: bool = False) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=is_terminal, markup=False, highlight=False)
    console.print(rendered)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


def slow(result: RunResult) -> RunResult:
    """A run with times of an emulator, several containers and several rates."""
    statistics = dict.fromkeys(("min", "mean", "p50", "p90", "p95", "p99", "p99_9"), 3920.4567)
    times = Distribution.model_validate({**statistics, "max": 259_200.5, "samples": 99})
    restart = Restart(
        lifecycle_s=result.lifecycle_s.model_copy(update={"start": 12.5, "steady": 123.4}),
        first_sample=0,
        samples=1000,
        latency_ms=times,
        service_time_ms=times,
    )
    level = Level(
        qps=1234.5,
        achieved_qps=1200.5,
        requests=12000,
        failed=1000,
        latency_ms=times,
        service_time_ms=times,
        lag_ms=times,
        valid=False,
        held=False,
    )
    return result.model_copy(
        update={
            "latency_ms": times,
            "service_time_ms": times,
            "lag_ms": times,
            "query_latency_ms": times,
            "restarts": (restart, restart),
            "levels": (level,),
            "spread": {"latency_ms": Spread(mean=3920, within=1.5, between=0.25)},
        }
    )


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("kind", ["run", "stack", "comparison"])
@pytest.mark.parametrize("width", [80, 60])
def test_reports_are_neither_cut_nor_padded(result: RunResult, kind: str, width: int, is_terminal: bool) -> None:
    rendered = {
        "run": terminal.render_result(slow(result)),
        "stack": terminal.render_stack(results.of_a_stack()),
        "comparison": terminal.render_comparison(compared(result, different=("kernel: 6.1 and 6.2",))),
    }[kind]
    lines = lines_of(rendered, width=width, is_terminal=is_terminal)
    wide = lines_of(rendered, width=1000)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []
    assert not any("…" in line for line in lines)
    assert set(" ".join(wide).split()) == set(" ".join(lines).split()), "every word is there, and in one piece"


def test_times_of_seconds_fit_a_line_of_80_columns(result: RunResult) -> None:
    lines = lines_of(terminal.render_result(slow(result)))
    row = next(line for line in lines if line.startswith("service time"))
    assert row.split()[2:] == [*["3920"] * 7, "259200"]


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(0.0, "0.00"), (0.0123, "0.012"), (45.956, "45.96"), (99.999, "100.0"), (392.04, "392.0"), (3920.4, "3920")],
)
def test_a_figure_has_four_digits_from_100_ms_on(milliseconds: float, words: str) -> None:
    assert figure(Distribution(p50=milliseconds), "p50") == words


def test_lines_break_at_blanks_but_not_between_a_number_and_its_unit() -> None:
    lines = wrap("anonymous 109.6 MiB, page cache 44.0 MiB; in re-used /a/path-with-dashes", 20)
    assert lines == ["anonymous 109.6 MiB,", "page cache 44.0 MiB;", "in re-used", "/a/path-with-dashes"]


def test_a_table_that_is_too_wide_is_shown_in_parts_with_the_first_column() -> None:
    table = Table("t", ("name", *"abcdef"), (("one", *["1234567890"] * 6),))
    lines = lines_of(TextTable(table, titled=False), width=40)
    assert [line.split()[0] for line in lines if line] == ["name", "one"] * 2
    assert sum(line.count("1234567890") for line in lines) == 6


def test_labels_stand_above_their_words_where_the_terminal_is_narrow() -> None:
    entry = Entry(labels=(("INCONCLUSIVE", ""), ("memory_peak_bytes <= 512MiB", "")), words="not known", lead="1 B")
    assert lines_of(Entries([entry]), width=50) == ["INCONCLUSIVE  memory_peak_bytes <= 512MiB", "  1 B  not known"]


def test_a_result_prints_in_one_line(result: RunResult, tmp_path: Path) -> None:
    expected = "<RunResult: net on NVIDIA Jetson Nano (MAXN), emulated; device time not known; INVALID>"
    result.write(tmp_path / "r.json")
    assert repr(result) == str(result) == repr(RunResult.read(tmp_path / "r.json")) == expected
    stack = "<StackResult: shop|floor on NVIDIA Jetson Nano (MAXN), emulated, 2 services; 200 requests answered,"
    assert repr(results.of_a_stack()) == f"{stack} 0 failed; INVALID>"


def test_a_notebook_shows_a_stack_as_tables() -> None:
    shown = results.of_a_stack()._repr_html_()
    assert shown.count("<table>") == 2
    assert "<th>detector</th>" in shown


def test_a_prediction_prints_in_one_line_and_a_notebook_shows_its_slowest_nodes(digits: Model) -> None:
    prediction = predictions.predict("jetson-nano", digits)
    assert re.fullmatch(r"<Prediction: device time \S+ ms \(.+ to .+ ms\), 4 threads, \d+ nodes>", repr(prediction))
    assert len(repr(prediction)) < 200
    shown = prediction._repr_html_()
    assert shown.startswith("<div><p><b>device time ")
    assert 1 < shown.count("<tr>") <= 11


def test_the_public_face_draws_a_result_for_notebooks(result: RunResult) -> None:
    assert edgesim.notebook_html(result) == result._repr_html_()
