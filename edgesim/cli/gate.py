"""``edgesim gate``."""

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console, _load_options, _options, _verdict
from edgesim.cli._console import err
from edgesim.cli._options import (
    ContextOption,
    EngineOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    ModelsOption,
    MountOption,
    ReadyOption,
)
from edgesim.cli._outputs import make_directory, require_outputs
from edgesim.cli.noise import refuse_invisible
from edgesim.errors import ExitCode, ProfileError, UsageError
from edgesim.gates import Rules, baselines, judge, paired_statistics
from edgesim.gates.rules import DEFAULT_RULES, FILE_NAME
from edgesim.jobs.paired import run_pair
from edgesim.models import revisions
from edgesim.options import READY_TIMEOUT_S, BoardOptions, InputOptions, RunOptions
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict

# Of two names' letters, the part in common from which one is taken for the other mistyped.
_SLIP = 0.85


# What says how two models are run.
_OF_A_JOB = (
    "model",
    "models",
    "engine",
    "context",
    "execution",
    "max_rounds",
    "seed",
    "inputs",
    "shape",
    "value_range",
    "image_base",
    "mount",
    "ready_timeout",
    "output",
)


def gate_command(
    context_of_call: typer.Context,
    subject: Annotated[
        str, typer.Argument(metavar="RESULT.json|P", help="A result to judge; with --base and --cand, a profile.")
    ],
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REF", help="Run this model in turns with --cand: NAME, FILE.onnx, DIR, or REVISION[:NAME]."
        ),
    ] = None,
    cand: Annotated[str | None, typer.Option(metavar="REF", help="The model to judge, named likewise.")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one, where a directory or a revision has several.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR", help="A result or a saved baseline, or a directory of them, for rules of change."
        ),
    ] = None,
    rules: Annotated[Path | None, typer.Option(metavar="FILE", help=f"[default: {FILE_NAME}]")] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Such as 'device_time_ms.p50 <= 120'; may be repeated.")
    ] = None,
    models: ModelsOption = None,
    engine: EngineOption = "docker",
    context: ContextOption = None,
    execution: Annotated[
        str | None, typer.Option(help="Of --base and --cand; without, native or scaled, host with --engine local.")
    ] = None,
    max_rounds: Annotated[
        int, typer.Option(metavar="N", min=paired_statistics.FEWEST_ROUNDS, help="Rounds of fresh boards, if need be.")
    ] = paired_statistics.MOST_ROUNDS,
    seed: _load_options.SeedOption = 0,
    inputs: _load_options.InputOption = None,
    shape: _load_options.ShapeOption = None,
    value_range: _load_options.RangeOption = None,
    image_base: Annotated[
        str | None,
        typer.Option("--image-base", metavar="IMAGE", help="Build the serving image on this Debian 12 image."),
    ] = None,
    mount: MountOption = None,
    ready_timeout: ReadyOption = READY_TIMEOUT_S,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Write both results of --base and --cand here."),
    ] = None,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    as_json: JsonOption = False,
) -> int:
    """A verdict by rules: on a result, or on two models that run in turns. 0 PASS, 1 FAIL, 6 undecided, 5 INVALID."""
    read = [rules, baseline, Path(subject) if base is None else None]
    require_outputs((("--junit", junit), ("--markdown", markdown)), read)
    if rule and rules is not None:
        raise UsageError("--rule and --rules: one of them")
    if base is None and cand is None:
        _refuse_what_a_result_has(context_of_call)
        if not Path(subject).exists() and subject.partition(":")[0] in profiles.names():
            raise UsageError(f"{subject}: is a profile, and takes --base and --cand", fix="or give a result file")
        judged = RunResult.read(Path(subject))
        held, why = baselines.find(baseline, judged) if baseline is not None else (None, "")
        default = DEFAULT_RULES if baseline is not None else ()
        check = judge(judged, _rules(rules, rule, judged.profile.name, default), held, why_no_baseline=why)
        return _delivered(check, (judged,), junit, markdown, as_json)
    if base is None or cand is None:
        raise UsageError("--base and --cand: both of them", fix="or a result file, with --baseline")
    if baseline is not None:
        raise UsageError("--baseline: is for a result file; --base is what --cand is held against")
    if output is not None:
        make_directory(output)
    simulated = profiles.load(subject)
    chosen = _rules(rules, rule, simulated.name, default=DEFAULT_RULES)
    with revisions.sides(base, cand, name=model, models=models) as (ours, theirs):
        refuse_invisible(
            chosen,
            simulated,
            max_rounds,
            model_name=theirs.name,
            engine=_options.engine(engine),
            execution=_options.execution(execution),
            context=context,
        )
        if ours.sha256 == theirs.sha256:
            err.print("edgesim: both are the very same model")
        pair = run_pair(
            simulated,
            ours,
            theirs,
            chosen,
            RunOptions(
                inputs=InputOptions(
                    seed=seed,
                    input=inputs,
                    shapes=_load_options.shapes(shape or []),
                    ranges=_load_options.ranges(value_range or []),
                ),
                board=BoardOptions(
                    execution=_options.execution(execution),
                    engine=_options.engine(engine),
                    context=context,
                    base_image=image_base,
                    mount=_options.mount(mount),
                    ready_timeout_s=ready_timeout,
                ),
            ),
            max_rounds=max_rounds,
            listener=_console.listener(),
            unfinished=functools.partial(_unfinished, output) if output is not None else None,
        )
    code = _delivered(pair.verdict, (pair.base, pair.candidate), junit, markdown, as_json)
    if output is not None:
        _write(output, pair.base, pair.candidate)
    return code


