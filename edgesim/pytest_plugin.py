"""A pytest plugin: a model on a simulated board as a fixture, and assertions that show the figures.

    @pytest.mark.edgesim(profile="jetson-nano", model="models/detector.onnx")
    def test_detector_is_ready_for_the_board(edge_device):
        edge_device.require("device_time_ms.p50 <= 120", "memory_peak_bytes <= 512MiB", "accuracy >= 0.96")

pytest loads this module in every environment that has edgesim installed, so functions import large modules themselves.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgesim.errors import EdgesimError, HostError, Interrupted, UsageError, did_you_mean
from edgesim.printable import harmless

if TYPE_CHECKING:
    from edgesim.boards.board import Board
    from edgesim.results.run_result import RunResult

_MARKER = "edgesim(profile=..., model=..., **options of edgesim.run): the board, model and options of edge_device"


class Figure(float):
    """One figure of a result; a failing assertion shows the figure with its name and uncertainty.

    Attributes:
        name: the metric, such as ``memory_peak_bytes``, which names the unit.
        uncertainty: the band or the interval in words; empty if the result has neither.
    """

    name: str
    uncertainty: str

    @classmethod
    def of(cls, name: str, value: float, uncertainty: str = "") -> "Figure":
        """Return `value` as the figure of a metric."""
        figure = cls(value)
        figure.name, figure.uncertainty = name, uncertainty
        return figure

    def __repr__(self) -> str:
        return f"<{self.name} {float(self):.6g}{f', {self.uncertainty}' if self.uncertainty else ''}>"


class EdgeDevice:
    """A model on a simulated board, as the test's marker describes them.

    The model runs when a test first uses a figure, a rule or the result. Tests with the same marker share one run.
    """

    def __init__(self, options: Mapping[str, Any], runs: "Runs", node: pytest.Item) -> None:
        self.options, self._runs, self._node = dict(options), runs, node

    def __repr__(self) -> str:
        return f"<{self.options['model']} on {self.options['profile']}>"

    @property
    def result(self) -> "RunResult":
        """The whole result, VALID or INVALID: see `edgesim.results.run_result.RunResult`."""
        return self._runs.result(self.options)

    def __getitem__(self, name: str) -> Figure:
        """Return the figure of a metric, by the names that rules use, such as ``memory_peak_bytes``.

        The test fails if the result does not have the figure, if the run is INVALID, and if the figure is not the
        board's: a measured time, the memory or the accuracy of an execution that does not have them of the board.
        """
        from edgesim.gates.result_metrics import NAMES, is_count, is_time, metric

        if name not in NAMES:
            pytest.fail(f"edge_device[{name!r}]: no such metric{did_you_mean(name, NAMES)}", pytrace=False)
        result = self.result
        if not result.validity.valid:
            reasons = "; ".join(result.validity.reasons)
            pytest.fail(f"the run is INVALID, so its figures are no measurement: {reasons}", pytrace=False)
        hosts = result.execution in ("host", "same-architecture") and result.time_origin == "host"
        if is_time(name) and (result.execution == "emulated" or hosts):
            pytest.fail(
                f"{name}: `execution={result.execution}` does not measure the board's times; use device_time_ms.p50",
                pytrace=False,
            )
        measured = metric(result, name)
        if measured.value is None:
            why = "the run has too few requests, or this host cannot measure it"
            if is_count(name):
                why = "the marker needs count=True, which counts instructions"
            pytest.fail(f"{name} is missing in this result: {why}", pytrace=False)
        if measured.elsewhere:
            pytest.fail(f"{name}: {measured.value:.6g}, {measured.elsewhere}", pytrace=False)
        figure = Figure.of(name, measured.value, _uncertainty(result, name))
        self._node.user_properties.append((name, float(figure)))
        return figure

    def require(self, *rules: str) -> None:
        """Judge the result by rules, as `edgesim gate` does.

        Raises:
            AssertionError: a rule's verdict is FAIL or INCONCLUSIVE; the message has the finding for each rule. With
                ``--edgesim-inconclusive-ok`` INCONCLUSIVE passes, and the summary of the session says so.
        """
        __tracebackhide__ = True
        from edgesim.gates import Rules, judge

        try:
            verdict = judge(self.result, Rules.of(rules))
        except UsageError as error:
            pytest.fail(_message(error), pytrace=False)
        if verdict.word == "INCONCLUSIVE" and self._runs.inconclusive_ok:
            findings = [f"{item.name}: {item.finding}" for item in verdict.items if item.verdict != "PASS"]
            self._runs.accepted.append((self._node.nodeid, "; ".join(findings)))
        elif verdict.word != "PASS":
            rows = (f"  {item.verdict:<12}  {item.name}: {item.finding}" for item in verdict.items)
            raise AssertionError("\n".join([f"{verdict.word}: {self!r}", *rows]))

    def board(self) -> "AbstractContextManager[Board]":
        """Start the board without a run, with the marker's options; its `url` speaks the Open Inference Protocol.

        A board serves a model repository: the test fails if the marker has no `models`.
        """
        from edgesim.boards.serving import BOARD_OPTIONS, board

        options = {name: value for name, value in self.options.items() if name in BOARD_OPTIONS}
        if "models" not in options:
            pytest.fail("edge_device.board() serves a model repository: add models=... to the marker", pytrace=False)
        return board(self.options["profile"], **options)


class Runs:
    """The runs of a pytest session, one for each set of options.

    Attributes:
        inconclusive_ok: whether a verdict that is INCONCLUSIVE passes.
        accepted: the tests that such a verdict let pass, with its findings.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.results: list[RunResult] = []
        self.inconclusive_ok: bool = config.getoption("edgesim_inconclusive_ok")
        self.accepted: list[tuple[str, str]] = []
        self._by_options: dict[str, RunResult | EdgesimError] = {}
        self._skip = config.getoption("edgesim_missing") == "skip"
        directory = config.getoption("edgesim_results")
        self._directory = Path(directory) if directory else None
        if self._directory is not None:
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise pytest.UsageError(f"--edgesim-results {directory}: cannot create it: {error.strerror}") from error

    def result(self, options: Mapping[str, Any]) -> "RunResult":
        """Return the result of the run with these options, which runs now if it has not run before.

        If the run failed, the test fails too, or is skipped if this host cannot simulate the board and
        ``--edgesim-missing skip`` is set.
        """
        key = _key(options)
        if key not in self._by_options:
            self._by_options[key] = self._run(options)
        result = self._by_options[key]
        if isinstance(result, EdgesimError):
            if isinstance(result, HostError) and self._skip:
                pytest.skip(result.problem)
            pytest.fail(_message(result), pytrace=False)
        return result

    def finished(self, options: Mapping[str, Any]) -> "RunResult | None":
        """Return the result of the run with these options, or None if it failed or has not run."""
        result = self._by_options.get(_key(options))
        return None if isinstance(result, EdgesimError) else result

    def _run(self, options: Mapping[str, Any]) -> "RunResult | EdgesimError":
        from edgesim.jobs.count import count
        from edgesim.jobs.run import run

        keywords = dict(options)
        job = count if keywords.pop("count", False) else run
        try:
            result = job(keywords.pop("profile"), keywords.pop("model"), **keywords)
            self.results.append(result)
            if self._directory is not None:
                result.write(self._directory / f"{len(self.results)}-{result.model.name}-{result.profile.name}.json")
        except Interrupted as error:
            raise KeyboardInterrupt from error
        except EdgesimError as error:
            return error
        return result


