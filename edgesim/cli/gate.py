"""``edgesim gate``."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli import _console, _mlflow, _rules, _verdict
from edgesim.cli._app import BOARD, INPUTS, is_on_command_line, new_app
from edgesim.cli._console import say
from edgesim.cli._mlflow import MlflowOption
from edgesim.cli._options import (
    InconclusiveOkOption,
    JsonOption,
    JunitOption,
    MarkdownOption,
    ModelsOption,
    QuietOption,
)
from edgesim.cli._outputs import make_directory, require_outputs
from edgesim.cli._run_options import AnswerFlags, BoardFlags, InputFlags, takes_run_options
from edgesim.errors import DeviceError, ExitCode, UsageError
from edgesim.gates import baselines, judge, paired_statistics
from edgesim.gates.rules import DEFAULT_RULES, FILE_NAME
from edgesim.histories.mlflow_runs import Runs
from edgesim.jobs import paired_releases
from edgesim.jobs.paired import run_pair
from edgesim.jobs.paired_counts import count_pair, counts_decide
from edgesim.models import revisions
from edgesim.options import Execution, RunOptions
from edgesim.results.run_result import RunResult
from edgesim.results.verdict import Verdict

_RULES, _PAIR = "Rules", "Two models or releases in turns"
# Panels of options that say how two models are run: a result file has been run already.
_PANELS_OF_A_PAIR = (_PAIR, INPUTS, BOARD)

app = new_app()


@app.examples(
    "edgesim gate result.json --rule 'device_time_ms.p50 <= 120'",
    "edgesim gate result.json --baseline baselines --junit gate.xml",
    "edgesim gate --base main --cand HEAD jetson-nano --rule 'latency_ms.p50: +5 %'",
    "edgesim gate --base main --cand HEAD jetson-nano --rule 'instructions: +1 %'",
    "edgesim gate --base-runtime 1.16.3 --cand-runtime 1.18.1 x86-gateway detector",
)
@takes_run_options(InputFlags, AnswerFlags, BoardFlags, without=("models", "volume"))
def gate_command(
    call: typer.Context,
    result: Annotated[
        str,
        typer.Argument(
            metavar="RESULT.json|PROFILE", help="A result to judge; with --base and --cand, the profile to run on."
        ),
    ],
    release_model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="The model that --base-runtime and --cand-runtime run."),
    ] = None,
    *,
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Read rules from this file [default: {FILE_NAME}].", rich_help_panel=_RULES),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE", help="Judge by this rule instead of a file's; may be repeated.", rich_help_panel=_RULES
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR",
            help="Result, saved baseline, or directory of baselines that rules such as '+5 %' compare with.",
            rich_help_panel=_RULES,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Compare with this model: NAME, FILE.onnx, DIR, or a git revision, REVISION[:NAME].",
            rich_help_panel=_PAIR,
        ),
    ] = None,
    cand: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Judge this model, named in the same ways.", rich_help_panel=_PAIR),
    ] = None,
    base_runtime: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="Compare with MODEL in this release of ONNX Runtime.", rich_help_panel=_PAIR
        ),
    ] = None,
    cand_runtime: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Judge MODEL in this release of ONNX Runtime.", rich_help_panel=_PAIR),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Take this model if a directory or revision has several.", rich_help_panel=_PAIR
        ),
    ] = None,
    max_rounds: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=paired_statistics.FEWEST_ROUNDS,
            help="Run at most this many rounds; a round is a fresh board for each side.",
            rich_help_panel=_PAIR,
        ),
    ] = paired_statistics.MOST_ROUNDS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write the results of both models here.", rich_help_panel=_PAIR
        ),
    ] = None,
    models: ModelsOption = None,
    options: RunOptions,
    execution: Annotated[
        Execution | None,
        typer.Option(
            metavar="EXECUTION",
            help="Run both boards in this execution [default: native on the board itself, same-architecture on"
            " another host of its architecture, else scaled; host with --engine local].",
            rich_help_panel=BOARD,
        ),
    ] = None,
    inconclusive_ok: InconclusiveOkOption = False,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
    mlflow: MlflowOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Judge a result, or the difference of two models or releases, by rules.

    The exit code is 0 for PASS, 1 for FAIL, 6 for INCONCLUSIVE, and 5 if a run is INVALID. Two models (`--base` and
    `--cand`), or one model in two releases of ONNX Runtime (`--base-runtime` and `--cand-runtime`), run in turns on
    fresh boards; with a rule on instructions, two models are counted in an emulator instead.
    """
    if base_runtime is not None or cand_runtime is not None:
        if base is not None or cand is not None or model is not None or release_model is None:
            raise UsageError(
                "--base-runtime and --cand-runtime: give one MODEL, and omit --base, --cand and --model",
                fix=f"edgesim gate --base-runtime VERSION --cand-runtime VERSION {result} MODEL",
            )
        base = cand = release_model
    elif release_model is not None:
        raise UsageError(
            f"{release_model}: a second argument is the model of --base-runtime and --cand-runtime",
            fix=f"compare two models by --base MODEL --cand MODEL; judge a model by edgesim run {result}"
            f" {release_model} -o result.json, then edgesim gate result.json",
        )
    inputs = [rules, baseline, Path(result) if base is None else None]
    require_outputs((("--junit", junit), ("--markdown", markdown)), inputs)
    if rule and rules is not None:
        raise UsageError("--rule and --rules: give only one of them")
    runs = _mlflow.connect(mlflow)
    deliver = functools.partial(
        _deliver,
        runs=runs,
        junit=junit,
        markdown=markdown,
        quiet=quiet,
        as_json=as_json,
        inconclusive_ok=inconclusive_ok,
    )
    if base is None and cand is None:
        _refuse_options_of_a_pair(call)
        if not Path(result).exists() and result.partition(":")[0] in profiles.names():
            raise UsageError(f"{result}: is a profile, and needs --base and --cand", fix="or give a result file")
        judged = RunResult.read(Path(result))
        saved, reason = baselines.find(baseline, judged) if baseline is not None else (None, "")
        chosen = _rules.choose(rules, rule, judged.profile.name, DEFAULT_RULES if baseline is not None else ())
        verdict = judge(judged, chosen, saved, why_no_baseline=reason)
        if verdict.sides:
            verdict = verdict.model_copy(
                update={"base": f"{baseline}: {verdict.base}", "candidate": f"{result}: {verdict.candidate}"}
            )
        return deliver(verdict, (judged,))
    if base is None or cand is None:
        raise UsageError("--base and --cand: give both", fix="or a result file, with --baseline")
    if baseline is not None:
        raise UsageError("--baseline: needs a result file; --cand is compared with --base")
    if output is not None:
        make_directory(output)
    profile = profiles.load(result, model=release_model)
    options = RunOptions.of(options, execution=execution)
    chosen = _rules.choose(rules, rule, profile.name, default=DEFAULT_RULES)
    with (
        _mlflow.failures_logged(runs, f"{base} and {cand} on {result}"),
        revisions.sides(base, cand, name=model, models=models) as (base_model, candidate),
    ):
        _rules.refuse_invisible(
            chosen,
            profile,
            max_rounds,
            model_name=candidate.name,
            engine=options.board.engine,
            execution=execution,
            context=options.board.context,
        )
        if base_model.sha256 == candidate.sha256 and base_runtime is None:
            say("edgesim: both are the same model")
        listener = _console.listener(quiet=quiet)
        counted = counts_decide(profile, chosen)
        try:
            if counted:
                pair = count_pair(
                    profile,
                    base_model,
                    candidate,
                    chosen,
                    options,
                    base_runtime=base_runtime,
                    cand_runtime=cand_runtime,
                    listener=listener,
                )
            else:
                pair = run_pair(
                    profile,
                    base_model,
                    candidate,
                    chosen,
                    options,
                    max_rounds=max_rounds,
                    base_runtime=base_runtime,
                    cand_runtime=cand_runtime,
                    listener=listener,
                    unfinished=functools.partial(_keep_unfinished, output) if output is not None else None,
                )
        except DeviceError as error:
            if base_runtime is None:
                raise
            return deliver(paired_releases.verdict_on_failure(profile, candidate, error), ())
    code = deliver(pair.verdict, (pair.base, pair.candidate))
    if output is not None:
        _write(output, pair.base, pair.candidate)
    return code


