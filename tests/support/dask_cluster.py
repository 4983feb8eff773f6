"""A scheduler of Dask and its workers, as processes of this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PATIENCE_S = 90
_DASK = [sys.executable, "-m", "dask"]
BOARD = "board=1,engine=1,arm64=1,amd64=1"


@dataclass
class DaskCluster:
    """The processes by their names, and the scheduler's address; each writes its log into `directory`.

    Attributes:
        protocol: ``tcp``, or ``tls`` where `environment` has Dask's variables of certificates.
    """

    directory: Path
    address: str = ""
    protocol: str = "tcp"
    environment: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start_scheduler(self) -> None:
        """Start the scheduler on a port that is free, or on the one that it had."""
        port = self.address.rpartition(":")[2] or "0"
        words = ["scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-show"]
        words += ["--protocol", self.protocol]
        self._start("scheduler", words, {})
        self.address = self._wait_for("scheduler", rf"Scheduler at:\s+({self.protocol}://\S+)")

    def start_worker(
        self,
        name: str,
        *,
        resources: str = BOARD,
        environment: Mapping[str, str] | None = None,
        preload: Path | None = None,
        nanny: bool = False,
    ) -> None:
        """Start a worker; return when the scheduler has it."""
        words = ["worker", self.address, "--nthreads", "1", "--no-dashboard", "--resources", resources]
        # A worker that a nanny starts again would be a new one.
        words += ["--nanny" if nanny else "--no-nanny", "--local-directory", str(self.directory / f"{name}-scratch")]
        words += ["--preload", str(preload)] if preload is not None else []
        self._start(name, words, environment or {})
        self._wait_for(name, r"(Registered to)")

    def kill(self, name: str) -> None:
        """Kill a process by SIGKILL."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.directory / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [*_DASK, *words], stdout=log, stderr=log, env={**os.environ, **self.environment, **environment}
            )

    def _wait_for(self, name: str, pattern: str) -> str:
        until = time.monotonic() + _PATIENCE_S
        while (found := re.search(pattern, self.log(name))) is None:
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < until, self.log(name)
            time.sleep(0.1)
        return found[1]


@contextmanager
def running(directory: Path, *, tls: Mapping[str, str] | None = None) -> Iterator[DaskCluster]:
    """Yield a cluster with a scheduler and no worker; all of its processes are ended at the end of the block.

    Args:
        tls: Dask's variables of certificates.
    """
    cluster = DaskCluster(directory, protocol="tls" if tls else "tcp", environment=tls or {})
    try:
        cluster.start_scheduler()
        yield cluster
    finally:
        for process in cluster.processes.values():
            process.terminate()
        for process in cluster.processes.values():
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
