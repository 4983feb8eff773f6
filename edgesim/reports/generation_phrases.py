"""The generation of text, and sequences of requests, in words."""

from collections.abc import Sequence

from edgesim.results.sections import (
    GenerationSection,
    PredictedGenerationSection,
    PredictedStepSection,
    SequenceSection,
)
from edgesim.units import format_bytes, format_ms


def steps(sequence: SequenceSection) -> str:
    """Return how a difference develops over the steps of a sequence."""
    compared = _steps(sequence.steps)
    worst = sequence.differences[sequence.steps.index(sequence.worst_step)]
    if worst == 0:
        words = [f"no difference over steps {compared}"]
        return ", ".join([*words, *_tokens(sequence)])
    words = [
        f"{sequence.output} over steps {compared}: {_difference(sequence.differences[0])} at the first,"
        f" at most {_difference(worst)} at step {sequence.worst_step}"
    ]
    if sequence.grows is not None:
        words.append("growing from step to step" if sequence.grows else "not growing")
    return ", ".join([*words, *_tokens(sequence)])


def _steps(steps: Sequence[int]) -> str:
    """Return ``1 to 8 and 40``: the first steps, and a last one after a gap."""
    if len(steps) > 1 and steps[-1] != steps[-2] + 1:
        return f"{_steps(steps[:-1])} and {steps[-1]}"
    return f"{steps[0]} to {steps[-1]}" if len(steps) > 1 else str(steps[0])


def _tokens(sequence: SequenceSection) -> list[str]:
    if sequence.same_token is None:
        return []
    return [f"the same token in {100 * sequence.same_token:.0f} % of the steps"]


def _rate(tokens_per_second: float) -> str:
    return f"{tokens_per_second:,.0f}" if tokens_per_second >= 100 else f"{tokens_per_second:.3g}"


def _difference(value: float | None) -> str:
    return f"{value:.2g}" if value is not None else "without a number"


def measured(generation: GenerationSection, prefix: str) -> str:
    """Return the measured times of a generation, in words.

    Args:
        prefix: what to write before a time that is not simply the board's, such as ``scaled ``.
    """
    words = [f"prompt of {generation.prompt_tokens} tokens, {generation.new_tokens} generated"]
    first = generation.time_to_first_token_ms
    if first.p50 is not None:
        words.append(f"{prefix}time to the first token {format_ms(first.p50)} ms")
    elif first.mean is not None:
        words.append(f"{prefix}time to the first token {format_ms(first.mean)} ms (mean of {first.samples})")
    if generation.tokens_per_second is not None:
        words.append(f"then {_rate(generation.tokens_per_second)} tokens per second")
    begin, end = generation.first_inter_token_ms, generation.last_inter_token_ms
    if begin is not None and end is not None and generation.new_tokens > 2:
        words.append(f"{format_ms(begin)} ms for the second token, {format_ms(end)} ms for the last one")
    return "; ".join(words)


def predicted(predicted: PredictedGenerationSection) -> str:
    """Return the predicted times of a generation, without the server and its connection, in words."""
    words = [f"time to the first token {_band(predicted.time_to_first_token_ms)}"]
    if predicted.tokens_per_second is not None:
        rate, low, high = (
            _rate(value) if value is not None else "?"
            for value in (
                predicted.tokens_per_second,
                predicted.tokens_per_second_low,
                predicted.tokens_per_second_high,
            )
        )
        words.append(f"then {rate} tokens per second ({low} to {high})")
    if predicted.first_ms is not None and predicted.last_ms is not None:
        words.append(
            f"{format_ms(predicted.first_ms.p50)} ms a token with {predicted.first_ms.cached} in the cache,"
            f" {format_ms(predicted.last_ms.p50)} ms with {predicted.last_ms.cached}"
        )
    return "; ".join(words)


def cache(generation: GenerationSection) -> str:
    """Return the largest size of the cache, in words."""
    each = f", {format_bytes(generation.cache_bytes_per_token)} a token" if generation.cache_bytes_per_token else ""
    return f"{format_bytes(generation.cache_bytes or 0)} after the last token{each}"


def _band(step: PredictedStepSection) -> str:
    return f"{format_ms(step.p50)} ms ({format_ms(step.low)} to {format_ms(step.high)} ms)"
