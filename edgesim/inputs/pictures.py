"""Pictures (PNG, JPEG) as the arrays that models take: size, layout, colors and normalization."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgesim import untrusted
from edgesim.errors import HostError, ModelError
from edgesim.models import tensor_types
from edgesim.models.signature import Tensor

SUFFIXES = (".png", ".jpg", ".jpeg")
Normalization = Literal["none", "unit", "signed", "imagenet"]
Colors = Literal["rgb", "bgr"]
Fit = Literal["stretch", "letterbox", "crop"]

_MOST_FILE_BYTES = 64 * untrusted.MIB
_MOST_PIXELS = 100_000_000
_NO_PICTURE, _PICTURE = "not a picture (PNG or JPEG)", "name a PNG or JPEG file, relative to the inputs file"
# Means and deviations of ImageNet's red, green and blue, as torchvision's pretrained models take them:
# https://pytorch.org/vision/stable/models.html ("mean=[0.485, 0.456, 0.406] and std=[0.229, 0.224, 0.225]").
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The gray of the border that YOLO's letterbox adds: https://github.com/ultralytics/ultralytics, `LetterBox`.
_BORDER = 114
_COLORS = (1, 3, 4)
_MODES: Mapping[int, str] = {1: "L", 3: "RGB", 4: "RGBA"}


def read(
    path: Path,
    tensor: Tensor,
    shape: Sequence[int],
    *,
    normalization: Normalization | None = None,
    colors: Colors = "rgb",
    fit: Fit = "stretch",
) -> NDArray[Any]:
    """Return a picture as a batch of one, in the type and layout of a tensor.

    Args:
        shape: the tensor's sizes, -1 where one is open: that of the picture is taken then.
        normalization: of values from 0 to 255: ``none``, to 0..1 (``unit``), to -1..1 (``signed``), or by ImageNet's
            means and deviations (``imagenet``). None means ``unit`` for floats and ``none`` for whole numbers.
        fit: how a picture of other proportions is brought to the size.

    Raises:
        ModelError: the file is no picture or too large, or the tensor takes none.
        HostError: Pillow is not installed.
    """
    where = f"inputs.{tensor.name}.file: {path}"
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[0] not in (-1, 1)):
        raise ModelError(f"{where}: a picture has a height, a width and colors; the model takes {tensor}")
    sizes = tuple(shape[-3:])
    colors_last = sizes[2] in _COLORS and sizes[0] not in _COLORS
    count, height, width = (sizes[2], *sizes[:2]) if colors_last else sizes
    count = 3 if count < 0 else count
    if count not in _COLORS:
        raise ModelError(f"{where}: a picture has 1, 3 or 4 colors; the model takes {tensor}")
    pixels = _pixels(path, where, _MODES[count], height, width, fit)
    if colors == "bgr" and count >= 3:
        pixels = pixels[..., [2, 1, 0, *range(3, count)]]
    values = _normalized(pixels, tensor, normalization, where, colors)
    values = values if colors_last else np.moveaxis(values, -1, 0)
    return np.ascontiguousarray(values.reshape((1,) * (len(shape) - 3) + values.shape))


def _pixels(path: Path, where: str, mode: str, height: int, width: int, fit: Fit) -> NDArray[np.uint8]:
    """Return a picture's values from 0 to 255, shape (height, width, colors)."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise HostError(
            f"{where}: a picture needs Pillow, which is not installed", fix="pip install 'edgesim[images]'"
        ) from error
    import io

    try:
        content = untrusted.read_bytes(path, _MOST_FILE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is an own limit
            file = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        if file.width * file.height > _MOST_PIXELS:
            raise ModelError(f"{where}: {file.width} x {file.height} pixels are more than {_MOST_PIXELS:,}")
        picture = ImageOps.exif_transpose(file).convert(mode)
    except OSError as error:
        raise ModelError(f"{where}: {error.strerror or _NO_PICTURE}", fix=untrusted.fix_of(error, _PICTURE)) from error
    except ModelError:
        raise
    except Exception as error:  # of Pillow's decoders, which have no other base class
        raise ModelError(f"{where}: {_NO_PICTURE}: {error}", fix=_PICTURE) from error
    size = (width if width > 0 else picture.width, height if height > 0 else picture.height)
    if fit == "stretch":
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    elif fit == "crop":
        picture = ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
    else:
        color = (_BORDER,) * len(picture.getbands())
        picture = ImageOps.pad(picture, size, Image.Resampling.BILINEAR, color=color if len(color) > 1 else _BORDER)
    pixels = np.asarray(picture, np.uint8)
    return pixels.reshape(pixels.shape[0], pixels.shape[1], -1)


def _normalized(
    pixels: NDArray[np.uint8], tensor: Tensor, normalization: Normalization | None, where: str, colors: Colors
) -> NDArray[Any]:
    kind = tensor_types.BY_DATATYPE[tensor.datatype]
    is_float = tensor_types.is_float(kind.dtype)
    chosen = normalization if normalization is not None else "unit" if is_float else "none"
    if not is_float and (chosen != "none" or tensor.datatype in ("BYTES", "BOOL", "INT8")):
        raise ModelError(f"{where}: values from 0 to 255 do not become {tensor.datatype} by normalize: {chosen}")
    values: NDArray[Any] = pixels.astype(np.float32)
    if chosen == "unit":
        values /= 255
    elif chosen == "signed":
        values = values / np.float32(127.5) - 1
    elif chosen == "imagenet":
        if values.shape[-1] != 3:
            raise ModelError(f"{where}: normalize: imagenet is for three colors; the model takes {tensor}")
        order = slice(None, None, -1 if colors == "bgr" else None)
        mean, deviation = (np.array(numbers[order], np.float32) for numbers in (_MEAN, _DEVIATION))
        values = (values / np.float32(255) - mean) / deviation
    return values.astype(kind.dtype)
