"""A model in a session of ONNX Runtime on this host: a process of its own, which has little time and bounded memory.

The model may be a stranger's: a loop may turn for years, a tensor may take terabytes, and a bug of the runtime may end
the process that runs it. ``python -m edgesim.measure.host_session DESCRIPTOR BYTES`` is that process.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any
from weakref import finalize

from numpy.typing import NDArray

from edgesim.errors import HostError, ModelError
from edgesim.host import own_modules
from edgesim.host.parent_death import AT_START
from edgesim.models import bounded_process, registration, session_run
from edgesim.models.registration import LibraryFailed
from edgesim.units import format_bytes

# Seconds for loading the model, and for each run of it.
MOST_S = 120.0
_END_S = 5.0  # from the end of the connection to that of a process that ends by itself


class SessionFailed(Exception):
    """ONNX Runtime does not load the model, or does not run it with these inputs; the message is its own."""


class TooLong(ModelError):
    """A model takes longer on this host than it may: it may have a loop without an end."""


class HostSession:
    """A session in a process of its own, which ends with this object.

    Args:
        model: what messages call the model.

    All methods raise:
        SessionFailed: see there.
        TooLong: the work does not end within `MOST_S`; the process is gone then.
        HostError: this host has too little memory for the model; the process may be gone.
        ModelError: the model ends the process.
    """

    def __init__(self, model: str = "the model") -> None:
        self._model = model
        self._most_bytes = bounded_process.spare_bytes()
        # A file in memory: the process is to work where no directory can be written.
        self._stderr = os.fdopen(os.memfd_create("stderr"), "w+", errors="replace")
        self._connection, far = Pipe()
        self._process = subprocess.Popen(
            own_modules.command(__name__, str(far.fileno()), str(self._most_bytes)),
            # Without it ONNX Runtime reports its use over the network, and leaves files in the home directory.
            env={"ORT_DISABLE_TELEMETRY": "1", **own_modules.environment()},
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            preexec_fn=AT_START,
        )
        far.close()
        self._end = finalize(self, _end, self._process, self._connection)

    def load(self, path: Path, custom: Sequence[str], *, threads: int) -> str:
        """Load a model; return the release of ONNX Runtime.

        Args:
            custom: libraries of custom operations, by their paths or as names of Python packages.

        Raises:
            LibraryFailed: one of them does not load.
        """
        return str(self._ask("load", str(path), tuple(custom), threads))

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs for one set of inputs, by name."""
        outputs: dict[str, NDArray[Any]] = self._ask("run", dict(inputs))
        return outputs

    def run_s(self, inputs: Mapping[str, NDArray[Any]]) -> float:
        """Return how long one run takes, in seconds, without the way to the process and back."""
        return float(self._ask("run_s", dict(inputs)))

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(MOST_S):
                raise TooLong(
                    f"{'loading' if method == 'load' else 'a run of'} {self._model} on this host did not end within"
                    f" {MOST_S:g} s",
                    fix="give inputs with which the model ends sooner: `shapes`, `ranges` or `input`",
                )
            answer, error = self._connection.recv()
        except (EOFError, OSError) as gone:
            raise self._ended() from gone
        except BaseException:  # what answers is now a request behind
            self._end()
            raise
        if error is None:
            return answer
        if bounded_process.lacks_memory(str(error)):
            raise self._lacks_memory()
        raise error

    def _ended(self) -> HostError | ModelError:
        with suppress(subprocess.TimeoutExpired):  # its own exit code says why, which a signal of edgesim's would hide
            self._process.wait(_END_S)
        self._end()
        self._stderr.seek(0)
        why = bounded_process.why_ended(self._process.returncode, self._stderr.read())
        return ModelError(f"{self._model}: {why}") if why is not None else self._lacks_memory()

    def _lacks_memory(self) -> HostError:
        return HostError(
            f"this host has too little memory to run {self._model} for comparison: the model may take"
            f" {format_bytes(self._most_bytes)} here",
            fix="free memory on this host",
        )


def _end(process: "subprocess.Popen[bytes]", connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()


# --- in the process ---------------------------------------------------------------------------------------------------


class _Worker:
    """What the process does for each method of `HostSession`."""

    _session: Any

    def load(self, path: str, custom: Sequence[str], threads: int) -> str:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # By itself ONNX Runtime starts a thread for each core of the machine, and binds the threads to cores that this
        # process may not be allowed to use.
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # the exception says everything that the log would
        for name in custom:
            registration.register(options, name)
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return str(onnxruntime.__version__)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return session_run.run(self._session, inputs)

    def run_s(self, inputs: Mapping[str, NDArray[Any]]) -> float:
        begun = time.perf_counter()
        self.run(inputs)
        return time.perf_counter() - begun


def _main(descriptor: int, most_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; edgesim decides what ends
    bounded_process.bound(most_bytes)
    connection, worker = Connection(descriptor), _Worker()
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        answer: tuple[Any, Exception | None]
        try:
            answer = getattr(worker, method)(*arguments), None
        except LibraryFailed as error:
            answer = None, error
        except Exception as error:  # the runtime's errors share no base class but this one
            answer = None, SessionFailed(str(error) or type(error).__name__)
        connection.send(answer)


if __name__ == "__main__":
    # By its name, since the classes of `__main__` are other ones than those that edgesim knows.
    from edgesim.measure import host_session

    host_session._main(int(sys.argv[1]), int(sys.argv[2]))
