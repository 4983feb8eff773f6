"""The protocol's statistics of a model, counted once for each request."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Upper bounds of the histogram of request times in seconds: from a small native model to a large emulated one.
BUCKETS_S = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    60.0,
)


class Timing(NamedTuple):
    """The stages of one request in the server, in nanoseconds.

    Attributes:
        queue_ns: waiting for the model; input_ns: decoding; infer_ns: the model's run; output_ns: encoding.
        rows: rows of the request.
        batch_rows: rows of the whole execution, counted by its first request alone; 0 in the others.
    """

    queue_ns: int
    input_ns: int
    infer_ns: int
    output_ns: int
    rows: int
    batch_rows: int


@dataclass
class Statistics:
    """Counts and sums over one version of a model. Only the event loop's thread writes them."""

    success: int = 0
    fail: int = 0
    fail_ns: int = 0
    queue_ns: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0
    inferences: int = 0
    executions: int = 0
    last_inference_ms: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    # By rows of an execution: the number of executions, and the sums of the three compute times in nanoseconds.
    batches: dict[int, list[int]] = field(default_factory=dict)

    @property
    def success_ns(self) -> int:
        return self.queue_ns + self.input_ns + self.infer_ns + self.output_ns

    def succeeded(self, timing: Timing) -> None:
        self.success += 1
        self.queue_ns += timing.queue_ns
        self.input_ns += timing.input_ns
        self.infer_ns += timing.infer_ns
        self.output_ns += timing.output_ns
        self.inferences += timing.rows
        self.last_inference_ms = int(time.time() * 1000)
        duration_s = (timing.queue_ns + timing.input_ns + timing.infer_ns + timing.output_ns) / 1e9
        self.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        if timing.batch_rows:
            self.executions += 1
            batch = self.batches.setdefault(timing.batch_rows, [0, 0, 0, 0])
            batch[0] += 1
            batch[1] += timing.input_ns
            batch[2] += timing.infer_ns
            batch[3] += timing.output_ns

    def failed(self, duration_ns: int) -> None:
        self.fail += 1
        self.fail_ns += duration_ns

    def as_json(self, name: str, version: str) -> dict[str, Any]:
        """Return the entry of this version in ``/v2/models/stats``."""

        def duration(count: int, ns: int) -> dict[str, int]:
            return {"count": count, "ns": ns}

        return {
            "name": name,
            "version": version,
            "last_inference": self.last_inference_ms,
            "inference_count": self.inferences,
            "execution_count": self.executions,
            "inference_stats": {
                "success": duration(self.success, self.success_ns),
                "fail": duration(self.fail, self.fail_ns),
                "queue": duration(self.success, self.queue_ns),
                "compute_input": duration(self.success, self.input_ns),
                "compute_infer": duration(self.success, self.infer_ns),
                "compute_output": duration(self.success, self.output_ns),
                "cache_hit": duration(0, 0),
                "cache_miss": duration(0, 0),
            },
            "batch_stats": [
                {
                    "batch_size": rows,
                    "compute_input": duration(count, input_ns),
                    "compute_infer": duration(count, infer_ns),
                    "compute_output": duration(count, output_ns),
                }
                for rows, (count, input_ns, infer_ns, output_ns) in sorted(self.batches.items())
            ],
        }
