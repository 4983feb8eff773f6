"""edgesim: what a model will do on an edge device, told at the desk and in CI."""

from typing import TYPE_CHECKING, Any

from edgesim.version import __version__

if TYPE_CHECKING:
    from edgesim.board import board as board
    from edgesim.run import run as run

__all__ = ["__version__", "board", "run"]


def __getattr__(name: str) -> Any:
    """`edgesim.run` and `edgesim.board`: imported when first asked for, since they bring everything with them."""
    if name not in ("board", "run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Importing edgesim.run sets the name `run` here to the module; what people call is the function in it.
    from edgesim.board import board
    from edgesim.run import run

    globals().update(board=board, run=run)
    return globals()[name]
