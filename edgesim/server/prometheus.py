"""Metrics in Prometheus' form. Nothing is counted twice: a scrape reads the protocol's own statistics."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, PlatformCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from .http_connection import Server
from .model_statistics import BUCKETS_S
from .process_metrics import ProcessMetrics
from .served_models import ServedModels

_LABELS = ("model", "version")


class Metrics:
    """The metrics of one server, in a registry of their own: two servers in one process do not share figures."""

    def __init__(self, models: ServedModels, server: Server) -> None:
        self._models = models
        self._server = server
        self._registry = CollectorRegistry()
        self._registry.register(ProcessMetrics())
        PlatformCollector(registry=self._registry)
        self._registry.register(self)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that a client's Accept header asks for, and the media type."""
        encode, media_type = choose_encoder(accept)
        return encode(self._registry), media_type

    def describe(self) -> Iterable[Metric]:
        return ()  # the metrics depend on the loaded models

    def collect(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "edgesim_inference_requests", "Inference requests answered.", labels=(*_LABELS, "outcome")
        )
        rows = CounterMetricFamily("edgesim_inferences", "Inferences, a batch of n counting n.", labels=_LABELS)
        executions = CounterMetricFamily("edgesim_executions", "Runs of the model, each of a batch.", labels=_LABELS)
        seconds = CounterMetricFamily(
            "edgesim_inference_seconds", "Time of successful requests by stage.", labels=(*_LABELS, "stage")
        )
        duration = HistogramMetricFamily(
            "edgesim_inference_duration_seconds", "Time of a successful request within the server.", labels=_LABELS
        )
        waiting = GaugeMetricFamily("edgesim_inference_queue", "Requests that wait for the model.", labels=_LABELS)
        load = GaugeMetricFamily("edgesim_model_load_seconds", "How long loading took.", labels=_LABELS)
        for model in self._models.loaded():
            labels, statistics = (model.name, model.version), model.statistics
            requests.add_metric((*labels, "ok"), statistics.success)
            requests.add_metric((*labels, "failed"), statistics.fail)
            rows.add_metric(labels, statistics.inferences)
            executions.add_metric(labels, statistics.executions)
            stages = {
                "queue": statistics.queue_ns,
                "input": statistics.input_ns,
                "infer": statistics.infer_ns,
                "output": statistics.output_ns,
            }
            for stage, ns in stages.items():
                seconds.add_metric((*labels, stage), ns / 1e9)
            below, cumulative = 0, []
            for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), statistics.buckets):
                below += count
                cumulative.append((bound, below))
            duration.add_metric(labels, cumulative, statistics.success_ns / 1e9)
            waiting.add_metric(labels, model.worker.waiting())
            load.add_metric(labels, model.load_s)
        ready = GaugeMetricFamily(
            "edgesim_model_ready", "1 for a version that is served, 0 for one that is not.", labels=_LABELS
        )
        for entry in self._models.index():
            ready.add_metric((entry["name"], entry["version"]), float(entry["state"] == "READY"))
        connections = GaugeMetricFamily("edgesim_connections", "Open connections.", value=len(self._server.connections))
        in_flight = GaugeMetricFamily(
            "edgesim_held_bytes", "Bytes of requests and answers in flight.", value=self._server.bytes_in_flight
        )
        yield from (requests, rows, executions, seconds, duration, waiting, load, ready, connections, in_flight)
