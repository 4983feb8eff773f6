"""The pytest plugin, used by the tests of another project: real runs, as plain processes of this host."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import edgesim.jobs.count
import edgesim.jobs.run  # noqa: F401  # a pytester run in this process removes the modules that it was first to import
from edgesim.models.repository import Model
from edgesim.pytest_plugin import EdgeDevice, Runs
from edgesim.results.run_result import RunResult
from edgesim.results.sections import ValiditySection
from tests.support.results import counted

pytest_plugins = ["pytester"]

# Few requests of a small model: no assertion depends on this host's speed.
MARKER = """
import pytest
pytestmark = pytest.mark.edgesim(
    profile="jetson-nano", model={model!r}, engine="local", requests=20, warmup=0
)
"""


@pytest.fixture(autouse=True)
def _without_slow_plugins(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out plugins that take a second to import: the other project has no use for them."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:schemathesis -p no:hypothesispytest -p no:anyio")


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.fixture
def marker(digits: Model) -> str:
    return MARKER.format(model=str(digits.path))


def test_tests_with_one_marker_share_a_run_whose_figures_failures_show(
    pytester: pytest.Pytester, marker: str, digits: Model, no_engine: None
) -> None:
    repository = digits.path.parents[2]
    pytester.makepyfile(
        marker
        + NEEDS_AN_ENGINE.format(model=str(digits.path))
        + """
def test_fits(edge_device):
    edge_device.require("artifact_bytes <= 4GiB", "device_time_ms.p50 <= 1000", "failed_requests <= 0")
    assert edge_device["artifact_bytes"] < 4 * 2**30
    assert edge_device["device_time_ms.p50"] <= 1000
    assert edge_device.result.requests.ok >= 20

def test_is_too_large(edge_device):
    assert edge_device["artifact_bytes"] <= 100

def test_breaks_a_rule(edge_device):
    edge_device.require("artifact_bytes <= 100", "failed_requests <= 0")

def test_uses_a_missing_figure(edge_device):
    edge_device.require("energy_j <= 1000000")

def test_uses_a_time_of_this_host(edge_device):
    assert edge_device["latency_ms.p50"] <= 1000

def test_mistypes_a_metric(edge_device):
    edge_device["memory_peak"]

@pytest.mark.edgesim(requests=1, duration_s=0)
def test_uses_an_invalid_run(edge_device):
    assert edge_device["artifact_bytes"] > 0

@pytest.mark.edgesim(profile="jetson-nono")
def test_mistypes_the_profile(edge_device):
    edge_device.result
"""
        + f"""
@pytest.mark.edgesim(models={str(repository)!r})
def test_starts_the_board_without_a_run(edge_device):
    import urllib.request

    with edge_device.board() as board:
        assert urllib.request.urlopen(board.url + "/v2/health/ready").status == 200
"""
    )
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--edgesim-results=kept")
    done.assert_outcomes(passed=2, failed=8)
    done.stdout.fnmatch_lines_random(
        [
            "*assert <artifact_bytes *> <= 100",
            "*FAIL: <*model.onnx on jetson-nano>",
            "*  FAIL          artifact_bytes <= 100: *",
            "*  PASS          failed_requests <= 0: 0",
            "*energy_j is missing in this result",
            "*latency_ms.p50: `execution=host` does not measure the board's times; use device_time_ms.p50",
            "*no such metric; did you mean 'memory_peak_bytes'[?]",
            "*the run is INVALID, so its figures are no measurement: enough requests: 1 answered, 3 needed",
            "*- edgesim: <*model.onnx on jetson-nano> -*",
            "device time  *",
            "edgesim: *jetson-nono*did you mean *jetson-nano*",
            "edgesim: no Docker Engine*",
            "fix: *",
            "digits on NVIDIA Jetson Nano*: device time * ms*, VALID*",
            "digits on NVIDIA Jetson Nano*, INVALID",
        ]
    )
    kept = sorted((pytester.path / "kept").iterdir())
    assert [path.name for path in kept] == ["1-digits-jetson-nano.json", "2-digits-jetson-nano.json"]
    assert RunResult.read(kept[0]).requests.ok == 20


def test_memory_that_is_not_the_boards_fails_the_test_that_uses_it(result: RunResult) -> None:
    scaled = result.model_copy(update={"execution": "scaled", "validity": ValiditySection(valid=True)})
    runs: Any = SimpleNamespace(result=lambda options: scaled)
    node: Any = SimpleNamespace(user_properties=[])
    device = EdgeDevice({"profile": "jetson-nano", "model": "net"}, runs, node)
    with pytest.raises(pytest.fail.Exception, match=r"memory_peak_bytes: .* of a scaled server"):
        device["memory_peak_bytes"]
    assert node.user_properties == []


def test_marker_with_count_counts_instructions(
    pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, result: RunResult
) -> None:
    calls = []

    def count(*arguments: Any, **keywords: Any) -> RunResult:
        calls.append((arguments, keywords))
        return counted((999_900, 1_000_000, 1_000_100))

    monkeypatch.setattr(sys.modules["edgesim.jobs.count"], "count", count)
    node: Any = SimpleNamespace(user_properties=[])
    device = EdgeDevice({"profile": "jetson-nano", "model": "net", "count": True}, Runs(pytestconfig), node)
    assert repr(device["instructions"]) == "<instructions 1e+06, 9 counts, 999900 to 1000100>"
    device.require("instructions <= 1100000")
    assert calls == [(("jetson-nano", "net"), {})]
    assert node.user_properties == [("instructions", 1_000_000)]
    valid = result.model_copy(update={"validity": ValiditySection(valid=True)})
    plain: Any = SimpleNamespace(result=lambda options: valid)
    with pytest.raises(pytest.fail.Exception, match="the marker needs count=True"):
        EdgeDevice({"profile": "jetson-nano", "model": "net"}, plain, node)["instructions"]


def test_inconclusive_rules_pass_only_with_the_option_and_the_summary_says_so(
    pytester: pytest.Pytester, marker: str, no_engine: None
) -> None:
    pytester.makepyfile(
        marker
        + """
