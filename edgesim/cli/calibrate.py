"""``edgesim calibrate``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli._app import new_app
from edgesim.cli._console import out, show
from edgesim.cli._options import ModelsOption, ProfileArgument
from edgesim.errors import ExitCode
from edgesim.jobs.calibrate import calibrate

app = new_app()


@app.examples("edgesim calibrate raspberry-pi-5 result.json", "edgesim calibrate my-board.yaml results/*.json")
def calibrate_command(
    profile: ProfileArgument,
    results: Annotated[list[Path], typer.Argument(metavar="RESULT.json", help="Results of runs on the board itself.")],
    models: ModelsOption = None,
) -> int:
    """Correct predictions by results that were measured on your own board.

    The correction is kept for this user, and narrows the band of the board's predictions.
    """
    kept = calibrate(profiles.load(profile), results, models=models)
    for name, ratio in zip(kept.calibration.models, kept.calibration.log_ratios, strict=True):
        show(f"{name}: measured {math.exp(ratio):.2f} times what was predicted")
    show(f"predictions for {kept.calibration.profile}: times {kept.calibration.factor:.2f} from now on")
    out.print(str(kept.path), style="dim", soft_wrap=True)
    return ExitCode.OK
