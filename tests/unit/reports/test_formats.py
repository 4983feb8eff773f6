"""Reports as files: every format says the same about a result, and shows only what was measured."""

import csv
import itertools
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console, RenderableType

from edgesim.cli import _summaries
from edgesim.errors import UsageError
from edgesim.options import Execution
from edgesim.recording import Reading, Sample
from edgesim.reports import formats, phrases
from edgesim.reports.comparison import Change, Comparison, interval_notes
from edgesim.reports.formats import csv_rows, html, json_summary, junit, markdown, notebook, terminal
from edgesim.reports.formats.html import plots, thinning
from edgesim.reports.formats.html.plot import Side
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    HOST_CORE,
    AgreementSection,
    ComparedSection,
    DeviceTimeSection,
    Distribution,
    Level,
    PublishedSection,
    RuleSection,
    ScaledModelSection,
    ScalingSection,
    TargetSection,
    ValiditySection,
)
from tests.support import results

CAVEAT = "no published figure for <this> core | an extrapolation"


@pytest.fixture
def doubtful(result: RunResult) -> RunResult:
    """A run with a headline, caveats, a failed request, and letters that a format must escape."""
    return result.model_copy(
        update={
            "model": result.model.model_copy(update={"name": "net_<b>|@all`"}),
            "device_time_ms": DeviceTimeSection(p50=45.9, low=29.9, high=70.4, method="predicted", notes=(CAVEAT,)),
            "samples": (*result.samples, Sample(3 * 10**9, 3 * 10**9, 4 * 10**9, 'timeout, a "long" one')),
            "validity": ValiditySection(
                valid=False,
                reasons=("no failures: 1 of 2 requests failed",),
                suspicions=("host quiet: others took 40 %",),
                suspect=True,
                rules=(
                    RuleSection(name="no failures", verdict="invalid", finding="1 of 2 requests failed"),
                    RuleSection(name="host quiet", verdict="suspect", finding="others took 40 %"),
                    RuleSection(name="no out-of-memory kill", verdict="unknown", finding="not counted"),
                ),
            ),
        }
    )


def compared(result: RunResult, *, different: tuple[str, ...] = ()) -> Comparison:
    changes = (
        Change("latency_ms.p50", "20", "30", "+50.0 %", "+48.0 to +52.0 %", {"change": 0.5, "by": "containers"}),
    )
    return Comparison(
        base=result,
        candidate=result,
        base_file="a.json",
        candidate_file="b.json",
        different=different,
        changes=changes,
        notes=tuple(interval_notes(changes)),
    )


