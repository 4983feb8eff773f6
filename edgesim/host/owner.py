"""The owner of what a run makes: a process, by a name that no other process ever gets.

Containers, networks and volumes carry the owner in a label, and temporary directories in their name: a name is there
from the first moment on, and other users may read it. Whatever has an owner that is gone was left behind.
"""

import hashlib
import os
import re
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID = Path("/etc/machine-id")
_NAMESPACE = Path("/proc/self/ns/pid")  # only Linux has it
# A name of a file cannot have the label's colons: they separate the parts of a bind mount.
_FORM = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<namespace>\d+)[:-](?P<pid>\d+)[:-](?P<start>\d+)")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process.

    Attributes:
        host: digest of the host's name and machine id; two machines may have the same name.
        boot: the beginning of the kernel's boot id.
        namespace: the namespace of process ids: containers may share the host's name, and not its process ids.
        start: when the process started, in clock ticks since the boot. Unlike a time of day, it stays the same when the
            clock is set.
    """

    host: str
    boot: str
    namespace: int
    pid: int
    start: int

    @classmethod
    def this_process(cls) -> "Owner":
        """Return the owner of what this process makes."""
        host, boot, namespace = _here()
        start = _start_of(os.getpid())
        return cls(host=host, boot=boot, namespace=namespace, pid=os.getpid(), start=start if start is not None else 0)

    @classmethod
    def named_in(cls, text: str) -> "Owner | None":
        """Return the owner that a label or a file's name has; None if it has none."""
        match = _FORM.search(text)
        if match is None:
            return None
        return cls(
            host=match["host"],
            boot=match["boot"],
            namespace=int(match["namespace"]),
            pid=int(match["pid"]),
            start=int(match["start"]),
        )

    @property
    def label(self) -> str:
        """The owner as the value of a label."""
        return f"{self.host}-{self.boot}-{self.namespace}:{self.pid}:{self.start}"

    @property
    def file_name(self) -> str:
        """The owner as a part of a file's name."""
        return self.label.replace(":", "-")

    @property
    def is_gone(self) -> bool:
        """Whether the process has ended; False if this process cannot tell, as of a process of another host."""
        host, boot, namespace = _here()
        if self.host != host:
            return False
        if self.boot != boot:
            return True
        return self.namespace == namespace and _start_of(self.pid) != self.start


def is_left_behind(text: str) -> bool:
    """Return whether a label or a file's name has an owner that is gone."""
    owner = Owner.named_in(text)
    return owner is not None and owner.is_gone


def is_running(pid: int) -> bool:
    """Return whether a process of this host runs, as far as this process sees it."""
    return _start_of(pid) is not None


@cache
def _here() -> tuple[str, str, int]:
    """Return the host, the boot and the namespace of process ids of this process."""
    host = hashlib.sha256(f"{socket.gethostname()}\n{_text(_MACHINE_ID)}".encode()).hexdigest()[:8]
    return host, _text(_BOOT_ID)[:8] or "0" * 8, _NAMESPACE.stat().st_ino if _NAMESPACE.exists() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _start_of(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot (proc_pid_stat(5)); None if there is none.

    A process that has ended and whose parent has not asked for its exit code is none. On other systems than Linux the
    ticks are hundredths of a second since 1970.
    """
    if not _NAMESPACE.exists():
        try:
            return int(100 * psutil.Process(pid).create_time())
        except psutil.Error:
            return None
    try:
        # The second field, the program's name, may have blanks and parentheses in it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[19]) if fields[0] not in "ZX" else None
