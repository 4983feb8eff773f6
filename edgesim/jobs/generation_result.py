"""The section of a result about the generation of text."""

from collections.abc import Sequence

from edgesim.inputs.sequences import GenerationSequence
from edgesim.jobs.measurement import Measurement, distribution
from edgesim.jobs.predicted_generation import predicted_section
from edgesim.measure import statistics
from edgesim.predictions.generation import GenerationPrediction
from edgesim.recording import Sample
from edgesim.results.sections import GenerationSection


def generation_section(
    sequence: GenerationSequence, measurements: Sequence[Measurement], prediction: GenerationPrediction | None
) -> GenerationSection:
    """Return the section about the generations of all containers."""
    samples = [sample for measured in measurements for sample in measured.samples]
    later = further_tokens(samples)
    tokens = distribution(later, lambda sample: sample.service_time_ms)
    bytes_at = [sequence.cache_bytes_at(length) for length in (0, sequence.cached(sequence.steps))]
    grown = sequence.cached(sequence.steps)
    return GenerationSection(
        prompt_tokens=sequence.prompt_tokens,
        new_tokens=sequence.tokens,
        generations=sum(sample.ok and sample.step == sequence.steps for sample in samples),
        time_to_first_token_ms=distribution(
            [sample for sample in samples if sample.step == 1], lambda sample: sample.service_time_ms
        ),
        inter_token_ms=tokens,
        tokens_per_second=1e3 / tokens.mean if tokens.mean else None,
        first_inter_token_ms=_median_of_step(later, 2),
        last_inter_token_ms=_median_of_step(later, sequence.steps),
        cache=dict(sequence.fed),
        cache_bytes=bytes_at[1],
        cache_bytes_per_token=(bytes_at[1] - bytes_at[0]) // grown,
        predicted=predicted_section(prediction) if prediction is not None else None,
    )


def further_tokens(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of a generation's steps after the prompt's."""
    return [sample for sample in samples if sample.step is not None and sample.step > 1]


def _median_of_step(samples: Sequence[Sample], step: int) -> float | None:
    return statistics.summarise([sample.service_time_ms for sample in samples if sample.ok and sample.step == step]).p50
