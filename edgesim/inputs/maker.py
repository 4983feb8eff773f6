"""Makes the arrays of requests from what the user says of the inputs, and random ones where the user says nothing."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from edgesim import yaml_files
from edgesim.errors import ModelError, did_you_mean
from edgesim.inputs.constants import constant, with_rank_of
from edgesim.inputs.description import InputDescription
from edgesim.inputs.inputs import Arrays
from edgesim.inputs.inputs_file import Entry
from edgesim.inputs.random_arrays import require_memory
from edgesim.inputs.sizes import Sizes
from edgesim.inputs.sources import (
    ArraysSource,
    ChoiceSource,
    ConstantSource,
    InTurnSource,
    LengthSource,
    RandomSource,
    Source,
)
from edgesim.inputs.value_files import ValueFiles
from edgesim.models import input_uses
from edgesim.models.input_uses import InputUse
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

RANDOM_REQUESTS = 8
# What an entry may say in a word, for an input that is no text.
_WORDS: Mapping[str, int | None] = {"random": None, "ones": 1, "zeros": 0}


class RequestMaker:
    """Makes the arrays of requests.

    Args:
        given: real inputs of each request, to which the others are made.
        batch: the first size of every input where the model leaves that size open.
        resize: take sizes that contradict those that the model fixes, see `Sizes`.

    Attributes:
        count: how many different requests there are to make.
        is_random: whether values are drawn at random.
        guessed: the sizes that were guessed, in words; known once `shapes` has told sizes.
        by_graph: the inputs whose values the graph suggests, each with its value in words.

    Raises:
        ModelError: what the user says does not fit the model, or a file of values does not.
    """

    def __init__(
        self,
        model: Model,
        description: InputDescription,
        *,
        given: Sequence[Arrays] = (),
        batch: int = 1,
        resize: bool = False,
    ) -> None:
        self._model, self._description = model, description
        self._batch, self._resize = batch, resize
        self._uses = input_uses.by_input(model)
        self.by_graph: list[str] = []
        self.guessed: dict[str, None] = {}
        self._shapes: dict[tuple[tuple[str, tuple[int, ...]], ...], dict[str, tuple[int, ...]]] = {}
        # What the user says of sizes is checked before a file is read for its own.
        self._sizes({})
        self._sources = {
            tensor.name: ArraysSource([request[tensor.name] for request in given])
            if given and tensor.name in given[0]
            else self._source(tensor, description.entries.get(tensor.name, Entry()))
            for tensor in model.inputs
        }
        self.is_random = any(source.is_random for source in self._sources.values())
        in_turn = max((source.count for source in self._sources.values()), default=1)
        # Random values beside real ones need no more requests than there are real ones.
        more = RANDOM_REQUESTS if (self.is_random and not given) or not model.inputs else 1
        self.count = len(given) or max(in_turn, more)

    @property
    def origin(self) -> str:
        """Where the inputs come from, in a few words."""
        if not self._model.inputs:
            return "no inputs"
        file = self._description.file
        words = [f"as {file.name} says"] if file is not None and self._description.entries else []
        words += ["random"] if not words and (self.is_random or not self.by_graph) else []
        words += [f"seed {self._description.seed}"] if self.is_random or not words else []
        suggested = f"{', '.join(self.by_graph)} (by the graph)" if self.by_graph else ""
        return "; ".join(filter(None, (", ".join(words), suggested, self.guessed_words)))

    @property
    def guessed_words(self) -> str:
        """The sizes that were guessed, in a few words; empty without."""
        return f"guessed sizes: {', '.join(self.guessed)}" if self.guessed else ""

    def shapes(self, number: int) -> dict[str, tuple[int, ...]]:
        """Return the sizes of a request's inputs, of which no array is made for that.

        Raises:
            ModelError: sizes are unknown.
        """
        own = {name: shape for name, source in self._sources.items() if (shape := source.shape(number)) is not None}
        key = tuple(own.items())
        if key not in self._shapes:  # mostly, all requests have the same
            sizes = self._sizes(own)
            self._shapes[key] = sizes.complete()
            self.guessed = dict.fromkeys((*self.guessed, *sizes.guessed))
        return self._shapes[key]

    def requests(self) -> tuple[Arrays, ...]:
        """Return the arrays of all requests.

        Raises:
            ModelError: sizes are unknown, or this host has not the memory for the arrays.
        """
        return self._made(self.count)

    def first(self) -> Arrays:
        """Return the arrays of the first request.

        Raises:
            ModelError: as `requests`.
        """
        return self._made(1)[0]

    def _made(self, count: int) -> tuple[Arrays, ...]:
        generator = np.random.default_rng(self._description.seed)
        shapes = [self.shapes(number) for number in range(count)]
        require_memory(self._model, shapes)
        return tuple(
            {name: source.array(number, sizes, generator) for name, source in self._sources.items()}
            for number, sizes in enumerate(shapes)
        )

    def _sizes(self, own: Mapping[str, tuple[int, ...]]) -> Sizes:
        """Return the sizes of a request; `own` are those that its values have."""
        given = self._description.shapes
        if both := [name for name, shape in own.items() if given.get(name, shape) != shape]:
            sizes = ",".join(map(str, given[both[0]]))
            raise ModelError(f"`shapes` {both[0]}={sizes}: its values have the shape {list(own[both[0]])}")
        return Sizes(
            self._model,
            shapes={**given, **own},
            dims=self._description.dims,
            batch=self._batch,
            resize=self._resize,
            guess=self._description.auto_dims,
        )

    def _source(self, tensor: Tensor, entry: Entry) -> Source:
        if entry.one_of is not None:
            return InTurnSource([self._source(tensor, one) for one in entry.one_of])
        if entry.length_of is not None:
            return LengthSource(tensor, self._other(tensor, entry.length_of), entry.axis)
        if entry.range is not None:
            return RandomSource(tensor, entry.range)
        if entry.lines is not None:
            return ArraysSource(self._files.lines(tensor, entry.lines))
        if entry.file is not None:
            return ArraysSource(self._files.arrays(tensor, entry, self._sizes({}).of(tensor) or ()))
        if entry.value is not None:
            return self._constant(tensor, entry.value)
        return self._by_graph(tensor)

    def _constant(self, tensor: Tensor, value: object) -> Source:
        if isinstance(value, str) and tensor.datatype != "BYTES":
            if value not in _WORDS:
                raise ModelError(
                    f"inputs.{tensor.name}: {yaml_files.shown(value)} is not one of {', '.join(_WORDS)}"
                    f"{did_you_mean(value, _WORDS)}"
                )
            value = _WORDS[value]
            if value is None:
                return self._random(tensor)
        values = constant(tensor, value)
        if not isinstance(value, list):
            return ConstantSource(tensor, values)
        values = with_rank_of(tensor, values)
        if not tensor.fits(values.shape):
            raise ModelError(f"inputs.{tensor.name}: has the shape {list(values.shape)}; the model takes {tensor}")
        return ArraysSource([values])

    @cached_property
    def _files(self) -> ValueFiles:
        """The reader of all files, which counts their bytes together."""
        file = self._description.file
        assert file is not None, "an entry with a path is from a file"
        return ValueFiles(self._model, file.parent, stay_inside=file == self._model.inputs_path)

    def _other(self, tensor: Tensor, name: str) -> Tensor:
        others = {other.name: other for other in self._model.inputs}
        if name not in others:
            raise ModelError(
                f"inputs.{tensor.name}.length_of: no input {name!r}{did_you_mean(name, others)}",
                fix=f"the model takes {', '.join(others)}",
            )
        return others[name]

    def _by_graph(self, tensor: Tensor) -> Source:
        """Return the values that the graph suggests: a mask of ones, a length, a known rate; else random ones."""
        use = self._uses.get(tensor.name, InputUse())
        if use.constant is not None:
            self.by_graph.append(f"{tensor.name} {use.constant}")
            return ConstantSource(tensor, constant(tensor, use.constant))
        other = self._sequence_of(tensor) if use.length else None
        if other is not None:
            self.by_graph.append(f"{tensor.name} the length of {other[0].name}")
            return LengthSource(tensor, *other)
        return self._random(tensor)

    def _random(self, tensor: Tensor) -> Source:
        """Return random values within the bounds that the graph tells."""
        use = self._uses.get(tensor.name, InputUse())
        if use.choices or use.columns:
            return ChoiceSource(tensor, use.choices, use.columns)
        return RandomSource(tensor, (use.low, use.high) if use.high is not None else None)

    def _sequence_of(self, lengths: Tensor) -> tuple[Tensor, int] | None:
        """Return the input whose sequences have these lengths, and the axis of their steps, beside the batch."""
        for other in self._model.inputs:
            if other.name != lengths.name and len(other.shape) > 1:
                batch = lengths.dims[0] if lengths.dims and lengths.dims[0] else None
                is_time_first = batch in other.dims[1:2] if batch is not None else lengths.shape == other.shape[1:2]
                is_batch_first = batch in other.dims[:1] if batch is not None else lengths.shape == other.shape[:1]
                return other, 0 if is_time_first and not is_batch_first else 1
        return None