def _deliver(
    verdict: Verdict,
    results: Sequence[RunResult],
    *,
    runs: Runs | None,
    junit: Path | None,
    markdown: Path | None,
    quiet: bool,
    as_json: bool,
    inconclusive_ok: bool,
) -> int:
    code = _verdict.deliver(
        verdict,
        junit=junit,
        markdown=markdown,
        quiet=quiet,
        as_json=as_json,
        inconclusive_ok=inconclusive_ok,
        command="gate",
    )
    _mlflow.log(runs, results, artifacts={"verdict.json": verdict.as_json()}, tags={"edgesim.verdict": verdict.word})
    if verdict.word != "FAIL" and not all(result.validity.valid for result in results):
        sides = ("the base", "the candidate") if len(results) > 1 else ("the run",)
        for side, result in zip(sides, results, strict=True):
            if not result.validity.valid:
                say(f"edgesim: {side} is INVALID: its figures cannot be used")
        return ExitCode.INVALID
    return code


def _refuse_options_of_a_pair(call: typer.Context) -> None:
    for parameter in call.command.params:
        of_a_pair = getattr(parameter, "rich_help_panel", None) in _PANELS_OF_A_PAIR
        if of_a_pair and is_on_command_line(call, parameter.name):
            raise UsageError(f"{parameter.opts[0]}: needs --base and --cand; a result file comes from a finished run")


def _write(directory: Path, base: RunResult, candidate: RunResult) -> None:
    base.write(directory / "base.json")
    candidate.write(directory / "candidate.json")


def _keep_unfinished(directory: Path, base: RunResult, candidate: RunResult) -> None:
    _write(directory, base, candidate)
    rounds = max(len(base.restarts), 1)
    say(f"edgesim: {rounds} round{'s' if rounds > 1 else ''} in {directory}, marked incomplete")
