"""The reference: the model's outputs from ONNX Runtime on this host, and how the board's outputs compare with them."""

import copy
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edgesim.host import cores
from edgesim.inputs import Arrays
from edgesim.inputs.refusal import Failure
from edgesim.inputs.sequences import RequestSequence
from edgesim.measure import answers, output_difference
from edgesim.measure.answers import Answer
from edgesim.measure.class_scores import class_scores
from edgesim.measure.detections import Detections, Matcher
from edgesim.measure.host_session import HostSession, SessionFailed
from edgesim.measure.output_difference import Difference, Outputs
from edgesim.measure.sequence_comparison import HostStep, SequenceComparison, compare_steps
from edgesim.models import session_loading
from edgesim.models.gathered import gathered, has_links
from edgesim.models.registration import LibraryFailed
from edgesim.models.repository import Model

# A run's time on this host is looked for in this many runs and seconds.
_FEWEST_RUNS, _MOST_RUNS, _RUNS_S = 2, 50, 0.2


class RunFailed(Exception):
    """ONNX Runtime on this host does not compute outputs for some inputs.

    Attributes:
        node: the operation that failed, with its node's name; empty if it is not told.
        cause: why, in ONNX Runtime's words, without places in its sources.
        failure: both.
    """

    def __init__(self, text: str) -> None:
        self.failure = Failure.of(text)
        self.node, self.cause = self.failure
        super().__init__(f"{self.node}: {self.cause}" if self.node else self.cause)


