"""The inputs of a generation: a prompt, and what follows from the answers."""

from dataclasses import replace

from edgesim.errors import ModelError
from edgesim.inputs.description import InputDescription
from edgesim.inputs.dim_expressions import names_in
from edgesim.inputs.inputs import Inputs
from edgesim.inputs.inputs_file import Entry
from edgesim.inputs.maker import RequestMaker
from edgesim.inputs.sequences import GenerationSequence
from edgesim.inputs.sizes import Sizes
from edgesim.models import input_uses
from edgesim.models.decoder import Decoder
from edgesim.models.input_uses import InputUse
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from edgesim.options import Generate


def choose(model: Model, description: InputDescription, generate: Generate) -> Inputs:
    """Return the inputs of a generation: random tokens as the prompt, unless the user gives them.

    Raises:
        ModelError: the model is no decoder with a cache that edgesim knows, or what the user says does not fit it.
    """
    if description.samples is not None and description.samples != model.samples_path:
        raise ModelError(
            "`generate`: makes its own requests, so `input` cannot be used",
            fix="omit `input`; a file of inputs can give the prompt (`inputs_file`)",
        )
    Sizes(model, dims=description.dims)  # names that no input has are refused
    decoder = Decoder.of(model, description.state)
    shape = (decoder.batch, generate.prompt)
    if (given := description.shapes.get(decoder.ids.name, shape)) != shape:
        raise ModelError(
            f"`shapes` {decoder.ids.name}={','.join(map(str, given))}: `generate` has a prompt of {generate.prompt}"
        )
    prompt = _made(model, [decoder.ids], _of_prompt(model, decoder, description, shape))
    others = _made(model, decoder.others, description)
    sequence = GenerationSequence(
        decoder,
        prompt.first()[decoder.ids.name],
        generate.tokens,
        others.first() if decoder.others else {},
        {name: _shape(decoder.inputs[name], description) for name in decoder.cache.values()},
    )
    return Inputs(
        (sequence.first(),),
        f"{prompt.origin}; {sequence}",
        is_random=prompt.is_random or others.is_random,
        sequence=sequence,
    )


def _of_prompt(
    model: Model, decoder: Decoder, description: InputDescription, shape: tuple[int, ...]
) -> InputDescription:
    """Return the description with the prompt's size, and with bounds of its tokens where the user gives none.

    A token has a row in the model's table, and a score among its outputs.
    """
    name = decoder.ids.name
    use = input_uses.by_input(model).get(name, InputUse())
    last = [use.high] if use.high is not None else []
    last += [decoder.vocabulary - 1] if decoder.vocabulary is not None else []
    entry = Entry(range=(0, min(last))) if last else Entry()
    return replace(description, shapes={name: shape}, entries={name: entry, **description.entries})


def _made(model: Model, tensors: list[Tensor], description: InputDescription) -> RequestMaker:
    """Return what makes some of a model's inputs."""
    names = {tensor.name for tensor in tensors}
    dims = {name for tensor in tensors for dim in tensor.dims for name in names_in(dim)}
    own = replace(
        description,
        dims={name: size for name, size in description.dims.items() if name in dims},
        shapes={name: shape for name, shape in description.shapes.items() if name in names},
        entries={name: entry for name, entry in description.entries.items() if name in names},
    )
    return RequestMaker(replace(model, inputs=tuple(tensors)), own)


def _shape(tensor: Tensor, description: InputDescription) -> tuple[int, ...]:
    """Return the sizes of a cache, -1 where neither the model nor the user tells one."""
    if (shape := description.shapes.get(tensor.name)) is not None:
        return shape
    names = tensor.dims or ("",) * len(tensor.shape)
    return tuple(
        description.dims.get(name, size) if size < 0 else size for name, size in zip(names, tensor.shape, strict=True)
    )
