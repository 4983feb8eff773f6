"""The rules of validity: the outcome of each, with its figures."""

from dataclasses import replace

import pytest

from edgesim.host.host_load import HostLoad
from edgesim.host.limit_values import LimitReading
from edgesim.measure import validity
from edgesim.measure.steady_state import Drift, WarmUp
from edgesim.measure.validity import Evidence, HostComparison, ScaleCheck
from edgesim.options import Precision
from edgesim.recording import Sample

MS = 1_000_000
OK = Sample(0, 0, 100 * MS, "ok")
FAILED = Sample(0, 0, 10 * MS, "HTTP 500: broken")
LATE = Sample(0, 2 * MS, 100 * MS, "ok")
QUIET = HostLoad(
    seconds=5, busy_percent=50, others_percent=1, steal_percent=0, thermal_throttles=0, frequency_percent=100
)
GOOD = Evidence(scenario="server", samples=[OK] * 9, load_s=5, oom_kills=0, alive=True, host_load=QUIET)


def verdicts(evidence: Evidence) -> dict[str, str]:
    return {rule.name: rule.verdict for rule in validity.assess(evidence).rules}


def test_an_overloaded_board_makes_the_run_suspect_in_the_server_scenario_alone() -> None:
    samples = [Sample(i * 33 * MS, i * 33 * MS, (i + 1) * 41 * MS, "ok") for i in range(662)]
    judged = validity.assess(replace(GOOD, samples=samples))
    assert judged.valid
    assert any(text.startswith("keeps up: overload: 24.39 answered of 30.3 requests/s") for text in judged.suspicions)
    assert "keeps up" not in verdicts(replace(GOOD, samples=samples, scenario="single-stream"))


def test_run_without_fault_is_valid_and_not_suspect() -> None:
    judged = validity.assess(GOOD)
    assert judged.valid
    assert not judged.suspect
    assert set(verdicts(GOOD).values()) == {"ok", "unknown"}, (
        "nine requests are too few for a comparison whether the run is steady"
    )


def test_run_of_a_board_that_another_program_paused_is_invalid() -> None:
    judged = validity.assess(replace(GOOD, paused_s=1.02))
    assert judged.reasons == (
        "not paused: another program paused the board's container, or stopped its server by a signal, for 1 s: docker "
        "events shows a pause",
    )
    assert "not paused" not in verdicts(GOOD)


def test_run_in_which_a_signal_stopped_edgesim_is_invalid() -> None:
    judged = validity.assess(replace(GOOD, stopped_s=3.0))
    assert judged.reasons == (
        "edgesim not stopped: a signal stopped edgesim (kill -STOP, Ctrl-Z) while requests were under way: 3 s longer",
    )
    assert "edgesim not stopped" not in verdicts(GOOD)


SET = {"memory_bytes": 1 << 30, "cpus": 2, "processes": 256}


def limit(name: str, applied: float | None, *, read: bool = True) -> LimitReading:
    return LimitReading(name=name, requested=SET[name], applied=applied, read=read)


def test_limits_that_were_read_back_as_set_are_fine() -> None:
    outcomes = verdicts(replace(GOOD, limits=[limit(name, value) for name, value in SET.items()]))
    assert outcomes["limits hold"] == "ok"
    assert "limits hold" not in verdicts(GOOD), "a plain process has no limits"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": []}, "enough requests: 0 answered, 3 needed"),
        ({"samples": [OK, OK]}, "enough requests: 2 answered, 3 needed"),
        (
            {"samples": [OK] * 9 + [FAILED]},
            "no failures: 1 of 10 requests failed, the first with 'HTTP 500: broken'",
        ),
        ({"alive": False}, "device alive: died after 9 requests"),
        ({"alive": False, "samples": [OK] * 7 + [FAILED] * 2}, "device alive: died after 7 requests"),
        ({"interrupted": True}, "not interrupted: ended after 9 requests"),
        ({"oom_kills": 1}, "no out-of-memory kill: 1 seen"),
        ({"limits": [limit("memory_bytes", None)]}, "limits hold: memory: 1.0 GiB set, no limit in the kernel"),
        (
            {"limits": [limit("cpus", None)], "times_need_cpu": True},
            "limits hold: CPU time: 2 set, no limit in the kernel",
        ),
        ({"samples": [LATE] * 9}, "generator on time: p99 of the lag is 2 ms, 2 % of the latency's; 1 % at most"),
        (
            {"precision": Precision(percentile=99, percent=5)},
            "precise enough: p99 within 5 % not reached with 9 requests",
        ),
    ],
)
def test_run_that_cannot_be_trusted_is_invalid_and_says_why(change: dict[str, object], reason: str) -> None:
    judged = validity.assess(replace(GOOD, **change))  # type: ignore[arg-type]
    assert not judged.valid
    assert any(text.startswith(reason) for text in judged.reasons), judged.reasons


