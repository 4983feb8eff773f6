"""Decoders with a cache: which inputs take tokens, their mask and positions, and which outputs are the cache.

Exporters agree on names: ``input_ids``, ``attention_mask``, ``position_ids``, ``use_cache_branch``, ``past_key_values``
and ``present`` are those of Optimum and of ONNX Runtime's own exporters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.models import state, tensor_types
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

_INTEGERS = ("INT64", "INT32")
_Array = NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """How a model takes tokens one after the other.

    Attributes:
        ids: the input of token ids, [batch, tokens].
        mask: the input that tells the tokens so far, the cached ones included; None without.
        positions: the input with the position of each token; None without.
        branch: the input that chooses between the graph with a cache and the one without; None without.
        cache: the outputs of the cache, each with the input that takes it.
        growing: for each input of the cache, the axis that grows by a token a step; none for a cache of a fixed size.
        logits: the output with a score for each token of the vocabulary.
    """

    ids: Tensor
    mask: Tensor | None
    positions: Tensor | None
    branch: Tensor | None
    cache: Mapping[str, str]
    growing: Mapping[str, int]
    logits: Tensor
    inputs: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: Model, cache: Mapping[str, str]) -> "Decoder":
        """Return how a model takes tokens.

        Args:
            cache: the outputs of the cache, each with its input; empty to take those that look like it.

        Raises:
            ModelError: the model is no decoder with a cache, or takes tokens in a form that is not known.
        """
        cache = cache or state.look_alikes(model)
        if not cache:
            raise _none(model, "no output looks like the cache that an input takes", "name it: `state` OUTPUT=INPUT")
        state.require(model, cache)
        others = [tensor for tensor in model.inputs if tensor.name not in cache.values()]
        mask = next((tensor for tensor in others if _is_own(tensor, "mask")), None)
        positions = next((tensor for tensor in others if "position" in tensor.name.lower()), None)
        branch = next((tensor for tensor in others if tensor.datatype == "BOOL" and "cache" in tensor.name), None)
        ids = _ids([tensor for tensor in others if tensor not in (mask, positions, branch)])
        if ids is None:
            raise _none(model, "no input of token ids: whole numbers, [batch, tokens]")
        if ids.shape[1] == 1:
            raise _none(model, f"{ids} takes one token a request, so a prompt is no request", "`state` measures a step")
        if mask is not None and len(mask.shape) != 2:
            raise _none(model, f"{mask} is no mask of [batch, tokens]")
        inputs = {tensor.name: tensor for tensor in model.inputs}
        outputs = {tensor.name: tensor for tensor in model.outputs}
        growing = {}
        for output, name in cache.items():
            if (axis := _growing_axis(outputs[output], inputs[name])) is not None:
                growing[name] = axis
        return cls(
            ids=ids,
            mask=mask,
            positions=positions,
            branch=branch,
            cache=dict(cache),
            growing=growing,
            logits=_logits(model, [tensor for tensor in model.outputs if tensor.name not in cache]),
            inputs=inputs,
        )

    @property
    def batch(self) -> int:
        """The number of texts that are generated at a time: the model's own, or 1."""
        return max(self.ids.shape[0], 1)

    @property
    def vocabulary(self) -> int | None:
        """The number of tokens that there are; None if the model does not tell."""
        return self.logits.shape[-1] if self.logits.shape[-1] > 0 else None

    @property
    def others(self) -> list[Tensor]:
        """The inputs that have nothing to do with the tokens and stay the same, such as what an encoder gave."""
        own = {tensor.name for tensor in (self.ids, self.mask, self.positions, self.branch) if tensor is not None}
        return [tensor for name, tensor in self.inputs.items() if name not in own | {*self.cache.values()}]

    def empty_cache(self, shapes: Mapping[str, tuple[int, ...]], length: int = 0) -> dict[str, _Array]:
        """Return a cache of zeros that holds `length` tokens.

        Args:
            shapes: sizes by input name, where the user gave them.

        Raises:
            ModelError: a size beside the batch and the tokens is open.
        """
        return {name: self._zeros(self.inputs[name], shapes.get(name), length) for name in self.cache.values()}

    def request(self, tokens: _Array, before: int, cache: Mapping[str, _Array]) -> dict[str, _Array]:
        """Return the inputs for new tokens, without those of `others`.

        Args:
            tokens: ids, shape (batch, tokens).
            before: number of tokens in the cache.
        """
        count = tokens.shape[1]
        arrays: dict[str, _Array] = {self.ids.name: tokens.astype(_dtype(self.ids)), **cache}
        if self.mask is not None:
            length = self.mask.shape[1] if self.mask.shape[1] > 0 else before + count
            seen = np.arange(length) < before + count
            arrays[self.mask.name] = np.broadcast_to(seen, (self.batch, length)).astype(_dtype(self.mask))
        if self.positions is not None:
            places = np.arange(before, before + count, dtype=_dtype(self.positions))
            is_flat = len(self.positions.shape) < 2
            arrays[self.positions.name] = places if is_flat else np.tile(places, (self.batch, 1))
        if self.branch is not None:
            arrays[self.branch.name] = np.full([max(size, 1) for size in self.branch.shape], before > 0)
        return arrays

    def choice(self, outputs: Mapping[str, _Array]) -> NDArray[np.int64]:
        """Return the tokens with the highest scores after the last token, shape (batch, 1)."""
        scores = outputs[self.logits.name]
        last = scores[:, -1] if scores.ndim == 3 else scores
        return np.asarray(np.argmax(last, axis=-1), np.int64).reshape(self.batch, 1)

    def _zeros(self, tensor: Tensor, shape: tuple[int, ...] | None, length: int) -> _Array:
        axis = self.growing.get(tensor.name)
        sizes = list(shape if shape is not None else tensor.shape)
        for i, size in enumerate(sizes):
            if i == axis:
                sizes[i] = length
            elif size < 0 and i == next(j for j, open_size in enumerate(tensor.shape) if open_size < 0):
                sizes[i] = self.batch
        if -1 in sizes:
            known = ",".join("N" if size < 0 else str(size) for size in sizes)
            raise ModelError(
                f"`generate`: {tensor} has sizes, other than the batch and the tokens, that are only known at run time",
                fix=f"`shapes` {tensor.name}={known}, with your sizes",
            )
        return np.zeros(sizes, _dtype(tensor))


