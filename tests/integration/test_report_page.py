"""The page of a result in a browser: what it draws, what its switches do, and that it loads nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from edgesim.histories import page as history_page
from edgesim.histories.history import history
from edgesim.measure import statistics
from edgesim.recording import Phase, Reading, Sample
from edgesim.reports.comparison import Change, Comparison
from edgesim.reports.formats import html
from edgesim.reports.formats.html import thinning
from edgesim.reports.overview import Overview
from edgesim.reports.sweep_overview import SweepOverview
from edgesim.results.cell_result import Figure
from edgesim.results.run_result import RunResult
from edgesim.results.sections import DeviceTimeSection, Distribution, RequestsSection, ValiditySection, section
from tests.conftest import browser_path
from tests.support import results
from tests.support.cells import cell, failed
from tests.support.histories import scaled

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def result() -> RunResult:
    return results.emulated_and_invalid()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium has no sandbox as root in a container; the pages are our own.
        started = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def opener(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Open, list[str]]]:
    """Yield a function that opens a page, and a list of all console messages, errors and requests to elsewhere."""
    noise: list[str] = []
    contexts: list[BrowserContext] = []

    def opened(document: str, **options: Any) -> Page:
        path = tmp_path_factory.mktemp("page") / "report.html"
        path.write_text(document)
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url) if _goes_out(request) else None)
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=true]", timeout=60_000)
        return page

    yield opened, noise
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(opener: tuple[Open, list[str]]) -> Iterator[Open]:
    """Yield a function that opens a page; the test fails if a page logs or requests anything."""
    opened, noise = opener
    yield opened
    assert noise == []


@pytest.fixture(scope="module")
def shared(result: RunResult, opener: tuple[Open, list[str]]) -> Page:
    """A page that several tests share, because opening a page takes longest."""
    return opener[0](html.render_result(ran(result, 1500), "mine.json"), color_scheme="dark")


@pytest.fixture
def page(shared: Page, open_page: Open) -> Page:
    return shared


def _goes_out(request: Request) -> bool:
    return not request.url.startswith(("file:", "blob:", "data:", "about:"))


def ran(result: RunResult, count: int, *, slower: float = 1.0, failed: int = 0) -> RunResult:
    """Return a run of `count` requests, a millisecond apart, with readings of the board."""
    generator = np.random.default_rng(0)
    times_ns = (slower * 1e6 * (0.6 + 0.1 * generator.standard_gamma(2, count))).astype(int)
    times_ns[:: count // 5] *= 20
    samples = tuple(
        Sample(i * 10**6, i * 10**6 + 1000, i * 10**6 + 1000 + int(time), "ok" if i >= failed else "timeout")
        for i, time in enumerate(times_ns)
    )
    latency = [sample.latency_ms if sample.ok else np.inf for sample in samples]
    return result.model_copy(
        update={
            "execution": "native",
            "samples": samples,
            "timeline": tuple(
                Reading(i * 10**8, i * 0.04, 10**8 + i, throttled_s=i * 0.01) for i in range(-5, count // 100 + 1)
            ),
            "phases": (Phase("first inference", -4 * 10**8, -(10**8)), Phase("load", 0, samples[-1].done_ns)),
            "requests": RequestsSection(sent=count, ok=count - failed, failed=failed),
            "latency_ms": section(Distribution, statistics.summarise(latency)),
            "service_time_ms": section(
                Distribution, statistics.summarise([sample.service_time_ms for sample in samples])
            ),
            "device_time_ms": DeviceTimeSection(p50=0.8, low=0.6, high=1.1, method="measured on this host"),
            "validity": ValiditySection(valid=True),
        }
    )


def drawn(page: Page, name: str) -> list[dict[str, Any]]:
    """Return the visible traces of a plot, each with its meta and its number of points."""
    traces = page.evaluate(
        "name => document.querySelector(`[data-figure=${name}]`)._fullData"
        ".filter(trace => trace.visible === true && trace.x.length)"
        ".map(trace => ({name: trace.name, meta: trace.meta, points: trace.x.length}))",
        name,
    )
    return list(traces)


def marks(page: Page, name: str) -> int:
    """Return how many shapes of a plot's data are on the page."""
    return page.locator(f"[data-figure={name}] .trace path:visible, [data-figure={name}] .trace .point").count()


def test_every_plot_is_drawn_and_described_in_words_and_as_a_table(page: Page) -> None:
    figures = page.locator("figure")
    names = [figures.nth(i).get_attribute("id") for i in range(figures.count())]
    assert names == ["device", "distribution", "percentiles", "timeline", "lifecycle"]
    for i, name in enumerate(names):
        assert name is not None
        assert marks(page, name), name
        described_by = figures.nth(i).get_attribute("aria-describedby")
        assert page.locator(f"#{described_by}").inner_text().endswith("." if name != "device" else "ms")
        assert figures.nth(i).locator("tbody tr").count()
    assert sum(trace["points"] for trace in drawn(page, "timeline") if trace["meta"].get("part") == "single") == 1500