def test_time(edge_device):
    edge_device.require(f"device_time_ms.p50 <= {edge_device.result.device_time_ms.p50}")

def test_size(edge_device):
    edge_device.require("artifact_bytes <= 1", "device_time_ms.p50 <= 0.06")
"""
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=2)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--edgesim-inconclusive-ok")
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        ["INCONCLUSIVE, passes by --edgesim-inconclusive-ok: *::test_time: device_time_ms.p50 <= *"]
    )


@pytest.mark.parametrize(
    ("decorator", "words"),
    [
        ("", "`profile` is missing: add @pytest.mark.edgesim(profile=..., model=...)"),
        ("@pytest.mark.edgesim(profile='jetson-nano')", "`model` is missing"),
        ("@pytest.mark.edgesim('jetson-nano', 'digits')", "takes keyword arguments: profile='jetson-nano'"),
        (
            "@pytest.mark.edgesim(profil='jetson-nano', model='digits')",
            "`profil`: no such option; did you mean 'profile'?",
        ),
    ],
)
def test_wrong_marker_is_one_line_without_a_traceback(pytester: pytest.Pytester, decorator: str, words: str) -> None:
    pytester.makepyfile(f"import pytest\n{decorator}\ndef test_it(edge_device): pass\n")
    done = pytester.runpytest("-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    assert words in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


NEEDS_AN_ENGINE = """
import pytest

@pytest.mark.edgesim(profile="jetson-nano", model={model!r}, engine="docker")
def test_needs_an_engine(edge_device):
    edge_device.require("failed_requests <= 0")
"""


def test_option_skips_tests_on_a_host_without_an_engine(
    pytester: pytest.Pytester, digits: Model, no_engine: None
) -> None:
    pytester.makepyfile(NEEDS_AN_ENGINE.format(model=str(digits.path)))
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--edgesim-missing=skip")
    done.assert_outcomes(skipped=1)


def test_edge_device_fails_under_xdist_and_other_tests_run(pytester: pytest.Pytester, marker: str) -> None:
    pytester.makepyfile(marker + "def test_measures(edge_device): pass\n" + "def test_without_edge_device(): pass\n")
    done = pytester.runpytest_subprocess("-n", "1", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["edgesim: pytest-xdist is on*run them with -n 0"])
    done.stdout.fnmatch_lines(["*pytest-xdist is on: parallel tests disturb each other's times*"])
    pytester.runpytest("-n", "0", "-p", "no:cacheprovider").assert_outcomes(passed=2)


INTERRUPTED = """
import functools
import sys
import edgesim.jobs.run
from edgesim.errors import Interrupted

@functools.wraps(sys.modules["edgesim.jobs.run"].run)
def interrupted(*arguments, **options):
    raise Interrupted("interrupted")

sys.modules["edgesim.jobs.run"].run = interrupted
"""


def test_an_interrupt_ends_the_session_and_not_only_one_test(pytester: pytest.Pytester, marker: str) -> None:
    pytester.makeconftest(INTERRUPTED)
    tests = (f"{marker}def {name}(edge_device): edge_device.result\n" for name in ("test_one", "test_two"))
    pytester.makepyfile("".join(tests))
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert "test_two" not in done.stdout.str()


def test_directory_that_cannot_be_created_ends_the_session_before_any_test(pytester: pytest.Pytester) -> None:
    (pytester.path / "file").write_text("")
    pytester.makepyfile("def test_it(): pass\n")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--edgesim-results", "file")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert "--edgesim-results file: cannot create it" in done.stderr.str()