@pytest.mark.parametrize(
    ("change", "suspicion"),
    [
        ({"load_s": 0.2}, "enough time: 0.2 s, 1 s needed"),
        ({"drift": Drift(first=10, second=12, p_value=1e-9)}, "steady: median 10 ms in the first half, 12 ms in"),
        ({"host_load": replace(QUIET, steal_percent=3)}, "no time stolen: 3.0 % of this host's time"),
        ({"host_load": replace(QUIET, others_percent=30)}, "host quiet: other programs took 30.0 %"),
        ({"host_load": replace(QUIET, thermal_throttles=2)}, "clock steady: throttled 2 times"),
        (
            {"host_load": replace(QUIET, frequency_percent=60)},
            "clock steady: throttled 0 times by temperature, clock at 60 %",
        ),
        ({"warm_up": WarmUp(requests=9, rule="gave up", found=False)}, "warmed up: gave up"),
        ({"limits": [limit("cpus", None)]}, "limits hold: CPU time: 2 set, no limit in the kernel"),
        ({"limits": [limit("processes", None)], "times_need_cpu": True}, "limits hold: processes: 256 set, no limit"),
        ({"limits": [limit("memory_bytes", None, read=False)]}, "limits hold: memory: 1.0 GiB set, not read back"),
    ],
)
def test_run_with_a_doubt_is_suspect_and_still_valid(change: dict[str, object], suspicion: str) -> None:
    judged = validity.assess(replace(GOOD, **change))  # type: ignore[arg-type]
    assert judged.valid
    assert judged.suspect
    assert any(text.startswith(suspicion) for text in judged.suspicions), judged.suspicions


def test_figure_that_the_host_does_not_report_is_unknown_and_never_ok() -> None:
    silent = HostLoad(
        seconds=5,
        busy_percent=5,
        others_percent=None,
        steal_percent=None,
        thermal_throttles=None,
        frequency_percent=None,
    )
    outcomes = verdicts(replace(GOOD, host_load=silent, oom_kills=None))
    for name in ("no time stolen", "host quiet", "clock steady", "no out-of-memory kill", "steady"):
        assert outcomes[name] == "unknown"


@pytest.mark.parametrize(("throttled_s", "verdict"), [(None, None), (0.0, "ok"), (0.04, "ok"), (0.5, "suspect")])
def test_run_whose_load_generator_was_stopped_by_its_own_quota_is_suspect(
    throttled_s: float | None, verdict: str | None
) -> None:
    outcomes = verdicts(replace(GOOD, host_load=replace(QUIET, throttled_s=throttled_s)))
    assert outcomes.get("edgesim not throttled") == verdict


def test_generator_that_is_slightly_late_is_on_time() -> None:
    assert verdicts(replace(GOOD, samples=[Sample(0, MS, 100 * MS, "ok")] * 9))["generator on time"] == "ok"


def test_offline_requests_cannot_be_late() -> None:
    assert verdicts(replace(GOOD, scenario="offline", samples=[LATE] * 9))["generator on time"] == "ok"


@pytest.mark.parametrize(
    ("target_ms", "check_ms", "verdict"),
    [
        (100, 102.9, "ok"),
        (100, 97.5, "ok"),
        (100, 110, "suspect"),
        (100, 90, "suspect"),
        (100, 121, "invalid"),
        (1, 1.15, "ok"),
        (1, 1.9, "suspect"),
        (1, 3, "invalid"),
    ],
)
def test_scaled_boards_time_is_compared_with_its_device_time(target_ms: float, check_ms: float, verdict: str) -> None:
    check = ScaleCheck(check_ms=check_ms, error_percent=100 * (check_ms / target_ms - 1))
    assert verdicts(replace(GOOD, scale=check))["scale held"] == verdict
    assert "scale held" not in verdicts(GOOD)


@pytest.mark.parametrize(
    ("predicted_ms", "host_ms", "times_as_slow", "verdict"),
    [(50.0, 10.0, 5.0, "ok"), (3.7, 58.0, 5.0, "suspect"), (3.7, 58.0, 0.8, "ok"), (0.0148, 0.0173, 7.4, "ok")],
)
def test_a_slower_board_that_is_predicted_quicker_than_this_host_is_suspect(
    predicted_ms: float, host_ms: float, times_as_slow: float, verdict: str
) -> None:
    host = HostComparison(predicted_ms=predicted_ms, host_ms=host_ms, threads=2, times_as_slow=times_as_slow)
    assessed = validity.assess(replace(GOOD, host=host))
    (rule,) = (rule for rule in assessed.rules if rule.name == "device time plausible")
    assert rule.verdict == verdict
    assert f"{predicted_ms:.3g} ms predicted for 2 threads, this host takes {host_ms:.3g} ms" in rule.finding
    assert assessed.valid, "the measurement itself is as it was"
