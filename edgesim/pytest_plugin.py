"""A plugin of pytest's: a model on a simulated board as a fixture, and assertions that show the figures.

    @pytest.mark.edgesim(profile="jetson-nano", model="models/detector.onnx")
    def test_the_detector_is_ready_for_the_board(edge_device):
        edge_device.require("device_time_ms.p50 <= 120", "memory_peak_bytes <= 512MiB", "accuracy >= 0.96")

pytest loads this module for every run of an environment that has edgesim in it: what is large is imported when needed.
"""

import difflib
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgesim.errors import EdgesimError, HostError, Interrupted, UsageError

if TYPE_CHECKING:
    from edgesim.boards.board import Board
    from edgesim.results.run_result import RunResult

_MARKER = "edgesim(profile=..., model=..., **options of edgesim.run): what the test's edge_device is"
# What a test asks of a board that it only starts, out of what it may ask of a run.
_OF_A_BOARD = (
    "models",
    "engine",
    "context",
    "execution",
    "base_image",
    "mount",
    "volume",
    "results",
    "ready_timeout_s",
)


class Figure(float):
    """A figure of a result; shown with its name, and how sure it is, by an assertion that fails."""

    name: str
    sure: str

    @classmethod
    def of(cls, name: str, value: float, sure: str = "") -> "Figure":
        """`sure` says in words how sure it is."""
        figure = cls(value)
        figure.name, figure.sure = name, sure
        return figure

    def __repr__(self) -> str:
        return f"<{self.name} {float(self):.6g}{f', {self.sure}' if self.sure else ''}>"


class EdgeDevice:
    """A model on a simulated board, as the test's marker says. It runs when something is first asked of it.

    Tests with the same marker share one run of a session.
    """

    def __init__(self, options: Mapping[str, Any], runs: "Runs", node: pytest.Item) -> None:
        self.options, self._runs, self._node = dict(options), runs, node

    def __repr__(self) -> str:
        return f"<{self.options['model']} on {self.options['profile']}>"

    @property
    def result(self) -> "RunResult":
        """The whole result, VALID or INVALID: see `edgesim.results.run_result.RunResult`."""
        return self._runs.of(self.options)

    def __getitem__(self, name: str) -> Figure:
        """A figure by the name that rules have for it, such as ``memory_peak_bytes``; the test fails without it.

        Fails, too, where the run is INVALID, and for a measured time that is not the board's.
        """
        from edgesim.gates.result_metrics import NAMES, is_time, metric

        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            pytest.fail(
                f"edge_device[{name!r}]: no such figure{f'; did you mean {near[0]}?' if near else ''}", pytrace=False
            )
        result = self.result
        if not result.validity.valid:
            pytest.fail(f"the run is INVALID, and shows nothing: {'; '.join(result.validity.reasons)}", pytrace=False)
        if is_time(name) and result.execution in ("emulated", "host"):
            pytest.fail(f"{name}: {result.execution} time is not the board's; device_time_ms.p50 is", pytrace=False)
        found = metric(result, name)
        if found.value is None:
            pytest.fail(
                f"{name} is missing in this result: too few requests, or this host does not tell", pytrace=False
            )
        figure = Figure.of(name, found.value, _sure(result, name))
        self._node.user_properties.append((name, float(figure)))
        return figure

    def require(self, *rules: str) -> None:
        """Judge the result by rules, as `edgesim gate` does: a test passes where all of them PASS.

        Raises:
            AssertionError: one FAILs or is INCONCLUSIVE; with what was found for each.
        """
        __tracebackhide__ = True
        from edgesim.gates import Rules, judge

        try:
            found = judge(self.result, Rules.of(rules))
        except UsageError as error:
            pytest.fail(_words(error), pytrace=False)
        if found.word != "PASS":
            rows = (f"  {item.verdict:<12}  {item.name}: {item.finding}" for item in found.items)
            raise AssertionError("\n".join([f"{found.word}: {self!r}", *rows]))

    def board(self) -> "AbstractContextManager[Board]":
        """The board alone, started with the marker's options: its `url` speaks the Open Inference Protocol.

        Raises:
            UsageError: the marker's model is a file; a board serves a repository, `models`.
        """
        from edgesim.boards.serving import board

        options = {name: value for name, value in self.options.items() if name in _OF_A_BOARD}
        if "models" not in options:
            pytest.fail("edge_device.board() takes a repository: models=... in the marker", pytrace=False)
        return board(self.options["profile"], **options)


