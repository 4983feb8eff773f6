"""``edgesim predict``."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.text import Text

from edgesim import profiles
from edgesim.cli import _generation
from edgesim.cli._app import INPUTS, new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import (
    HostLibraryOption,
    JsonOption,
    ModelArgument,
    ProfileArgument,
    QuietOption,
    TargetOption,
)
from edgesim.cli._run_options import InputFlags, takes_run_options
from edgesim.cli._tables import text_table
from edgesim.errors import ExitCode
from edgesim.inputs.description import InputDescription
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import CPU, Generate, InputOptions, RunOptions
from edgesim.predictions import Declined, NodeTime, Prediction, predict_each_target, require_target
from edgesim.predictions.alternatives import Alternative, alternatives
from edgesim.predictions.generation import predict_generation
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.prediction import bound_by
from edgesim.predictions.server_time import ServerTime
from edgesim.profiles import DeviceProfile
from edgesim.reports.formats.text_layout import Paragraph, TextTable
from edgesim.units import format_ms

_MOST_NODES = 10

app = new_app()


@app.examples(
    "edgesim predict jetson-nano mobilenet_v2",
    "edgesim predict raspberry-pi-4 models/detector.onnx --batch 4 --explain",
)
@takes_run_options(InputFlags)
def predict_command(
    profile: ProfileArgument,
    model: ModelArgument,
    *,
    options: RunOptions,
    batch: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            help="Use this batch size if the model leaves its first size open.",
            rich_help_panel=INPUTS,
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Run one inference on this many threads [default: the board's cores]."),
    ] = None,
    target: TargetOption = None,
    host_libraries: HostLibraryOption = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show the operations that take most time, and the effect of half the resolution or of int8.",
        ),
    ] = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Predict a model's device time from its graph, without a container.

    A model whose sizes, branches or loops depend on its inputs runs once on this host.

    The command predicts the time of ONNX Runtime on the board's CPU, and of TensorRT on the board's GPU if it has one,
    each with a band that should contain the true time in 8 of 10 cases. --target chooses one of them.
    """
    board, inputs = profiles.load(profile, model=model), options.inputs
    graph = replace(repository.find(model, options.models), host_libraries=tuple(host_libraries or ()))
    if target is not None:
        require_target(board, target)
    if (generate := InputDescription.of(graph, inputs).generate) is not None:
        return _predict_generation(board, graph, inputs, generate, target, threads, quiet=quiet, as_json=as_json)
    reader = ModelReader(graph, batch=batch, inputs=inputs)
    targets = predict_each_target(board, reader, threads=threads)
    # The CPU's time, or the first that is known where the CPU's is not.
    known = [name for name, answer in targets.items() if isinstance(answer, Prediction)]
    chosen = target if target is not None else next(iter(known), CPU)
    prediction = targets[chosen]
    if isinstance(prediction, Declined):
        raise prediction.as_error()
    others: list[Alternative] = []
    if explain and chosen == CPU:
        others = alternatives(board, reader, threads=threads)
    if as_json:
        print_json(_facts(prediction, others, explain=explain) | {"targets": _all_targets(targets)})
        return ExitCode.OK
    for_batch = f" for a batch of {batch}" if batch > 1 else ""
    title = f"{graph.name} on {board.title_and_mode}"
    on_target = f" on {chosen}" if target is not None else ""
    if quiet:
        print(f"{title}{for_batch}: device time{on_target} {_headline(prediction)}")
        return ExitCode.OK
    heading = Text.assemble((title, "bold"), for_batch, on_target)
    lines: list[Any] = [heading, Text()]
    if target is None and len(targets) > 1:
        lines += _target_lines(targets)
    else:
        lines += [_headline(prediction), Paragraph(prediction.method, "dim")]
        lines += [Paragraph(note, "yellow") for note in prediction.notes]
        lines += [Paragraph(f"published: {figure}", "dim") for figure in prediction.published]
    if prediction.server is not None:
        lines.append(Paragraph(_request(prediction, prediction.server), "dim"))
    if explain:
        for table in (_by_operation(prediction), _by_node(prediction)):
            lines += [Text(), table]
        if others:
            lines += [Text(), _alternatives(prediction, others)]
    show(Group(*lines))
    return ExitCode.OK


