"""What gives the values of one input, request by request."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.inputs.constants import constant
from edgesim.inputs.random_arrays import random_array
from edgesim.models.input_uses import Value
from edgesim.models.signature import Tensor

Shapes = Mapping[str, tuple[int, ...]]


class Source(ABC):
    """What gives the values of one input.

    Attributes:
        count: how many different values the requests get in turn.
        is_random: whether values are drawn at random.
    """

    count: int = 1
    is_random: bool = False

    def shape(self, number: int) -> tuple[int, ...] | None:
        """Return the sizes of the value of a request, if the source has sizes of its own."""
        return None

    @abstractmethod
    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        """Return the value of a request.

        Args:
            shapes: sizes of all inputs of the request.
        """


class RandomSource(Source):
    """Random values, within bounds if there are any."""

    is_random = True

    def __init__(self, tensor: Tensor, bounds: tuple[float, float] | None = None) -> None:
        self._tensor, self._bounds = tensor, bounds

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        return random_array(generator, self._tensor, shapes[self._tensor.name], self._bounds)


class ChoiceSource(Source):
    """Random ones of the values that the model knows, in all columns of a table or in each its own."""

    is_random = True

    def __init__(self, tensor: Tensor, choices: Sequence[Value], columns: Mapping[int, Sequence[Value]]) -> None:
        self._tensor = tensor
        self._choices = [constant(tensor, one) for one in choices]
        self._columns = {column: [constant(tensor, one) for one in own] for column, own in columns.items()}

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        shape = shapes[self._tensor.name]
        if self._choices:
            values = self._drawn(self._choices, shape, generator)
        else:
            values = random_array(generator, self._tensor, shape)
        for column, own in self._columns.items():
            values[:, column] = self._drawn(own, shape[:1], generator)
        return values

    @staticmethod
    def _drawn(
        choices: Sequence[NDArray[np.generic]], shape: tuple[int, ...], generator: np.random.Generator
    ) -> NDArray[np.generic]:
        return np.stack(choices)[generator.integers(0, len(choices), shape)]


class ConstantSource(Source):
    """One value for all elements."""

    def __init__(self, tensor: Tensor, value: NDArray[np.generic]) -> None:
        self._name, self._value = tensor.name, value

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        return np.full(shapes[self._name], self._value)


class ArraysSource(Source):
    """Arrays that are there already, one for each request."""

    def __init__(self, arrays: Sequence[NDArray[np.generic]]) -> None:
        self._arrays, self.count = arrays, len(arrays)

    def shape(self, number: int) -> tuple[int, ...]:
        return self._arrays[number % self.count].shape

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        return self._arrays[number % self.count]


class LengthSource(Source):
    """The size of an axis of another input.

    Raises on use:
        ModelError: the other input has no such axis.
    """

    def __init__(self, tensor: Tensor, value_of: Tensor, axis: int | None) -> None:
        self._tensor, self._other, self._axis = tensor, value_of, axis

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        sizes = shapes[self._other.name]
        axis = self._axis if self._axis is not None else min(1, len(sizes) - 1)
        if not -len(sizes) <= axis < len(sizes):
            raise ModelError(f"inputs.{self._tensor.name}: {self._other.name} has no axis {axis}, but {list(sizes)}")
        return np.full(shapes[self._tensor.name], constant(self._tensor, sizes[axis]))


class InTurnSource(Source):
    """Several sources, of which each request has the next."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.is_random = any(source.is_random for source in sources)
        self.count = len(sources) * max(source.count for source in sources)

    def shape(self, number: int) -> tuple[int, ...] | None:
        return self._source(number).shape(number // len(self._sources))

    def array(self, number: int, shapes: Shapes, generator: np.random.Generator) -> NDArray[np.generic]:
        return self._source(number).array(number // len(self._sources), shapes, generator)

    def _source(self, number: int) -> Source:
        return self._sources[number % len(self._sources)]
