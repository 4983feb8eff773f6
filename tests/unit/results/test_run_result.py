"""The result of a run: written, read, combined, and shown on the terminal."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from edgesim.errors import ResultError
from edgesim.jobs.result_halves import combined, without_emulated
from edgesim.progress import Stages
from edgesim.recording import Sample
from edgesim.reports.formats import terminal
from edgesim.results.run_result import RunResult
from edgesim.results.sections import (
    HOST_CORE,
    AgreementSection,
    DeviceTimeSection,
    Distribution,
    EnergySection,
    Level,
    ResourcesSection,
    Restart,
    ScaledSection,
    ScalingSection,
    SearchSection,
    Spread,
    ValiditySection,
)
from tests.support import results


def shown(result: RunResult) -> str:
    console = Console(width=200, no_color=True, markup=False)
    with console.capture() as capture:
        console.print(terminal.render_result(result))
    return capture.get()


def test_result_is_the_same_after_writing_and_reading(result: RunResult, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    assert RunResult.read(tmp_path / "r.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_result_file_has_the_field_names_of_the_contract(result: RunResult) -> None:
    document = json.loads(result.as_json())
    assert {
        "schema_version",
        "created",
        "edgesim_version",
        "execution",
        "profile",
        "model",
        "image",
        "host",
        "device",
        "scenario",
        "lifecycle_s",
        "requests",
        "latency_ms",
        "service_time_ms",
        "throughput_qps",
        "resources",
        "device_time_ms",
        "validity",
        "samples",
        "timeline",
    } <= set(document)
    assert {"architecture", "cpu_model", "cores", "memory_limit_bytes", "cpu_limit"} <= set(document["device"])
    assert set(document["latency_ms"]) >= {"min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"}
    assert document["samples"] == [{"scheduled_ns": 0, "sent_ns": 10, "done_ns": 2_500_000_000, "outcome": "ok"}]
    assert document["latency_ms"]["p99"] is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema_version": 2}', "not json"])
def test_file_that_is_no_result_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(ResultError, match=r"r\.json: not a result file"):
        RunResult.read(path)


def test_runtime_is_a_name_and_a_version_and_older_files_have_both_in_one_word(result: RunResult) -> None:
    document = json.loads(result.as_json())
    document["device"]["runtime"] = "onnxruntime 1.31.1"
    read = RunResult.model_validate(document)
    assert json.loads(read.as_json())["device"]["runtime"] == {"name": "onnxruntime", "version": "1.31.1"}
    assert read == RunResult.model_validate(json.loads(read.as_json()))
    assert "onnxruntime 1.31.1" in shown(read)


def test_result_that_cannot_be_written_raises_and_leaves_no_file(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot write the result"):
        result.write(tmp_path / "nowhere" / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_report_begins_with_device_time_and_names_emulated_time_as_such(result: RunResult) -> None:
    lines = shown(result).splitlines()
    assert lines[2].startswith("device time")
    assert "emulated time per request" in shown(result)
    assert "never to be compared" in shown(result)
    assert any(line.startswith("emulated start") for line in lines)


def test_report_names_shortfalls_and_why_a_run_is_invalid(result: RunResult) -> None:
    assert "shortfall" in shown(result)
    assert "the board has 4, this host gives 2" in shown(result)
    assert "INVALID" in shown(result)
    assert "enough requests: 1 answered, 3 needed" in shown(result)


def test_latency_begins_when_a_request_is_due_and_service_time_when_it_is_sent() -> None:
    sample = Sample(1_000_000, 3_000_000, 11_000_000, "ok")
    assert (sample.latency_ms, sample.service_time_ms) == (10.0, 8.0)


def test_row_of_a_level_says_whether_it_kept_the_limit_and_is_valid(result: RunResult) -> None:
    times = Distribution(samples=700, p50=5.0, p90=6.0, p99=60.0)
    late = Level(
        qps=80,
        achieved_qps=70.5,
        requests=700,
        failed=0,
        latency_ms=times,
        service_time_ms=times,
        lag_ms=times,
        valid=False,
        reasons=("generator on time: late",),
        held=False,
    )
    held = late.model_copy(update={"qps": 40.0, "valid": True, "reasons": (), "held": True})
    search = SearchSection(percentile="p99", limit_ms=50, peak_qps=40)
    text = shown(result.model_copy(update={"levels": (late, held), "search": search}))
    assert "40 requests/s with p99 under 50 ms" in text
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(("40 ", "80 "))]
    assert [row[8:] for row in rows] == [["within", "limit"], ["over", "limit,", "INVALID"]]
    assert "INVALID at 80 requests/s: generator on time: late" in text
    assert "none: no tested rate" in shown(
        result.model_copy(update={"search": search.model_copy(update={"peak_qps": None})})
    )


def test_interval_of_a_percentile_that_this_version_does_not_know_is_left_out(result: RunResult) -> None:
    times = Distribution(samples=99, p50=2.0, intervals={"p99_99": (1.0, 2.0), "p50": (1.5, 2.5)})
    text = shown(result.model_copy(update={"latency_ms": times}))
    assert "95 % confidence intervals: p50 1.50 to 2.50\n" in text.replace(" \n", "\n").replace("  ", "")


def test_infinite_figure_is_shown_as_infinite_and_not_as_unknown(result: RunResult) -> None:
    times = Distribution(samples=9, min=1.0, p50=2.0, infinite=("mean", "max"), needs_samples={"p90": 64})
    row = next(
        line for line in shown(result.model_copy(update={"latency_ms": times})).splitlines() if "latency" in line
    )
    assert row.split() == ["latency", "1.00", "∞", "2.00", "-", "-", "-", "-", "∞"]


def test_each_container_has_a_row_and_the_spread_between_containers_is_shown(result: RunResult) -> None:
    restart = Restart(
        lifecycle_s=result.lifecycle_s,
        first_sample=0,
        samples=1,
        latency_ms=result.latency_ms,
        service_time_ms=result.service_time_ms,
    )
    spread = {
        "latency_ms": Spread(mean=10, within=1.5, between=0.25),
        "ready_s": Spread(mean=3, within=None, between=0.1),
    }
    text = shown(result.model_copy(update={"restarts": (restart, restart), "spread": spread}))
    assert "latency: mean 10 ms, within a container ±1.5, between containers ±0.25" in text
    assert "ready: mean 3 s, between containers ±0.1" in text


def test_suspect_run_says_why_and_stays_valid(result: RunResult) -> None:
    doubt = ValiditySection(valid=True, suspect=True, suspicions=("host quiet: other programs took 30.0 %",))
    text = shown(result.model_copy(update={"validity": doubt}))
    assert "VALID, but suspect" in text
    assert "other programs took 30.0 %" in text


def scaled(result: RunResult) -> RunResult:
    """Return the result of a scaled run, with the result of the emulated run in it."""
    section = ScalingSection(
        share=0.25,
        quota_us=1000,
        period_us=4000,
        threads=1,
        method="the CPU share makes 60 % of the time",
        models=(results.scaled_model(),),
    )
    time = DeviceTimeSection(p50=40.0, low=30.0, high=50.0, method="predicted")
    energy = EnergySection(per_inference=0.2, above_idle=0.15, method="estimated: 5 W")
    update = {"execution": "scaled", "scaling": section, "device_time_ms": time, "energy_j": energy}
    return result.model_copy(update=update).with_emulated(result)


def test_result_with_an_emulated_result_is_the_same_after_writing_and_reading(
    result: RunResult, tmp_path: Path
) -> None:
    both = scaled(result)
    both.write(tmp_path / "r.json")
    assert RunResult.read(tmp_path / "r.json") == both
    inside = json.loads((tmp_path / "r.json").read_text())["emulated"]
    assert list(json.loads(both.as_json()))[-1] == "samples", "so that a journal can append to them"
    assert inside["samples"] == [{"scheduled_ns": 0, "sent_ns": 10, "done_ns": 2_500_000_000, "outcome": "ok"}]


def test_memory_and_answers_of_both_are_the_boards_and_the_scaled_halfs_own_lie_under_scaled(result: RunResult) -> None:
    answers = AgreementSection(compared=1, max_abs_difference=1e-5)
    board = result.model_copy(update={"agreement": answers})
    used = result.resources.model_copy(update={"memory_peak_bytes": 2**20, "oom_kills": 0, "cpu_seconds": 7.0})
    both = scaled(result.model_copy(update={"resources": used})).with_emulated(board)
    assert both.resources.memory_peak_bytes == result.resources.memory_peak_bytes
    assert (both.resources.oom_kills, both.resources.cpu_seconds) == (result.resources.oom_kills, 7.0)
    assert both.agreement == answers
    assert both.scaled == ScaledSection(resources=used, agreement=None)


def test_older_file_of_both_is_read_with_the_memory_and_answers_of_the_board(result: RunResult, tmp_path: Path) -> None:
    half = result.model_copy(update={"resources": ResourcesSection(memory_peak_bytes=2**20, cpu_seconds=7.0)})
    older = json.loads(half.as_json()) | {"execution": "scaled", "emulated": json.loads(result.as_json())}
    del older["scaled"]
    (tmp_path / "r.json").write_text(json.dumps(older))
    read = RunResult.read(tmp_path / "r.json")
    assert read.resources.memory_peak_bytes == result.resources.memory_peak_bytes
    assert read.scaled is not None
    assert (read.resources.cpu_seconds, read.scaled.resources) == (7.0, half.resources)


def test_report_of_both_has_the_scaled_time_and_the_emulated_board(result: RunResult) -> None:
    lines = shown(scaled(result)).splitlines()
    assert lines[0].endswith("scaled (time) and emulated (answers, memory)")
    assert "40.0 ms  (30.0 to 50.0 ms)" in lines[2]
    assert "predicted" in lines[3]
    text = "\n".join(lines)
    assert "about 0.2 J per inference, of which 0.15 J above idle (estimated: 5 W)" in text
    assert "aarch64, cortex-a57" in text
    assert "CPU share 25 % of a core of this host, in periods of 4 ms, 1 thread" in text
    assert "40.2 ms after tuning, 40.4 ms at the end (+1.0 %); 6 ms without time scaling" in text
    assert "scaled time per request" in text
    assert "never to be compared" not in text


def test_run_that_could_not_be_scaled_says_why(result: RunResult) -> None:
    assert "this host takes 12 ms" in shown(result.model_copy(update={"not_scaled": "this host takes 12 ms"}))


def test_run_of_both_is_valid_if_both_are_valid(result: RunResult) -> None:
    valid = result.model_copy(update={"validity": ValiditySection(valid=True)})
    stages = Stages()
    assert combined(valid, valid, stages).validity.valid
    doubtful = combined(valid, result, stages)
    assert not doubtful.validity.valid
    assert doubtful.validity.reasons == ("emulated: enough requests: 1 answered, 3 needed",)
    cut = without_emulated(valid, "the server ended")
    assert (cut.complete, cut.validity.valid) == (False, False)
    assert cut.validity.reasons == ("emulated: the server ended",)


def test_process_of_this_host_has_no_time_that_is_called_a_boards_or_a_hosts(result: RunResult) -> None:
    gateway = result.profile.model_copy(update={"core": HOST_CORE})
    unknown = DeviceTimeSection(p50=None, low=None, high=None, method="none: it has the core of its host")
    result = result.model_copy(update={"profile": gateway, "execution": "host", "device_time_ms": unknown})
    assert result.time_label == "device time"
    assert result.model_copy(update={"execution": "native"}).time_label == "this host's time"