def _rules(file: Path | None, words: list[str] | None, board: str, default: Sequence[str] = ()) -> Rules:
    """Those that were given, or else those of the file that is here; `board` is what they are to judge."""
    if words:
        return Rules.of(words)
    if file is None and not Path(FILE_NAME).exists():
        if not default:
            raise UsageError(
                "there is no rule to judge by",
                fix=f"--rule 'device_time_ms.p50 <= 120', or {FILE_NAME} (see docs/reference/rules.md)",
            )
        return Rules.of(default)
    path = file if file is not None else Path(FILE_NAME)
    found = Rules.read(path)
    for name in found.by_profile:
        if name.partition(":")[0] != board:
            _look_up(name, path)
    return found


def _look_up(name: str, path: Path) -> None:
    """Rules for a board that is a slip of the pen would never be applied; a board of somebody's own may be."""
    try:
        profiles.load(name)
    except ProfileError as error:
        if difflib.get_close_matches(name.partition(":")[0], profiles.names(), cutoff=_SLIP):
            raise UsageError(f"{path}: profiles: {error.problem}", fix=error.fix) from error
        err.print(f"edgesim: {path}: profiles: {name} is no board that is known here")


def _delivered(
    found: Verdict, results: Sequence[RunResult], junit: Path | None, markdown: Path | None, as_json: bool
) -> int:
    code = _verdict.deliver(found, junit=junit, markdown=markdown, as_json=as_json)
    if found.word != "FAIL" and not all(result.validity.valid for result in results):
        err.print("edgesim: the run is INVALID: it shows nothing")
        return ExitCode.INVALID
    return code


def _refuse_what_a_result_has(call: typer.Context) -> None:
    options = {parameter.name: parameter.opts[0] for parameter in call.command.params}
    for name in _OF_A_JOB:
        source = call.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(f"{options[name]}: is for --base and --cand; a result file has its own")


def _write(directory: Path, base: RunResult, candidate: RunResult) -> None:
    base.write(directory / "base.json")
    candidate.write(directory / "candidate.json")


def _unfinished(directory: Path, base: RunResult, candidate: RunResult) -> None:
    _write(directory, base, candidate)
    rounds = max(len(base.restarts), 1)
    err.print(f"edgesim: {rounds} round{'s' if rounds > 1 else ''} in {directory}, marked incomplete")
