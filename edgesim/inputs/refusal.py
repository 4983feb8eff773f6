"""What to say of inputs that ONNX Runtime on this host refuses: the input, its value and the bound."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs.inputs import Arrays
from edgesim.inputs.sizes import open_sizes
from edgesim.models import input_uses
from edgesim.models.input_uses import InputUse
from edgesim.models.repository import Model

# The last of them is the innermost: around it are branches and loops.
_FAILED_NODE = re.compile(
    r".*while running (?P<operation>\w+) node\. Name:'(?P<name>[^']*)' Status Message: (?P<cause>.*)"
)
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
# ONNX Runtime begins with the place in its own sources, the whole signature of the function there, and its condition.
_PLACE = re.compile(
    r"/onnxruntime_src/\S+ .*?\) (?=[A-Z])|/onnxruntime_src/\S+ "
    r"|(?:\w+ )?onnxruntime::\S+\([^)]*\) (?:.*? was false\. )?"
)
# As ONNX Runtime's Gather and its kin, TopK, RoiAlign and LSTM write it; `end` is no value of the range.
_BOUNDS = (
    re.compile(r"idx=(?P<value>-?\d+) must be within the inclusive range \[(?P<low>-?\d+),(?P<high>-?\d+)\]"),
    re.compile(r"argument \[(?P<value>-?\d+)\] should not be greater than specified axis dim value \[(?P<high>\d+)\]"),
    re.compile(r"value (?P<value>-?\d+) at index \d+ is out of range \[(?P<low>-?\d+), ?(?P<end>\d+)\)"),
    re.compile(r"sequence_lens\. .*seq_length=(?P<high>\d+)"),
)
_MOST_CHOICES = 5  # in a message


class Failure(NamedTuple):
    """Why ONNX Runtime did not run a model.

    Attributes:
        node: the operation that failed, with its node's name; empty if it is not told.
        cause: why, in ONNX Runtime's words, without places in its sources.
    """

    node: str
    cause: str

    @classmethod
    def of(cls, text: str) -> "Failure":
        """Return what an error of ONNX Runtime says."""
        # What follows an escape code is the same text again, as the log has it.
        text = " ".join(text.partition("\x1b")[0].split())
        found = _FAILED_NODE.search(text)
        node = f"{found['operation']} {found['name']}".strip() if found is not None else ""
        return cls(node, _PLACE.sub("", found["cause"] if found is not None else _PREFIX.sub("", text)))


class _Misfit(NamedTuple):
    """An input that has a value out of its bounds; `high` is None for a value that is none of those known.

    The name is empty for a value that the graph computes from inputs.
    """

    name: str
    value: Any
    low: int
    high: int | None
    takes: str


def refusal(model: Model, request: Arrays, failure: Failure, *, whose: str, is_random: bool) -> ModelError:
    """Return the error for inputs that the model does not take on this host.

    Args:
        whose: the inputs in words: ``these random inputs``.
    """
    misfit = _by_words(model, request, failure) or next(_by_graph(model, request), None)
    words = f"{failure.node}: {failure.cause}" if failure.node else failure.cause
    fix = "give inputs that the model takes"
    if misfit is not None:
        taker = failure.node or "the model"
        words = f"{misfit.name} has {misfit.value}, and {taker} takes {misfit.takes}"
        if not misfit.name:
            words = f"the graph computes {misfit.value} from them, and {taker} takes {misfit.takes}"
    elif (uneven := next(_uneven(model, request), None)) is not None:
        words = f"{uneven.words} ({words})"
        return ModelError(f"{whose} do not fit model {model.name}: {words}", fix=f"`dims` {uneven.name}=N, for both")
    if is_random:
        known = misfit is not None and misfit.high is not None and misfit.name != ""
        example = f"{misfit.name}={misfit.low}:{misfit.high}" if misfit is not None and known else "NAME=LOW:HIGH"
        ranges = "" if misfit is not None and misfit.high is None else f"`ranges` {example}, "
        sizes = open_sizes(model) if misfit is None else ""
        ranges = f"{sizes}, {ranges}" if sizes else ranges
        fix = f"{ranges}values in a file: `inputs_file`, or real inputs: `input`"
    return ModelError(f"{whose} do not fit model {model.name}: {words}", fix=fix)


class _Uneven(NamedTuple):
    """A size that the model calls the same in two inputs, which have different ones."""

    name: str
    words: str


def _uneven(model: Model, request: Arrays) -> Iterator[_Uneven]:
    sizes: dict[str, tuple[str, int]] = {}
    for tensor in model.inputs:
        for dim, size in zip(tensor.dims, request[tensor.name].shape, strict=False):
            other, known = sizes.setdefault(dim, (tensor.name, size)) if dim else ("", size)
            if known != size:
                yield _Uneven(dim, f"{other} has {known} for {dim}, and {tensor.name} {size}")


def _by_words(model: Model, request: Arrays, failure: Failure) -> _Misfit | None:
    """Return the input that ONNX Runtime's words are about, as far as they have its value or the bound."""
    match = next((match for pattern in _BOUNDS if (match := pattern.search(failure.cause)) is not None), None)
    if match is None:
        return None
    found = match.groupdict()
    low, high = max(int(found.get("low") or 0), 0), int(found["high"]) if "high" in found else int(found["end"]) - 1
    numbers: dict[str, NDArray[Any]] = {
        tensor.name: request[tensor.name] for tensor in model.inputs if request[tensor.name].dtype.kind in "iu"
    }
    if found.get("value") is not None:
        value = int(found["value"])
        names = [name for name, values in numbers.items() if np.any(values == value)]
    else:
        names = [name for name, values in numbers.items() if values.size and np.max(values) > high]
        value = int(np.max(numbers[names[0]])) if names else high + 1
    uses = input_uses.by_input(model)
    likely = [name for name in names if name in uses and (uses[name].high == high or uses[name].length)] or names
    if not likely:  # the graph computes the value from an input
        return _Misfit("", value, low, high, f"{low} to {high}")
    return _Misfit(" or ".join(likely), value, low, high, f"{low} to {high}")


def _by_graph(model: Model, request: Arrays) -> Iterator[_Misfit]:
    """Yield the inputs with values out of the bounds that the graph tells."""
    for name, use in input_uses.by_input(model).items():
        values: NDArray[Any] = request[name]
        if use.high is not None and values.dtype.kind in "iu":
            wrong = values[(values < use.low) | (values > use.high)]
            if wrong.size:
                yield _Misfit(name, int(wrong.reshape(-1)[0]), use.low, use.high, f"{use.low} to {use.high}")
        yield from _of_no_category(name, values, use)


def _of_no_category(name: str, values: NDArray[Any], use: InputUse) -> Iterator[_Misfit]:
    columns = {None: use.choices} if use.choices else dict(use.columns)
    for column, choices in columns.items():
        part = values if column is None or values.ndim < 2 else values[:, column]
        wrong = [value for value in part.reshape(-1).tolist() if value not in choices]
        if wrong:
            shown = ", ".join(map(repr, choices[:_MOST_CHOICES])) + (", …" if len(choices) > _MOST_CHOICES else "")
            yield _Misfit(name, repr(wrong[0]), 0, None, shown)
