"""``edgesim screen``."""

from typing import Annotated

import typer

from edgesim.cli._app import new_app
from edgesim.cli._console import print_json
from edgesim.cli._options import InconclusiveOkOption, JsonOption, QuietOption
from edgesim.errors import ExitCode, UsageError
from edgesim.options import CPU
from edgesim.sweeps.screen import screen

app = new_app()


@app.examples(
    "edgesim screen --profile jetson-nano --rule 'artifact_bytes <= 20MiB' --max-opset 17 models/*/1/model.onnx",
    "edgesim screen --profile raspberry-pi-5 --rule 'device_time_ms.high <= 50' detector.onnx",
)
def screen_command(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Models: .onnx files, or names.")],
    profile: Annotated[str, typer.Option(metavar="PROFILE", help="Judge for this board: NAME, NAME:MODE or a file.")],
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE", help="Bound artifact_bytes or device_time_ms.p50, .low or .high; may be repeated."
        ),
    ] = None,
    max_opset: Annotated[int | None, typer.Option(metavar="N", min=1, help="Fail above this opset.")] = None,
    target: Annotated[str, typer.Option(metavar="NAME", help="Predict the time on this target of the board.")] = CPU,
    inconclusive_ok: InconclusiveOkOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> int:
    """Judge models by rules on their size, opset and predicted time, without a container.

    Use the command as a hook of pre-commit. The exit code is 1 if a model FAILs, and 6 if a rule cannot be decided.
    """
    if not rule and max_opset is None:
        raise UsageError("no rule is given", fix="--rule 'artifact_bytes <= 20MiB', or --max-opset 17")
    items = screen(profile, models, rule or (), max_opset=max_opset, target=target)
    words = {item.verdict for item in items}
    verdict = next(word for word in ("FAIL", "INCONCLUSIVE", "PASS") if word in words)
    if as_json:
        print_json({"verdict": verdict, "items": [item.model_dump(mode="json") for item in items]})
    elif quiet:
        print(f"{verdict}  {len(models)} model{'s' if len(models) > 1 else ''}")
    else:
        for item in items:
            print(f"{item.verdict}  {item.name}: {item.finding}")
    if verdict == "INCONCLUSIVE" and inconclusive_ok:
        return ExitCode.OK
    return {"PASS": ExitCode.OK, "FAIL": ExitCode.FAIL, "INCONCLUSIVE": ExitCode.INCONCLUSIVE}[verdict]
