"""``edgesim count``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from edgesim.cli import _console
from edgesim.cli._app import BOARD, new_app
from edgesim.cli._console import print_json, show
from edgesim.cli._options import JsonOption, ModelArgument, ProfileArgument, QuietOption
from edgesim.cli._outputs import require_writable
from edgesim.cli._run_options import BoardFlags, InputFlags, takes_run_options
from edgesim.errors import ExitCode
from edgesim.jobs.count import count
from edgesim.options import RunOptions
from edgesim.reports import instruction_phrases, tables
from edgesim.reports.formats.text_layout import Paragraph, TextTable
from edgesim.results.run_result import RunResult

app = new_app()


@app.examples(
    "edgesim count jetson-nano mobilenet_v2",
    "edgesim count jetson-nano models/detector.onnx --runtime 1.16.3 -o count.json",
)
@takes_run_options(InputFlags, BoardFlags, without=("engine", "context", "protocol", "volume"))
def count_command(
    profile: ProfileArgument,
    model: ModelArgument,
    *,
    options: RunOptions,
    count_threads: Annotated[
        int,
        typer.Option(
            "--count-threads",
            metavar="N",
            min=1,
            help="Run an inference on this many threads; with more than one, the counts vary.",
            rich_help_panel=BOARD,
        ),
    ] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Write the result to this file.")
    ] = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Count the arm64 instructions of one inference, the same on any host.

    The board is emulated. A count is not a time, and other programs do not change it. A rule such as
    `instructions: +1 %` therefore detects small changes of a model, a runtime or a server (see `edgesim gate`).
    """
    if output is not None:
        require_writable(output, "--output")
    options = RunOptions.of(options, count_threads=count_threads, output=output)
    result = count(profile, model, options, listener=_console.listener(quiet=quiet))
    if as_json:
        assert result.instructions is not None, "a count without instructions raises"
        print_json({"instructions": result.instructions.model_dump(mode="json")})
    elif quiet:
        print(f"{result.model.name} on {result.profile.title_and_mode}: {instruction_phrases.headline(result)}")
    else:
        show(Group(*_lines(result)))
    return ExitCode.OK if result.validity.valid else ExitCode.INVALID


def _lines(result: RunResult) -> list[RenderableType]:
    section = result.instructions
    assert section is not None, "a count without instructions raises"
    return [
        Text.assemble((f"{result.model.name} on {result.profile.title_and_mode}", "bold")),
        Text(),
        Text(instruction_phrases.headline(result), style="bold"),
        *(Paragraph(note, "dim") for note in instruction_phrases.notes(section)),
        Text(),
        TextTable(tables.instructions(section)),
    ]
