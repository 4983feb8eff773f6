"""edgesim: what a model will do on an edge device, told at the desk and in CI."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesim.boards.serving import board as board
    from edgesim.jobs.check import check as check
    from edgesim.jobs.pack import pack as pack
    from edgesim.jobs.run import run as run
    from edgesim.predictions import predict as predict
    from edgesim.stacks.up import stack as stack

    __version__: str

__all__ = ["__version__", "board", "check", "pack", "predict", "run", "stack"]

# Where each public name is: it is imported when it is first asked for, since most programs need few of them.
_HOME = {
    "board": "edgesim.boards.serving",
    "check": "edgesim.jobs.check",
    "pack": "edgesim.jobs.pack",
    "predict": "edgesim.predictions",
    "run": "edgesim.jobs.run",
    "stack": "edgesim.stacks.up",
}


def notebook_html(result: Any) -> str:
    """Return the HTML by which a notebook shows a RunResult or a StackResult.

    A result asks for it here, since reports are made of results: a result that imported its report would close a
    circle. The report is imported by name, when a result is first shown.
    """
    return str(import_module("edgesim.reports.formats.notebook").render(result))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("edgesim")
    except PackageNotFoundError:
        return "0+unknown"


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
