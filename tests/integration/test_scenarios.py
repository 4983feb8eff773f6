"""Scenarios, stop rules and searches through the command line, on a plain process of this host: no Docker."""

import json
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgesim.results.run_result import RunResult
from tests.integration.conftest import begin, edgesim, wait_for
from tests.support.command_line import edgesim_here

pytestmark = pytest.mark.usefixtures("_nothing_of_ours_left")


@pytest.fixture
def _nothing_of_ours_left(tmp_path: Path) -> Any:
    yield
    assert not list(tmp_path.glob("*.new")) + list(tmp_path.glob(".*"))


def run(directory: Path, *options: str, model: str = "digits") -> tuple[int, dict[str, Any]]:
    """Its exit code and its result."""
    path = directory / "r.json"
    done = edgesim("run", "jetson-nano", model, "--engine", "local", "-o", path, *options)
    assert path.exists(), done.stderr
    assert not (directory / "r.incomplete.json").exists()
    return done.returncode, json.loads(path.read_text())


def test_clients_side_by_side_share_the_server(tmp_path: Path) -> None:
    code, result = run(tmp_path, "--clients", "4", "--requests", "400", "--duration", "1")
    assert code == 0
    assert result["scenario"]["name"] == "single-stream"
    assert result["generator"]["connections"] == 4
    assert result["generator"]["cpu_percent"] > 0
    assert result["scenario"]["warm_up"]["requests"] >= 25


def test_a_rate_is_held_whatever_the_server_does_and_its_seed_repeats_it(tmp_path: Path) -> None:
    schedules = []
    for _ in range(2):
        _, result = run(tmp_path, "--qps", "100", "--duration", "2", "--seed", "7", "--warmup", "5")
        schedules.append([sample["scheduled_ns"] for sample in result["samples"]])
        assert result["scenario"] | {"name": "server", "qps": 100, "seed": 7} == result["scenario"]
        assert result["scenario"]["warm_up"]["rule"] == "5 requests, set by the user"
    assert schedules[0] == schedules[1]
    assert 130 < len(schedules[0]) < 270


def test_multi_stream_measures_queries_and_offline_throughput(tmp_path: Path) -> None:
    _, streams = run(tmp_path, "--samples-per-query", "4", "--requests", "80")
    assert streams["query_latency_ms"]["samples"] == 20
    assert streams["latency_ms"]["samples"] == 80
    code, offline = run(tmp_path, "--scenario", "offline", "--duration", "1")
    assert code == 0
    assert {sample["scheduled_ns"] for sample in offline["samples"]} == {0}
    assert offline["throughput_qps"] > 100


@pytest.mark.timing
def test_a_sweep_gives_a_level_for_each_rate(tmp_path: Path) -> None:
    _, result = run(tmp_path, "--sweep", "50,100,200", "--duration", "1")
    assert [level["qps"] for level in result["levels"]] == [50, 100, 200]
    for level in result["levels"]:
        assert level["achieved_qps"] == pytest.approx(level["qps"], rel=0.5)
        assert level["latency_ms"]["p50"] > 0
    assert len(result["samples"]) in {level["requests"] for level in result["levels"]}


@pytest.mark.timing
def test_the_peak_is_the_highest_rate_that_was_seen_to_hold_the_limit(tmp_path: Path) -> None:
    _, result = run(tmp_path, "--find-peak", "--p99-under", "40ms")
    search, levels = result["search"], result["levels"]
    assert search["limit_ms"] == 40
    held = [level for level in levels if level["held"]]
    assert search["peak_qps"] == max(level["qps"] for level in held)
    assert all(level["latency_ms"]["p99"] <= 40 for level in held)
    assert all(level["qps"] > search["peak_qps"] for level in levels if not level["held"] and level["qps"] > 0) or held
    assert len(levels) <= 12
    assert result["scenario"]["qps"] == search["peak_qps"]


def test_a_limit_that_nothing_holds_has_no_peak_and_ends_soon(tmp_path: Path) -> None:
    begun = time.monotonic()
    _, result = run(tmp_path, "--find-peak", "--p99-under", "1us")
    assert result["search"]["peak_qps"] is None
    assert not any(level["held"] for level in result["levels"])
    assert result["samples"]
    assert time.monotonic() - begun < 60


@pytest.mark.timing
def test_until_it_is_precise_says_whether_it_was(tmp_path: Path) -> None:
    code, result = run(tmp_path, "--until", "p50:50%")
    assert code == 0
    assert result["scenario"]["precision"] == "p50 within 50 %"
    low, high = result["latency_ms"]["intervals"]["p50"]
    middle = result["latency_ms"]["p50"]
    assert max(middle - low, high - middle) <= 0.5 * middle
    assert {"name": "precise enough", "verdict": "ok"}.items() <= next(
        rule for rule in result["validity"]["rules"] if rule["name"] == "precise enough"
    ).items()


