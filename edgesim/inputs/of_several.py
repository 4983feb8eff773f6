"""Options of inputs for several models at once, such as those of a repository that is served."""

from collections.abc import Sequence

from edgesim.errors import ModelError, did_you_mean
from edgesim.inputs.dim_expressions import names_in
from edgesim.models.repository import Model
from edgesim.models.state import look_alikes
from edgesim.options import InputOptions


def of_model(options: InputOptions, model: Model, models: Sequence[Model]) -> InputOptions:
    """Return the options that are for one of several models: sizes, ranges and states of names that it has.

    Raises:
        ModelError: no model has a name, or a file is named for more than one model.
    """
    for field, path in (("input", options.input), ("inputs_file", options.inputs_file)):
        if path is not None and len(models) > 1:
            raise ModelError(
                f"`{field}={path}`: is for one model, and there are {len(models)}",
                fix="put a file inputs.yaml, or samples.npz, beside each model",
            )
    inputs, dims = _inputs(model), _dims(model)
    known = {"shapes": {name for one in models for name in _inputs(one)}}
    known |= {"ranges": known["shapes"], "dims": {name for one in models for name in _dims(one)}}
    for field, names in known.items():
        if unknown := sorted(set(getattr(options, field)) - names):
            raise ModelError(f"`{field}` {unknown[0]}: no model has that name{did_you_mean(unknown[0], names)}")
    state = options.state
    if state != "auto":
        if not any(_has_state(one, *pair) for one in models for pair in state.items()) and state:
            raise ModelError(f"`state` {'='.join(next(iter(state.items())))}: no model has that output and that input")
        state = {output: name for output, name in state.items() if _has_state(model, output, name)}
    elif len(models) > 1 and not look_alikes(model):
        state = {}
    return options.model_copy(
        update={
            "state": state,
            "generate": options.generate if len(models) == 1 or look_alikes(model) or state else None,
            "shapes": {name: shape for name, shape in options.shapes.items() if name in inputs},
            "ranges": {name: bounds for name, bounds in options.ranges.items() if name in inputs},
            "dims": {name: size for name, size in options.dims.items() if name in dims},
        }
    )


def _inputs(model: Model) -> set[str]:
    return {tensor.name for tensor in model.inputs}


def _has_state(model: Model, output: str, name: str) -> bool:
    return name in _inputs(model) and output in {tensor.name for tensor in model.outputs}


def _dims(model: Model) -> set[str]:
    return {name for tensor in model.inputs for dim in tensor.dims for name in (dim, *names_in(dim)) if name}