class Reference:
    """A model that runs on this host, in the release of ONNX Runtime that edgesim itself has and a process of its own.

    Attributes:
        release: of ONNX Runtime, such as ``1.32.0``.
        other_release: why this is not the board's release; None if it is, or the board's is not edgesim's choice.

    Raises on construction:
        ModelError: ONNX Runtime cannot load the model, so no board could either; LibraryNotNamed if it needs a library
            that the user has not named for this host.
        TooLong: it does not load within the time that it may take.
        HostError: this host lacks what the model needs of it.
    """

    other_release: str | None = None

    def __init__(self, model: Model) -> None:
        self._session = HostSession(f"model {model.name}")
        try:
            self.release = self._load(model)
        except LibraryFailed as error:
            raise session_loading.library_refusal(*error.args) from error
        except SessionFailed as error:
            raise session_loading.refusal(model, str(error)) from error

    def _load(self, model: Model) -> str:
        load = partial(self._session.load, custom=model.host_libraries, threads=cores.count())
        try:
            return load(model.path)
        except SessionFailed:
            if not has_links(model):
                raise
            with gathered(model) as path:
                return load(path)

    def in_place_of(self, why: str) -> Self:
        """Return the same model, marked as another release than the board's, with the reason."""
        marked = copy.copy(self)
        marked.other_release = why
        return marked

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs for one set of inputs, by name.

        Raises:
            RunFailed: the model does not take these inputs.
            TooLong: the model does not answer within the time that it may take.
            HostError: this host has too little memory for the model.
            ModelError: the model crashes ONNX Runtime.
        """
        try:
            return self._session.run(inputs)
        except SessionFailed as error:
            raise RunFailed(str(error)) from error

    def run_all(self, requests: Sequence[Mapping[str, NDArray[Any]]]) -> Sequence[Outputs]:
        """Return the outputs for each set of inputs; raises as `run`."""
        return [self.run(inputs) for inputs in requests]

    def shortest_ms(self, inputs: Mapping[str, NDArray[Any]]) -> float:
        """Return the shortest of some runs, in milliseconds: what this host takes when nothing disturbs it.

        Raises as `run`, and SessionFailed in place of RunFailed.
        """
        times_s: list[float] = []
        while len(times_s) < _FEWEST_RUNS or (sum(times_s) < _RUNS_S and len(times_s) < _MOST_RUNS):
            times_s.append(self._session.run_s(inputs))
        return 1e3 * min(times_s)


@dataclass(frozen=True, kw_only=True)
class OutputComparison:
    """One output of the board compared with the reference.

    Attributes:
        max_abs_difference: None if no number says it.
        same_class: share of rows with the same largest score; None for an output without class scores.
        notes: what the figures do not say, such as another shape, or NaN on both sides.
    """

    name: str
    max_abs_difference: float | None
    same_class: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The board's outputs compared with the reference, for the same inputs.

    Attributes:
        compared: number of samples in the request.
        max_abs_difference: over all outputs that are not random; None if no number says it: a NaN or an infinity on one
            side, texts that differ, outputs of another shape, or no output that is not random.
        same_class: share of rows with the same largest score; None if no output has class scores.
        accuracy_device: share of labelled inputs that the board classifies correctly; None without labels.
        accuracy_host: the same share of the reference.
        outputs: each output by itself.
        reference: the release of ONNX Runtime on this host, such as ``1.16.3``.
        other_release: why this is not the board's release; None if it is, or the board's is not edgesim's choice.
        detections: the rows of detections that were matched before they were compared; None if they were not.
        sequence: how the largest difference develops over a sequence of requests; None unless they are one.
        answers: what the board answered, of a sequence its first step.
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None
    outputs: tuple[OutputComparison, ...] = ()
    reference: str | None = None
    other_release: str | None = None
    detections: Detections | None = None
    sequence: SequenceComparison | None = None
    answers: tuple[Answer, ...] = ()


def compare(
    device: Outputs,
    host: Outputs,
    labels: NDArray[np.int64] | None = None,
    *,
    samples: int = 1,
    again: Callable[[], Outputs] | None = None,
    matcher: Matcher | None = None,
) -> Comparison:
    """Compare the board's outputs with the reference, output by output.

    Args:
        device: the board's outputs by name.
        host: the outputs of the reference.
        labels: the correct classes, shape (inputs,).
        samples: number of samples in the request; with labels, their number.
        again: runs the reference once more, which shows the outputs that are random; None leaves that out.
        matcher: matches the rows of detections before they are compared; None leaves them in their order.
    """
    samples = len(labels) if labels is not None else samples
    matched = matcher.match([device], [host]) if matcher is not None else None
    actual, expected = matched[:2] if matched is not None else ([device], [host])
    differences = output_difference.compare(actual, expected, samples=[samples])
    random = random_outputs([host], lambda: [again()], differences) if again is not None else {}
    accuracy_device, accuracy_host = _accuracies(device, host, labels)
    nothing = 0.0 if matched is not None and not differences else math.inf
    return replace(
        _comparison(samples, differences, random, nothing=nothing),
        accuracy_device=accuracy_device,
        accuracy_host=accuracy_host,
        detections=matched.detections if matched is not None else None,
        answers=_answers(device, differences, random),
    )


def compare_sequence(
    sequence: RequestSequence, board: Sequence[Outputs], host: Sequence[HostStep], *, again: Callable[[Arrays], Outputs]
) -> Comparison:
    """Compare the board's answers to the steps of a sequence with those of the reference.

    Args:
        again: runs the reference once more, which shows the outputs that are random.
    """
    expected = [step.outputs for step in host]
    differences = output_difference.compare(board, expected)
    random = random_outputs(expected, lambda: [again(step.arrays) for step in host], differences)
    worst = output_difference.worst([one for one in differences if one.output not in random] or differences)
    steps = compare_steps(sequence, board, host, worst.output)
    return replace(
        _comparison(len(host), differences, random), sequence=steps, answers=_answers(board[0], differences, random)
    )


def _answers(board: Outputs, differences: Sequence[Difference], random: Collection[str]) -> tuple[Answer, ...]:
    return answers.of_outputs(board, {each.output: each.allowed for each in differences}, random=random)


def _comparison(
    samples: int, differences: Sequence[Difference], random: Mapping[str, str], *, nothing: float = math.inf
) -> Comparison:
    """Return what the differences of all outputs say; `random` has words for the outputs that are random.

    Args:
        samples: number of samples that were compared.
        nothing: the difference if there is no output to compare.
    """
    known = [difference for difference in differences if difference.output not in random]
    largest = max((difference.max_absolute for difference in known), default=nothing)
    return Comparison(
        compared=samples,
        max_abs_difference=_finite(largest),
        same_class=next((difference.top_1 for difference in known if difference.top_1 is not None), None),
        outputs=tuple(
            OutputComparison(
                name=difference.output,
                max_abs_difference=_finite(difference.max_absolute),
                same_class=difference.top_1,
                notes=tuple([random[difference.output]] if difference.output in random else difference.notes()),
            )
            for difference in differences
        ),
    )


def random_outputs(
    expected: Sequence[Outputs], again: Callable[[], Sequence[Outputs]], differences: Sequence[Difference]
) -> dict[str, str]:
    """Return the outputs in which the reference differs from itself, with words for each.

    Args:
        expected: the outputs of the reference.
        again: runs the reference once more; called only where an output of the board is not within its tolerance.
        differences: of the board from `expected`.
    """
    doubtful = {difference.output: difference.allowed for difference in differences if not difference.within}
    if not doubtful:
        return {}
    repeated = output_difference.compare(again(), expected, doubtful)
    return {
        difference.output: "random: two runs on this host differ"
        + (f" by {difference.max_absolute:.2g}" if math.isfinite(difference.max_absolute) else "")
        for difference in repeated
        if difference.output in doubtful and not difference.within
    }


def _accuracies(
    device: Outputs, host: Outputs, labels: NDArray[np.int64] | None
) -> tuple[float, float] | tuple[None, None]:
    """Return the share of labelled inputs that the board and the reference classify correctly; None without scores."""
    if labels is None or (name := class_scores(host, samples=len(labels), labelled=True)) is None:
        return None, None
    if name not in device or device[name].shape != host[name].shape or len(host[name]) != len(labels):
        return None, None
    shares = [float((outputs[name].argmax(axis=1) == labels).mean()) for outputs in (device, host)]
    return shares[0], shares[1]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
