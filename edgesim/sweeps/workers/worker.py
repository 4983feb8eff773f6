"""The functions that Dask calls on a worker, by name, in the worker's process."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from edgesim.errors import DeviceDied
from edgesim.host import own_modules
from edgesim.host.host_load import HostCounters
from edgesim.host.parent_death import end_with_parent
from edgesim.results.cell_result import CellResult
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.run_cell import failed, run_cell
from edgesim.sweeps.workers import cell_process, file_store
from edgesim.version import __version__

# A host that other programs keep busier than this before a run begins measures them, too.
MOST_BUSY_PERCENT = 50.0
MOST_BUSY_VARIABLE = "EDGESIM_MOST_BUSY_PERCENT"
_LOOK_S = 0.5
_BUSY_LOOK_S = 1.0
_STOP_S = 60.0
# Of Dask's worker.
_AT_WORK = ("running", "paused", "closing_gracefully")
# Not ``-m``: what a module sends that is `__main__`, only another `__main__` can read.
_MAIN = f"from {cell_process.__name__} import main; main()"
# A prediction keeps what it has read of a model, in this process.
_one_prediction = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts that a worker states about its machine."""

    version: str
    host: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The answer of a worker that gives a cell back, because its host is not fit now.

    Attributes:
        reason: in words.
        lacks_files: the machine has lost the cell's files, and is fit otherwise.
    """

    reason: str
    lacks_files: bool = False


def facts() -> Facts:
    """Return the facts of this worker."""
    return Facts(version=__version__, host=socket.gethostname())


def do(cell: Cell, registry: str | None, topic: str) -> CellResult | Refusal | None:
    """Do a cell whose files are in the worker's store.

    Args:
        registry: the registry in which serving images are shared; None means that each machine builds its own.
        topic: the topic of Dask's events on which the worker reports its stages.

    Returns:
        The result; None if the sweep has given the cell up meanwhile.
    """
    if not all(file_store.has(tree) for tree in cell.trees):
        return Refusal(reason="its machine has lost the cell's files", lacks_files=True)
    cell = cell.at(file_store.directory_of)
    if cell.job == "predict":
        with _one_prediction:
            return run_cell(cell)
    if cell.job == "run" and (refusal := _too_busy()) is not None:
        return refusal
    return _in_a_process(cell, registry, topic)


def _too_busy() -> Refusal | None:
    written = os.environ.get(MOST_BUSY_VARIABLE)
    try:
        most = float(written) if written else MOST_BUSY_PERCENT
    except ValueError:
        return Refusal(reason=f"{MOST_BUSY_VARIABLE}={written} is no percentage")
    begin = HostCounters()
    time.sleep(_BUSY_LOOK_S)
    busy = HostCounters().load_since(begin, None).busy_percent
    if busy <= most:
        return None
    return Refusal(reason=f"its host is busy with other programs: {busy:.0f} %, and {most:.0f} % at most for a run")


def _in_a_process(cell: Cell, registry: str | None, topic: str) -> CellResult | None:
    from distributed import Semaphore, get_worker

    worker = get_worker()
    task = worker.get_current_task()
    with ExitStack() as stack:
        connection = stack.enter_context(_process())
        alone = stack.enter_context(ExitStack())
        connection.send((cell, registry))
        while True:
            if not connection.poll(_LOOK_S):
                if _is_given_up(worker, task):
                    return None
                continue
            try:
                message: Any = connection.recv()
            except (EOFError, ConnectionResetError):
                return failed(cell, DeviceDied("the process of the cell ended without a result"))
            match message:
                case CellResult():
                    return message
                case cell_process.Doing(words):
                    worker.log_event(topic, (cell.key, worker.address, words))
                case cell_process.Alone(image=str(image)):
                    # Its lease ends with its worker, unlike a lock of Dask's older versions.
                    lease = Semaphore(max_leases=1, name=f"edgesim {image}")
                    while not lease.acquire(timeout=_LOOK_S):
                        if _is_given_up(worker, task):
                            return None
                    alone.callback(lease.release)
                    connection.send(True)
                case cell_process.Alone():
                    alone.close()


@contextmanager
def _process() -> Iterator[Connection]:
    """Start the process of a cell, which is interrupted at the end of the block unless it has ended."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _MAIN, str(theirs.fileno())],
            env=own_modules.environment(),
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_descriptor() else subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C at the worker's terminal is the worker's
            preexec_fn=lambda: end_with_parent(signal.SIGTERM),
        )
        theirs.close()
        try:
            yield ours
        finally:
            _end(process)


def _has_descriptor() -> bool:
    try:
        sys.stderr.fileno()
    except (OSError, ValueError):
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(_LOOK_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_given_up(worker: Any, key: str) -> bool:
    """Return whether a task was given up: its client has cancelled the task or has ended, or the worker ends."""
    task = worker.state.tasks.get(key)
    return task is None or task.state in ("cancelled", "released") or worker.status.name not in _AT_WORK