def _none(model: Model, why: str, fix: str = "") -> ModelError:
    return ModelError(
        f"`generate`: model {model.name} is not a decoder with a cache that edgesim supports: {why}", fix=fix
    )


def _is_own(tensor: Tensor, word: str) -> bool:
    """Whether an input of the decoder's is meant, and not one of an encoder's."""
    name = tensor.name.lower()
    return word in name and ("encoder" not in name or "decoder" in name)


def _ids(tensors: list[Tensor]) -> Tensor | None:
    numbers = [tensor for tensor in tensors if tensor.datatype in _INTEGERS and len(tensor.shape) == 2]
    named = [tensor for tensor in numbers if _is_own(tensor, "ids") and "type" not in tensor.name]
    named = named or [tensor for tensor in numbers if _is_own(tensor, "token") and "type" not in tensor.name]
    return (named or numbers)[0] if named or len(numbers) == 1 else None


def _logits(model: Model, tensors: list[Tensor]) -> Tensor:
    floats = [tensor for tensor in tensors if tensor.datatype.startswith(("FP", "BF")) and len(tensor.shape) in (2, 3)]
    named = [tensor for tensor in floats if "logits" in tensor.name.lower()]
    if not named and len(floats) != 1:
        raise _none(model, "no output `logits` with a score for each token")
    return (named or floats)[0]


def _growing_axis(output: Tensor, tensor: Tensor) -> int | None:
    """Return the axis on which a cache grows by a token a step; None for a cache of a fixed size.

    Where the model names its sizes, that axis has another name in the output. Else it is the last open one.
    """
    axes = [i for i, size in enumerate(tensor.shape) if size < 0 or (size == 0 and output.shape[i] != 0)]
    named = [i for i in axes if tensor.dims[i : i + 1] != output.dims[i : i + 1]]
    if len(named) == 1:
        return named[0]
    # The only open size of a cache in front of all others is that of the batch.
    beside = [i for i in axes if i > 0]
    return beside[-1] if beside else None


def _dtype(tensor: Tensor) -> "np.dtype[np.generic]":
    dtype = tensor_types.BY_DATATYPE[tensor.datatype].dtype
    if dtype is None:
        raise ModelError(f"`generate`: {tensor} has a type that numpy lacks", fix="export the model in FP32 or FP16")
    return dtype
