"""Processes that run a module of edgesim: how each is called, so that no other file is taken for a module.

``python -m`` looks for every module in the working directory first. A directory with a ``json.py`` or an ``onnx.py``,
which may be a stranger's repository, would have its file run in place of the module.
"""

import os
import sys
from pathlib import Path


def command(module: str, *words: str) -> list[str]:
    """Return the command that runs a module of edgesim in a process of its own."""
    return [sys.executable, "-P", "-m", module, *words]


def environment() -> dict[str, str]:
    """Return the environment variables with which `command` finds edgesim, wherever edgesim itself was found."""
    root = str(Path(__file__).parents[2])
    # OpenBLAS, which NumPy brings along, would reserve memory for each core of the machine.
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "OPENBLAS_NUM_THREADS": "1",
    }
