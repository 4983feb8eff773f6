"""A control group above containers: made with limits, and removed, by the kernel's files or by systemd.

If this user may not do this, or the engine is on another machine, the text of this file runs in a container on that
machine. For this reason it imports the standard library only.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_REMOVE_PATIENCE_S = 5.0
_MOUNTS = Path("/proc/1/mountinfo")
_V2_CONTROLLERS = ("cpu", "memory", "pids", "io", "cpuset")
_ROOT = "edgesim"
# Of a user's own groups: only root may write the other one (xattr(7)).
_OWNER_ATTRIBUTE, _USERS_OWNER_ATTRIBUTE = "trusted.edgesim.owner", "user.edgesim.owner"


def main(order: Mapping[str, object]) -> None:
    """Carry out an order.

    Args:
        order: ``do`` is ``make`` or ``remove``, ``parent`` the group, ``limits`` its limits (see `make`), ``owner`` the
            name of its owner, ``rootless`` whether the group belongs to the user's own systemd.
    """
    parent, words = str(order["parent"]), ["--user"] if order.get("rootless") else []
    if order["do"] == "make":
        limits = order["limits"]
        assert isinstance(limits, Mapping)
        make(parent, {name: int(value) for name, value in limits.items()}, words)
        _set_owner(parent, str(order["owner"]), rootless=bool(order.get("rootless")))
    else:
        remove(parent, words)


def make(parent: str, limits: Mapping[str, int], user: list[str], mounts: Path = _MOUNTS) -> None:
    """Make the group `parent` with its limits.

    Args:
        limits: ``memory_bytes``, ``processes``, and ``quota_us`` of CPU time in each ``period_us``.
        user: arguments that select the user's own systemd; empty for the system's.
        mounts: the mount table of the machine.
    """
    if parent.endswith(".slice"):
        percent = 100 * limits["quota_us"] / limits["period_us"]
        properties = [
            f"MemoryMax={limits['memory_bytes']}",
            "MemorySwapMax=0",
            f"CPUQuota={percent:.2f}%",
            f"CPUQuotaPeriodSec={limits['period_us']}us",
            f"TasksMax={limits['processes']}",
        ]
        _systemctl(*user, "set-property", "--runtime", parent, *properties)
        _systemctl(*user, "start", parent)
        return
    v1, v2 = _mounted(mounts)
    if "memory" in v1:
        _make_v1(v1, parent, limits)
    elif v2 is not None:
        _make_v2(v2, parent, limits)
    else:
        raise OSError("no memory controller of control groups is mounted")


def _make_v1(mounts: Mapping[str, Path], parent: str, limits: Mapping[str, int]) -> None:
    groups = {name: mounts[name] / parent.lstrip("/") for name in ("memory", "cpu", "pids") if name in mounts}
    for group in groups.values():
        group.mkdir(parents=True, exist_ok=True)
    hierarchy = groups["memory"].parent / "memory.use_hierarchy"
    if (
        hierarchy.exists() and hierarchy.read_text().strip() == "0"
    ):  # before Linux 5.11 a group may not limit its children
        hierarchy.write_text("1")
    _write(groups["memory"] / "memory.limit_in_bytes", limits["memory_bytes"])
    if (
        groups["memory"] / "memory.memsw.limit_in_bytes"
    ).exists():  # memory and swap together, if the kernel counts swap
        _write(groups["memory"] / "memory.memsw.limit_in_bytes", limits["memory_bytes"])
    _write(groups["cpu"] / "cpu.cfs_period_us", limits["period_us"])
    _write(groups["cpu"] / "cpu.cfs_quota_us", limits["quota_us"])
    if "pids" in groups:
        _write(groups["pids"] / "pids.max", limits["processes"])


def _make_v2(mount: Path, parent: str, limits: Mapping[str, int]) -> None:
    group = mount / parent.lstrip("/")
    group.mkdir(parents=True, exist_ok=True)
    ancestors = [directory for directory in group.parents if directory.is_relative_to(mount)]
    for directory in reversed(ancestors):
        for controller in _V2_CONTROLLERS:
            try:
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:  # the kernel lacks this controller; if a limit needs it, writing the limit fails below
                continue
    _write(group / "memory.max", limits["memory_bytes"])
    if (group / "memory.swap.max").exists():
        _write(group / "memory.swap.max", 0)
    (group / "cpu.max").write_text(f"{limits['quota_us']} {limits['period_us']}")
    _write(group / "pids.max", limits["processes"])


def remove(parent: str, user: list[str], mounts: Path = _MOUNTS) -> None:
    """Remove the group if it is empty, and its parent if it contains nothing else."""
    if parent.endswith(".slice"):
        _systemctl(*user, "stop", parent)
        _systemctl(*user, "revert", parent)
        return
    for mount in _all_mounts(mounts):
        group = mount / parent.lstrip("/")
        _rmdir(group)
        with contextlib.suppress(OSError):  # the parent may contain other groups
            group.parent.rmdir()


def owners(mounts: Path = _MOUNTS, *, rootless: bool = False) -> dict[str, str]:
    """Return the owner of each empty group of edgesim's on this host, by the group's name.

    Args:
        rootless: look at the groups of this user's own systemd, in place of the system's.
    """
    found = {}
    for mount in _tops(mounts, rootless):
        groups = {f"/{_ROOT}/{path.name}": path for path in mount.glob(f"{_ROOT}/*/")}
        groups |= {path.name: path for path in mount.glob(f"{_ROOT}.slice/{_ROOT}-*.slice/")}
        for name, path in groups.items():
            with contextlib.suppress(OSError):  # the group was made without an owner, or is gone
                if not any(path.glob("*/")) and not (path / "cgroup.procs").read_text():
                    found[name] = os.getxattr(path, _attribute(rootless)).decode()
    return found


def _set_owner(parent: str, owner: str, mounts: Path = _MOUNTS, *, rootless: bool = False) -> None:
    """Record the owner with the group; a kernel that keeps no such attribute is no error."""
    inner = f"{_ROOT}.slice/{parent}" if parent.endswith(".slice") else parent.lstrip("/")
    for mount in _tops(mounts, rootless):
        with contextlib.suppress(OSError):
            os.setxattr(mount / inner, _attribute(rootless), owner.encode())


def _attribute(rootless: bool) -> str:
    return _USERS_OWNER_ATTRIBUTE if rootless else _OWNER_ATTRIBUTE


def _tops(mounts: Path, rootless: bool) -> set[Path]:
    """Return the directories that groups are in: those of a user's systemd are within its user@.service."""
    if not rootless:
        return _all_mounts(mounts)
    user = os.geteuid()
    return {mount / f"user.slice/user-{user}.slice/user@{user}.service" for mount in _all_mounts(mounts)}