def test_switches_choose_the_time_and_its_axis(page: Page) -> None:
    assert {trace["meta"]["time"] for trace in drawn(page, "percentiles")} == {"latency"}
    page.get_by_role("button", name="Service time").press("Enter")  # by keyboard
    for name in ("distribution", "percentiles"):
        assert {trace["meta"]["time"] for trace in drawn(page, name)} == {"service"}
    assert page.get_by_role("button", name="Service time").get_attribute("aria-pressed") == "true"
    axis = "document.querySelector('[data-figure=percentiles]')._fullLayout.yaxis.type"
    assert page.evaluate(axis) == "log", "a tail of twenty times the median"
    page.get_by_role("button", name="Linear").click()
    assert page.evaluate(axis) == "linear"


def test_colours_follow_the_system_until_they_are_chosen(page: Page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "document.querySelector('.plot')._fullLayout.font.color"
    dark = page.evaluate(paper), page.evaluate(ink)
    page.get_by_role("button", name="Light").click()
    light = page.evaluate(paper), page.evaluate(ink)
    assert light[0] != dark[0]
    assert light[1] != dark[1]
    page.get_by_role("button", name="Auto").click()
    page.emulate_media(color_scheme="light")
    assert (page.evaluate(paper), page.evaluate(ink)) == light
    page.emulate_media(color_scheme="dark")


@pytest.mark.long
def test_200_000_requests_are_columns_until_the_reader_zooms_in(result: RunResult, open_page: Open) -> None:
    page = open_page(html.render_result(ran(result, 200_000), "r.json"))
    plots = ("distribution", "percentiles", "timeline")
    assert sum(trace["points"] for name in plots for trace in drawn(page, name)) < 10_000
    assert "200,000 requests are drawn as 600 columns" in page.locator("#timeline figcaption").inner_text()
    timeline = "document.querySelector('[data-figure=timeline]')"
    page.locator("#timeline .tools").scroll_into_view_if_needed()
    plot = page.locator("[data-figure=timeline] .nsewdrag").first.bounding_box()
    assert plot is not None
    y = plot["y"] + plot["height"] / 2
    for drawn_to in ("columns", "singly"):  # a twentieth of all, then of that
        page.mouse.move(plot["x"] + 0.5 * plot["width"], y)
        page.mouse.down()
        page.mouse.move(plot["x"] + 0.55 * plot["width"], y + 1, steps=5)
        page.mouse.up()
        page.wait_for_selector(f"[data-drawn={drawn_to}]")
    first, last = page.evaluate(f"{timeline}._fullLayout.xaxis.range")
    assert 0.3 < last - first < 0.8, "it stays where it was put"
    parts = {trace["meta"].get("part"): trace["points"] for trace in drawn(page, "timeline")}
    assert parts["single"] == pytest.approx(1000 * (last - first), abs=2)
    assert "columns" not in parts
    page.get_by_role("button", name="All").click()
    page.wait_for_selector("[data-drawn=columns]")
    assert {trace["meta"].get("part") for trace in drawn(page, "timeline")} == {"columns", None}


def test_the_raw_data_downloads_as_the_original_result_file(result: RunResult, page: Page, tmp_path: Path) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download mine.json").click()
    assert download.value.suggested_filename == "mine.json"
    download.value.save_as(tmp_path / "back.json")
    ran(result, 1500).write(tmp_path / "mine.json")
    assert RunResult.read(tmp_path / "back.json") == RunResult.read(tmp_path / "mine.json")


def test_two_results_are_drawn_over_each_other_and_each_can_be_hidden(result: RunResult, open_page: Open) -> None:
    comparison = Comparison(
        base=ran(result, 400),
        candidate=ran(result, 400, slower=1.3),
        base_file="a.json",
        candidate_file="b.json",
        different=(),
        changes=(Change("latency_ms.p50", "0.8", "1.04", "+30.0 %", "+29 to +31 %", {"by": "rounds"}),),
        notes=(),
    )
    page = open_page(html.render_comparison(comparison))
    for name in ("distribution", "percentiles", "timeline"):
        assert {trace["meta"]["side"] for trace in drawn(page, name)} == {0, 1}
    assert page.get_by_role("region", name="Every metric").locator("tbody tr").count() == 1
    assert faults_of_access(page) == []
    page.get_by_role("button", name="base", exact=True).click()
    for name in ("distribution", "percentiles", "timeline"):
        assert {trace["meta"]["side"] for trace in drawn(page, name)} == {1}


def test_base_and_candidate_of_each_change_are_in_sight_on_a_phone(result: RunResult, open_page: Open) -> None:
    figures = {"base": "149.9 MiB", "candidate": "130.4 MiB", "change": "-13.0 %", "interval": "-14 to -12 %"}
    comparison = Comparison(
        base=ran(result, 400),
        candidate=ran(result, 400),
        base_file="a.json",
        candidate_file="b.json",
        different=(),
        changes=(Change("memory_peak_bytes", figures={"by": "rounds"}, **figures),),
        notes=(),
    )
    page = open_page(html.render_comparison(comparison), viewport={"width": 390, "height": 844})
    table = page.get_by_role("region", name="Every metric")
    for words in figures.values():
        box = table.get_by_text(words, exact=True).bounding_box()
        assert box is not None
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390, words


def test_boards_side_by_side_are_one_table_and_one_plot_at_any_width(result: RunResult, open_page: Open) -> None:
    boards = tuple(
        ran(result, 400).model_copy(
            update={
                "profile": result.profile.model_copy(update={"name": name}),
                "device_time_ms": DeviceTimeSection(p50=ms, low=0.7 * ms, high=1.5 * ms, method="predicted"),
            }
        )
        for name, ms in (("nano", 45.9), ("pi-5", 19.3), ("zero-2", 46_123.0))
    )
    document = html.render_overview(Overview(results=boards, files=("a.json", "b.json", "c.json")))
    for width in (1200, 390):
        page = open_page(document, viewport={"width": width, "height": 844})
        assert page.get_by_role("region", name="Results side by side").locator("tbody tr").count() == 3
        # A diamond and a band for each.
        assert len(drawn(page, "device")) == 6
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert faults_of_access(page) == []


def test_failed_requests_an_invalid_run_and_no_device_time_are_on_the_page(result: RunResult, open_page: Open) -> None:
    failing = ran(result, 400, failed=40).model_copy(
        update={"validity": result.validity, "device_time_ms": result.device_time_ms, "execution": "emulated"}
    )
    page = open_page(html.render_result(failing, "r.json"))
    assert page.locator("#headline + .sides").inner_text().startswith("not known")
    assert page.locator(".badge").all_inner_texts() == ["INVALID", "INVALID"]
    assert result.validity.reasons[0] in page.locator("section:has(#validity)").inner_text()
    assert "40 failed requests" in page.locator("#timeline figcaption").inner_text()
    assert [trace["points"] for trace in drawn(page, "timeline") if trace["name"] == "failed"] == [40]
    assert page.locator("#device").count() == 0


def test_a_run_without_any_answer_has_a_page(result: RunResult, open_page: Open) -> None:
    empty = result.model_copy(update={"samples": (), "timeline": (), "phases": ()})
    page = open_page(html.render_result(empty, "r.json"))
    assert "enough requests" in page.locator("main").inner_text()


def test_the_page_of_a_stack_draws_the_use_of_each_service_stacked(open_page: Open) -> None:
    stack = results.of_a_stack()
    page = open_page(html.render_stack(stack, "stack.json"))
    traces = drawn(page, "timeline")
    assert [trace["name"] for trace in traces].count("detector") == 2
    tops = page.evaluate(
        "() => Object.fromEntries(document.querySelector('[data-figure=timeline]').calcdata"
        ".filter(points => points[0].trace.stackgroup === 'memory')"
        ".map(points => [points[0].trace.name, points[points.length - 1].y]))"
    )
    highest = {name: readings[-1].memory_bytes or 0 for name, readings in stack.timelines.items()}
    assert tops["app"] == pytest.approx(sum(highest.values()) / 2**20, rel=0.01)
    assert page.locator("#services ~ .scroll tbody tr").count() == 3
    page.click("[data-time=service]")
    assert {trace["meta"]["time"] for trace in drawn(page, "distribution")} == {"service"}
    assert Axe().run(page).violations_count == 0


def test_a_stack_of_steps_has_a_page_without_times(open_page: Open) -> None:
    page = open_page(html.render_stack(results.of_a_stack(requests=0), "stack.json"))
    assert page.locator("figure").count() == 1
    assert page.locator("#times").count() == 0


def test_cells_of_a_sweep_are_a_map_a_front_and_a_report_each_at_any_width(open_page: Open) -> None:
    cells = [
        cell(board, model, ms=ms * factor, precision=precision, figures={"accuracy": Figure(value=accuracy)})
        for board, ms in (("jetson-nano", 40.0), ("rk3588", 10.0))
        for model, factor, accuracy in (("small", 1.0, 0.8), ("large", 4.0, 0.9), ("poor", 5.0, 0.7))
        for precision in ("fp32",)
    ]
    document = html.render_sweep(SweepOverview((*cells, failed("rk3588", "huge"))))
    for width, scheme in ((1200, "light"), (390, "dark")):
        page = open_page(document, viewport={"width": width, "height": 844}, color_scheme=scheme)
        page.wait_for_selector("html[data-drawn=true]")
        assert page.get_by_role("button", name="rk3588, large: 40").count() == 1
        assert page.get_by_role("button", name="rk3588, huge: failed").count() == 1
        # On the front of time against accuracy: the quickest, and the one that is slower and more accurate.
        front = page.locator("#best tbody th").all_inner_texts()
        assert [name.strip() for name in front] == ["rk3588 small fp32", "rk3588 large fp32"]
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert faults_of_access(page) == []
    page.get_by_label("profile").select_option("jetson-nano")
    assert page.locator("#count").inner_text() == "3 of 7 cells"
    page.get_by_label("profile").select_option("all")
    page.get_by_role("button", name="rk3588, huge: failed").click()
    assert "the model <b>needs</b> 5 GiB" in page.locator("#chosen").inner_text()


def test_a_history_is_its_steps_and_a_plot_of_each_series_at_any_width(open_page: Open, tmp_path: Path) -> None:
    kept = history(tmp_path / "kept", repository=tmp_path)
    for number in range(24):
        level = 50.0 if number < 12 else 60.0
        kept.add(scaled(level + 0.1 * (number % 3), number=number), revision=f"v{number:02}")
    document = history_page.render(kept.trends())
    for scheme in ("light", "dark"):
        page = open_page(document, viewport={"width": 390, "height": 844}, color_scheme=scheme)
        assert "v12" in page.locator("main").inner_text()
        assert page.locator(".plot").count() > 0
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert faults_of_access(page) == []


def test_on_a_phone_nothing_is_wider_than_the_screen_and_plots_do_not_trap_scrolling(
    result: RunResult, open_page: Open
) -> None:
    page = open_page(
        html.render_result(ran(result, 400), "r.json"),
        viewport={"width": 360, "height": 740},
        is_mobile=True,
        has_touch=True,
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("document.querySelector('.plot')._fullLayout.dragmode") is False


def test_everything_works_by_keyboard_and_has_a_name(page: Page) -> None:
    for button in page.get_by_role("button").all():
        assert button.inner_text().strip()
    inside = page.evaluate("[...document.querySelectorAll('[aria-hidden=true] :is(a, button, [tabindex])')].length")
    assert inside == 0, "what is hidden from a screen reader takes no focus"
    window = "document.querySelector('[data-figure=timeline]')._fullLayout.xaxis.range"
    before = page.evaluate(window)
    page.get_by_role("button", name="Zoom in").press("Enter")
    after = page.evaluate(window)
    assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 2)
    assert json.loads(page.locator("#figures").inner_text())["most_single"] == thinning.MOST_SINGLE


def faults_of_access(page: Page) -> list[str]:
    """Return the accessibility violations that axe reports, with every part of the page unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in Axe().run(page).response["violations"]
    ]


def test_an_accessibility_audit_finds_nothing_in_dark_or_in_light(page: Page) -> None:
    assert faults_of_access(page) == []
    page.get_by_role("button", name="Light").click()
    assert faults_of_access(page) == []
    page.get_by_role("button", name="Auto").click()


def test_it_prints_in_light_colours_and_without_buttons(page: Page, tmp_path: Path) -> None:
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    inks = []
    for moment in ("beforeprint", "afterprint"):
        page.evaluate(f"dispatchEvent(new Event('{moment}'))")
        inks.append(page.evaluate("document.querySelector('.plot')._fullLayout.font.color"))
    assert inks == ["rgb(27, 32, 39)", "rgb(231, 234, 238)"], "dark on paper, and light again on the dark screen"
    page.emulate_media(media="print")
    assert not page.get_by_role("button", name="Linear").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_notebook_shows_headline_figures_and_plots(result: RunResult, open_page: Open) -> None:
    shown = ran(result, 400)._repr_html_()
    page = open_page(f"<!DOCTYPE html><html data-ready=true><body>{shown}</body></html>")
    assert "device time 0.800 ms" in page.locator("body").inner_text()
    assert page.locator("table tbody tr").count() == 3
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready=true]").wait_for(timeout=60_000)
    assert frame.locator("[data-figure=distribution] .trace path:visible").count()
    assert frame.locator("[data-figure=percentiles] .trace path:visible").count()
