"""The journal: the result file while the run is under way, so that a crash loses at most the last second."""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import orjson

from edgesim.errors import HostError, ResultError
from edgesim.recording import Sample, as_row

_INTERVAL_S = 1.0
_END = b"\n  ]\n}\n"


class Result(Protocol):
    """A result that can be written as a file, with its samples last."""

    def as_json(self) -> str:
        """Return the text of the result file."""

    def write(self, path: Path) -> None:
        """Write the result file, whole or not at all; raise a ResultError if it cannot be written."""


class Journal:
    """A result file that grows: readable at any moment, marked incomplete, with the samples so far.

    The journal lies beside the result file `output` as ``NAME.incomplete.json`` until the result file is written. If
    the journal cannot be written, the run continues without one: writing the result file will say what is wrong.
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self.path = output.with_name(f"{output.stem}.incomplete.json")
        self._file_exists = False
        self._origin_ns = 0

    @contextmanager
    def keeping(self, samples: Sequence[Sample], so_far: Callable[[], Result]) -> Iterator[None]:
        """Within the block, write each sample that is appended to `samples` within a second; at the end, all of them.

        Args:
            so_far: returns the result at that moment, without samples; called once, for the first sample of the run.
        """
        stop = threading.Event()

        def keep_writing() -> None:
            written, stopped = 0, False
            with contextlib.suppress(OSError):
                while not stopped:
                    stopped = stop.wait(_INTERVAL_S)
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
        """Write the result file, and remove the journal.

        Raises:
            ResultError, HostError: the result file cannot be written; the error has the result, and says where the
                samples are.
        """
        try:
            result.write(self._output)
        except (ResultError, HostError) as error:
            error.result = result
            if self.path.exists():
                error.fix += f"; {self.path} has the samples, as far as they could be written"
            raise
        self.path.unlink(missing_ok=True)

    def _append(self, new: Sequence[Sample], so_far: Callable[[], Result]) -> None:
        if not new:
            return
        separator = b","
        if not self._file_exists:
            self._begin(so_far())
            self._file_exists, self._origin_ns, separator = True, new[0].scheduled_ns, b""
        rows = [orjson.dumps(as_row(sample.since(self._origin_ns))) for sample in new]
        text = separator + b"\n    " + b",\n    ".join(rows) + _END
        with self.path.open("r+b", buffering=0) as file:
            # One call overwrites the closing brackets: the file is complete before and after it.
            end = file.seek(-len(_END), os.SEEK_END)
            try:
                written = file.write(text)
            except OSError:
                written = 0
            if written < len(text):  # the disk is full: restore the file as it was
                file.truncate(end)
                file.seek(end)
                file.write(_END)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _begin(self, result: Result) -> None:
        head, empty_samples, _ = result.as_json().encode().rpartition(b"[]")
        assert empty_samples, "samples come last, and there are none yet"
        scratch = self.path.with_suffix(".new")
        try:
            scratch.write_bytes(head + b"[" + _END)
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)
