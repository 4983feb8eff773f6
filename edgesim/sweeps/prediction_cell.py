"""The figures of a cell that is a prediction."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from edgesim.errors import ProfileError
from edgesim.gates.result_metrics import BAND
from edgesim.inputs import choose
from edgesim.inputs.description import InputDescription
from edgesim.inputs.sequences import GenerationSequence
from edgesim.jobs.result_sections import energy
from edgesim.options import CPU
from edgesim.predictions import Declined, Prediction, calibration, predict_read
from edgesim.predictions.generation import StepReader, predict_steps
from edgesim.predictions.model_reader import ModelReader
from edgesim.progress import Listener
from edgesim.results.cell_result import CellResult, Figure
from edgesim.results.sections import DeviceTimeSection
from edgesim.sweeps.cell import Cell

# What reads the last models, by their content and place: to read a graph takes a part of a second, a run on this host
# longer, and a prediction from either takes milliseconds.
_readers: OrderedDict[str, Any] = OrderedDict()
_MOST_READERS = 8


def predicted(cell: Cell, result: CellResult, _: Listener | None = None) -> CellResult:
    """Return the result of a cell with the predicted times.

    Raises:
        ModelError: the model has no prediction on any board; UsageError: the options do not fit the model.
    """
    generates = InputDescription.of(cell.model.read(), cell.options.inputs).generate is not None
    with calibration.taken_from(cell.calibrations):
        return _of_generation(cell, result) if generates else _of_inference(cell, result)


def _of_inference(cell: Cell, result: CellResult) -> CellResult:
    """Predict the cell's target; without one, all targets of the board, of which the CPU is the cell's."""
    reader = _kept(cell, lambda: ModelReader(cell.model.read(), batch=cell.batch, inputs=cell.options.inputs))
    chosen = cell.profile.targets if cell.options.board.target is None else [cell.target]
    targets = {name: predict_read(cell.profile, reader, target=name, threads=cell.threads) for name in chosen}
    figures = {**result.figures, **{f"targets.{name}.p50": _figure(answer) for name, answer in targets.items()}}
    answer = targets[cell.target]
    if isinstance(answer, Declined):
        _require_model(answer)
        figures["device_time_ms.p50"] = _figure(answer)
        return result.model_copy(update={"figures": figures, "method": f"none: {answer.reason}"})
    return _with_times(cell, result.model_copy(update={"figures": figures}), answer)


def _of_generation(cell: Cell, result: CellResult) -> CellResult:
    def readers() -> list[StepReader]:
        model = cell.model.read()
        sequence = choose(model, cell.options.inputs).sequence
        assert isinstance(sequence, GenerationSequence), "the options, or the file beside the model, ask for one"
        return StepReader.of(model, sequence)

    answer = predict_steps(cell.profile, _kept(cell, readers), target=cell.target, threads=cell.threads)
    if isinstance(answer, Declined):
        _require_model(answer)
        figures = {**result.figures, "device_time_ms.p50": _figure(answer)}
        return result.model_copy(update={"figures": figures, "method": f"none: {answer.reason}"})
    figures = {**result.figures, "generation.time_to_first_token_ms.p50": _figure(answer.prompt.prediction)}
    if answer.mean is not None:
        figures["generation.inter_token_ms.p50"] = _figure(answer.mean.prediction)
        figures["generation.tokens_per_second"] = Figure(value=answer.tokens_per_second)
    return _with_times(cell, result.model_copy(update={"figures": figures}), answer.typical.prediction)


def _kept(cell: Cell, make: Callable[[], Any]) -> Any:
    """Return the reader of the cell's model: a new one, or that of a cell with the same content, path and inputs."""
    key = f"{cell.content} {cell.model.path} {cell.batch} {cell.options.inputs.model_dump_json()}"
    if key not in _readers:
        _readers[key] = make()
        if len(_readers) > _MOST_READERS:
            _readers.popitem(last=False)
    return _readers[key]


def _require_model(declined: Declined) -> None:
    """Raise the error of the model; a board without a predictor is an answer, and no failure.

    Raises:
        ModelError: and what else `edgesim.predict` raises for the model.
    """
    if not issubclass(declined.error_class, ProfileError):
        raise declined.as_error()


def _figure(answer: Prediction | Declined) -> Figure:
    if isinstance(answer, Declined):
        return Figure(note=f"not predicted: {answer.reason}", impossible=answer.impossible)
    return Figure(value=answer.p50_ms, low=answer.low_ms, high=answer.high_ms, interval_kind=BAND)


def _with_times(cell: Cell, result: CellResult, prediction: Prediction) -> CellResult:
    """Add the figures of a device time, and of the energy that follows from it."""
    figures = {
        **result.figures,
        "device_time_ms.p50": _figure(prediction),
        "device_time_ms.low": Figure(value=prediction.low_ms),
        "device_time_ms.high": Figure(value=prediction.high_ms),
    }
    if prediction.target == CPU:  # the profile's watts are those of busy cores
        time = DeviceTimeSection(p50=prediction.p50_ms, low=prediction.low_ms, high=prediction.high_ms, method="")
        of_energy = energy(cell.profile, time)
        figures["energy_j"] = Figure(value=of_energy.per_inference, note=of_energy.method)
    facts = {"method": prediction.method, "notes": prediction.notes, "does_not_fit": prediction.does_not_fit}
    return result.model_copy(update={"figures": figures, **facts})
