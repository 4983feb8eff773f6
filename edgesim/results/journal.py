"""What is measured, on disk while it is measured: a crash in the middle loses no more than the last second."""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import orjson

from edgesim.errors import ResultError
from edgesim.recording import Sample

_INTERVAL_S = 1.0
_END = b"\n  ]\n}\n"


class Result(Protocol):
    """What becomes a result file, its samples last."""

    def as_json(self) -> str:
        """The file's text."""

    def write(self, path: Path) -> None:
        """Write it, whole or not at all; a ResultError where that cannot be."""


class Journal:
    """A result file that grows: readable at any moment, marked incomplete, with the samples until then.

    It stands beside the result file, which is `output`, as ``NAME.incomplete.json`` until that one is written. Where
    it cannot be written there is none: the result file's own writing will say what is wrong.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self.path = output.with_name(f"{output.stem}.incomplete.json")
        self._begun = False
        self._origin_ns = 0

    @contextmanager
    def keeping(self, samples: Sequence[Sample], so_far: Callable[[], Result]) -> Iterator[None]:
        """Within the block, what is appended to `samples` is on disk a second later, and all of it at the end.

        Args:
            so_far: the result as it is known at that moment, without samples; asked once, for the first of all blocks.
        """
        stop = threading.Event()

        def keep_writing() -> None:
            written, more = 0, True
            with contextlib.suppress(OSError):
                while more:
                    more = not stop.wait(_INTERVAL_S)
                    new = samples[written:]
                    self._append(new, so_far)
                    written += len(new)

        thread = threading.Thread(target=keep_writing, name="edgesim-journal", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def finish(self, result: Result) -> None:
        """Write the result file, which then has it all.

        Raises:
            ResultError: it cannot be written; it has the result, and says where the samples are.
        """
        try:
            result.write(self._output)
        except ResultError as error:
            error.result = result
            if self.path.exists():
                error.fix += f"; the samples, as far as there was space for them, are in {self.path}"
            raise
        self.path.unlink(missing_ok=True)

    def _append(self, new: Sequence[Sample], so_far: Callable[[], Result]) -> None:
        if not new:
            return
        separator = b","
        if not self._begun:
            self._begin(so_far())
            self._begun, self._origin_ns, separator = True, new[0].scheduled_ns, b""
        rows = [orjson.dumps(sample.since(self._origin_ns)._asdict()) for sample in new]
        text = separator + b"\n    " + b",\n    ".join(rows) + _END
        with self.path.open("r+b", buffering=0) as file:
            # Over the end, in one call: the file is whole before it and after it.
            end = file.seek(-len(_END), os.SEEK_END)
            try:
                written = file.write(text)
            except OSError:
                written = 0
            if written < len(text):  # the disk is full: as it was before
                file.truncate(end)
                file.seek(end)
                file.write(_END)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _begin(self, result: Result) -> None:
        head, found, _ = result.as_json().encode().rpartition(b"[]")
        assert found, "samples come last, and there are none yet"
        scratch = self.path.with_suffix(".new")
        scratch.write_bytes(head + b"[" + _END)
        scratch.replace(self.path)
