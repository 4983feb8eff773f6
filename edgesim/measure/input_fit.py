"""Whether a model takes the inputs of a run: asked on this host, before a board is started for them."""

import time

from edgesim.errors import ModelError
from edgesim.inputs import Arrays, Inputs
from edgesim.inputs import refusal as refusals
from edgesim.inputs.sequences import RequestSequence
from edgesim.measure.reference import Reference, RunFailed
from edgesim.models.repository import Model

# Later requests are tried for at most this long: one that is refused is then a failed request of the run.
_LONGEST_S = 10.0


def require_fit(model: Model, reference: Reference, chosen: Inputs) -> None:
    """Run the model on this host with the inputs, all of them where whole numbers or texts can be out of range.

    Raises:
        ModelError: the model does not take an input; the message has the input, the value and the bound where ONNX
            Runtime tells them.
        HostError: this host cannot run the model.
    """
    if chosen.sequence is not None:
        _require_sequence(model, reference, chosen, chosen.sequence)
        return
    begin_s = time.monotonic()
    has_codes = any(not tensor.datatype.startswith(("FP", "BF", "BOOL")) for tensor in model.inputs)
    for request in chosen.requests if has_codes else chosen.requests[:1]:
        try:
            reference.run(request)
        except RunFailed as error:
            raise refusal(model, chosen, request, error) from error
        if time.monotonic() - begin_s > _LONGEST_S:
            return


def _require_sequence(model: Model, reference: Reference, chosen: Inputs, sequence: RequestSequence) -> None:
    """Run the steps of a sequence, of which each takes what the one before gives."""
    begin_s, arrays = time.monotonic(), sequence.first()
    for step in range(sequence.steps):
        try:
            outputs = reference.run(arrays)
        except RunFailed as error:
            if not step:
                raise refusal(model, chosen, arrays, error) from error
            sizes = ", ".join(f"{name} {list(arrays[name].shape)}" for name in sequence.fed.values())
            raise ModelError(
                f"model {model.name} takes the first {step} requests of the sequence and not the next, with {sizes}:"
                f" {error}",
                fix="feed outputs that the inputs take; a mask beside a cache grows with `generate`",
            ) from error
        if step + 1 == sequence.steps or time.monotonic() - begin_s > _LONGEST_S:
            return
        arrays = sequence.following(step + 1, arrays, outputs)


def refusal(model: Model, chosen: Inputs, request: Arrays, failure: RunFailed) -> ModelError:
    """Return the error for inputs that the model does not take on this host."""
    whose = "these random inputs" if chosen.is_random else f"the inputs ({chosen.origin})"
    return refusals.refusal(model, request, failure.failure, whose=whose, is_random=chosen.is_random)
