"""Inputs of requests: real inputs from files, or random inputs from a seed that fit the model's signature."""

import numpy as np

from edgesim.errors import ModelError
from edgesim.inputs.inputs import Inputs
from edgesim.inputs.random_arrays import MOST_INTEGER, random_array, require_memory
from edgesim.inputs.real import fits, of_directory, of_file
from edgesim.models import table_rows
from edgesim.models.repository import Model, Tensor
from edgesim.options import InputOptions

RANDOM_REQUESTS = 8


def choose(model: Model, options: InputOptions) -> Inputs:
    """Return the real inputs that the options name, else those that came with the model, else random inputs.

    Raises:
        ModelError: a shape or a range does not fit the model's inputs, or a file of inputs does not.
    """
    if options.input is not None:
        if options.shapes or options.ranges:
            raise ModelError(
                "`input`: real inputs have their own shapes and values", fix="leave out `shapes` and `ranges`"
            )
        return of_directory(model, options.input) if options.input.is_dir() else of_file(model, options.input)
    if model.samples_path is not None and not options.shapes and not options.ranges:
        return of_file(model, model.samples_path)
    return _random(model, options)


def _random(model: Model, options: InputOptions) -> Inputs:
    names = {tensor.name for tensor in model.inputs}
    for field, by_name in (("shapes", options.shapes), ("ranges", options.ranges)):
        if unknown := sorted(set(by_name) - names):
            raise ModelError(
                f"`{field}` {unknown[0]}: model {model.name} takes {', '.join(str(t) for t in model.inputs)}"
            )
    generator = np.random.default_rng(options.seed)
    # Values below 100 are within most tables; a smaller table, as of the types of tokens, is known from the graph.
    rows = table_rows.by_input(model)
    small = {name: (0.0, count - 1.0) for name, count in rows.items() if 0 < count <= MOST_INTEGER}
    ranges = {**small, **options.ranges}
    shapes = {tensor.name: _shape(model, tensor, options.shapes.get(tensor.name)) for tensor in model.inputs}
    require_memory(model, shapes, RANDOM_REQUESTS)
    requests = tuple(
        {
            tensor.name: random_array(generator, tensor, shapes[tensor.name], ranges.get(tensor.name))
            for tensor in model.inputs
        }
        for _ in range(RANDOM_REQUESTS)
    )
    return Inputs(requests, f"random, seed {options.seed}", is_random=True)


def _shape(model: Model, tensor: Tensor, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the shape that the options give, or the tensor's own with a first size of 1 where it is open."""
    if shape is not None:
        if not fits(shape, tensor):
            raise ModelError(f"`shapes` {tensor.name}={','.join(map(str, shape))}: model {model.name} takes {tensor}")
        return shape
    if -1 in tensor.shape[1:]:
        raise ModelError(
            f"model {model.name}: {tensor} has sizes that are only known at run time",
            fix=f"`shapes` {tensor.name}={','.join('1' if n < 0 else str(n) for n in tensor.shape)}, with your sizes",
        )
    return tuple(1 if n < 0 else n for n in tensor.shape)
