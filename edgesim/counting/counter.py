"""The counter of a running program: asks the plugin over its socket."""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgesim.counting.counts import Counts
from edgesim.counting.emulator import SOCKET
from edgesim.errors import EmulatorCrashed

# Marks that the server sets: see `edgesim.server.marks`.
MarkKind = Literal["load begins", "load ends", "inference begins", "inference ends"]
_KINDS: dict[int, MarkKind] = {1: "load begins", 2: "load ends", 3: "inference begins", 4: "inference ends"}
_PATIENCE_S = 30.0
_IDLE_S = 0.05
_MOST_BYTES = 1 << 25


@dataclass(frozen=True)
class Mark:
    """A moment that the server marked.

    Attributes:
        own: the counts until then of the thread that set the mark.
        all: the counts of all threads together.
    """

    kind: MarkKind
    own: Counts
    all: Counts


def between(marks: Sequence[Mark], begin: MarkKind, end: MarkKind, *, of_all_threads: bool) -> list[Counts]:
    """Return what was executed from each mark of one kind to the next mark of another.

    Args:
        of_all_threads: else of the thread that set the marks: the server's other threads, such as its timers, are no
            part of an inference.
    """
    parts: list[Counts] = []
    begun: Counts | None = None
    for mark in marks:
        counts = mark.all if of_all_threads else mark.own
        if mark.kind == begin:
            begun = counts
        elif mark.kind == end and begun is not None:
            parts.append(counts - begun)
            begun = None
    return parts


@dataclass
class Counter:
    """Reads the counts of a program in a container of this host.

    Attributes:
        directory: the directory on this host in which the plugin has its socket.
    """

    directory: Path
    _marks: list[Mark] = field(default_factory=list)

    def threads(self) -> dict[int, Counts]:
        """Return the counts of each thread since the program began.

        Raises:
            EmulatorCrashed: the emulator does not answer.
        """
        rows = [line.split() for line in self._ask("counts") if line.startswith("thread ")]
        return {int(row[1]): Counts(*map(int, row[2:])) for row in rows}

    def total(self) -> Counts:
        """Return the counts of all threads together; as `threads`."""
        return sum(self.threads().values(), Counts())

    def when_idle(self) -> dict[int, Counts]:
        """Return the counts of each thread once no thread executes anything; as `threads`."""
        deadline = time.monotonic() + _PATIENCE_S
        before = self.threads()
        while time.monotonic() < deadline:
            time.sleep(_IDLE_S)
            now = self.threads()
            if now == before:
                break
            before = now
        return before

    def marks(self) -> list[Mark]:
        """Return all marks since the program began, in their order.

        Raises:
            EmulatorCrashed: the emulator does not answer, or has dropped marks.
        """
        for line in self._ask("marks"):
            word, *figures = line.split()
            if word == "lost":
                raise EmulatorCrashed(f"the counting emulator has dropped {figures[0]} marks")
            if word == "mark" and (kind := _KINDS.get(int(figures[0]))) is not None:
                numbers = list(map(int, figures[1:]))
                half = len(numbers) // 2
                self._marks.append(Mark(kind, Counts(*numbers[:half]), Counts(*numbers[half:])))
        return list(self._marks)

    def _ask(self, question: str) -> list[str]:
        try:
            text = self._answer(question)
        except OSError as error:
            raise EmulatorCrashed(f"the counting emulator does not answer: {error}") from error
        lines = text.splitlines()
        if not lines or lines[-1] != "end":
            raise EmulatorCrashed("the counting emulator ended in the middle of an answer")
        return lines[:-1]

    def _answer(self, question: str) -> str:
        # The path of a Unix socket has 107 bytes at most, and a temporary directory may be longer.
        directory = os.open(self.directory, os.O_PATH | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_PATIENCE_S)
                connection.connect(f"/proc/self/fd/{directory}/{SOCKET}")
                connection.sendall(f"{question}\n".encode())
                received = bytearray()
                while block := connection.recv(1 << 16):
                    received += block
                    if len(received) > _MOST_BYTES:
                        raise OSError("its answer has no end")
                return received.decode("ascii", errors="replace")
        finally:
            os.close(directory)
