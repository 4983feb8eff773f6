"""``edgesim replay``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console, _verdict
from edgesim.cli._app import BOARD, OUTPUT, new_app
from edgesim.cli._comparison import of_results
from edgesim.cli._options import (
    ContextOption,
    HostLibraryOption,
    InconclusiveOkOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    QuietOption,
    ReadyTimeoutOption,
)
from edgesim.cli._outputs import require_outputs, write
from edgesim.jobs.replay import replay
from edgesim.options import READY_TIMEOUT_S, EngineName
from edgesim.reports import formats

app = new_app()


@app.examples(
    "edgesim replay detector.edgesim.tar",
    "edgesim replay detector.edgesim.tar -o replayed.json --report both.html",
    "edgesim replay registry.example.org/shop/detector:run-1",
)
def replay_command(
    bundle: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE",
            help="The archive that `edgesim bundle` wrote, or a bundle in a registry: REGISTRY/NAME@sha256:….",
        ),
    ],
    engine: Annotated[
        EngineName | None,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help="Run the server with this engine: docker or local, a plain process of this host [default: the"
            " bundled run's].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    context: ContextOption = None,
    host_library: HostLibraryOption = None,
    ready_timeout: ReadyTimeoutOption = READY_TIMEOUT_S,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the new result as JSON.", rich_help_panel=OUTPUT),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write a comparison of both results; the suffix chooses the format, as for `edgesim report`.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    markdown: MarkdownOption = None,
    junit: JunitOption = None,
    inconclusive_ok: InconclusiveOkOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Repeat the run of a bundle, and compare both results.

    The exit code is that of the verdict: 0 PASS, 1 FAIL, 6 INCONCLUSIVE.
    """
    outputs = [("--output", output), ("--report", report), ("--markdown", markdown), ("--junit", junit)]
    require_outputs(outputs, [Path(bundle)])
    format_ = formats.format_of(report) if report is not None else None
    replayed = replay(
        bundle,
        output=output,
        engine=engine,
        context=context,
        host_libraries=host_library or (),
        ready_timeout_s=ready_timeout,
        listener=_console.listener(quiet=quiet),
    )
    if report is not None and format_ is not None:
        names = (f"{bundle}: the bundle's result", str(output) if output is not None else "the replay")
        both = of_results([replayed.base, replayed.result], names, force=True)
        write(report, formats.render_several(both, format_))
    return _verdict.deliver(
        replayed.verdict,
        junit=junit,
        markdown=markdown,
        as_json=as_json,
        quiet=quiet,
        inconclusive_ok=inconclusive_ok,
        command="replay",
    )
