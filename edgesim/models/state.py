"""State: outputs of a model that are inputs of its next request, such as a hidden state or a cache of keys and values.

A graph does not say that an output is to be fed into an input. Names and sizes suggest it; the user decides.
"""

import re
from collections.abc import Mapping
from typing import Literal

from edgesim.errors import ModelError, did_you_mean
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

# Words that say which side of a request a state is on, and nothing about which state it is.
_SIDES = frozenset(("past", "present", "prev", "previous", "next", "new", "old", "updated", "init", "initial"))
# Such words that outputs and inputs without a state have, too: an image in and an image out.
_WEAK_SIDES = frozenset(("in", "out", "input", "output", "inputs", "outputs", "final"))
_STATES = frozenset(
    ("state", "states", "hidden", "cell", "cache", "cached", "memory", "context", "rnn", "lstm", "gru", "h", "c", "kv")
)
# ``h0`` and ``hn``, ``state`` and ``stateN``, ``h_0`` and ``h_n``.
_NUMBERED = re.compile(r"^(?P<stem>[a-z]+?)_?(?:0|n|in|out)$")
_KEYS_AND_VALUES = re.compile(r"(past|present)_key_values?(?![a-z])")


def look_alikes(model: Model) -> dict[str, str]:
    """Return the outputs that look like the state of the next request, each with the input that it would be fed into.

    They have one type, sizes that agree, and names that differ in nothing but the side of the request:
    ``present.0.key`` and ``past_key_values.0.key``, ``stateN`` and ``state``, ``hn`` and ``h0``.
    """
    pairs: dict[str, str] = {}
    for output in model.outputs:
        inputs = [tensor.name for tensor in model.inputs if _alike(output.name, tensor.name) and fits(output, tensor)]
        if len(inputs) == 1 and inputs[0] not in pairs.values():
            pairs[output.name] = inputs[0]
    # A model of nothing but state has no request.
    return pairs if len(pairs) < len(model.inputs) else {}


def suggestion(model: Model) -> str:
    """Return that some outputs look like the state of the next request, and how to feed them; empty if none does."""
    if not (alike := look_alikes(model)):
        return ""
    looks = "looks" if len(alike) == 1 else "look"
    return (
        f"{words(alike)} {looks} like a state, and every request has the same one: `state=auto` feeds the outputs into"
        " the next request"
    )


def chosen(model: Model, state: Mapping[str, str] | Literal["auto"]) -> Mapping[str, str]:
    """Return the outputs that are fed into an input of the next request, each with its input.

    Args:
        state: those that the user names; ``auto`` takes those that look like a state.

    Raises:
        ModelError: what the user names does not fit the model, or nothing looks like a state.
    """
    if state != "auto":
        require(model, state)
        return state
    if not (alike := look_alikes(model)):
        outputs, inputs = (", ".join(tensor.name for tensor in side) for side in (model.outputs, model.inputs))
        raise ModelError(
            f"`state=auto`: no output of model {model.name} looks like the state of a next request: {outputs} beside"
            f" {inputs}",
            fix="`state` OUTPUT=INPUT",
        )
    return alike


def fits(output: Tensor, tensor: Tensor) -> bool:
    """Return whether an input takes an output of the request before, as far as the graph tells the sizes."""
    if output.datatype != tensor.datatype or len(output.shape) != len(tensor.shape):
        return False
    return all(-1 in (a, b) or a == b for a, b in zip(output.shape, tensor.shape, strict=True))


def require(model: Model, state: Mapping[str, str]) -> None:
    """Check which outputs are fed into which inputs.

    Raises:
        ModelError: there is no such output or input, two outputs are fed into one input, or type or sizes differ.
    """
    outputs = {tensor.name: tensor for tensor in model.outputs}
    inputs = {tensor.name: tensor for tensor in model.inputs}
    for output, name in state.items():
        for side, word, known in ((output, "output", outputs), (name, "input", inputs)):
            if side not in known:
                names = ", ".join(map(str, known.values()))
                raise ModelError(
                    f"`state` {output}={name}: model {model.name} has no {word} {side}{did_you_mean(side, [*known])};"
                    f" it has {names}",
                    fix="`state` OUTPUT=INPUT, the output first",
                )
        if not fits(outputs[output], inputs[name]):
            raise ModelError(
                f"`state` {output}={name}: output {outputs[output]} does not fit into input {inputs[name]}",
                fix="feed an output of the input's type and sizes",
            )
    if len(set(state.values())) < len(state):
        twice = next(name for name in state.values() if [*state.values()].count(name) > 1)
        raise ModelError(f"`state`: two outputs are fed into input {twice}", fix="one output for each input")
    if state and len(state) == len(model.inputs):
        raise ModelError(f"`state`: feeds all inputs of model {model.name}, so none is left for the request")


def words(state: Mapping[str, str], *, most: int = 3) -> str:
    """Return which outputs are fed into which inputs: ``stateN → state``; of many, the first."""
    shown = [f"{output} → {name}" for output, name in [*state.items()][:most]]
    return ", ".join([*shown, *([f"{len(state) - most} more"] if len(state) > most else [])])


def _alike(output: str, name: str) -> bool:
    # ``r1o`` and ``r1i``, as in networks for video.
    o_and_i = re.fullmatch(r"(.*\d)o", output), re.fullmatch(r"(.*\d)i", name)
    if o_and_i[0] is not None and o_and_i[1] is not None:
        return o_and_i[0][1] == o_and_i[1][1]
    return bool(_keys(output) & _keys(name))


def _keys(name: str) -> set[tuple[str, ...]]:
    """Return what a name says beside the side of the request, in each way to read it."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", _KEYS_AND_VALUES.sub(r"\1", name)) if word]
    lowered = [word.lower() for word in words]
    if lowered in (["past"], ["present"]):
        return {("cache",)}
    has_state = any(word in _STATES or _stem(word) in _STATES for word in lowered)
    sides = _SIDES | _WEAK_SIDES if has_state else _SIDES
    kept = [word for word in lowered if word not in sides]
    keys = set()
    if has_state or len(kept) < len(lowered):
        keys.add(tuple(kept))
    if kept and has_state:
        keys.add((_stem("_".join(kept)),))
    return {key for key in keys if any(key)}


def _stem(word: str) -> str:
    """Return ``h`` for ``h0``, ``hn`` and ``h_n``, and ``state`` for ``staten``; empty for any other word."""
    match = _NUMBERED.match(word)
    return match["stem"] if match is not None else ""
