"""The sizes of a request's inputs: the model's own, and those that the user gives by input or by name."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from edgesim.errors import ModelError, did_you_mean
from edgesim.inputs.dim_expressions import evaluate, names_in
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

if TYPE_CHECKING:
    from edgesim.inputs.guessed_sizes import Key

_IMAGE_DIMENSIONS = 4
_LETTERS = "NMKLPQRS"
_MOST_TRIES = 16  # of guesses, each of which may run the model


class Sizes:
    """The sizes of a model's inputs, as far as they are known.

    The first size of an input is the batch, and so is every size of that name: 1, unless the user says otherwise.

    Args:
        shapes: sizes by input name, which go before everything else.
        dims: sizes by the name that the model has for them.
        batch: the first size of every input, where the model leaves that size open or, with `resize`, has 1.
        resize: take shapes that contradict the sizes that the model fixes, to ask for the cost of another resolution.
        guess: guess the sizes that are not known, see `edgesim.inputs.guessed_sizes`.

    Attributes:
        guessed: the sizes that `complete` has guessed, in words.

    Raises:
        ModelError: there is no such input or no such name, or a shape does not fit its input.
    """

    def __init__(
        self,
        model: Model,
        *,
        shapes: Mapping[str, Sequence[int]] | None = None,
        dims: Mapping[str, int] | None = None,
        batch: int = 1,
        resize: bool = False,
        guess: bool = False,
    ) -> None:
        self._model, self._batch, self._resize, self._guess = model, batch, resize, guess
        self.guessed: tuple[str, ...] = ()
        self._shapes = {name: tuple(sizes) for name, sizes in (shapes or {}).items()}
        self._unnamed: dict[Key, int] = {}
        _require_dims(model, dims or {})
        self._known_values = self._values = self._first_values(dims or {})

    def of(self, tensor: Tensor) -> tuple[int, ...] | None:
        """Return the sizes of an input, -1 for an unknown one; None where not even their number is known."""
        if (shape := self._shapes.get(tensor.name)) is not None:
            return shape
        if tensor.any_rank:
            return None
        return tuple(self._size(tensor, axis) for axis in range(len(tensor.shape)))

    def complete(self) -> dict[str, tuple[int, ...]]:
        """Return all sizes by input name.

        Raises:
            ModelError: sizes are unknown; the error names all of them, and its fix has the options to give.
        """
        if self._guess:
            self._guess_unknown()
        shapes = {tensor.name: self.of(tensor) for tensor in self._model.inputs}
        known = {name: shape for name, shape in shapes.items() if shape is not None and -1 not in shape}
        if len(known) < len(shapes):
            raise self._unknown([tensor for tensor in self._model.inputs if tensor.name not in known])
        return known

    def _guess_unknown(self) -> None:
        """Give sizes to what has none, if a guess does not contradict the graph."""
        self._guess = False
        open_axes = [
            (tensor, axis)
            for tensor in self._model.inputs
            for axis, size in enumerate(self.of(tensor) or ())
            if size < 0
        ]
        any_rank = [tensor for tensor in self._model.inputs if self.of(tensor) is None]
        if not open_axes and not any_rank:
            return
        from edgesim.inputs.guessed_sizes import Guesser, assignments  # here: it reads the model once more

        guesser = Guesser(self._model)
        for tensor in any_rank:
            if (last := guesser.last_size(tensor)) is not None:
                self._shapes[tensor.name] = (self._batch, last)
                self.guessed += (f"{tensor.name} {[self._batch, last]}",)
        if not open_axes:
            return
        candidates: dict[Key, Sequence[int]] = {}
        for tensor, axis in open_axes:
            for key in self._keys(tensor, axis):
                candidates.setdefault(key, guesser.candidates(tensor, axis))
        tries = list(assignments(candidates))
        for sizes in tries[:_MOST_TRIES] if len(tries) > 1 else ():
            if not guesser.contradicts(self._with(sizes)):
                break
        else:  # a single choice, or inputs that the model does not take as zeros: the usual sizes
            sizes = tries[0]
        shapes = self._with(sizes)
        self.guessed += tuple(f"{key} {size}" for key, size in sizes.items() if isinstance(key, str))
        self.guessed += tuple(f"{name} {list(shapes[name])}" for name in dict.fromkeys(key[0] for key in self._unnamed))

    def _with(self, sizes: "Mapping[Key, int]") -> dict[str, tuple[int, ...]]:
        """Take guessed sizes, and return all sizes that are known with them."""
        self._values = {**self._known_values, **{key: size for key, size in sizes.items() if isinstance(key, str)}}
        self._unnamed = {key: size for key, size in sizes.items() if not isinstance(key, str)}
        return {tensor.name: shape for tensor in self._model.inputs if (shape := self.of(tensor)) is not None}

    def _keys(self, tensor: Tensor, axis: int) -> "Sequence[Key]":
        """Return what stands for an open size: the names in its own name that have no value, or its place."""
        dim = tensor.dims[axis] if tensor.dims else ""
        return sorted(names_in(dim) - self._values.keys()) or [(tensor.name, axis)]

    def _first_values(self, dims: Mapping[str, int]) -> dict[str, int]:
        """Return sizes by name: those that are given, those of shapes that are given, and 1 for the batch."""
        values: dict[str, int] = {}
        for tensor in self._model.inputs:
            shape = self._shapes.get(tensor.name)
            if shape is None:
                continue
            if not (tensor.fits(shape) or (self._resize and len(shape) == len(tensor.shape))):
                sizes = ",".join(map(str, shape))
                raise ModelError(f"`shapes` {tensor.name}={sizes}: model {self._model.name} takes {tensor}")
            for name, size in zip(tensor.dims, shape, strict=False):
                if name:
                    values.setdefault(name, size)
        values |= dims
        firsts = {tensor.dims[0] for tensor in self._model.inputs if tensor.shape[:1] == (-1,) and tensor.dims}
        return {name: self._batch for name in firsts if name} | values

    def _size(self, tensor: Tensor, axis: int) -> int:
        own, name = tensor.shape[axis], tensor.dims[axis] if tensor.dims else ""
        if own >= 0:
            return self._batch if self._resize and axis == 0 and own == 1 else own
        size = evaluate(name, self._values) if name else None
        size = self._unnamed.get((tensor.name, axis)) if size is None else size
        if size is None:
            return self._batch if axis == 0 else -1
        return size

    def _unknown(self, tensors: Sequence[Tensor]) -> ModelError:
        """Return the error for inputs of unknown sizes, with the options that give all of them."""
        options = _options({tensor: self.of(tensor) for tensor in tensors}, self._values)
        return ModelError(
            f"model {self._model.name}: sizes are only known at run time: {', '.join(map(_with_names, tensors))}",
            fix=f"{' '.join(options)}, with your sizes for the letters; or `auto_dims`, which guesses",
        )


def open_sizes(model: Model) -> str:
    """Return the options that give all sizes that a model leaves open, with letters for the sizes; empty for none."""
    shapes = {tensor: None if tensor.any_rank else tensor.shape for tensor in model.inputs}
    return " ".join(_options({tensor: shape for tensor, shape in shapes.items() if shape is None or -1 in shape}, {}))


def _options(shapes: Mapping[Tensor, Sequence[int] | None], values: Mapping[str, int]) -> list[str]:
    """Return the options to give: a size for each name, and a shape for each input with a size without a name.

    Args:
        shapes: what is known of the sizes of the inputs, -1 for an open one; None where not even their number is known.
        values: sizes by name that are known.
    """
    names: dict[str, None] = {}
    options = []
    for tensor, shape in shapes.items():
        open_names = [tensor.dims[axis] if tensor.dims else "" for axis, size in enumerate(shape or ()) if size < 0]
        if shape is None or not all(open_names):
            letters = _letters(shape) if shape is not None else "N,N"
            options.append(f"`shapes` {shlex.quote(tensor.name)}={letters}")
            continue
        # Names with a value may be in an expression, too: past + sequence.
        names |= dict.fromkeys(name for dim in open_names for name in sorted(names_in(dim)) if name not in values)
    return [*options, *(f"`dims` {shlex.quote(name)}={_letter(name)}" for name in names)]


def _require_dims(model: Model, dims: Mapping[str, int]) -> None:
    """Refuse sizes of names that no input has."""
    known = sorted({name for tensor in model.inputs for dim in tensor.dims for name in (*names_in(dim), dim) if name})
    if unknown := sorted(set(dims) - set(known)):
        has = f"its inputs have {', '.join(known)}" if known else "its inputs name no size"
        raise ModelError(
            f"`dims` {unknown[0]}={dims[unknown[0]]}: model {model.name} has no size of that name; {has}"
            f"{did_you_mean(unknown[0], known)}",
            fix="" if known else _without_names(model),
        )


def _without_names(model: Model) -> str:
    """Return what to do about a size by name for a model whose inputs name none."""
    open_input = next((tensor for tensor in model.inputs if -1 in tensor.shape or tensor.any_rank), None)
    if open_input is None:
        return "leave `dims` out: the model fixes all sizes"
    return f"`shapes` {shlex.quote(open_input.name)}={_letters(open_input.shape) or 'N,N'} gives the sizes of one input"


def _with_names(tensor: Tensor) -> str:
    """Return an input in words, with the names of its open sizes: ``ids INT64[batch, sequence]``."""
    if tensor.any_rank:
        return f"{tensor.name} {tensor.datatype}, of any number of dimensions"
    dims = tensor.dims or ("",) * len(tensor.shape)
    sizes = [str(size) if size >= 0 else dim or "?" for size, dim in zip(tensor.shape, dims, strict=True)]
    return f"{tensor.name} {tensor.datatype}[{', '.join(sizes)}]"


def _letters(shape: Sequence[int]) -> str:
    """Return a shape to fill in: known sizes, and a letter for each that is not; H and W for those of an image."""
    open_axes = [axis for axis, size in enumerate(shape) if size < 0]
    if len(shape) == _IMAGE_DIMENSIONS and open_axes in ([2, 3], [1, 2]):
        letters = iter("HW")
    else:
        letters = iter(_LETTERS[number % len(_LETTERS)] for number in count())
    return ",".join(str(size) if size >= 0 else next(letters) for size in shape)


def _letter(name: str) -> str:
    return {"height": "H", "width": "W"}.get(name.lower(), "N")
