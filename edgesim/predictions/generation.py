"""The predicted times of a generation: the prompt in one inference, and a token an inference while the cache grows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim import profiles
from edgesim.inputs import Arrays, choose
from edgesim.inputs.sequences import GenerationSequence
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import CPU, Generate, InputOptions
from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.prediction import Declined, Prediction
from edgesim.predictions.predictor import predict_read
from edgesim.profiles import DeviceProfile


@dataclass(frozen=True, kw_only=True)
class StepPrediction:
    """The predicted time of one step of a generation.

    Attributes:
        step: from 0 on; step 0 is the prompt's.
        cached: number of tokens in the cache when the step begins.
        arrays: the inputs that the prediction is for; the cache holds zeros.
    """

    step: int
    cached: int
    arrays: Arrays
    prediction: Prediction


@dataclass(frozen=True)
class GenerationPrediction:
    """The predicted times of a generation. A step takes the longer the more tokens the cache holds.

    Attributes:
        prompt: the step that gives the first token.
        first, mean, last: the steps that give a further token: the first one, the one in the middle, whose cache has
            the mean length, and the last one; None where the prompt's token is the only one.
    """

    prompt: StepPrediction
    first: StepPrediction | None = None
    mean: StepPrediction | None = None
    last: StepPrediction | None = None

    @property
    def typical(self) -> StepPrediction:
        """The step that stands for an inference: the one in the middle."""
        return self.mean if self.mean is not None else self.prompt

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens after the first one, by the time of the step in the middle."""
        return 1e3 / self.mean.prediction.p50_ms if self.mean is not None else None

    def steps(self) -> Iterator[StepPrediction]:
        """Yield the steps whose times tell those of all others: first, last, and the prompt's."""
        if self.first is not None and self.last is not None:
            yield self.first
            if self.last.step != self.first.step:
                yield self.last
        yield self.prompt


def predict_generation(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model,
    *,
    prompt: int,
    tokens: int,
    target: str = CPU,
    models: str | Path | None = None,
    threads: int | None = None,
    inputs: InputOptions | None = None,
    use_calibration: bool = True,
) -> GenerationPrediction:
    """Predict the times of a generation on a board. Needs neither the board nor a container.

    Args:
        prompt: tokens of the prompt, which take one inference.
        tokens: tokens that are generated, one by each inference.
        inputs: sizes and values of inputs that have nothing to do with the tokens, and which outputs are the cache
            (`state`) where their names do not tell.
        profile, model, target, models, threads, use_calibration: see `edgesim.predict`.

    Raises:
        ModelError: the model is no decoder with a cache that edgesim knows, or as `edgesim.predict`.
        ProfileError, UsageError: as `edgesim.predict`.
    """
    profile = profiles.load(profile, model=model)
    model = model if isinstance(model, Model) else repository.find(model, models)
    options = (inputs if inputs is not None else InputOptions()).model_copy(
        update={"generate": Generate(prompt=prompt, tokens=tokens)}
    )
    sequence = choose(model, options).sequence
    assert isinstance(sequence, GenerationSequence), "the options ask for one"
    steps = StepReader.of(model, sequence)
    answer = predict_steps(profile, steps, target=target, threads=threads, use_calibration=use_calibration)
    if isinstance(answer, Declined):
        raise answer.as_error()
    return answer


@dataclass(frozen=True, kw_only=True)
class StepReader:
    """Reads the model as one step of a generation runs it.

    Attributes:
        step, cached, arrays: see `StepPrediction`.
    """

    step: int
    cached: int
    arrays: Arrays
    reader: ModelReader
    about: str

    @classmethod
    def of(cls, model: Model, sequence: GenerationSequence) -> "list[StepReader]":
        """Return readers of the steps that tell the times of all: the prompt's, the first, a middle and the last one.

        Of a generation of few tokens, some of them are the same; of one token, there is the prompt's alone.
        """
        numbers = [0] if sequence.tokens == 1 else [0, 1, sequence.tokens // 2, sequence.tokens - 1]
        readers: dict[int, StepReader] = {}
        for number in dict.fromkeys(numbers):
            cached = sequence.cached(number)
            arrays = sequence.with_cache(cached) if number else sequence.first()
            about = f"a token with {cached} in the cache" if number else f"a prompt of {sequence.prompt_tokens} tokens"
            reader = ModelReader(model, arrays=arrays)
            readers[number] = cls(step=number, cached=cached, arrays=arrays, reader=reader, about=about)
        return [readers[number] for number in numbers]


def predict_steps(
    profile: DeviceProfile,
    readers: Sequence[StepReader],
    *,
    target: str = CPU,
    threads: int | None = None,
    use_calibration: bool = True,
) -> GenerationPrediction | Declined:
    """Predict the times of a generation's steps on a board; the other arguments are those of `edgesim.predict`."""
    steps: list[StepPrediction] = []
    for step in readers:
        prediction = predict_read(profile, step.reader, target=target, threads=threads, use_calibration=use_calibration)
        if isinstance(prediction, Declined):
            return prediction
        prediction = replace(prediction, notes=(*prediction.notes, f"the time of {step.about}"))
        steps.append(StepPrediction(step=step.step, cached=step.cached, arrays=step.arrays, prediction=prediction))
    return GenerationPrediction(*steps)
