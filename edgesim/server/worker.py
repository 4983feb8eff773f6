"""The queue before a model: one inference at a time, as on the board's one CPU.

With dynamic batching, one inference answers several requests.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Run = Callable[[dict[str, np.ndarray], Sequence[str]], list[np.ndarray]]


class Job:
    """One request in the queue. Times are those of `time.perf_counter_ns`.

    Attributes:
        kind: jobs of the same kind may share a batch; a job of kind None is always alone.
        rows: the length of the first dimension if it is the batch, else 1.
        done: the results, one array for each of `outputs`.
        batch_rows: the rows of the whole execution, in its first job; 0 in the others.
    """

    __slots__ = ("batch_rows", "done", "finished_ns", "inputs", "kind", "outputs", "queued_ns", "rows", "started_ns")

    def __init__(
        self, inputs: dict[str, np.ndarray], outputs: Sequence[str], *, batched: bool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.kind: Any = None
        self.rows = 1
        if batched:
            first = next(iter(inputs.values()))
            self.rows = len(first)
            self.kind = (tuple(outputs), tuple((name, array.shape[1:]) for name, array in sorted(inputs.items())))
        self.done: asyncio.Future[list[np.ndarray]] = loop.create_future()
        self.batch_rows = 0
        self.queued_ns = self.started_ns = self.finished_ns = time.perf_counter_ns()


# When `submit` runs a job itself, see there.
_QUICK_NS = 100_000
_QUICK_RUNS = 16
_SMALL_BYTES = 64 << 10


class _End:
    """The mark behind the last job in the queue."""


class Worker:
    """A thread that runs one model's jobs in the order of their arrival."""

    def __init__(
        self, name: str, run: Run, *, largest_batch: int, max_delay_s: float, preferred_batch: int, inline: bool = True
    ) -> None:
        """Start the thread.

        Args:
            name: of the model, for the thread's name.
            run: runs the model on inputs by name, for the outputs of these names.
            largest_batch: rows that are run together at most; 0 runs each job alone.
            max_delay_s: how long the first job of a batch waits for others.
            preferred_batch: a batch of this many rows waits no longer.
            inline: `submit` may run a quick model itself; False if `run` may wait, because it would block the caller.
        """
        self._run = run
        self._largest_batch = largest_batch
        self._max_delay_s = max_delay_s
        self._preferred_batch = preferred_batch
        self._inline = inline
        self._jobs: queue.SimpleQueue[Job | _End] = queue.SimpleQueue()
        self._running = threading.Lock()  # one inference at a time, in whichever thread
        self._quick_runs = 0  # in a row
        threading.Thread(target=self._work, name=f"model {name}", daemon=True).start()

    def submit(self, job: Job) -> None:
        """Queue a job for the worker's thread, or run a quick job at once in the calling thread, the event loop's.

        Why at once: a model that answers in less than 100 µs takes longer to wake the thread, and the event loop after
        it, than to run. The p50 of a no-op over HTTP is 88 µs so, and 158 µs with the thread (measured, as the other
        figures of this kind, in turns on a 2-core x86-64 host; see docs/decisions/own-http-connection.md).

        Trap: the event loop stands still while a job runs in it. So a model runs here only after 16 runs in a row of
        less than 100 µs each, with inputs of 64 KiB at most and an empty queue, and not at all if it is paced or
        batched. One slow run sends the model back to its thread.
        """
        if not self._run_inline(job):
            self._jobs.put(job)

    def _run_inline(self, job: Job) -> bool:
        if not self._inline or job.kind is not None or self._quick_runs < _QUICK_RUNS or not self._jobs.empty():
            return False
        if sum(array.nbytes for array in job.inputs.values()) > _SMALL_BYTES or not self._running.acquire(False):
            return False
        try:
            job.started_ns = time.perf_counter_ns()
            results = self._run(job.inputs, job.outputs)
        except Exception as error:
            job.done.set_exception(error)
        else:
            job.finished_ns = time.perf_counter_ns()
            job.batch_rows = job.rows
            self._note_duration(job.finished_ns - job.started_ns)
            job.done.set_result(results)
        finally:
            self._running.release()
        return True

    def _note_duration(self, duration_ns: int) -> None:
        self._quick_runs = self._quick_runs + 1 if duration_ns < _QUICK_NS else 0

    def waiting(self) -> int:
        """Return the number of jobs in the queue."""
        return self._jobs.qsize()

    def stop(self) -> None:
        """End the thread after the jobs in the queue."""
        self._jobs.put(_End())

    def _work(self) -> None:
        following: Job | _End | None = None
        while True:
            first = following or self._jobs.get()
            if isinstance(first, _End):
                return
            batch, following = self._collect(first)
            with self._running:
                self._execute([job for job in batch if not job.done.cancelled()])
            del first, batch  # else the arrays of the last job stay in memory while the thread waits for the next one

    def _collect(self, first: Job) -> tuple[list[Job], Job | _End | None]:
        """Return a batch that begins with `first`, and the job that was taken from the queue but not into the batch."""
        batch, rows = [first], first.rows
        if first.kind is None:
            return batch, None
        until = time.monotonic() + self._max_delay_s
        while rows < self._preferred_batch:
            try:
                left = until - time.monotonic()
                job = self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if isinstance(job, _End) or job.kind != first.kind or rows + job.rows > self._largest_batch:
                return batch, job
            batch.append(job)
            rows += job.rows
        return batch, None

    def _execute(self, batch: list[Job]) -> None:
        if not batch:
            return
        try:
            self._run_together(batch)
        except Exception as error:
            if len(batch) == 1:
                self._finish(batch, error=error)
                return
            for job in batch:  # the values of one request must not fail the others
                self._execute([job])

    def _run_together(self, batch: list[Job]) -> None:
        first, rows = batch[0], sum(job.rows for job in batch)
        started = time.perf_counter_ns()
        if len(batch) == 1:
            results = [self._run(first.inputs, first.outputs)]
        else:
            inputs = {name: np.concatenate([job.inputs[name] for job in batch]) for name in first.inputs}
            outputs = self._run(inputs, first.outputs)
            for name, output in zip(first.outputs, outputs):
                if output.ndim == 0 or len(output) != rows:
                    raise ValueError(f"output {name!r} has shape {list(output.shape)} for a batch of {rows}")
            ends = np.cumsum([job.rows for job in batch])[:-1]
            split = [np.split(output, ends) for output in outputs]
            results = [list(outputs_of_job) for outputs_of_job in zip(*split)]
        finished = time.perf_counter_ns()
        for job in batch:
            job.started_ns, job.finished_ns = started, finished
        first.batch_rows = rows
        self._note_duration(finished - started)
        self._finish(batch, results=results)

    def _finish(
        self, batch: list[Job], *, results: list[list[np.ndarray]] | None = None, error: Exception | None = None
    ) -> None:
        def deliver() -> None:
            for i, job in enumerate(batch):
                if job.done.cancelled():
                    continue
                if error is not None:
                    job.done.set_exception(error)
                elif results is not None:
                    job.done.set_result(results[i])

        batch[0].done.get_loop().call_soon_threadsafe(deliver)
