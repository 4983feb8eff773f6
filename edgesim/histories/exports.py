"""Histories as other programs read them: JSON lines, Prometheus' text, and github-action-benchmark's input."""

import json
import re
from collections.abc import Sequence
from typing import Literal

import orjson
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from edgesim.gates.result_metrics import HIGHER_IS_BETTER
from edgesim.histories.series import Series, document

Direction = Literal["smaller", "bigger"]

# The last part of a metric's name that says its unit; units as github-action-benchmark shows them.
_UNITS = {"ms": "ms", "s": "s", "bytes": "bytes", "j": "J", "qps": "requests/s"}


def jsonl(series: Sequence[Series]) -> str:
    """Return a JSON object in a line for each series, with its points and steps."""
    return "".join(orjson.dumps(document(each)).decode() + "\n" for each in series)


def prometheus(series: Sequence[Series]) -> str:
    """Return the last figure of each series in Prometheus' text exposition format.

    A gauge for each metric, without time stamps, which the node exporter's textfile collector refuses; and
    ``edgesim_recent_steps``, the number of recent steps for the worse.
    """
    registry = CollectorRegistry()
    labels = ("profile", "model", "fingerprint")
    gauges: dict[str, Gauge] = {}
    steps = Gauge(
        "edgesim_recent_steps", "Recent steps for the worse in a metric", (*labels, "metric"), registry=registry
    )
    for each in series:
        name = "edgesim_" + re.sub(r"[^a-zA-Z0-9_]+", "_", _with_unit(each.metric))
        if name not in gauges:
            gauges[name] = Gauge(name, f"The last {each.metric} of a model on a board", labels, registry=registry)
        values = (each.profile, each.model, each.fingerprint)
        gauges[name].labels(*values).set(each.values[-1])
        steps.labels(*values, each.metric).set(sum(step.recent and step.worse for step in each.steps))
    return generate_latest(registry).decode()


def github_action_benchmark(series: Sequence[Series], direction: Direction = "smaller") -> str:
    """Return the last figure of each series as github-action-benchmark's custom tools read it.

    The action has a tool for figures of which smaller is better (``customSmallerIsBetter``), and one for the others
    (``customBiggerIsBetter``); `direction` says for which. Its README, "Custom benchmarks", describes the form.
    """
    rows = []
    for each in series:
        if (each.metric in HIGHER_IS_BETTER) != (direction == "bigger"):
            continue
        point = each.points[-1]
        row = {
            # A measured time of another machine is another benchmark.
            "name": f"{each.profile}/{each.model}/{each.metric} ({each.fingerprint})",
            "unit": unit(each.metric),
            "value": each.values[-1],
            "extra": "\n".join(f"{field}: {words}" for field, words in each.of.items()),
        }
        if point.figure.low is not None and point.figure.high is not None:
            row["range"] = f"{point.figure.low:g} to {point.figure.high:g}"
        rows.append(row)
    return json.dumps(rows, indent=1) + "\n"


def unit(metric: str) -> str:
    """Return the unit of a metric, by its name; ``1`` for a share or a number of things."""
    parts = re.split(r"[._]", _with_unit(metric))
    return next((_UNITS[part] for part in reversed(parts) if part in _UNITS), "1")


def _with_unit(metric: str) -> str:
    """Return a metric's name with its unit: the time of a target is in milliseconds."""
    return f"{metric}_ms" if metric.startswith("targets.") else metric
