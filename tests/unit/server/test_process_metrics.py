"""The server's figures about its own process: the kernel's, or none, but never 0."""

from pathlib import Path

import prometheus_client
import psutil
import pytest
from prometheus_client.metrics_core import GaugeMetricFamily

from edgesim.server import process_metrics
from edgesim.server.process_metrics import ProcessMetrics


def figures(metrics: ProcessMetrics) -> dict[str, float]:
    return {sample.name: sample.value for metric in metrics.collect() for sample in metric.samples}


def test_the_figures_are_the_kernel_s() -> None:
    found, process = figures(ProcessMetrics()), psutil.Process()
    assert found["process_resident_memory_bytes"] == pytest.approx(process.memory_info().rss, rel=0.2)
    assert found["process_virtual_memory_bytes"] == pytest.approx(process.memory_info().vms, rel=0.2)
    assert 0 < found["process_cpu_seconds_total"] <= sum(process.cpu_times()[:2]) + 0.1
    assert found["process_start_time_seconds"] == pytest.approx(process.create_time(), abs=2)
    assert found["process_open_fds"] > 0


def test_zeros_of_an_emulator_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Emulated(prometheus_client.ProcessCollector):
        def collect(self) -> list[GaugeMetricFamily]:
            return [GaugeMetricFamily(f"process_{name}", "", value=0.0) for name in ("start_time_seconds", "open_fds")]

    monkeypatch.setattr(process_metrics, "ProcessCollector", Emulated)
    found = figures(ProcessMetrics(tmp_path / "missing"))
    assert list(found) == ["process_cpu_seconds_total"]
    assert found["process_cpu_seconds_total"] > 0
