"""Libraries of custom operations, registered in a session of ONNX Runtime in a process of this host.

Light to import: the processes that load models import nothing that reads them.
"""

from pathlib import Path
from typing import Any

from edgesim.server import libraries
from edgesim.server.config import PACKAGES


class LibraryFailed(Exception):
    """A library of custom operations, the first argument, does not load; the second one says why."""


def register(options: Any, name: str) -> None:
    """Register a library of custom operations that the user has named.

    Args:
        options: `onnxruntime.SessionOptions`.
        name: the path of a library, or a Python package.

    Raises:
        LibraryFailed: there is no such library, or it does not load.
    """
    try:
        path = libraries.of_package(name) if name in PACKAGES else Path(name)
        options.register_custom_ops_library(str(path.resolve()))
    except Exception as error:  # of ConfigError and of the runtime's errors, which share no base class
        raise LibraryFailed(name, " ".join(str(error).split())) from error