def _predict_generation(
    board: DeviceProfile,
    model: Model,
    inputs: InputOptions,
    generate: Generate,
    target: str | None,
    threads: int | None,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show the times of the prompt and of the tokens after it."""
    prediction = predict_generation(
        board,
        model,
        prompt=generate.prompt,
        tokens=generate.tokens,
        target=target if target is not None else CPU,
        threads=threads,
        inputs=inputs,
    )
    title = f"{model.name} on {board.title_and_mode}"
    if as_json:
        typical = _facts(prediction.typical.prediction, [], explain=False)
        print_json(typical | {"generation": _generation.facts(generate, prediction)})
    elif quiet:
        print(f"{title}: {_generation.in_a_line(prediction)}")
    else:
        show(_generation.table(title, generate, prediction))
    return ExitCode.OK


def _target_lines(targets: Mapping[str, Prediction | Declined]) -> list[Any]:
    """Return a table of all targets, and below it what is behind each: method, notes, or why nothing is predicted."""
    rows = []
    for name, answer in targets.items():
        if isinstance(answer, Declined):
            rows.append((name, "-", "not predicted"))
        else:
            rows.append((name, format_ms(answer.p50_ms), f"{format_ms(answer.low_ms)} to {format_ms(answer.high_ms)}"))
    lines: list[Any] = [text_table(("target", "ms", "80 %"), rows, figures=("ms",)), Text()]
    words: dict[tuple[str, str], list[str]] = defaultdict(list)  # targets by style and words, which several may share
    for name, answer in targets.items():
        if isinstance(answer, Declined):
            words["yellow", f"not predicted: {answer.reason}"].append(name)
        else:
            words["dim", answer.method].append(name)
            for note in answer.notes:
                words["yellow", note].append(name)
            for figure in answer.published:
                words["dim", f"published: {figure}"].append(name)
    return lines + [Paragraph(f"{', '.join(names)}: {text}", style) for (style, text), names in words.items()]


def _all_targets(targets: Mapping[str, Prediction | Declined]) -> dict[str, Any]:
    return {
        name: {
            "p50_ms": answer.p50_ms,
            "low_ms": answer.low_ms,
            "high_ms": answer.high_ms,
            "method": answer.method,
            "notes": list(answer.notes),
            "published": [asdict(figure) for figure in answer.published],
        }
        if isinstance(answer, Prediction)
        else {
            "p50_ms": None,
            "low_ms": None,
            "high_ms": None,
            "method": f"none: {answer.reason}",
            "notes": [],
            "published": [],
        }
        for name, answer in targets.items()
    }


def _headline(prediction: Prediction) -> Text:
    band = f"  ({format_ms(prediction.low_ms)} to {format_ms(prediction.high_ms)} ms, 80 %)"
    return Text.assemble((f"{format_ms(prediction.p50_ms)} ms", "bold"), band)


def _request(prediction: Prediction, server: ServerTime) -> str:
    return (
        f"a request to edgesim's server: {format_ms(prediction.request_ms)} ms, of which the server and its connection "
        f"{format_ms(server.p50_ms)} ms ({format_ms(server.low_ms)} to {format_ms(server.high_ms)} ms, assumed)"
    )


def _by_operation(prediction: Prediction) -> TextTable:
    groups: dict[str, list[NodeTime]] = defaultdict(list)
    for time in prediction.nodes:
        groups[time.node.kind].append(time)
    rows = []
    for kind, times in sorted(groups.items(), key=lambda item: -sum(time.ms for time in item[1])):
        total_ms = sum(t.ms for t in times)
        rows.append(
            (
                kind,
                str(sum(t.node.turns for t in times)),
                f"{sum(t.node.flops for t in times) / 1e9:.2f}",
                f"{sum(t.node.moved_bytes for t in times) / 1e6:.1f}",
                f"{total_ms:.2f}",
                f"{100 * total_ms / prediction.p50_ms:.0f} %",
                bound_by(times),
            )
        )
    figures = ("nodes", "GFLOP", "MB moved", "ms", "share")
    return text_table(("kind", *figures, "bound by"), rows, title="by kind of operation", figures=figures)


def _by_node(prediction: Prediction) -> TextTable:
    rows = [
        (
            time.node.name,
            "+".join((time.node.operation, *time.node.fused)),
            str(time.node.turns),
            "x".join(map(str, time.node.shape)),
            f"{time.ms:.2f}",
            f"{100 * time.ms / prediction.p50_ms:.0f} %",
            time.bound,
        )
        for time in sorted(prediction.nodes, key=lambda time: -time.ms)[:_MOST_NODES]
    ]
    heads, figures = ("node", "operation", "turns", "gives", "ms", "share", "bound by"), ("turns", "ms", "share")
    return text_table(heads, rows, title="nodes that cost most", figures=figures, shortened=("node",))


def _alternatives(prediction: Prediction, others: list[Alternative]) -> TextTable:
    rows = []
    for other in others:
        if other.prediction is None:
            rows.append((other.change, "-", "-", f"- ({other.reason})"))
        else:
            band = f"{format_ms(other.prediction.low_ms)} to {format_ms(other.prediction.high_ms)}"
            faster = f"{prediction.p50_ms / other.prediction.p50_ms:.2f}"
            rows.append((other.change, format_ms(other.prediction.p50_ms), band, faster))
    return text_table(("with", "ms", "80 %", "times as fast"), rows, title="what would change", figures=("ms",))


def _facts(prediction: Prediction, others: list[Alternative], *, explain: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "target": prediction.target,
        "p50_ms": prediction.p50_ms,
        "low_ms": prediction.low_ms,
        "high_ms": prediction.high_ms,
        "method": prediction.method,
        "threads": prediction.threads,
        "batch": prediction.batch,
        "notes": list(prediction.notes),
        "sizes": prediction.sizes,
        "server_ms": prediction.server.p50_ms if prediction.server is not None else None,
        "request_ms": prediction.request_ms,
        "flops": prediction.flops,
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
                "precision": time.node.precision,
                "turns": time.node.turns,
                "ms": time.ms,
                "bound": time.bound,
            }
            for time in prediction.nodes
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
