"""Predictors: each predicts the device time of a model on targets of a board. To add one, extend `PREDICTORS`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from edgesim import profiles
from edgesim.errors import ProfileError, UsageError, did_you_mean
from edgesim.inputs import Arrays
from edgesim.models import hardware_specific, repository
from edgesim.models.repository import Model
from edgesim.options import CPU, InputOptions
from edgesim.predictions import published
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.onnxruntime_cpu import OnnxRuntimeCpu
from edgesim.predictions.prediction import Declined, Prediction
from edgesim.predictions.refusals import refusal_notes
from edgesim.predictions.tensorrt.predictor import TensorRtGpu
from edgesim.profiles import DeviceProfile
from edgesim.units import format_bytes


class Predictor(Protocol):
    """Predicts the device time of a model on targets of a board, with a band, or declines with a reason."""

    def targets(self, profile: DeviceProfile) -> Sequence[str]:
        """Return the targets of a board that this predictor answers for: ``cpu``, ``gpu:tensorrt-fp16``."""

    def predict(
        self,
        profile: DeviceProfile,
        reader: ModelReader,
        *,
        target: str,
        threads: int | None = None,
        use_calibration: bool = True,
    ) -> Prediction | Declined:
        """Return the device time of one inference on one of `targets`.

        Args:
            reader: reads the model, with the inputs of a request; all predictors of a board share it.
            target, threads, use_calibration: see `edgesim.predict`.
        """


# The first that answers for a target predicts it.
PREDICTORS: tuple[Predictor, ...] = (OnnxRuntimeCpu(), TensorRtGpu())


def predict(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model,
    *,
    target: str = CPU,
    models: str | Path | None = None,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    arrays: Arrays | None = None,
    inputs: InputOptions | None = None,
    host_libraries: Sequence[str] = (),
    use_calibration: bool = True,
) -> Prediction:
    """Predict the device time of a model on a board. Needs neither the board nor a container.

    A node of the model's graph costs arithmetic at a share of the core's peak, and bytes at a share of the memory's
    bandwidth. The shares are fitted to published figures, see docs/reference/prediction.md. The result of
    `edgesim calibrate` for the board corrects the prediction.

    Args:
        profile: name, file or `DeviceProfile` of the board.
        model: name, file or `Model`.
        target: what runs the model on the board: ``cpu``, or an accelerator with a runtime and a precision, such as
            ``gpu:tensorrt-fp16``. `edgesim.predict_targets` predicts all targets of a board.
        models: the model repository; None means ``models/``, then the sample models.
        batch: first size of each input, where the model leaves that size open or has 1.
        threads: threads of one inference; None means those of the model's configuration, else one for each core of the
            board.
        shapes: sizes by input name. Needed where the model leaves more than the first size open; allowed elsewhere, to
            predict another resolution.
        arrays: inputs of a request, by name; None means those that a run sends first: the model's own samples, or
            random ones. Only a model runs with them whose sizes, branches or turns of loops are known at run time only.
        inputs: real inputs, or seed and ranges of random ones, in place of `arrays`.
        host_libraries: libraries of custom operations that edgesim may load on this host, see
            `edgesim.options.BoardOptions`, for a model that has to run here.
        use_calibration: multiply by the factor that `edgesim calibrate` has stored for the board, if there is one.

    Raises:
        ProfileError: no such profile, the board's cores are not arm64 (all figures are of arm64 cores), or the stored
            calibration cannot be read.
        ModelError: no such model, sizes of its inputs are open, its sizes contradict each other, it does not run on
            this host where only a run tells its sizes, or the server would refuse its configuration.
        UsageError: the board has no such target.
    """
    profile = profiles.load(profile, model=model)
    reader = ModelReader(_find(model, models, host_libraries), shapes=shapes, batch=batch, arrays=arrays, inputs=inputs)
    answer = predict_read(profile, reader, target=target, threads=threads, use_calibration=use_calibration)
    if isinstance(answer, Declined):
        raise answer.as_error()
    return answer


def predict_targets(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model,
    *,
    models: str | Path | None = None,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    arrays: Arrays | None = None,
    inputs: InputOptions | None = None,
    host_libraries: Sequence[str] = (),
    use_calibration: bool = True,
) -> dict[str, Prediction | Declined]:
    """Predict the device time of a model on each target of a board, the CPU first.

    The arguments are those of `edgesim.predict`.

    Returns:
        The prediction by target; for a target of which nothing can be said, the reason.

    Raises:
        ProfileError: no such profile; ModelError: no such model, or the server would refuse its configuration.
    """
    profile = profiles.load(profile, model=model)
    reader = ModelReader(_find(model, models, host_libraries), shapes=shapes, batch=batch, arrays=arrays, inputs=inputs)
    return predict_each_target(profile, reader, threads=threads, use_calibration=use_calibration)


def _find(model: str | Path | Model, models: str | Path | None, host_libraries: Sequence[str]) -> Model:
    model = model if isinstance(model, Model) else repository.find(model, models)
    return replace(model, host_libraries=tuple(host_libraries)) if host_libraries else model


def predict_each_target(
    profile: DeviceProfile, reader: ModelReader, *, threads: int | None = None, use_calibration: bool = True
) -> dict[str, Prediction | Declined]:
    """Predict as `predict_targets` does, with a reader that others may share."""
    return {
        target: predict_read(profile, reader, target=target, threads=threads, use_calibration=use_calibration)
        for target in profile.targets
    }


def require_target(profile: DeviceProfile, target: str) -> None:
    """Refuse a target that a board does not have.

    Raises:
        UsageError: names the targets of the board, and the nearest.
    """
    if (problem := why_no_target(profile, target)) is not None:
        raise UsageError(f"`target={target}`: {problem}")


def why_no_target(profile: DeviceProfile, target: str) -> str | None:
    """Return why a name is no target of a board, with the targets that the board has; None if it is one."""
    if target in profile.targets:
        return None
    longer = [name for name in profile.targets if name.startswith(target)]
    return (
        f"{profile.title} has no such target; it has {', '.join(profile.targets)}"
        f"{did_you_mean(longer[0] if longer else target, profile.targets)}"
    )


def predict_or_decline(
    profile: DeviceProfile,
    model: Model,
    *,
    target: str = CPU,
    batch: int = 1,
    threads: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    arrays: Arrays | None = None,
    inputs: InputOptions | None = None,
    use_calibration: bool = True,
) -> Prediction | Declined:
    """Predict as `predict` does, and return the reason where no prediction can be made.

    Raises:
        UsageError: the board has no such target.
        ModelError: the server would refuse the model's configuration.
    """
    reader = ModelReader(model, shapes=shapes, batch=batch, arrays=arrays, inputs=inputs)
    return predict_read(profile, reader, target=target, threads=threads, use_calibration=use_calibration)


def predict_read(
    profile: DeviceProfile,
    reader: ModelReader,
    *,
    target: str = CPU,
    threads: int | None = None,
    use_calibration: bool = True,
) -> Prediction | Declined:
    """Predict as `predict_or_decline` does, with a reader that others may share."""
    require_target(profile, target)
    model = reader.model
    if threads is None and model.configuration is not None and profile.image.reference is None:
        threads = model.configuration.served().intra_op_threads
    if (error := hardware_specific.refusal(model, profile.architecture)) is not None:
        return Declined.because_of(error)
    predictor = next((each for each in PREDICTORS if target in each.targets(profile)), None)
    if predictor is None:
        title = next(each.title for each in profile.accelerators if target in each.targets)
        return Declined(reason=f"no figures that a prediction for {title} could be fitted to", error_class=ProfileError)
    answer = predictor.predict(profile, reader, target=target, threads=threads, use_calibration=use_calibration)
    if isinstance(answer, Declined):
        return answer
    too_large = _does_not_fit(profile, model)
    return replace(
        answer,
        target=target,
        does_not_fit=too_large,
        notes=(*filter(None, [too_large]), *answer.notes, *refusal_notes(profile, model, target)),
        published=published.find(profile, reader, target),
    )


def _does_not_fit(profile: DeviceProfile, model: Model) -> str:
    """Return why a board has no time if the files of a model alone are more than its memory; empty if they fit."""
    memory = profile.memory
    room = int(memory.usable_bytes or memory.visible_bytes)
    if model.size_bytes <= room:
        return ""
    return (
        f"does not fit: the model's files take {format_bytes(model.size_bytes)}, and programs on the board have "
        f"{format_bytes(room)} of memory"
    )
