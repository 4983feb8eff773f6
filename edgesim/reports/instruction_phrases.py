"""The wording of a report on counted instructions."""

import math
from collections.abc import Iterator

from edgesim.results.run_result import RunResult
from edgesim.results.sections import CountSection, InstructionsSection


def headline(result: RunResult) -> str:
    """Return the instructions of one inference; of one request if the server does not mark its inferences."""
    section = result.instructions
    if section is None or (count := section.inference or section.request) is None:
        return "no instructions were counted"
    what = "inference" if section.inference is not None else "request"
    return f"{millions(count.p50)} million instructions for one {what} ({scatter(count)})"


def millions(instructions: float) -> str:
    """Return instructions in millions, with four significant digits at least."""
    if instructions <= 0:
        return "0"
    leading = math.floor(math.log10(instructions)) - 6  # the power of ten of the first digit
    return f"{instructions / 1e6:,.{max(0, 3 - leading)}f}"


def scatter(count: CountSection) -> str:
    """Return how wide the interval of the median is, in percent of the median."""
    if count.samples < 2:
        return "counted once"
    width = 100 * (count.high - count.low) / count.p50
    return f"{count.samples} counts, their median known within {max(width, 0.01):.2g} %"


def notes(section: InstructionsSection) -> Iterator[str]:
    """Yield notes on what the figures count, and what they do not say."""
    threads = "one thread" if section.threads == 1 else f"{section.threads} threads"
    yield f"{section.method}; {threads} for an inference"
    yield (
        "no time: an instruction takes longer or shorter by its kind, by caches and by memory; compare counts with "
        "counts alone"
    )
    if section.threads > 1:
        yield "threads wait for each other by spinning: the counts waver with the host's load"
