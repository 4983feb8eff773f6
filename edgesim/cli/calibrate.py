"""``edgesim calibrate``."""

import math
from typing import Annotated

import typer

from edgesim import profiles
from edgesim.cli._app import new_app
from edgesim.cli._console import out, show
from edgesim.cli._options import ModelsOption, ProfileArgument
from edgesim.errors import ExitCode
from edgesim.jobs.calibrate import calibrate
from edgesim.options import CPU
from edgesim.reports.formats.text_layout import Paragraph
from edgesim.units import format_ms

app = new_app()


@app.examples(
    "edgesim calibrate raspberry-pi-5 result.json",
    "edgesim calibrate my-board.yaml results/*.json",
    "edgesim calibrate jetson-nano --target gpu:tensorrt-fp16 resnet18=11.4 detector=trtexec.log",
)
def calibrate_command(
    profile: ProfileArgument,
    measured: Annotated[
        list[str],
        typer.Argument(
            metavar="MEASURED",
            help="Times measured on the board itself: RESULT.json of a run there; MODEL=29.3, in ms; MODEL=FILE with"
            " the output of trtexec, or of its --exportTimes or --exportProfile; or the printed log alone.",
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Calibrate this target of the board: gpu:tensorrt-fp16. The others stay as they are."
        ),
    ] = CPU,
    models: ModelsOption = None,
) -> int:
    """Correct predictions by times that were measured on your own board.

    The correction is kept for this user, and narrows the band of the predictions for the target.
    """
    kept = calibrate(profiles.load(profile), measured, target=target, models=models)
    for time, ratio in zip(kept.measured, kept.calibration.log_ratios, strict=True):
        show(
            f"{time.model.name}: {format_ms(time.ms)} ms ({time.what}), {math.exp(ratio):.2f} times what was predicted"
        )
        for remark in time.remarks:
            show(Paragraph(f"{time.model.name}: {remark}", "yellow"))
    of_target = "" if target == CPU else f" on {target}"
    show(f"predictions for {kept.calibration.profile}{of_target}: times {kept.calibration.factor:.2f} from now on")
    out.print(str(kept.path), style="dim", soft_wrap=True)
    return ExitCode.OK
