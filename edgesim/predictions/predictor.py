"""Predictors: each predicts the device time of a model on one target of a board. To add one, extend `PREDICTORS`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgesim import profiles
from edgesim.errors import UsageError, did_you_mean
from edgesim.inputs import Arrays
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.predictions.onnxruntime_cpu import OnnxRuntimeCpu
from edgesim.predictions.prediction import Declined, Prediction
from edgesim.profiles import DeviceProfile


class Predictor(Protocol):
    """Predicts the device time of a model on one target of a board, with a band, or declines with a reason."""

    @property
    def target(self) -> str:
        """What runs the model: ``cpu``."""

    def predict(
        self,
        profile: DeviceProfile,
        model: Model,
        *,
        batch: int = 1,
        threads: int | None = None,
        shapes: Mapping[str, Sequence[int]] | None = None,
        arrays: Arrays | None = None,
        inputs: InputOptions | None = None,
        use_calibration: bool = True,
    ) -> Prediction | Declined:
        """Return the device time of one inference; the arguments are those of `edgesim.predict`."""


# One predictor for each target.
PREDICTORS: tuple[Predictor, ...] = (OnnxRuntimeCpu(),)


def predict(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model,
    *,
    target: str = "cpu",
    models: str | Path | None = None,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    arrays: Arrays | None = None,
    inputs: InputOptions | None = None,
    use_calibration: bool = True,
) -> Prediction:
    """Predict the device time of a model on a board. Needs neither the board nor a container.

    A node of the model's graph costs arithmetic at a share of the core's peak, and bytes at a share of the memory's
    bandwidth. The shares are fitted to published figures, see docs/reference/prediction.md. The result of
    `edgesim calibrate` for the board corrects the prediction.

    Args:
        profile: name, file or `DeviceProfile` of the board.
        model: name, file or `Model`.
        target: what runs the model on the board; one of those of `PREDICTORS`.
        models: the model repository; None means ``models/``, then the sample models.
        batch: first size of each input, where the model leaves that size open or has 1.
        threads: threads of one inference; None means those of the model's configuration, else one for each core of the
            board.
        shapes: sizes by input name. Needed where the model leaves more than the first size open; allowed elsewhere, to
            predict another resolution.
        arrays: inputs of a request, by name; None means those that a run sends first: the model's own samples, or
            random ones. Only a model runs with them whose sizes, branches or turns of loops are known at run time only.
        inputs: real inputs, or seed and ranges of random ones, in place of `arrays`.
        use_calibration: multiply by the factor that `edgesim calibrate` has stored for the board, if there is one.

    Raises:
        ProfileError: no such profile, the board's cores are not arm64 (all figures are of arm64 cores), or the stored
            calibration cannot be read.
        ModelError: no such model, sizes of its inputs are open, its sizes contradict each other, it does not run on
            this host where only a run tells its sizes, or the server would refuse its configuration.
        UsageError: no predictor for `target`.
    """
    answer = predict_or_decline(
        profiles.load(profile),
        model if isinstance(model, Model) else repository.find(model, models),
        target=target,
        batch=batch,
        threads=threads,
        shapes=shapes,
        arrays=arrays,
        inputs=inputs,
        use_calibration=use_calibration,
    )
    if isinstance(answer, Declined):
        raise answer.as_error()
    return answer


def predict_or_decline(
    profile: DeviceProfile,
    model: Model,
    *,
    target: str = "cpu",
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    arrays: Arrays | None = None,
    inputs: InputOptions | None = None,
    use_calibration: bool = True,
) -> Prediction | Declined:
    """Predict as `predict` does, and return the reason where no prediction can be made.

    Raises:
        UsageError: no predictor for `target`.
        ModelError: the server would refuse the model's configuration.
    """
    if threads is None and model.configuration is not None and profile.image.reference is None:
        threads = model.configuration.served().intra_op_threads
    for predictor in PREDICTORS:
        if predictor.target == target:
            return predictor.predict(
                profile,
                model,
                batch=batch,
                threads=threads,
                shapes=shapes,
                arrays=arrays,
                inputs=inputs,
                use_calibration=use_calibration,
            )
    targets = [predictor.target for predictor in PREDICTORS]
    raise UsageError(
        f"`target={target}`: no predictor for it; there are {', '.join(targets)}{did_you_mean(target, targets)}"
    )
