"""A second, empty Docker Engine on this machine, which stands for an engine on another machine."""

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

_PATIENCE_S = 60
_BRIDGE = "edgesimtest"  # and a number, which is the third of its network's address, too
_NUMBERS = range(64, 128)
_PR_SET_PDEATHSIG = 1


@dataclass
class OtherEngine:
    """An engine of the tests' own.

    Attributes:
        host, address: its addresses: local, and by TCP to `machine`, as another machine's would be.
        namespace: containerd's name for its containers.
        data: the directory of its images, containers and volumes.
    """

    host: str
    address: str
    machine: str
    namespace: str
    data: Path
    _command: list[str]
    _log: Path
    _daemon: "subprocess.Popen[bytes] | None" = None

    def start(self, give_up: Callable[[str], object] = pytest.fail) -> None:
        """Start the engine, and wait until it answers."""
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True, preexec_fn=_end_with_parent
            )
        _wait(self._daemon, self.host, self._log, give_up)

    def stop(self) -> None:
        """Stop the engine with its containers."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(timeout=_PATIENCE_S)

    def docker(self, *arguments: str, **options: object) -> str:
        """Run the docker command on this engine; return what the command prints."""
        command = ["docker", "-H", self.host, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()


@contextmanager
def running(
    *, required: bool, images_in_containerd: bool = False, disk_bytes: int | None = None
) -> Iterator[OtherEngine]:
    """Start the engine, with a network of its own that leads nowhere, and without any rule in this host's firewall.

    If the engine cannot run here, the test is skipped, or fails if Docker is `required`.

    Args:
        images_in_containerd: whether containerd stores the engine's images, as in new installations.
        disk_bytes: size of a disk of the engine's own; None means that it shares this host's.
    """
    give_up = pytest.fail if required else pytest.skip
    if os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("ip") is None:
        give_up("a second engine takes root, dockerd and ip")
    # The path of a socket must be short, and pytest's directories have long paths.
    directory = Path(tempfile.mkdtemp(prefix="edgesim-engine-", dir="/tmp"))
    bridge, machine = _new_bridge()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://{machine}:{free.getsockname()[1]}"
    host = f"unix://{directory}/docker.sock"
    configuration = directory / "daemon.json"
    configuration.write_text(json.dumps({"features": {"containerd-snapshotter": images_in_containerd}}))
    command = [
        "dockerd",
        "--config-file",
        str(configuration),
        "--data-root",
        f"{directory}/data",
        "--exec-root",
        f"{directory}/exec",
        "--pidfile",
        f"{directory}/pid",
        "-H",
        host,
        "-H",
        address,
        "--tls=false",
        "--bridge",
        bridge,
        "--iptables=false",
        "--ip6tables=false",
        "--containerd-namespace",
        bridge,
        "--containerd-plugins-namespace",
        f"{bridge}-plugins",
    ]
    try:
        subprocess.run(["ip", "addr", "add", f"{machine}/24", "dev", bridge], check=True)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        engine = OtherEngine(host, address, machine, bridge, directory / "data", command, directory / "log")
        with _disk(engine.data, disk_bytes) if disk_bytes is not None else nullcontext():
            try:
                engine.start(give_up)
                yield engine
                if images_in_containerd:  # they are in a directory of the whole machine
                    engine.docker("image", "prune", "--all", "--force")
            finally:
                engine.stop()
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=True)
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _disk(directory: Path, size_bytes: int) -> Iterator[None]:
    """Mount a file system of this size at the directory."""
    file = directory.with_suffix(".ext4")
    with file.open("wb") as disk:
        disk.truncate(size_bytes)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    directory.mkdir()
    subprocess.run(["mount", "-o", "loop", str(file), str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def _new_bridge() -> tuple[str, str]:
    """Make a bridge; return its name and address.

    Two test runs on one host have two bridges, since the kernel refuses a name that is taken. A bridge's alias is the
    process that made it.
    """
    for number in _NUMBERS:
        bridge = f"{_BRIDGE}{number}"
        if _is_left_behind(bridge):
            subprocess.run(["ip", "link", "delete", bridge], capture_output=True, check=False)
        add = ["ip", "link", "add", bridge, "type", "bridge"]
        if subprocess.run(add, capture_output=True, check=False).returncode == 0:
            subprocess.run(["ip", "link", "set", "dev", bridge, "alias", str(os.getpid())], check=True)
            return bridge, f"172.31.{number}.1"
    pytest.fail(f"no bridge can be made: {_BRIDGE}{_NUMBERS[0]} to {_NUMBERS[-1]} are taken")


def _is_left_behind(bridge: str) -> bool:
    """Return whether the test run that made a bridge is gone, which was killed."""
    alias = Path("/sys/class/net") / bridge / "ifalias"
    return alias.exists() and not Path(f"/proc/{alias.read_text().strip()}").is_dir()


def _end_with_parent() -> None:
    """Run in the new process: have the kernel end it with the test run, however the test run ends (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _wait(daemon: "subprocess.Popen[bytes]", host: str, log: Path, give_up: Callable[[str], object]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while subprocess.run(["docker", "-H", host, "version"], capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > until:
            give_up(f"a second engine does not start here: {log.read_text()[-500:]}")
        time.sleep(0.3)
