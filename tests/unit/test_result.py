import json
from pathlib import Path

import pytest
from rich.console import Console

from edgesim.errors import ResultError
from edgesim.report import text
from edgesim.result import (
    DeviceSection,
    DeviceTimeSection,
    Distribution,
    HostSection,
    ImageSection,
    LifecycleSection,
    ModelSection,
    ProfileSection,
    Reading,
    RequestsSection,
    ResourcesSection,
    RunResult,
    Sample,
    ScenarioSection,
    ValiditySection,
)


@pytest.fixture
def result() -> RunResult:
    return RunResult(
        created="2026-01-02T03:04:05+00:00",
        edgesim_version="0.1.0",
        execution="emulated",
        profile=ProfileSection(name="jetson-nano", sha256="ab", title="NVIDIA Jetson Nano", mode="MAXN"),
        model=ModelSection(name="net", sha256="cd", version="1", size_bytes=1, parameters=1, opset=17),
        image=ImageSection(reference="edgesim/jetson:arm64", id="sha256:ef", base="debian", cached=True),
        host=HostSection(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux", engine="Docker", emulator="QEMU 10"),
        device=DeviceSection(
            architecture="aarch64", cpu_model="cortex-a57", cores=2, memory_limit_bytes=2**30, cpu_limit=2.0,
            shortfalls=("cores: the board has 4, this host gives 2",),
        ),
        scenario=ScenarioSection(
            name="single-stream", requests=5, duration_s=3, warmup=0, seed=0, inputs="random, seed 0"
        ),
        lifecycle_s=LifecycleSection(image=0.1, create=0.2, ready=3.0, model_load=0.5, first_inference=2.5),
        stages_s={"load": 12.0},
        requests=RequestsSection(sent=1, ok=1, failed=0),
        latency_ms=Distribution(min=2500.0, mean=2500.0, max=2500.0),
        service_time_ms=Distribution(min=2500.0, mean=2500.0, max=2500.0),
        throughput_qps=0.4,
        resources=ResourcesSection(memory_peak_bytes=2**27, memory_peak_source="cgroup", memory_limit_bytes=2**30),
        device_time_ms=DeviceTimeSection(p50=None, low=None, high=None, method="none: nothing is predicted"),
        agreement=None,
        validity=ValiditySection(valid=False, reasons=("enough requests: 1 answered, 3 needed",)),
        samples=(Sample(0, 10, 2_500_000_000, "ok"),),
        timeline=(Reading(0, 1.0, 100),),
    )  # fmt: skip


def shown(result: RunResult) -> str:
    console = Console(width=200, no_color=True, markup=False)
    with console.capture() as capture:
        console.print(text.render(result))
    return capture.get()


def test_a_result_is_the_same_after_writing_and_reading(result: RunResult, tmp_path: Path) -> None:
    result.write(tmp_path / "r.json")
    assert RunResult.read(tmp_path / "r.json") == result
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_the_file_holds_the_names_of_the_contract(result: RunResult) -> None:
    document = json.loads(result.as_json())
    assert {
        "schema_version", "created", "edgesim_version", "execution", "profile", "model", "image", "host", "device",
        "scenario", "lifecycle_s", "requests", "latency_ms", "service_time_ms", "throughput_qps", "resources",
        "device_time_ms", "validity", "samples", "timeline",
    } <= set(document)  # fmt: skip
    assert {"architecture", "cpu_model", "cores", "memory_limit_bytes", "cpu_limit"} <= set(document["device"])
    assert set(document["latency_ms"]) == {"min", "mean", "p50", "p90", "p95", "p99", "p99_9", "max"}
    assert document["samples"] == [{"scheduled_ns": 0, "sent_ns": 10, "done_ns": 2_500_000_000, "outcome": "ok"}]
    assert document["latency_ms"]["p99"] is None


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema_version": 2}', "not json"])
def test_what_is_no_result_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(ResultError, match=r"r\.json: not a result file"):
        RunResult.read(path)


def test_a_result_that_cannot_be_written_says_so_and_leaves_nothing(result: RunResult, tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="cannot write the result"):
        result.write(tmp_path / "nowhere" / "r.json")
    assert list(tmp_path.iterdir()) == []


def test_the_report_has_device_time_first_and_names_emulated_time_wherever_it_prints_it(result: RunResult) -> None:
    lines = shown(result).splitlines()
    assert lines[2].startswith("device time")
    assert "emulated time per request" in shown(result)
    assert "never to be compared" in shown(result)
    assert any(line.startswith("emulated start") for line in lines)


def test_the_report_says_what_the_host_could_not_give_and_why_a_run_is_invalid(result: RunResult) -> None:
    assert "not given" in shown(result)
    assert "the board has 4, this host gives 2" in shown(result)
    assert "INVALID" in shown(result)
    assert "enough requests: 1 answered, 3 needed" in shown(result)


def test_latency_counts_from_when_a_request_was_due_and_service_time_from_when_it_was_sent() -> None:
    sample = Sample(1_000_000, 3_000_000, 11_000_000, "ok")
    assert (sample.latency_ms, sample.service_time_ms) == (10.0, 8.0)
