"""edgesim: what a model will do on an edge device, told at the desk and in CI."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgesim.version import __version__

if TYPE_CHECKING:
    from edgesim.board import board as board
    from edgesim.check import check as check
    from edgesim.pack import pack as pack
    from edgesim.predict import predict as predict
    from edgesim.run import run as run
    from edgesim.stack import stack as stack

__all__ = ["__version__", "board", "check", "pack", "predict", "run", "stack"]

_FUNCTIONS = ("board", "check", "pack", "predict", "run", "stack")


class _Package(ModuleType):
    """`edgesim.run` and its like are the functions, though modules of these names hold them.

    Importing such a module would put it in the function's place. The functions themselves are imported when they are
    first asked for, since they bring everything with them.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _FUNCTIONS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        function = getattr(import_module(f"{__name__}.{name}"), name)
        setattr(self, name, function)
        return function


sys.modules[__name__].__class__ = _Package
