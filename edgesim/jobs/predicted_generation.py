"""The section of a result about the predicted times of a generation."""

from edgesim.predictions.generation import GenerationPrediction, StepPrediction
from edgesim.results.sections import PredictedGenerationSection, PredictedStepSection


def predicted_section(prediction: GenerationPrediction) -> PredictedGenerationSection:
    """Return the section about the predicted times of a generation."""

    def of(step: StepPrediction | None) -> PredictedStepSection | None:
        return _step(step) if step is not None else None

    mean = prediction.mean.prediction if prediction.mean is not None else None
    return PredictedGenerationSection(
        time_to_first_token_ms=_step(prediction.prompt),
        first_ms=of(prediction.first),
        mean_ms=of(prediction.mean),
        last_ms=of(prediction.last),
        tokens_per_second=prediction.tokens_per_second,
        tokens_per_second_low=1e3 / mean.high_ms if mean is not None else None,
        tokens_per_second_high=1e3 / mean.low_ms if mean is not None else None,
    )


def _step(step: StepPrediction) -> PredictedStepSection:
    return PredictedStepSection(
        token=step.step + 1,
        cached=step.cached,
        p50=step.prediction.p50_ms,
        low=step.prediction.low_ms,
        high=step.prediction.high_ms,
    )
