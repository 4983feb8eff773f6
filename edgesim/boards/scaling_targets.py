"""What the requests of a run take on a board, as predicted: the device time, and the targets of time scaling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgesim.boards.dial import Target
from edgesim.inputs import Arrays, Inputs
from edgesim.inputs.sequences import GenerationSequence
from edgesim.models.repository import Model
from edgesim.options import CPU
from edgesim.predictions import Declined, Prediction, predict_read
from edgesim.predictions.generation import GenerationPrediction, StepReader, predict_steps
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.onnxruntime_cpu import predict_nodes
from edgesim.profiles import DeviceProfile
from edgesim.units import format_ms

# How many inputs a prediction looks at where sizes are of the inputs.
_MOST_INPUTS = 3


@dataclass(frozen=True, kw_only=True)
class PredictedTimes:
    """The predicted times of a run's requests.

    Attributes:
        target: what runs the model.
        targets: the device time of an inference on each target of the board, or why there is none. Of a generation:
            that of the token in the middle.
        arrays: the inputs that the predictions are for.
        generation: the times of a generation on the target; None for other inputs, and where there is no prediction.
    """

    profile: DeviceProfile
    model: Model
    target: str
    targets: Mapping[str, Prediction | Declined]
    arrays: Arrays
    generation: GenerationPrediction | None = None

    @classmethod
    def of(cls, profile: DeviceProfile, model: Model, inputs: Inputs, target: str) -> "PredictedTimes":
        """Predict the times of requests with these inputs on every target; `target` runs the model."""
        first, sequence = inputs.requests[0], inputs.sequence
        if not isinstance(sequence, GenerationSequence):
            readers = [ModelReader(model, arrays=request) for request in inputs.requests[:_MOST_INPUTS]]
            targets = {name: predicted(profile, readers, target=name) for name in profile.targets}
            return cls(profile=profile, model=model, target=target, targets=targets, arrays=first)
        steps = StepReader.of(model, sequence)
        generations = {name: predict_steps(profile, steps, target=name) for name in profile.targets}
        generation = generations[target]
        return cls(
            profile=profile,
            model=model,
            target=target,
            targets={
                name: answer if isinstance(answer, Declined) else answer.typical.prediction
                for name, answer in generations.items()
            },
            arrays=first if isinstance(generation, Declined) else generation.typical.arrays,
            generation=generation if isinstance(generation, GenerationPrediction) else None,
        )

    @property
    def prediction(self) -> Prediction | Declined:
        """The device time on the target, or why there is none."""
        return self.targets[self.target]

    def scaling_targets(self) -> list[Target]:
        """Return the targets of time scaling: one, or some steps of a generation, which tell those between.

        Raises:
            EdgesimError: there is no prediction.
        """
        if isinstance(self.prediction, Declined):
            raise self.prediction.as_error()
        if self.generation is None:
            return [target(self.profile, self.model, self.arrays, self.prediction)]
        return [
            replace(
                target(self.profile, self.model, step.arrays, step.prediction),
                step=step.step,
                about=f"token {step.step + 1}" if step.step else "prompt",
            )
            for step in self.generation.steps()
        ]


def predicted(profile: DeviceProfile, readers: Sequence[ModelReader], *, target: str = CPU) -> Prediction | Declined:
    """Predict the device time of a request on a target, see `edgesim.predict`.

    Args:
        readers: of the model with the inputs of this request, and of others. Where sizes are of the inputs, a note says
            how much the time differs.
    """
    first, *others = readers
    prediction = predict_read(profile, first, target=target)
    if isinstance(prediction, Declined) or prediction.sizes == "inference" or not others:
        return prediction
    further = (predict_read(profile, other, target=target) for other in others)
    all_of_them = [prediction, *(other for other in further if isinstance(other, Prediction))]
    times_ms = [each.p50_ms for each in all_of_them]
    note = f"over {len(times_ms)} inputs: {format_ms(min(times_ms))} to {format_ms(max(times_ms))} ms"
    return replace(prediction, notes=(*prediction.notes, note))


def target(profile: DeviceProfile, model: Model, arrays: Arrays, prediction: Prediction) -> Target:
    """Return the target of a model on a board: a request's predicted time, and that time at the board's hot clock.

    A request takes the device time and the server's time: both are in what a client of a scaled server sees. The hot
    clock is the processor's.
    """
    heated_ms = None
    if profile.thermal is not None and prediction.target == CPU:
        # The ratio of two predictions: a calibration by measured times is for the board's full clock.
        nodes = [time.node for time in prediction.nodes]
        cool, hot = (
            predict_nodes(board, nodes, threads=prediction.threads, use_calibration=False)
            for board in (profile, profile.heated())
        )
        server_ms = prediction.request_ms - prediction.p50_ms
        slower = profile.cpu.clock_hz / profile.heated().cpu.clock_hz
        heated_ms = prediction.p50_ms * hot.p50_ms / cool.p50_ms + server_ms * slower
    return Target(model=model, arrays=arrays, time_ms=prediction.request_ms, heated_ms=heated_ms)
