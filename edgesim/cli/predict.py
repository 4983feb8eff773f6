"""``edgesim predict`` and ``edgesim calibrate``."""

import math
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgesim import profiles
from edgesim.cli import _load_options
from edgesim.cli._console import out, print_json
from edgesim.cli._options import JsonOption, ModelArgument, ModelsOption, ProfileArgument
from edgesim.errors import ExitCode
from edgesim.jobs.calibrate import calibrate
from edgesim.models import repository
from edgesim.predictions import NodeTime, Prediction, predict
from edgesim.predictions.alternatives import Alternative, alternatives
from edgesim.units import format_ms

_MOST_NODES = 10


def predict_command(
    p: ProfileArgument,
    m: ModelArgument,
    models: ModelsOption = None,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="Where the model leaves its first size open.")] = 1,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of one inference [default: the board's cores].")
    ] = None,
    shape: _load_options.ShapeOption = None,
    explain: Annotated[bool, typer.Option("--explain", help="What costs most, and what would change.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Device time from the model's graph alone: no container, no board."""
    board, subject = profiles.load(p), repository.find(m, models)
    shapes = _load_options.shapes(shape or [])
    found = predict(board, subject, batch=batch, threads=threads, shapes=shapes)
    others = alternatives(board, subject, batch=batch, threads=threads, shapes=shapes) if explain else []
    if as_json:
        print_json(_facts(found, others, explain=explain))
        return ExitCode.OK
    for_batch = f" for a batch of {batch}" if batch > 1 else ""
    heading = Text.assemble((f"{subject.name} on {board.title}", "bold"), for_batch)
    lines: list[Any] = [heading, Text(), _headline(found), Text(found.method, style="dim")]
    lines += [Text(note, style="yellow") for note in found.notes]
    if explain:
        lines += [Text(), _by_operation(found), _by_node(found), _alternatives(found, others)]
    out.print(Group(*lines))
    return ExitCode.OK


def calibrate_command(
    p: ProfileArgument,
    results: Annotated[list[Path], typer.Argument(metavar="RESULT.json...", help="Native runs on the board itself.")],
    models: ModelsOption = None,
) -> int:
    """Let native runs on your own board correct its predictions, and narrow their band."""
    kept = calibrate(profiles.load(p), results, models=models)
    for name, ratio in zip(kept.calibration.models, kept.calibration.log_ratios, strict=True):
        out.print(f"{name}: measured {math.exp(ratio):.2f} times what was predicted")
    out.print(f"predictions for {kept.calibration.profile}: times {kept.calibration.factor:.2f} from now on")
    out.print(str(kept.path), style="dim", soft_wrap=True)
    return ExitCode.OK


def _headline(found: Prediction) -> Text:
    band = f"  ({format_ms(found.low_ms)} to {format_ms(found.high_ms)} ms, 80 %)"
    return Text.assemble((f"{format_ms(found.p50_ms)} ms", "bold"), band)


def _by_operation(found: Prediction) -> Table:
    table = _table("by kind of operation", "kind", "nodes", "GFLOP", "MB moved", "ms", "share", "bound by")
    groups: dict[str, list[NodeTime]] = defaultdict(list)
    for time in found.nodes:
        groups[time.node.kind].append(time)
    for kind, times in sorted(groups.items(), key=lambda item: -sum(time.ms for time in item[1])):
        arithmetic_ms, total_ms = sum(t.arithmetic_ms for t in times), sum(t.ms for t in times)
        table.add_row(
            kind,
            str(len(times)),
            f"{sum(t.node.flops for t in times) / 1e9:.2f}",
            f"{sum(t.node.moved_bytes for t in times) / 1e6:.1f}",
            f"{total_ms:.2f}",
            f"{100 * total_ms / found.p50_ms:.0f} %",
            "compute" if 2 * arithmetic_ms > total_ms else "memory",
        )
    return table


def _by_node(found: Prediction) -> Table:
    table = _table("the nodes that cost most", "node", "operation", "gives", "ms", "share", "bound by")
    for time in sorted(found.nodes, key=lambda time: -time.ms)[:_MOST_NODES]:
        table.add_row(
            time.node.name,
            "+".join((time.node.operation, *time.node.fused)),
            "x".join(map(str, time.node.shape)),
            f"{time.ms:.2f}",
            f"{100 * time.ms / found.p50_ms:.0f} %",
            time.bound,
        )
    return table


def _alternatives(found: Prediction, others: list[Alternative]) -> Table:
    table = _table("what would change", "with", "ms", "80 %", "times as fast")
    for other in others:
        if other.prediction is None:
            table.add_row(other.change, "-", "-", f"- ({other.reason})")
        else:
            band = f"{format_ms(other.prediction.low_ms)} to {format_ms(other.prediction.high_ms)}"
            faster = f"{found.p50_ms / other.prediction.p50_ms:.2f}"
            table.add_row(other.change, format_ms(other.prediction.p50_ms), band, faster)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        figures = column in ("nodes", "GFLOP", "MB moved", "ms", "share")
        table.add_column(column, justify="right" if figures else "left", overflow="fold")
    return table


def _facts(found: Prediction, others: list[Alternative], *, explain: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "p50_ms": found.p50_ms,
        "low_ms": found.low_ms,
        "high_ms": found.high_ms,
        "method": found.method,
        "threads": found.threads,
        "batch": found.batch,
        "notes": list(found.notes),
        "flops": found.flops,
    }
    if explain:
        facts["nodes"] = [
            {
                "name": time.node.name,
                "operation": time.node.operation,
                "fused": list(time.node.fused),
                "kind": time.node.kind,
                "shape": list(time.node.shape),
                "flops": time.node.flops,
                "moved_bytes": time.node.moved_bytes,
                "ms": time.ms,
                "bound": time.bound,
            }
            for time in found.nodes
        ]
        facts["alternatives"] = [
            {
                "change": other.change,
                "reason": other.reason,
                "p50_ms": other.prediction.p50_ms if other.prediction is not None else None,
            }
            for other in others
        ]
    return facts
