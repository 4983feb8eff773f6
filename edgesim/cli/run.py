"""``edgesim run``."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console, _last_results, _mlflow, _summaries
from edgesim.cli._app import BOARD, IMAGE, OUTPUT, is_on_command_line, missing_model, new_app
from edgesim.cli._mlflow import MlflowOption
from edgesim.cli._options import (
    JsonOption,
    OptionalModelArgument,
    PackedOption,
    ProfileOrStackArgument,
    QuietOption,
    ResultsDirectoryOption,
)
from edgesim.cli._outputs import require_writable
from edgesim.cli._run_options import AnswerFlags, BoardFlags, InputFlags, TrafficFlags, parameters_of, takes_run_options
from edgesim.cli._server_image import ServerImage, takes_server_image
from edgesim.errors import DiskFull, EdgesimError, ExitCode, ResultError, StackError, UsageError
from edgesim.jobs.run import run
from edgesim.options import Execution, RunOptions
from edgesim.reports.formats import terminal
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult
from edgesim.results.stack_result import StackResult
from edgesim.stacks import benchmark, stack_loader

app = new_app()


@app.examples(
    "edgesim run jetson-nano digits",
    "edgesim run jetson-nano:5w models/detector.onnx --qps 20 --duration 60 -o result.json",
    "edgesim run jetson-nano --packed registry.example.org/shop/detector@sha256:0123…",
    "edgesim run examples/stacks/parallel/stack.yaml",
)
@takes_run_options(TrafficFlags, InputFlags, AnswerFlags, BoardFlags)
@takes_server_image
def run_command(
    call: typer.Context,
    profile: ProfileOrStackArgument,
    model: OptionalModelArgument = None,
    *,
    options: RunOptions,
    execution: Annotated[
        Execution | None,
        typer.Option(
            "--execution",
            metavar="EXECUTION",
            help="Run the board only in this execution: scaled, emulated, native, same-architecture or host [default:"
            " scaled and emulated; native on the board itself, same-architecture on another host of its architecture;"
            " host with --engine local].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    packed: PackedOption = None,
    results: ResultsDirectoryOption = None,
    server_image: ServerImage,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the result as JSON.", rich_help_panel=OUTPUT),
    ] = None,
    mlflow: MlflowOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Benchmark a model on a simulated board, or the services of a stack.

    The exit code is 5 if the run is INVALID. The last results are kept for `edgesim report` and `edgesim compare`.
    """
    if output is not None:
        require_writable(output)
    options = RunOptions.of(options, execution=execution, packed=packed, results=results, output=output)
    is_stack = (
        model is None
        and packed is None
        and profile.endswith((".yaml", ".yml"))
        and stack_loader.is_stack(Path(profile))
    )
    if model is None and packed is None and not is_stack:
        profiles.load(profile)  # a wrong profile is the first thing to mend
        raise UsageError("Missing argument 'MODEL'.", fix=missing_model("run", profile))
    if is_stack and mlflow is not None:
        raise UsageError("--mlflow: is for a run of one model, not of a stack")
    runs = _mlflow.connect(mlflow)
    listener = _console.listener(quiet=quiet)
    with _mlflow.failures_logged(runs, f"{packed if model is None else model} on {profile}"):
        try:
            if is_stack:
                _refuse_image_options(call)
                options = _without_defaults_of_file(
                    call, options, benchmark.options_of(stack_loader.read(Path(profile)))
                )
                result: Recorded = benchmark.run(Path(profile), options, listener=listener)
            else:
                result = run(server_image.profile(profile, model=model), model, options, listener=listener)
        except EdgesimError as error:
            if isinstance(error.result, RunResult | StackResult):  # measured before the error
                written = output if not isinstance(error, ResultError | DiskFull) else None
                _deliver(error.result, written, quiet=quiet, as_json=as_json)
            raise
    _deliver(result, output, quiet=quiet, as_json=as_json)
    if isinstance(result, RunResult):
        _mlflow.log(runs, [result])
    return ExitCode.OK if result.validity.valid else ExitCode.INVALID


def _refuse_image_options(call: typer.Context) -> None:
    """Refuse options of the serving image for a stack, whose services name their own; a file's default is ignored.

    Raises:
        StackError: such an option is on the command line.
    """
    for parameter in call.command.params:
        if getattr(parameter, "rich_help_panel", None) == IMAGE and is_on_command_line(call, parameter.name):
            raise StackError(f"{parameter.opts[0]}: {benchmark.REFUSED_BECAUSE}", fix=benchmark.REFUSED_FIX)


def _without_defaults_of_file(call: typer.Context, options: RunOptions, taken: Collection[str]) -> RunOptions:
    """Return options for a stack: a default of the user's file is left out if the stack does not take it.

    Such an option on the command line stays, and is refused with the others.

    Args:
        taken: the fields that the stack takes.
    """
    return options.without(
        [
            field
            for field in options.changed() - set(taken)
            if not any(is_on_command_line(call, parameter) for parameter in parameters_of(field))
        ]
    )


def _deliver(result: Recorded, output: Path | None, *, quiet: bool, as_json: bool) -> None:
    _last_results.keep(result)
    if as_json:
        print(result.as_json(), end="")
        return
    if quiet:
        print(_summaries.of_result(result))
        return
    _console.show(terminal.render(result))
    if output is not None:
        _console.show()
        _console.show_path("result", output)
