"""The process that runs a cell with a board.

A worker of Dask runs cells in threads, which cannot be stopped, and beside its own traffic. A process can be: it takes
down its board on SIGINT as a command does, also when the worker is killed. Both speak over a socket: the worker sends
the cell and the registry, the process sends `Doing`, asks for `Alone`, and ends with the `CellResult`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from edgesim.errors import Interrupted
from edgesim.host import signals
from edgesim.images import image_sharing
from edgesim.images.image_sharing import Registry
from edgesim.progress import Progress
from edgesim.sweeps.run_cell import run_cell


class Doing(NamedTuple):
    """The stage that the cell is in, in words."""

    words: str


class Alone(NamedTuple):
    """The message of a process that waits to build an image alone; without a name, that the image is built."""

    image: str | None


class _Telling:
    """A listener that tells the worker of each stage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, stage: str, doing: str) -> None:
        self._connection.send(Doing(doing))

    def advance(self, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...


def main() -> None:
    """Do the cell that the worker sends over the socket whose descriptor is the process's argument."""
    signals.as_keyboard_interrupt()
    connection = Connection(int(sys.argv[1]))

    @contextmanager
    def alone(image: str) -> Iterator[None]:
        connection.send(Alone(image))
        connection.recv()
        try:
            yield
        finally:
            connection.send(Alone(None))

    try:
        cell, prefix = connection.recv()
        registry = Registry(prefix=prefix, alone=alone) if prefix is not None else None
        with image_sharing.shared_by(registry):
            result = run_cell(cell, listener=_Telling(connection))
        connection.send(result)
    except (KeyboardInterrupt, Interrupted, BrokenPipeError):  # the worker has given up the cell, or has ended
        sys.exit(130)