def _rmdir(group: Path) -> None:
    """Remove a group and its children; wait, since a container's own group disappears a moment after the container."""
    until = time.monotonic() + _REMOVE_PATIENCE_S
    while group.is_dir():
        try:
            for child in sorted(group.glob("*/")):
                child.rmdir()
            group.rmdir()
        except OSError:
            if time.monotonic() >= until:
                return
            time.sleep(0.05)


def _all_mounts(mounts: Path) -> set[Path]:
    v1, v2 = _mounted(mounts)
    return {*v1.values(), *([v2] if v2 is not None else [])}


def _mounted(mounts: Path) -> tuple[dict[str, Path], Path | None]:
    """Return the mount points of version 1's controllers, and version 2's (proc(5)), as the first process sees them."""
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for point, kind, options in _lines(mounts):
        if kind == "cgroup2":
            v2 = point
        elif kind == "cgroup":
            v1 |= dict.fromkeys(options.split(","), point)
    return v1, v2


def _lines(mounts: Path) -> Iterator[tuple[Path, str, str]]:
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        yield Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])), kind, options


def _write(file: Path, value: int) -> None:
    file.write_text(str(value))


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise OSError(f"systemctl {' '.join(words)}: {' '.join(done.stderr.split())}")


if __name__ == "__main__":
    # In a privileged container: use the machine's own files and its own systemd.
    os.chroot("/host")
    os.chdir("/")
    os.environ["SYSTEMD_IGNORE_CHROOT"] = "1"
    main(json.loads(sys.argv[1]))