def test_fresh_processes_are_told_apart_from_one_another(tmp_path: Path) -> None:
    code, result = run(tmp_path, "--repeat", "3", "--requests", "50")
    assert code == 0
    assert [restart["first_sample"] for restart in result["restarts"]] == [0, 50, 100]
    assert all(restart["lifecycle_s"]["steady"] > restart["lifecycle_s"]["ready"] for restart in result["restarts"])
    assert result["spread"]["latency_ms"]["within"] > 0
    assert result["spread"]["ready_s"]["within"] is None
    assert [phase["name"] for phase in result["phases"]].count("load") == 3


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a core for the client and one for the board")
def test_the_client_can_have_a_core_of_its_own(tmp_path: Path) -> None:
    core = sorted(os.sched_getaffinity(0))[-1]
    _, result = run(tmp_path, "--client-cores", str(core), "--requests", "50")
    assert result["generator"]["cores"] == [core]
    assert core in os.sched_getaffinity(0)
    assert result["device"]["cores"] == len(os.sched_getaffinity(0)) - 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--scenario", "burst"], "'burst' is not one of 'single-stream', 'multi-stream', 'server', 'offline'"),
        (["--scenario", "server"], "--scenario server: needs a rate"),
        (["--qps", "10", "--clients", "2"], "--clients: is for --scenario single-stream or offline"),
        (["--qps", "-1"], "--qps -1: is not a rate"),
        (["--sweep", "10,x"], "--sweep 10,x: not RATE,RATE"),
        (["--sweep", "10", "--qps", "5"], "--sweep sets the rate itself"),
        (["--sweep", "10", "--find-peak", "--p99-under", "1s"], "--sweep and --find-peak exclude each other"),
        (["--find-peak"], "--find-peak and --p99-under go together"),
        (["--p99-under", "50"], "--find-peak and --p99-under go together"),
        (["--find-peak", "--p99-under", "50"], "--p99-under 50: not a time"),
        (["--until", "99:5"], "--until 99:5: not pN:X%"),
        (["--range", "image=5:1"], "--range image=5:1: 5 is above 1"),
        (["--range", "nobody=0:1"], "--range nobody: model digits takes"),
        (["--input", "missing.npz"], "missing.npz: not a file of inputs"),
        (["--client-cores", "999"], "--client-cores 999: edgesim may use the cores"),
        (["--client-cores", "x"], "--client-cores x: not N,N"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_starts(
    options: list[str], problem: str, tmp_path: Path
) -> None:
    done = edgesim_here("run", "jetson-nano", "digits", "--engine", "local", "-o", tmp_path / "r.json", *options)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_cores_for_the_client_leave_none_for_the_board() -> None:
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    done = edgesim_here("run", "jetson-nano", "digits", "--engine", "local", "--client-cores", cores)
    assert done.returncode == 2
    assert "leaves no core for the board" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_in_the_middle_leaves_a_file_that_can_be_read_and_is_marked(
    how: signal.Signals, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    running = begin("run", "jetson-nano", "digits", "--engine", "local", "--qps", "200", "--duration", "60", "-o", path)
    kept = tmp_path / "r.incomplete.json"
    until = time.monotonic() + 60
    while not kept.exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.5)
    running.send_signal(how)
    running.communicate(timeout=60)
    found = RunResult.read(kept if how == signal.SIGKILL else path)
    assert not found.complete
    assert not found.validity.valid
    assert len(found.samples) >= 150
    assert kept.exists() is (how == signal.SIGKILL)
    until = time.monotonic() + 10
    while _servers_without_an_owner() and time.monotonic() < until:
        time.sleep(0.05)
    assert not _servers_without_an_owner(), "the server ends with the run, even with one that was killed"


def _servers_without_an_owner() -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["ppid", "cmdline"])
        if "edgesim.server" in (process.info["cmdline"] or []) and process.info["ppid"] == 1
    ]


def test_a_result_that_does_not_fit_on_the_disk_is_still_shown_and_its_samples_kept(tmp_path: Path) -> None:
    limit = 150_000
    done = edgesim(
        "run",
        "jetson-nano",
        "digits",
        "--engine",
        "local",
        "--qps",
        "300",
        "--duration",
        "4",
        "-o",
        tmp_path / "r.json",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 3
    assert "cannot write the result" in done.stderr
    assert "r.incomplete.json" in done.stderr
    assert "time per request" in done.stdout
    kept = RunResult.read(tmp_path / "r.incomplete.json")
    assert not kept.complete
    assert len(kept.samples) > 200
    assert [path.name for path in tmp_path.iterdir()] == ["r.incomplete.json"]


def test_an_interrupt_between_two_containers_keeps_what_the_first_has_given(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    options = ("--engine", "local", "--repeat", "2", "--requests", "50", "-o", path)
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, "container 2 of 2")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    found = RunResult.read(path)
    assert running.returncode == 130
    assert not found.complete
    assert not found.validity.valid
    assert len(found.samples) >= 50


SWEEP, PEAK = ["--sweep", "50,60,70", "--duration", "2"], ["--find-peak", "--p99-under", "40ms"]


@pytest.mark.parametrize(
    ("options", "moment"),
    [(SWEEP, "warming up"), (SWEEP, "rate 2 of 3"), (PEAK, "warming up"), (PEAK, "does p99 stay")],
)
def test_a_server_that_dies_between_or_within_rates_ends_the_run_and_what_there_was_is_kept(
    options: list[str], moment: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    running = begin("run", "jetson-nano", "digits", "--engine", "local", "-o", path, *options)
    wait_for(running, moment)
    # The other child runs the model on this host, for comparison.
    children = psutil.Process(running.pid).children()
    (server,) = (child for child in children if "edgesim.server" in child.cmdline())
    server.kill()
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 4, stderr
    assert "Traceback" not in stderr
    assert not RunResult.read(path).validity.valid


def test_an_interrupt_within_a_rate_of_a_sweep_keeps_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    options = ("--engine", "local", "--sweep", "100,200", "--duration", "30", "-o", path)
    running = begin("run", "jetson-nano", "digits", *options)
    wait_for(running, "rate 1 of 2")
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    found = RunResult.read(path)
    assert running.returncode == 130
    assert len(found.samples) > 50
    assert not found.complete
