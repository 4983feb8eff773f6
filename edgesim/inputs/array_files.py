"""Arrays in ``.npz`` and ``.npy`` files that may be a stranger's: no pickles, no bombs.

`numpy.load` allocates what a header says, and a compressed member may expand to a thousand times its size. Here the
sizes that the file states are added up first, and an array is exactly as large as its header says.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgesim import untrusted
from edgesim.errors import ModelError
from edgesim.units import format_bytes

# Of the memory that this host has free: inputs are held beside the model, and sent from memory.
_SHARE = 0.5
_MOST_BYTES = 4 * 2**30
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# As numpy writes BF16 (`ml_dtypes.bfloat16`), for which its format has no name.
NAMELESS_BF16 = np.dtype("V2")
UNNAMED = "array"
_ZIP, _NPY = b"PK", b"\x93NUMPY"


def most_bytes() -> int:
    """Return how many bytes of arrays this host takes."""
    return min(_MOST_BYTES, int(_SHARE * psutil.virtual_memory().available))


def read(path: Path, most_bytes: int, *, what: str = "input") -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name, or that of an ``.npy`` file as `UNNAMED`; none can be written to.

    Raises:
        ModelError: the file cannot be read, is neither, holds something else than arrays of plain types, or arrays of
            more than `most_bytes` together; the message calls the arrays `what`.
    """
    try:
        with untrusted.opened(path) as file:
            head = file.read(len(_NPY))
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            if head == _NPY:
                _require(size, most_bytes)
                return {UNNAMED: _array(file.read())}
            if not head.startswith(_ZIP):
                raise ValueError("neither .npz nor .npy")
            return _members(file, most_bytes)
    except Exception as error:  # of numpy, zipfile and four decompressors, which have no other base class
        reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
        fix = f"write it with numpy.savez, with one array for each {what}"
        fix = untrusted.fix_of(error, fix) if isinstance(error, OSError) else fix
        raise ModelError(f"{path}: not a file of {what}s: {reason}", fix=fix) from error


def _members(file: Any, most_bytes: int) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(file) as archive:
        _require(sum(member.file_size for member in archive.infolist()), most_bytes)
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"two arrays are called {name}")
            arrays[name] = _array(archive.read(member))
    return arrays


def _require(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise ValueError(f"its arrays take {format_bytes(size)}, and this host has {format_bytes(most_bytes)} for them")


def _array(content: bytes) -> NDArray[Any]:
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"an array in version {version[0]}.{version[1]} of its format")
    shape, column_major, dtype = _HEADERS[version](file)
    if (dtype.kind in "OVMm" and dtype != NAMELESS_BF16) or not dtype.itemsize:
        raise ValueError(f"an array of {dtype}, which is neither a number nor a text")
    begin = file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - begin:
        raise ValueError("the size of an array differs from its header")
    return np.frombuffer(content, dtype, offset=begin).reshape(shape, order="F" if column_major else "C")
