"""Guesses of sizes that neither the model nor the user gives: what the file suggests, else what is usual."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.host.scratch import scratch_directory
from edgesim.inputs.constants import constant
from edgesim.models import input_sizes, input_uses, profiled_session, repository
from edgesim.models.input_uses import InputUse
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor

Shapes = Mapping[str, tuple[int, ...]]
# The name of a size, or the input and the axis of a size without a name.
Key = str | tuple[str, int]

# Usual sizes, the most frequent first; where one contradicts the graph, the next is tried.
_IMAGE_SIDES = (224, 640, 256, 320, 299, 416, 512, 96, 48, 32, 28)
_TOKENS = (128, 64, 32, 77, 16, 8)
_SAMPLES = (16_000, 512, 1_280, 400)  # of sound: a second at 16 kHz, and pieces of voice activity and wake words
_FRAMES = (100, 80, 76, 64, 32, 16)
_COLORS = 3
_LONG = (3_000, 16_000)  # where tokens and frames are too few: 30 s of speech for Whisper, the signal of a spectrogram
_FEW = 8  # of what has no usual number
_IMAGE_DIMENSIONS = 4
_TRY_S = 10
# Whether sizes contradict a model, by its file and the file's time.
_KNOWN: dict[tuple[str, int, tuple[tuple[str, tuple[int, ...]], ...]], bool] = {}
_WORDS: Mapping[str, Sequence[int]] = {
    "past": (0,),
    "height": _IMAGE_SIDES,
    "width": _IMAGE_SIDES,
    "sample": _SAMPLES,
    "audio": _SAMPLES,
    "wav": _SAMPLES,
    "frame": _FRAMES,
    "time": _FRAMES,
    "seq": _TOKENS,
    "token": _TOKENS,
    "text": _TOKENS,
    "len": _TOKENS,
}


class Guesser:
    """Guesses the open sizes of a model's inputs."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._proto = repository.parse(model.path)
        self._by_weights = input_sizes.by_weights(self._proto)
        self._image = input_sizes.of_image(model)
        self._uses = input_uses.by_input(model)

    def candidates(self, tensor: Tensor, axis: int) -> Sequence[int]:
        """Return the sizes that an axis may have, the likeliest first."""
        rank = len(tensor.shape)
        for key in ((tensor.name, axis), (tensor.name, axis - rank)):
            if key in self._by_weights:
                return (self._by_weights[key],)
        name = tensor.dims[axis].lower() if tensor.dims else ""
        if (side := self._side(tensor, axis)) is not None:
            return (self._image[side],) if self._image is not None else _IMAGE_SIDES
        if _is_batch_of_state(tensor, axis):
            return (1,)
        is_float = tensor.datatype.startswith(("FP", "BF"))
        is_sound = rank == 2 or any(word in tensor.name.lower() for word in ("audio", "wav", "sound"))
        if is_float and is_sound and axis == rank - 1:
            return (*_SAMPLES, *_TOKENS)
        long = _LONG if is_float and rank == 3 else ()
        if (usual := next((sizes for word, sizes in _WORDS.items() if word in name), None)) is not None:
            return (*usual, *long)
        if rank == _IMAGE_DIMENSIONS:
            return (_COLORS,)
        if not is_float:
            return _TOKENS if axis else (1,)
        return (*_FRAMES, *long) if rank == 3 else (_FEW,)

    def last_size(self, tensor: Tensor) -> int | None:
        """Return the last size of an input, if the weights ask for one."""
        return self._by_weights.get((tensor.name, -1))

    def contradicts(self, shapes: Shapes) -> bool:
        """Return whether sizes contradict the graph: by ONNX's inference, or in a run of the model on this host."""
        key = str(self._model.path), self._model.path.stat().st_mtime_ns, tuple(sorted(shapes.items()))
        if key not in _KNOWN:  # a prediction asks again for each target
            _KNOWN[key] = self._contradicts(shapes)
        return _KNOWN[key]

    def _contradicts(self, shapes: Shapes) -> bool:
        if len(shapes) < len(self._model.inputs):  # of an input of any rank, which nothing can be guessed of
            return False
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        for value in proto.graph.input:
            if value.name in shapes:
                shape = value.type.tensor_type.shape
                del shape.dim[:]
                shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in shapes[value.name])
        # What the file states of sizes within was inferred for open sizes.
        del proto.graph.value_info[:]
        try:
            onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError:
            return True
        except Exception:  # a model that is too large to be passed on, or with operations that ONNX does not know
            return False
        return not self._runs(proto, shapes)

    def _runs(self, proto: onnx.ModelProto, shapes: Shapes) -> bool:
        """Return whether the model runs on this host with inputs of these sizes, in a process of little time."""
        arrays = {tensor.name: self._value(tensor, shapes[tensor.name]) for tensor in self._model.inputs}
        with scratch_directory() as scratch:
            try:
                profiled_session.profile(
                    proto.SerializeToString(),
                    arrays,
                    weights=self._model.path.parent,
                    directory=Path(scratch),
                    most_s=_TRY_S,
                )
            except profiled_session.RunFailed:
                return False
            except ModelError:  # what takes too long or too much for a try is no contradiction
                return True
        return True

    def _value(self, tensor: Tensor, shape: tuple[int, ...]) -> NDArray[np.generic]:
        use = self._uses.get(tensor.name, InputUse())
        known = [*use.choices, *(own[0] for own in use.columns.values())][:1]
        value = known[0] if known else use.constant if use.constant is not None else use.low
        return np.full(shape, constant(tensor, "" if tensor.datatype == "BYTES" and not known else value))

    def _side(self, tensor: Tensor, axis: int) -> int | None:
        """Return 0 for the height of an image, 1 for its width, None for any other axis."""
        if len(tensor.shape) != _IMAGE_DIMENSIONS or not tensor.datatype.startswith(("FP", "UINT8")):
            return None
        colors_last = tensor.shape[3] in (1, 3, 4) and tensor.shape[1] not in (1, 3, 4)
        side = axis - (1 if colors_last else 2)
        is_cache = any(word in f"{tensor.name} {' '.join(tensor.dims)}".lower() for word in ("past", "cache", "key"))
        return side if side in (0, 1) and not is_cache else None


def _is_batch_of_state(tensor: Tensor, axis: int) -> bool:
    """Return whether an axis is the batch of a recurrent state: the open one of ``[layers, batch, width]``."""
    return axis == 1 and len(tensor.shape) == 3 and tensor.shape[0] > 0 and tensor.shape[2] > 0 and tensor.shape[1] < 0


def assignments(candidates: Mapping[Key, Sequence[int]]) -> Iterator[dict[Key, int]]:
    """Yield sizes for keys: first the nth candidate of all alike, since images are mostly square; then one by one."""
    first = {key: sizes[0] for key, sizes in candidates.items()}
    longest = max(map(len, candidates.values()), default=0)
    for number in range(longest):
        yield {key: sizes[min(number, len(sizes) - 1)] for key, sizes in candidates.items()}
    for key, sizes in candidates.items():
        yield from (first | {key: size} for size in sizes[1:])
