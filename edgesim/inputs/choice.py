"""Which inputs a run sends: real ones, or those that the user describes, or random ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgesim.inputs import generation_choice, real
from edgesim.inputs.description import InputDescription
from edgesim.inputs.inputs import Arrays, Inputs, Labelled
from edgesim.inputs.maker import RequestMaker
from edgesim.inputs.sequences import StateSequence
from edgesim.models.repository import Model
from edgesim.options import InputOptions

# The state of random inputs has its first value again after this many requests.
_RANDOM_STEPS = 32


def choose(model: Model, options: InputOptions) -> Inputs:
    """Return the real inputs that the options name, else those that came with the model, else those that are made.

    Inputs are made as ``inputs.yaml`` says, and at random where it says nothing. Where real inputs lack an input that
    the file describes, it is made, too.

    Raises:
        ModelError: what the user says does not fit the model's inputs, or a file does not.
    """
    description = InputDescription.of(model, options)
    if description.generate is not None:
        return generation_choice.choose(model, description, description.generate)
    chosen = _single(model, description)
    if not description.state:
        return chosen
    # Random inputs have no end, and neither has a single request that is sent over and over.
    is_endless = chosen.is_random or len(chosen.requests) == 1
    steps = _RANDOM_STEPS if is_endless else len(chosen.requests)
    sequence = StateSequence(chosen.requests, description.state, steps)
    return replace(chosen, sequence=sequence, labelled=(), origin=f"{chosen.origin}; {sequence}")


def _single(model: Model, description: InputDescription) -> Inputs:
    if description.samples is not None:
        return _real(model, description, description.samples)
    maker = RequestMaker(model, description)
    requests = maker.requests()
    return Inputs(requests, maker.origin, is_random=maker.is_random)


def _real(model: Model, description: InputDescription, path: Path) -> Inputs:
    """Return real inputs, and beside them those that the file of inputs describes."""
    chosen = real.read(model, path)
    missing = {tensor.name for tensor in model.inputs} - chosen.requests[0].keys()
    if not missing:
        return chosen
    if not missing <= description.entries.keys():
        real.require_all(model, chosen, path)

    def completed(requests: Sequence[Arrays]) -> tuple[Arrays, ...]:
        return RequestMaker(model, description, given=requests).requests()

    return replace(
        chosen,
        requests=completed(chosen.requests),
        labelled=tuple(Labelled(completed([one.arrays])[0], one.labels) for one in chosen.labelled),
    )