class Runs:
    """The runs of a session, each done once."""

    def __init__(self, config: pytest.Config) -> None:
        self.done: list[RunResult] = []
        self._by_options: dict[str, RunResult | EdgesimError] = {}
        self._skip = config.getoption("edgesim_missing") == "skip"
        directory = config.getoption("edgesim_results")
        self._directory = Path(directory) if directory else None
        if self._directory is not None:
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise pytest.UsageError(f"--edgesim-results {directory}: cannot be made: {error.strerror}") from error

    def of(self, options: Mapping[str, Any]) -> "RunResult":
        """The result of a run with these options; the test fails, or is skipped, where there is none."""
        key = _key(options)
        if key not in self._by_options:
            self._by_options[key] = self._run(options)
        found = self._by_options[key]
        if isinstance(found, EdgesimError):
            if isinstance(found, HostError) and self._skip:
                pytest.skip(found.problem)
            pytest.fail(_words(found), pytrace=False)
        return found

    def known(self, options: Mapping[str, Any]) -> "RunResult | None":
        """The result of these options, where there is one already."""
        found = self._by_options.get(_key(options))
        return None if isinstance(found, EdgesimError) else found

    def _run(self, options: Mapping[str, Any]) -> "RunResult | EdgesimError":
        from edgesim.jobs.run import run

        given = dict(options)
        try:
            result = run(given.pop("profile"), given.pop("model"), **given)
            self.done.append(result)
            if self._directory is not None:
                result.write(self._directory / f"{len(self.done)}-{result.model.name}-{result.profile.name}.json")
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
    """The options of the plugin."""
    group = parser.getgroup("edgesim")
    group.addoption(
        "--edgesim-missing",
        choices=("fail", "skip"),
        default="fail",
        help="what becomes of a test with edge_device where this host cannot simulate its board",
    )
    group.addoption("--edgesim-results", metavar="DIR", help="keep the results of edge_device here, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and a place for the runs."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[_RUNS] = Runs(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say beforehand what xdist will do to the tests."""
    return f"edgesim: {_XDIST}" if config.getoption("numprocesses", None) else None


_XDIST = (
    "pytest-xdist is on: tests side by side disturb each other's times, so those with edge_device fail; run with -n 0"
)


@pytest.fixture
def edge_device(request: pytest.FixtureRequest) -> EdgeDevice:
    """A model on a simulated board: see ``@pytest.mark.edgesim``."""
    if hasattr(request.config, "workerinput"):
        pytest.fail(_XDIST, pytrace=False)
    device = EdgeDevice(_options(request.node), request.config.stash[_RUNS], request.node)
    request.node.stash[_DEVICE] = device
    return device


def _options(node: pytest.Item) -> dict[str, Any]:
    """What the markers say, one on the test before one on its class or module."""
    from edgesim.options import RunKeywords

    found: dict[str, Any] = {}
    for marker in node.iter_markers("edgesim"):
        if marker.args:
            pytest.fail(f"@pytest.mark.edgesim takes names: profile={marker.args[0]!r}, ...", pytrace=False)
        found = {**marker.kwargs, **found}
    known = {"profile", "model", *RunKeywords.__annotations__} - {"output"}
    for name in sorted(set(found) - known):
        near = difflib.get_close_matches(name, known, n=1)
        pytest.fail(
            f"@pytest.mark.edgesim: no option {name}{f'; did you mean {near[0]}?' if near else ''}", pytrace=False
        )
    for name in ("profile", "model"):
        if name not in found:
            pytest.fail(f"edge_device: {name} is missing: @pytest.mark.edgesim(profile=..., model=...)", pytrace=False)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a test that failed, the report of the run that it was about."""
    report = yield
    device = item.stash.get(_DEVICE, None)
    if report.when == "call" and report.failed and device is not None:
        result = item.config.stash[_RUNS].known(device.options)
        if result is not None:
            report.sections.append((f"edgesim: {device!r}", _shown(result)))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each run of the session, whether or not its tests passed."""
    from edgesim.reports import phrases

    if done := config.stash[_RUNS].done:
        terminalreporter.section("edgesim")
        for result in done:
            lead, band = phrases.device_time(result)
            what = f"{phrases.title(result)}, {phrases.execution(result)}"
            line = f"{what}: device time {lead} {band}, {result.validity.words}"
            terminalreporter.line(line)


def _shown(result: "RunResult") -> str:
    from rich.console import Console

    from edgesim.reports.formats import terminal

    console = Console(width=100, no_color=True, markup=False, highlight=False)
    with console.capture() as capture:
        console.print(terminal.render_result(result))
    return capture.get()


def _sure(result: "RunResult", name: str) -> str:
    """How sure a figure is: the band of a device time, the interval of a percentile."""
    from edgesim.reports import phrases

    section, _, key = name.partition(".")
    if name == "device_time_ms.p50":
        return f"band {phrases.device_time(result)[1].strip('()')}"
    if section in ("latency_ms", "service_time_ms") and (bounds := getattr(result, section).intervals.get(key)):
        return f"95 % interval {phrases.interval(bounds)}"
    return ""


def _words(error: EdgesimError) -> str:
    """An error of edgesim's own: no traceback tells more."""
    lines: Iterator[str] = (line for line in (error.problem, error.log, error.fix and f"fix: {error.fix}") if line)
    return "edgesim: " + "\n".join(lines)
