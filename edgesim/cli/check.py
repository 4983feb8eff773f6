"""``edgesim check``."""

from pathlib import Path
from typing import Annotated

import typer

from edgesim.cli import _console, _values, _verdict
from edgesim.cli._app import missing_model, new_app
from edgesim.cli._options import (
    InconclusiveOkOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    OptionalModelArgument,
    PackedOption,
    ProfileArgument,
    QuietOption,
)
from edgesim.cli._outputs import require_writable
from edgesim.cli._run_options import AnswerFlags, BoardFlags, InputFlags, takes_run_options
from edgesim.errors import UsageError
from edgesim.images.runtime_releases import names_several
from edgesim.jobs.check import CheckOptions, check
from edgesim.jobs.check_runtimes import check_runtimes
from edgesim.options import RunOptions

app = new_app()


@app.examples(
    "edgesim check jetson-nano models/detector.onnx",
    "edgesim check jetson-nano detector --target gpu:tensorrt-fp16",
    "edgesim check jetson-nano detector --runtimes all --markdown runtimes.md",
    "edgesim check jetson-nano detector --input real.npz --max-artifact 50MiB --junit check.xml",
)
@takes_run_options(InputFlags, AnswerFlags, BoardFlags, without=("target",))
def check_command(
    profile: ProfileArgument,
    model: OptionalModelArgument = None,
    *,
    options: RunOptions,
    reference: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Compare with the outputs of this .onnx model on this host [default: the checked model].",
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            metavar="REL,ABS", help="Allow this difference of outputs [default: by their type, 1e-3,1e-4 for FP32]."
        ),
    ] = None,
    max_artifact: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Fail if the model's files take more than this, such as 50MiB.")
    ] = None,
    requests: Annotated[
        int, typer.Option(metavar="N", min=1, help="Send and compare at most this many requests.")
    ] = CheckOptions.requests,
    outside_container: Annotated[
        bool,
        typer.Option("--outside-container", help="Also check the runtime's wheels against the vendor's glibc."),
    ] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also judge whether the model runs on this target of the board, such as gpu:tensorrt-fp16; may be"
            " repeated [default: show all targets, judge none].",
        ),
    ] = None,
    runtimes: Annotated[
        str | None,
        typer.Option(
            metavar="all|VERSION,…",
            help="Check only which of these releases of ONNX Runtime load the model, such as 1.11,1.14..1.18;"
            " `all` judges"
            " only the board's own release.",
        ),
    ] = None,
    packed: PackedOption = None,
    inconclusive_ok: InconclusiveOkOption = False,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Check a model on a simulated board before a release.

    The exit code is 1 if an item fails, and 6 if an item is inconclusive and none fails. Real inputs (`--input`) may
    come with `labels` for the accuracy.
    """
    for path, option in ((junit, "--junit"), (markdown, "--markdown")):
        if path is not None:
            require_writable(path, option)
    if model is None and packed is None:
        raise UsageError("Missing argument 'MODEL'.", fix=missing_model("check", profile))
    options = RunOptions.of(options, packed=packed)
    listener = _console.listener(quiet=quiet)
    if runtimes is None and options.board.runtime is not None and names_several(options.board.runtime):
        runtimes, options = options.board.runtime, options.without({"runtime"})
    if runtimes is not None:
        if (reference, tolerance, max_artifact, target) != (None, None, None, None):
            raise UsageError("--runtimes: goes without --reference, --tolerance, --max-artifact and --target")
        if model is None:
            raise UsageError("--runtimes: is for a model of this host", fix="give MODEL, and not --packed")
        verdict = check_runtimes(
            profile, model, runtimes, options, outside_container=outside_container, listener=listener
        )
    else:
        checks = CheckOptions(
            reference=reference,
            tolerance=_values.tolerance(tolerance),
            outside_container=outside_container,
            max_artifact_bytes=_values.size(max_artifact, "--max-artifact"),
            requests=requests,
            targets=tuple(target or ()),
        )
        verdict = check(profile, model, checks, options, listener=listener)
    return _verdict.deliver(
        verdict,
        junit=junit,
        markdown=markdown,
        quiet=quiet,
        as_json=as_json,
        inconclusive_ok=inconclusive_ok,
        command="check",
    )
