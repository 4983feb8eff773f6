"""A server as a plain process of this host, without a container."""

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psutil

from edgesim.boards.server_command import server_arguments
from edgesim.engine.container import OutsideFacts, State
from edgesim.engine.mounts import Mount
from edgesim.host import busy, own_modules
from edgesim.host.cgroup import READING_INTERVAL_S
from edgesim.host.parent_death import end_with_parent
from edgesim.host.scratch import scratch_directory
from edgesim.host.signals import deferred
from edgesim.host.stops import StopsOf
from edgesim.models import gathered
from edgesim.models.repository import FILE_NAME
from edgesim.recording import Reading

_HIGHEST_PRIORITY = -20  # the nice value
_ENVIRONMENT_OF_IMAGE = {"ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
# The variables of a profile that reach a process of this host. Others can have it load code with this user's rights
# (LD_PRELOAD, PYTHONPATH, OMP_TOOL_LIBRARIES), and a profile may be a stranger's.
_HARMLESS_VARIABLES = frozenset(
    (
        *("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES"),
        *("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"),
    )
)


class LocalDevice:
    """A server in a process: an `edgesim.boards.device.Device`. Nothing limits it but its number of threads."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.start_s: float | None = None
        self._process = process
        self._stops = StopsOf(process.pid)
        self._log = log
        self._peak_bytes = 0
        self._port: int | None = None

    @property
    def url(self) -> str:
        """The server's URL; the port is 0 until the server has printed its port."""
        if self._port is None:
            match = re.search(r"listening on port (\d+)", self.log(1000))
            self._port = int(match[1]) if match else None
        return f"http://127.0.0.1:{self._port or 0}"

    @property
    def grpc_address(self) -> str | None:
        match = re.search(r"answering gRPC on port (\d+)", self.log(1000))
        return f"127.0.0.1:{match[1]}" if match else None

    @property
    def direct_url(self) -> str:
        return self.url

    @property
    def direct_grpc_address(self) -> str | None:
        return self.grpc_address

    @property
    def source(self) -> str:
        return "the process"

    @property
    def reading_interval_s(self) -> float:
        return READING_INTERVAL_S

    def state(self) -> State:
        code = self._process.poll()
        return State(running=True) if code is None else State(running=False, exit_code=code)

    def paused_s(self) -> float:
        return self._stops.seconds

    def from_outside(self) -> OutsideFacts:
        return OutsideFacts()

    def log(self, lines: int = 20) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def read(self) -> Reading:
        self._stops.look()
        try:
            process = psutil.Process(self._process.pid)
            with process.oneshot():
                times, memory, threads = process.cpu_times(), process.memory_info().rss, process.num_threads()
                io = process.io_counters()
        except psutil.Error:
            return Reading(at_ns=time.monotonic_ns(), cpu_seconds=None, memory_bytes=None)
        self._peak_bytes = max(self._peak_bytes, memory)
        anonymous = _anonymous_bytes(self._process.pid)
        return Reading(
            at_ns=time.monotonic_ns(),
            cpu_seconds=times.user + times.system,
            memory_bytes=memory,
            memory_peak_bytes=self._peak_bytes,
            memory_peak_source="largest resident set seen",
            read_bytes=io.read_bytes,
            written_bytes=io.write_bytes,
            memory_anon_bytes=anonymous,
            memory_unreclaimable_bytes=anonymous,
            processes=1,
            threads=threads,
        )

    def is_busy(self) -> bool:
        return busy.is_busy(self._process.pid)


def _end_with_parent_at_high_priority() -> None:
    """Run in the new process: raise its priority as well, if this user may.

    If the kernel groups processes by session, the nice value of the group counts (sched(7)).
    """
    end_with_parent()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _HIGHEST_PRIORITY)
        Path("/proc/self/autogroup").write_text(str(_HIGHEST_PRIORITY))


def _anonymous_bytes(pid: int) -> int | None:
    """Return the anonymous memory of a process, as a control group counts it; None if the host does not report it."""
    try:
        match = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


def variables_left_out(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables of a profile that a process of this host does not get; sorted."""
    return sorted(environment.keys() - _HARMLESS_VARIABLES)


@contextmanager
def start(
    mounts: Sequence[Mount],
    model_names: Sequence[str],
    *,
    intra_op_threads: int,
    board_cores: int | None = None,
    watch: bool = False,
    port: int = 0,
    grpc_port: int | None = None,
    environment: Mapping[str, str] | None = None,
    cores: Sequence[int] | None = None,
    high_priority: bool = False,
) -> Iterator[LocalDevice]:
    """Start a server; its process has ended when the block ends.

    Args:
        mounts: become symbolic links in a temporary directory, which is the model repository; model files that
            ONNX Runtime takes through no link are copied, see `edgesim.models.gathered`.
        board_cores: the most threads that a model's configuration may ask for; None means `intra_op_threads`.
        environment: variables of a profile; without those of `variables_left_out`.
        cores: cores of this host that the server may use; None means all.
        high_priority: run the server at nice -20, if this user may.
    """
    harmless = {name: value for name, value in (environment or {}).items() if name in _HARMLESS_VARIABLES}
    scratch = scratch_directory(ignore_cleanup_errors=True)
    directory = Path(scratch.name)
    process: subprocess.Popen[bytes] | None = None
    try:
        copied = list(_refused_as_links(mounts))
        for mount in mounts:
            link = directory / mount.target.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if mount in copied:
                gathered.copy(mount.source, link)
            else:
                link.symlink_to(mount.source)
        log = directory / "log"
        arguments = server_arguments(
            model_names,
            repository=str(directory / "models"),
            intra_op_threads=intra_op_threads,
            board_cores=board_cores or intra_op_threads,
            host="127.0.0.1",
            port=port,
            grpc_port=grpc_port,
            watch=watch,
        )
        with log.open("wb") as output:
            # In a session of its own, Ctrl-C does not reach the server: edgesim ends it.
            process = subprocess.Popen(
                own_modules.command("edgesim.server", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**own_modules.environment(), **_ENVIRONMENT_OF_IMAGE, **harmless},
                start_new_session=True,
                preexec_fn=_end_with_parent_at_high_priority if high_priority else end_with_parent,
            )
            if cores is not None:
                psutil.Process(process.pid).cpu_affinity(list(cores))  # before the process starts a thread
        yield LocalDevice(process, log)
    finally:
        with deferred():
            if process is not None:
                process.kill()
                process.wait()
            scratch.cleanup()


def _refused_as_links(mounts: Sequence[Mount]) -> Iterator[Mount]:
    """Yield the mounted files of the models of which ONNX Runtime refuses symbolic links."""
    for model in mounts:
        version = PurePosixPath(model.target).parent
        if model.target != f"{version}/{FILE_NAME}":
            continue
        weights = [other for other in mounts if other != model and PurePosixPath(other.target).is_relative_to(version)]
        if gathered.needs_copies(model.source, [file.source for file in weights]):
            yield from (model, *weights)
