"""Sound files (WAV) as the arrays that models take."""

import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim import untrusted
from edgesim.errors import ModelError
from edgesim.models import tensor_types
from edgesim.models.signature import Tensor

SUFFIX = ".wav"
_MOST_FILE_BYTES = 256 * untrusted.MIB


def read(path: Path, tensor: Tensor, shape: Sequence[int], *, rate_hz: int | None = None) -> Sequence[NDArray[Any]]:
    """Return a sound as requests: all of it, or one piece after the other where the model fixes the number of samples.

    Floats are between -1 and 1; whole numbers are the samples as they are in the file, of 16 bits. Several channels
    become their mean. The last piece is filled up with silence.

    Args:
        shape: the tensor's sizes, -1 where one is open; the last one is of samples.
        rate_hz: samples a second that the model takes; None takes any.

    Raises:
        ModelError: the file is no sound of whole numbers, or of another rate, or the tensor takes no sound.
    """
    where = f"inputs.{tensor.name}.file: {path}"
    if not shape or any(size not in (-1, 1) for size in shape[:-1]) or shape[-1] == 0:
        raise ModelError(f"{where}: a sound is a row of samples; the model takes {tensor}")
    samples, rate = _samples(path, where)
    if rate_hz is not None and rate != rate_hz:
        raise ModelError(
            f"{where}: has {rate} samples a second, and rate is {rate_hz}",
            fix=f"convert it: ffmpeg -i {path} -ar {rate_hz} -ac 1 converted.wav",
        )
    if tensor_types.is_float(tensor_types.BY_DATATYPE[tensor.datatype].dtype):
        values = samples.astype(tensor_types.BY_DATATYPE[tensor.datatype].dtype)
    elif tensor.datatype in ("INT16", "INT32", "INT64"):
        values = np.clip(np.rint(samples * 2**15), -(2**15), 2**15 - 1)
        values = values.astype(tensor_types.BY_DATATYPE[tensor.datatype].dtype)
    else:
        raise ModelError(f"{where}: samples do not become {tensor.datatype}")
    each = shape[-1] if shape[-1] > 0 else max(len(values), 1)
    padded = np.zeros(max(-(-len(values) // each), 1) * each, values.dtype)
    padded[: len(values)] = values
    return [piece.reshape((1,) * (len(shape) - 1) + (each,)) for piece in np.split(padded, len(padded) // each)]


def _samples(path: Path, where: str) -> tuple[NDArray[np.float64], int]:
    """Return the samples of a file between -1 and 1, and their number a second."""
    try:
        content = untrusted.read_bytes(path, _MOST_FILE_BYTES)
        with wave.open(io.BytesIO(content)) as sound:
            channels, width, rate = sound.getnchannels(), sound.getsampwidth(), sound.getframerate()
            frames = sound.readframes(sound.getnframes())
    except OSError as error:
        raise ModelError(f"{where}: {error.strerror}", fix=untrusted.fix_of(error, "name a WAV file")) from error
    except Exception as error:  # of wave, which raises its own error, EOFError and others for what it cannot read
        raise ModelError(
            f"{where}: not a WAV file of whole numbers: {error}", fix=f"convert it: ffmpeg -i {path} converted.wav"
        ) from error
    frames = frames[: len(frames) // (channels * width) * channels * width]
    if width == 3:  # numpy has no whole numbers of 24 bits: each becomes the upper part of one of 32
        rows = np.frombuffer(frames, np.uint8).reshape(-1, 3)
        whole = np.pad(rows, ((0, 0), (1, 0))).reshape(-1).view("<i4")
        width = 4
    elif width == 1:  # the only unsigned one
        whole = np.frombuffer(frames, np.uint8).astype(np.int16) - 128
    elif width in (2, 4):
        whole = np.frombuffer(frames, f"<i{width}")
    else:
        raise ModelError(f"{where}: samples of {8 * width} bits")
    return whole.reshape(-1, channels).mean(axis=1) / 2 ** (8 * width - 1), rate
