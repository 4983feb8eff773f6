"""Makes the arrays of requests from what the user says of the inputs, and random ones where the user says nothing."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgesim import yaml_files
from edgesim.errors import ModelError, did_you_mean
from edgesim.inputs.constants import constant, with_rank_of
from edgesim.inputs.description import InputDescription
from edgesim.inputs.inputs import Arrays
from edgesim.inputs.inputs_file import Entry
from edgesim.inputs.random_arrays import MOST_INTEGER, require_memory
from edgesim.inputs.sizes import Sizes
from edgesim.inputs.sources import ArraysSource, ConstantSource, InTurnSource, LengthSource, RandomSource, Source
from edgesim.inputs.value_files import ValueFiles
from edgesim.models import table_rows
from edgesim.models.repository import Model, Tensor

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
        self._rows = table_rows.by_input(model)
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
        file, seed = self._description.file, f"seed {self._description.seed}"
        if file is None or not self._description.entries:
            return f"random, {seed}"
        return f"as {file.name} says, {seed}" if self.is_random else f"as {file.name} says"

    def shapes(self, number: int) -> dict[str, tuple[int, ...]]:
        """Return the sizes of a request's inputs, of which no array is made for that.

        Raises:
            ModelError: sizes are unknown.
        """
        own = {name: shape for name, source in self._sources.items() if (shape := source.shape(number)) is not None}
        return self._sizes(own).complete()

    def requests(self) -> tuple[Arrays, ...]:
        """Return the arrays of all requests.

        Raises:
            ModelError: sizes are unknown, or this host has not the memory for the arrays.
        """
        generator = np.random.default_rng(self._description.seed)
        require_memory(self._model, self.shapes(0), self.count)
        return tuple(self._request(number, generator) for number in range(self.count))

    def first(self) -> Arrays:
        """Return the arrays of the first request.

        Raises:
            ModelError: as `requests`.
        """
        require_memory(self._model, self.shapes(0), 1)
        return self._request(0, np.random.default_rng(self._description.seed))

    def _request(self, number: int, generator: np.random.Generator) -> Arrays:
        shapes = self.shapes(number)
        return {name: source.array(number, shapes, generator) for name, source in self._sources.items()}

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
        )

    def _source(self, tensor: Tensor, entry: Entry) -> Source:
        if entry.one_of is not None:
            return InTurnSource([self._source(tensor, one) for one in entry.one_of])
        if entry.length_of is not None:
            return LengthSource(tensor, self._other(tensor, entry.length_of), entry.axis)
        if entry.range is not None:
            return RandomSource(tensor, entry.range)
        if entry.lines is not None:
            return ArraysSource(self._files().lines(tensor, entry.lines))
        if entry.file is not None:
            return ArraysSource(self._files().arrays(tensor, entry.file, entry.key))
        if entry.value is not None:
            return self._constant(tensor, entry.value)
        return RandomSource(tensor, self._bounds(tensor))

    def _constant(self, tensor: Tensor, value: object) -> Source:
        if isinstance(value, str) and tensor.datatype != "BYTES":
            if value not in _WORDS:
                raise ModelError(
                    f"inputs.{tensor.name}: {yaml_files.shown(value)} is not one of {', '.join(_WORDS)}"
                    f"{did_you_mean(value, _WORDS)}"
                )
            value = _WORDS[value]
            if value is None:
                return RandomSource(tensor, self._bounds(tensor))
        values = constant(tensor, value)
        if not isinstance(value, list):
            return ConstantSource(tensor, values)
        values = with_rank_of(tensor, values)
        if not tensor.fits(values.shape):
            raise ModelError(f"inputs.{tensor.name}: has the shape {list(values.shape)}; the model takes {tensor}")
        return ArraysSource([values])

    def _files(self) -> ValueFiles:
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

    def _bounds(self, tensor: Tensor) -> tuple[float, float] | None:
        """Return the bounds of random values that the graph tells.

        Values below 100 are within most tables; a smaller table, as of the types of tokens, is known from the graph.
        """
        rows = self._rows.get(tensor.name, 0)
        return (0.0, rows - 1.0) if 0 < rows <= MOST_INTEGER else None
