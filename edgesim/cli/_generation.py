"""The predicted times of a generation, as ``edgesim predict`` shows them."""

from typing import Any

from rich.console import Group
from rich.text import Text

from edgesim.cli._tables import text_table
from edgesim.jobs.predicted_generation import predicted_section
from edgesim.options import Generate
from edgesim.predictions.generation import GenerationPrediction, StepPrediction
from edgesim.reports import generation_phrases
from edgesim.reports.formats.text_layout import Paragraph
from edgesim.units import format_ms


def in_a_line(generation: GenerationPrediction) -> str:
    """Return the time to the first token and the tokens per second in one line."""
    return generation_phrases.predicted(predicted_section(generation))


def table(title: str, generate: Generate, generation: GenerationPrediction) -> Group:
    """Return the time of the prompt and of some tokens, each with its cache, and the tokens per second."""
    steps = [generation.prompt, generation.first, generation.mean, generation.last]
    rows = [_row(generate, step) for step in {step.step: step for step in steps if step is not None}.values()]
    lines: list[Any] = [Text(title, "bold"), Text()]
    lines.append(text_table(("request", "in the cache", "ms", "80 %"), rows, figures=("in the cache", "ms")))
    lines += [Text(), Paragraph(in_a_line(generation)), Paragraph(generation.typical.prediction.method, "dim")]
    lines += [
        Paragraph(note, "yellow") for note in generation.typical.prediction.notes[:-1]
    ]  # the last one has the cache
    return Group(*lines)


def facts(generate: Generate, generation: GenerationPrediction) -> dict[str, Any]:
    """Return the same for programs."""
    predicted = predicted_section(generation).model_dump(mode="json")
    return {"prompt_tokens": generate.prompt, "new_tokens": generate.tokens, "predicted": predicted}


def _row(generate: Generate, step: StepPrediction) -> tuple[str, ...]:
    what = f"token {step.step + 1}" if step.step else f"prompt of {generate.prompt} tokens"
    time = step.prediction
    return what, str(step.cached), format_ms(time.p50_ms), f"{format_ms(time.low_ms)} to {format_ms(time.high_ms)}"
