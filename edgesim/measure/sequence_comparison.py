"""A sequence on the board compared with the same sequence on this host, step by step: an error in a state may grow."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgesim.inputs import Arrays
from edgesim.inputs.sequences import RequestSequence
from edgesim.measure import output_difference
from edgesim.measure.output_difference import Outputs

# The differences of a few steps are noise: fewer say nothing about a growth.
_FEWEST_STEPS = 6
# An error grows if the last quarter of the steps has this many times the difference of the first quarter, and the
# larger differences are the later ones (Spearman's rank correlation). An error that adds up has four times as much.
_GROWTH = 2.0
_LEAST_CORRELATION = 0.7


@dataclass(frozen=True)
class HostStep:
    """One step of a sequence on this host: its number from 0 on, its inputs, and its outputs."""

    number: int
    arrays: Arrays
    outputs: Outputs


@dataclass(frozen=True, kw_only=True)
class SequenceComparison:
    """How the difference of one output develops over the steps of a sequence.

    Attributes:
        output: the output that differs most, by its tolerance.
        steps: the numbers of the steps that were compared, from 1 on.
        differences: the largest absolute difference in each of them; None if no number says it.
        same_token: share of the steps in which both choose the same next token; None unless tokens are generated.
    """

    output: str
    steps: tuple[int, ...]
    differences: tuple[float | None, ...]
    same_token: float | None = None

    @property
    def worst_step(self) -> int:
        """The number of the step with the largest difference; the first of several."""
        return self.steps[self._sizes.index(max(self._sizes))]

    @property
    def grows(self) -> bool | None:
        """Whether the difference grows from step to step; None if there are too few steps to tell."""
        if len(self.steps) < _FEWEST_STEPS:
            return None
        quarter = len(self.steps) // 4
        earlier, later = max(self._sizes[:quarter]), max(self._sizes[-quarter:])
        if later <= _GROWTH * earlier:
            return False
        from scipy.stats import spearmanr  # takes a part of a second, and most runs have no sequence

        return float(spearmanr(self.steps, self._sizes).statistic) >= _LEAST_CORRELATION

    @property
    def _sizes(self) -> list[float]:
        return [difference if difference is not None else math.inf for difference in self.differences]


def compared_steps(sequence: RequestSequence, most: int) -> list[int]:
    """Return the steps to compare, from 0 on: the first ones, and the last one where something grows until then."""
    first = list(range(min(most, sequence.steps)))
    return [*first, sequence.steps - 1] if sequence.is_whole and sequence.steps > most else first


def run_on_host(sequence: RequestSequence, run: Callable[[Arrays], Outputs], steps: Sequence[int]) -> list[HostStep]:
    """Run a sequence from its beginning to the last of `steps`, and return these.

    Raises:
        Whatever `run` raises.
    """
    arrays, kept = sequence.first(), []
    for number in range(max(steps) + 1):
        outputs = run(arrays)
        if number in steps:
            kept.append(HostStep(number, arrays, outputs))
        if number < max(steps):
            arrays = sequence.following(number + 1, arrays, outputs)
    return kept


def ask_board(sequence: RequestSequence, host: Sequence[HostStep], ask: Callable[[Arrays], Outputs]) -> list[Outputs]:
    """Return the board's answers to the steps of a sequence.

    The board's state is its own, so that an error in it adds up. Its tokens are those that this host chooses: after
    another token, the two texts would have nothing in common. After a gap in the steps, the state is this host's.
    """
    answers: list[Outputs] = []
    arrays = host[0].arrays
    for before, step in zip([None, *host], host, strict=False):
        if before is not None and step.number == before.number + 1:
            arrays = sequence.following(step.number, arrays, answers[-1], choice=before.outputs)
        else:
            arrays = step.arrays
        answers.append(ask(arrays))
    return answers


def compare_steps(
    sequence: RequestSequence, board: Sequence[Outputs], host: Sequence[HostStep], output: str
) -> SequenceComparison:
    """Compare one output, step by step.

    Args:
        output: the output that differs most over all steps.
    """
    differences = []
    for answer, step in zip(board, host, strict=True):
        expected = {output: step.outputs[output]}
        difference = output_difference.compare([answer], [expected])[0].max_absolute
        differences.append(difference if math.isfinite(difference) else None)
    return SequenceComparison(
        output=output,
        steps=tuple(step.number + 1 for step in host),
        differences=tuple(differences),
        same_token=_same_token(sequence, board, host),
    )


def _same_token(sequence: RequestSequence, board: Sequence[Outputs], host: Sequence[HostStep]) -> float | None:
    same = []
    for answer, step in zip(board, host, strict=True):
        chosen, expected = sequence.tokens_of(answer), sequence.tokens_of(step.outputs)
        if chosen is None or expected is None:
            return None
        same.append(bool((chosen == expected).all()))
    return sum(same) / len(same)