def _key(options: Mapping[str, Any]) -> str:
    return repr(sorted(options.items()))


_RUNS = pytest.StashKey[Runs]()
_DEVICE = pytest.StashKey[EdgeDevice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options to the command line of pytest."""
    group = parser.getgroup("edgesim")
    group.addoption(
        "--edgesim-missing",
        choices=("fail", "skip"),
        default="fail",
        help="what a test with edge_device does if this host cannot simulate the board",
    )
    group.addoption(
        "--edgesim-inconclusive-ok",
        action="store_true",
        help="let rules of edge_device pass whose verdict is INCONCLUSIVE; the summary says so",
    )
    group.addoption("--edgesim-results", metavar="DIR", help="write the results of edge_device to DIR, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and create the runs of the session."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[_RUNS] = Runs(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return a warning for the header if pytest-xdist is on."""
    return f"edgesim: {_XDIST}" if config.getoption("numprocesses", None) else None


_XDIST = (
    "pytest-xdist is on: parallel tests disturb each other's times, so tests with edge_device fail; run them with -n 0"
)


@pytest.fixture
def edge_device(request: pytest.FixtureRequest) -> EdgeDevice:
    """The model on a simulated board that ``@pytest.mark.edgesim`` describes: an `EdgeDevice`."""
    if hasattr(request.config, "workerinput"):
        pytest.fail(_XDIST, pytrace=False)
    device = EdgeDevice(_options(request.node), request.config.stash[_RUNS], request.node)
    request.node.stash[_DEVICE] = device
    return device


def _options(node: pytest.Item) -> dict[str, Any]:
    """Return the options of the markers; a marker on the test overrides one on its class, and that one its module's."""
    from edgesim.options import RunKeywords

    options: dict[str, Any] = {}
    for marker in node.iter_markers("edgesim"):
        if marker.args:
            pytest.fail(f"@pytest.mark.edgesim takes keyword arguments: profile={marker.args[0]!r}, ...", pytrace=False)
        options = {**marker.kwargs, **options}
    known = {"profile", "model", *RunKeywords.__annotations__} - {"output"}
    for name in sorted(set(options) - known):
        pytest.fail(f"@pytest.mark.edgesim: `{name}`: no such option{did_you_mean(name, sorted(known))}", pytrace=False)
    for name in ("profile", "model"):
        if name not in options:
            pytest.fail(
                f"edge_device: `{name}` is missing: add @pytest.mark.edgesim(profile=..., model=...)", pytrace=False
            )
    return options


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the run's report to pytest's report of a failed test."""
    report = yield
    device = item.stash.get(_DEVICE, None)
    if report.when == "call" and report.failed and device is not None:
        result = item.config.stash[_RUNS].finished(device.options)
        if result is not None:
            report.sections.append((f"edgesim: {device!r}", _report(result)))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print a line for each run of the session, whether its tests passed or failed."""
    from edgesim.reports import phrases

    runs = config.stash[_RUNS]
    if runs.results:
        terminalreporter.section("edgesim")
        for result in runs.results:
            lead, band = phrases.device_time(result)
            title = f"{phrases.title(result)}, {phrases.execution(result)}"
            line = f"{title}: {result.time_label} {lead} {band}, {result.validity.words}"
            terminalreporter.line(line)
        for test, findings in runs.accepted:
            terminalreporter.line(f"INCONCLUSIVE, passes by --edgesim-inconclusive-ok: {test}: {findings}")


def _report(result: "RunResult") -> str:
    from rich.console import Console

    from edgesim.reports.formats import terminal

    console = Console(width=100, no_color=True, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(terminal.render_result(result))
    return harmless(capture.get())


def _uncertainty(result: "RunResult", name: str) -> str:
    """Return the band of a device time, or the interval of a percentile or a count, in words."""
    from edgesim.gates.result_metrics import metric
    from edgesim.reports import phrases

    section, _, key = name.partition(".")
    if section == "instructions":
        counted = metric(result, name)
        return f"{counted.interval_kind} {counted.low:.0f} to {counted.high:.0f}"
    if name == "device_time_ms.p50":
        return f"band {phrases.device_time(result)[1].strip('()')}"
    if section in ("latency_ms", "service_time_ms") and (bounds := getattr(result, section).intervals.get(key)):
        return f"95 % interval {phrases.interval(bounds)}"
    return ""


def _message(error: EdgesimError) -> str:
    """Return an error as text: a traceback through edgesim would say nothing more."""
    parts = (error.problem, harmless(error.log), error.fix and f"fix: {error.fix}")
    lines: Iterator[str] = (part for part in parts if part)
    return "edgesim: " + "\n".join(lines)