def plain(document: str) -> str:
    """Return Markdown, or a page's text, without its escapes."""
    for mark, letter in (
        ("\\", ""),
        ("\u200b", ""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#34;", '"'),
    ):
        document = document.replace(mark, letter)
    return document


def printed(rendered: RenderableType) -> str:
    console = Console(width=400, no_color=True, markup=False)
    with console.capture() as capture:
        console.print(rendered)
    return capture.get()


def on_a_terminal(result: RunResult) -> str:
    return printed(terminal.render_result(result))


def test_every_format_has_the_same_headline_and_caveats(doubtful: RunResult) -> None:
    reports = {
        "terminal": on_a_terminal(doubtful),
        "markdown": plain(markdown.render_result(doubtful)),
        "page": plain(html.render_result(doubtful, "r.json")),
        "json": json_summary.render_result(doubtful, "r.json"),
    }
    for name, report in reports.items():
        for words in (
            "45.9 ms",
            "29.9 to 70.4 ms",
            CAVEAT,
            "never to be compared",
            "INVALID",
            "no failures: 1 of 2 requests failed",
            "host quiet: others took 40 %",
        ):
            assert words.lower() in report.lower(), f"{name}: {words}"


def test_every_format_says_that_the_device_time_is_not_known(result: RunResult) -> None:
    for report in (on_a_terminal(result), markdown.render_result(result), html.render_result(result, "r.json")):
        assert "not known" in report
        assert "nothing is predicted" in report


def everywhere(result: RunResult) -> dict[str, str]:
    return {
        "terminal": on_a_terminal(result),
        "markdown": plain(markdown.render_result(result)),
        "page": plain(html.render_result(result, "r.json")),
        "notebook": plain(notebook.render(result)),
        "junit": plain(junit.render_result(result)),
    }


def test_every_format_calls_the_time_of_a_profile_with_the_core_of_its_host_this_hosts(doubtful: RunResult) -> None:
    profile = doubtful.profile.model_copy(update={"core": HOST_CORE})
    gateway = doubtful.model_copy(update={"execution": "native", "profile": profile})
    for name, report in everywhere(gateway).items():
        assert "this host's time" in report.lower(), name
        assert "device time" not in report.lower(), name
    assert _summaries.of_result(gateway).count("this host's") == 2 - (gateway.latency_ms.p50 is None)


def test_a_summary_of_one_line_says_why_a_run_is_invalid(doubtful: RunResult) -> None:
    requests = doubtful.requests.model_copy(update={"ok": 1})
    for reasons, end in (
        (("enough requests: 1 answered, 3 needed",), ", 1 request: enough requests: 1 answered, 3 needed"),
        (("a: b", "c: d", "e: f"), ", 1 request: a: b (and 2 reasons more)"),
    ):
        validity = doubtful.validity.model_copy(update={"valid": False, "reasons": reasons})
        line = _summaries.of_result(doubtful.model_copy(update={"validity": validity, "requests": requests}))
        assert line.startswith("INVALID  ")
        assert line.endswith(end)
    valid = doubtful.validity.model_copy(update={"valid": True, "reasons": ()})
    line = _summaries.of_result(doubtful.model_copy(update={"validity": valid, "requests": requests}))
    assert line.endswith(", 1 request")


def test_every_format_says_what_makes_a_host_the_board_or_not(doubtful: RunResult) -> None:
    beside, on_board = everywhere(results.beside_the_board(doubtful)), everywhere(results.on_the_board(doubtful))
    for name in ("terminal", "markdown", "page"):
        assert "core Neoverse-N1, the board's Cortex-A57" in beside[name], name
        assert "this host's time, not a board's" in beside[name].lower(), name
        assert "proven by core Cortex-A57" in on_board[name], name
        assert "measured on the board" in on_board[name].lower(), name


def test_features_beyond_the_boards_core_are_a_caveat_on_the_answers(doubtful: RunResult) -> None:
    device = doubtful.device.model_copy(update={"features_extra": ("asimddp", "sve")})
    beside = results.beside_the_board(doubtful.model_copy(update={"device": device}))
    for name in ("terminal", "markdown", "page"):
        report = everywhere(beside)[name]
        assert "this host has asimddp sve, which the board's lacks" in report, name
        assert "answers may come from other kernels than the board's; an emulated run uses" in report, name


@pytest.mark.parametrize(("architecture", "context"), [("x86_64", None), ("aarch64", "tcp://ci (runner)")])
def test_no_emulated_run_is_suggested_where_there_is_none(
    doubtful: RunResult, architecture: str, context: str | None
) -> None:
    device = doubtful.device.model_copy(update={"features_extra": ("avx2",), "architecture": architecture})
    beside = results.beside_the_board(doubtful.model_copy(update={"device": device}))
    report = everywhere(beside.model_copy(update={"host": beside.host.model_copy(update={"context": context})}))
    for name in ("terminal", "markdown", "page"):
        assert f"{context or 'this host'} has avx2, which the board's lacks" in report[name], name
        assert "answers may come from other kernels than the board's" in report[name], name
        assert "emulated run" not in report[name], name


def test_the_page_of_an_overloaded_board_shows_the_device_time_and_not_the_queue(result: RunResult) -> None:
    model = ScaledModelSection(
        name="net", target_ms=41.4, host_ms=6.0, host_cpu_ms=6.0, pace_ms=None, calibrated_ms=41.3, check_ms=41.5
    )
    scaling = ScalingSection(share=0.3, quota_us=1000, period_us=4000, threads=1, method="share", models=(model,))
    scenario = result.scenario.model_copy(update={"name": "server", "qps": 30.0})
    overloaded = result.model_copy(
        update={
            "execution": "scaled",
            "scaling": scaling,
            "scenario": scenario,
            "service_time_ms": Distribution(p50=2196.0),
            "device_time_ms": DeviceTimeSection(p50=41.4, low=27.0, high=63.5, method="predicted"),
        }
    )
    plot = plots.device_time([Side(overloaded)])
    assert plot is not None
    assert plot.figure.layout.xaxis.range[1] < 100


def level(**facts: Any) -> Level:
    """Return one request rate of a sweep, at 30 requests/s."""
    times = Distribution(p50=2196.0)
    known: dict[str, Any] = {"qps": 30.0, "achieved_qps": 24.0, "requests": 662, "failed": 0, "valid": True}
    return Level(**(known | facts), latency_ms=times, service_time_ms=times, lag_ms=times)


def test_every_format_says_which_rates_of_a_sweep_the_board_keeps_up_with(result: RunResult) -> None:
    swept = result.model_copy(update={"levels": (level(overloaded=True), level(qps=10.0, overloaded=False))})
    for report in (on_a_terminal(swept), markdown.render_result(swept), html.render_result(swept, "r.json")):
        assert "overload" in report
        assert "keeps up" in report
        assert "INVALID at" not in report


def test_every_format_says_why_a_rate_of_a_sweep_is_invalid(result: RunResult) -> None:
    late = level(valid=False, reasons=("generator on time: late",))
    swept = result.model_copy(update={"levels": (late,)})
    for report in (on_a_terminal(swept), markdown.render_result(swept), html.render_result(swept, "r.json")):
        assert "INVALID at 30 requests/s: generator on time: late" in report


def test_every_format_says_that_a_time_is_the_cpus_on_a_board_that_has_more(doubtful: RunResult) -> None:
    words = "CPU only: no time is predicted for the board's Maxwell GPU, 128 cores"
    profile = doubtful.profile.model_copy(update={"accelerator": "Maxwell GPU, 128 cores"})
    on_jetson = doubtful.model_copy(update={"profile": profile})
    for result, count in ((on_jetson, 1), (doubtful, 0)):
        for report in (
            on_a_terminal(result),
            plain(markdown.render_result(result)),
            plain(html.render_result(result, "r.json")),
            json_summary.render_result(result, "r.json"),
        ):
            assert report.count(words) == count


def test_every_format_has_the_time_of_each_target_or_the_reason_why_there_is_none(doubtful: RunResult) -> None:
    profile = doubtful.profile.model_copy(update={"accelerator": "Maxwell GPU, 128 cores"})
    fast = TargetSection(p50_ms=3.25, low_ms=2.5, high_ms=4.25, method="as TensorRT runs it")
    none = TargetSection(p50_ms=None, low_ms=None, high_ms=None, method="none: no fast path for int8")
    targets = {"cpu": fast, "gpu:tensorrt-fp16": fast, "gpu:tensorrt-int8": none}
    result = doubtful.model_copy(update={"profile": profile, "targets": targets})
    reports = [
        on_a_terminal(result),
        plain(markdown.render_result(result)),
        plain(html.render_result(result, "r.json")),
        notebook.render(result),
    ]
    for report in reports:
        for words in ("gpu:tensorrt-fp16", "3.25", "2.50 to 4.25", "not predicted: no fast path for int8"):
            assert words in report
        assert report.count("an accelerator's time is predicted, never emulated") <= 2
    assert "predicted, never emulated" in reports[0]
    assert 'name="gpu:tensorrt-fp16" value="3.25 ms (2.50 to 4.25 ms)"' in junit.render_result(result)
    assert json.loads(json_summary.render_result(result, "r.json"))["targets"]["gpu:tensorrt-fp16"]["p50_ms"] == 3.25
    on_gpu = result.device_time_ms.model_copy(update={"target": "gpu:tensorrt-fp16"})
    text = on_a_terminal(result.model_copy(update={"device_time_ms": on_gpu}))
    assert "of gpu:tensorrt-fp16; an accelerator's time is predicted, never emulated" in " ".join(text.split())
    assert "\ncpu " in text, "the other targets stand below"


def test_reports_show_published_figures_of_the_network_with_their_sources(doubtful: RunResult) -> None:
    figure = PublishedSection(
        ms=11.4,
        model="resnet18",
        board="Jetson Nano",
        power_mode="not stated",
        runtime="TensorRT",
        release="JetPack 4.6",
        measure="GPU compute time",
        stat="median",
        source="somebody/repository:table.md@abc",
    )
    section = TargetSection(p50_ms=12.0, low_ms=9.0, high_ms=15.0, method="as TensorRT runs it", published=(figure,))
    result = doubtful.model_copy(update={"targets": {"gpu:tensorrt-fp16": section}})
    for report in (
        " ".join(on_a_terminal(result).split()),
        plain(markdown.render_result(result)),
        plain(html.render_result(result, "r.json")),
    ):
        assert "11.4" in report
        assert "resnet18 on Jetson Nano; TensorRT; JetPack 4.6; GPU compute time (median)" in report
        assert "somebody/repository:table.md@abc" in report


def test_a_board_without_accelerators_says_nothing_of_targets(doubtful: RunResult) -> None:
    only = {"cpu": TargetSection(p50_ms=3.25, low_ms=2.5, high_ms=4.25, method="by nodes")}
    result = doubtful.model_copy(update={"targets": only})
    for render in (on_a_terminal, markdown.render_result, junit.render_result):
        assert render(result) == render(doubtful)
    page = html.render_result(result, "r.json")
    assert "predicted for each target" not in page
    assert "by nodes" not in page


def test_a_models_name_neither_breaks_markdown_nor_mentions_a_user(doubtful: RunResult) -> None:
    heading = markdown.render_result(doubtful).splitlines()[0]
    assert r"net\_\<b\>\|" in heading
    assert "@all" not in heading


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(doubtful: RunResult) -> None:
    lines = markdown.render_result(doubtful).splitlines() + markdown.render_comparison(compared(doubtful)).splitlines()
    bars = [line.replace("\\|", "").count("|") if line.startswith("|") else 0 for line in lines]
    tables = [list(group) for is_row, group in itertools.groupby(bars, key=bool) if is_row]
    assert len(tables) == 3
    assert all(len(set(table)) == 1 for table in tables)


def test_csv_has_a_row_for_each_request_and_no_latency_for_a_failed_one(doubtful: RunResult) -> None:
    rows = list(csv.DictReader(csv_rows.render_result(doubtful, "r.json").splitlines()))
    assert [row["outcome"] for row in rows] == ["ok", 'timeout, a "long" one']
    assert rows[0]["latency_ms"] == "2500.0"
    assert rows[1]["latency_ms"] == ""


def test_csv_of_two_results_names_the_side_of_each_request(doubtful: RunResult) -> None:
    rows = list(csv.DictReader(csv_rows.render_comparison(compared(doubtful)).splitlines()))
    assert [row["result"] for row in rows] == ["base", "base", "candidate", "candidate"]


def test_json_has_all_figures_and_no_requests(doubtful: RunResult) -> None:
    document = json.loads(json_summary.render_result(doubtful, "r.json"))
    assert document["latency_ms"]["mean"] == 2500.0
    assert document["headline"] == "45.9 ms (29.9 to 70.4 ms)"
    assert not {"samples", "timeline"} & set(document)


def test_junit_has_a_case_for_each_rule_of_validity_and_the_headline(doubtful: RunResult) -> None:
    suite = ElementTree.fromstring(junit.render_result(doubtful))
    cases = {case.get("name"): case for case in suite.findall("testcase")}
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    assert cases["no failures"].find("failure") is not None
    assert cases["host quiet"].findtext("system-out") == "suspect: others took 40 %"
    assert cases["no out-of-memory kill"].find("skipped") is not None
    properties = {element.get("name"): element.get("value") for element in suite.iter("property")}
    assert properties["device time"] == "45.9 ms (29.9 to 70.4 ms)"


def test_junit_has_a_failed_case_for_a_reason_without_a_rule(result: RunResult) -> None:
    suite = ElementTree.fromstring(junit.render_result(result))
    assert [case.get("name") for case in suite.iter("testcase")] == ["enough requests"]
    assert suite.get("failures") == "1"


def test_every_format_says_that_two_results_are_not_comparable(doubtful: RunResult) -> None:
    comparison = compared(doubtful, different=("kernel: 6.1 and 6.2",))
    for report in (html.render_comparison(comparison), markdown.render_comparison(comparison)):
        assert "NOT COMPARABLE" in report
        assert "kernel: 6.1 and 6.2" in report
    assert "NOT COMPARABLE: kernel: 6.1 and 6.2" in printed(terminal.render_comparison(comparison))
    assert json.loads(json_summary.render_comparison(comparison))["different"] == ["kernel: 6.1 and 6.2"]


def test_every_format_of_a_comparison_has_both_headlines_and_both_validities(doubtful: RunResult) -> None:
    comparison = compared(doubtful)
    shown = {
        "terminal": printed(terminal.render_comparison(comparison)),
        "markdown": plain(markdown.render_comparison(comparison)),
        "page": plain(html.render_comparison(comparison)),
    }
    for name, report in shown.items():
        for words in ("29.9 to 70.4 ms", CAVEAT, "no failures: 1 of 2 requests failed", "others took 40 %"):
            assert report.count(words) >= 2, f"{name}: {words}"
        assert "+48.0 to +52.0 %" in report
        assert "intervals are between containers, and hold for the next container" in report.lower()


def test_device_times_that_lie_far_apart_get_a_logarithmic_axis(doubtful: RunResult) -> None:
    slow = doubtful.model_copy(
        update={"device_time_ms": DeviceTimeSection(p50=46_123.0, low=30_000.0, high=70_000.0, method="predicted")}
    )
    near, far = (
        plots.device_time([Side(doubtful, "a"), Side(other, "b"), Side(doubtful, "c")]) for other in (doubtful, slow)
    )
    assert near is not None
    assert far is not None
    assert near.figure.layout.xaxis.type is None
    assert far.figure.layout.xaxis.type == "log"
    assert far.rows[1] == ("b", "30,000", "46,120", "70,000")


def test_junit_declines_a_comparison(doubtful: RunResult) -> None:
    with pytest.raises(UsageError, match="it is not a verdict"):
        junit.render_comparison(compared(doubtful))


@pytest.mark.parametrize("name", ["r.pdf", "report", "r.htm"])
def test_an_unknown_suffix_is_refused_and_the_known_ones_are_named(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        formats.format_of(Path(name))
    assert name in caught.value.problem
    assert ".html, .md, .json, .xml, .csv" in caught.value.fix


def test_a_page_loads_nothing_from_elsewhere(doubtful: RunResult) -> None:
    page = html.render_result(doubtful, "r.json")
    for mark in ('src="', "@import", "url(", 'href="http'):
        assert mark not in page, mark
    assert "<b>|" not in page, "a model's name is text"


def test_columns_hold_every_request_once_and_only_measured_values() -> None:
    generator = np.random.default_rng(1)
    at_s, values = np.sort(generator.random(5000)), generator.random(5000)
    columns = thinning.columns(at_s, values, most=50)
    which = np.minimum(((at_s - at_s.min()) / columns.width_s).astype(int), 49)
    for i in range(50):
        inside = np.sort(values[which == i])
        assert (columns.least[i], columns.largest[i]) == (inside[0], inside[-1])
        assert columns.median[i] == inside[(len(inside) - 1) // 2]


def test_requests_that_were_all_due_at_once_are_one_column() -> None:
    columns = thinning.columns(np.zeros(3000), np.arange(3000.0))
    assert (len(columns.at_s), columns.least[0], columns.largest[0]) == (1, 0.0, 2999.0)


def test_columns_are_not_drawn_across_the_gap_between_two_containers() -> None:
    at_s = np.concatenate([np.linspace(0, 1, 2000), np.linspace(5, 6, 2000)])
    columns = thinning.columns(at_s, np.ones(4000))
    first, second = columns.split([5.0])
    assert first.at_s[-1] < 1.1
    assert second.at_s[0] > 4.9
    assert len(first.at_s) + len(second.at_s) == len(columns.at_s) == len(second.largest) + len(first.median)


def test_a_curve_goes_through_the_nearest_ranks_up_to_the_largest() -> None:
    values = np.arange(1.0, 1001.0)
    shares, times = thinning.curve(np.random.default_rng(0).permutation(values), failed=0)
    assert times[-1] == 1000.0
    assert np.all(np.diff(times) > 0)
    assert np.allclose(times, np.ceil(1000 * shares))


def test_failed_requests_push_a_curve_to_the_left_as_infinitely_long() -> None:
    shares, times = thinning.curve(np.full(90, 5.0), failed=10)
    assert shares[-1] <= 0.9
    assert set(times) == {5.0}


def test_cpu_between_two_readings_never_spans_two_containers() -> None:
    readings = [Reading(round(at * 1e9), cpu, 1) for at, cpu in ((0, 0.0), (1, 0.5), (3, 0.7), (5, 0.1), (6, 0.4))]
    parts = thinning.by_container(readings)
    rates = [thinning.rates(part, "cpu_seconds") for part in parts]
    assert rates == [[None, 50.0, pytest.approx(10.0)], [None, pytest.approx(30.0)]]
    assert thinning.rates(parts[0], "throttled_s") == [None, None, None]


def test_thinned_readings_keep_the_memory_peak_and_the_cpu_time() -> None:
    readings = [Reading(i * 10**8, i * 0.05, 10**9 if i == 4321 else 100) for i in range(9000)]
    (thinned,) = thinning.by_container(readings)
    assert len(thinned) <= 1501
    assert max(reading.memory_bytes or 0 for reading in thinned) == 10**9
    assert thinned[-1].cpu_seconds == readings[-1].cpu_seconds


def test_a_notebook_shows_headline_and_caveats_and_escapes_names(doubtful: RunResult) -> None:
    shown = doubtful._repr_html_()
    for words in ("device time 45.9 ms", "(29.9 to 70.4 ms)", "INVALID", "host quiet: others took 40 %", "latency"):
        assert words in shown
    assert "net_<b>" not in shown
    assert "never to be compared" in shown


def test_a_notebook_without_plotly_shows_the_table_and_what_to_install(
    doubtful: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "find_spec", lambda name: None)
    shown = doubtful._repr_html_()
    assert "<table>" in shown
    assert "pip install 'edgesim[report]'" in shown


@pytest.mark.parametrize(
    ("other_release", "words"),
    [
        (None, "this host ran ONNX Runtime 1.16.3"),
        ("no wheel", "this host ran ONNX Runtime 1.16.3, not the board's: no wheel"),
    ],
)
def test_the_report_says_which_release_the_answers_are_compared_with(
    doubtful: RunResult, other_release: str | None, words: str
) -> None:
    agreement = AgreementSection(compared=1, max_abs_difference=0.0, reference="1.16.3", other_release=other_release)
    facts = phrases.facts(doubtful.model_copy(update={"agreement": agreement, "emulated": None}))
    answers = next(fact.words for fact in facts if fact.label == "answers")
    assert answers.endswith(words)


@pytest.mark.parametrize(("execution", "old"), [("host", False), ("same-architecture", True)])
def test_host_of_the_architecture_that_is_not_the_board_is_compared_with_it(
    result: RunResult, execution: Execution, old: bool
) -> None:
    core = ComparedSection(name="core", host="Cortex-A57", profile="Cortex-A57", agrees=True)
    board = ComparedSection(name="board", host="linux,dummy-virt", profile="NVIDIA Jetson Nano", agrees=False)
    host = result.host.model_copy(update={"compared": (core, board)})
    ran = result.model_copy(update={"execution": execution, "host": host})
    assert phrases.compared(ran) == phrases.Fact(
        "not the board", "board linux,dummy-virt, the board's NVIDIA Jetson Nano"
    )
    without = ran.model_copy(update={"host": host.model_copy(update={"compared": ()})})
    assert (phrases.compared(without) is not None) is old, "a process of a host of another architecture has nothing"
