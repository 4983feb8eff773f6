"""What an engine is: Docker or Podman, whose machine it runs on, and what it cannot do there; from its own answers."""

import platform
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.engine.own_container import OwnContainer
from edgesim.engine.podman import is_podman
from edgesim.host.architecture import architecture_of

# What an engine can limit, by the key with which it reports that it can (GET /info).
_LIMITS = {
    "memory": "MemoryLimit",
    "swap": "SwapLimit",
    "CPU": "CpuCfsQuota",
    "processes": "PidsLimit",
    "cores": "CPUSet",
}
# The controllers of control groups v2 that these limits rest on.
_CONTROLLERS = {
    "memory": "memory",
    "swap": "memory",
    "CPU": "cpu",
    "processes": "pids",
    "cores": "cpuset",
    "storage rates": "io",
}
# Docker reports on storage rates only in the warnings of that answer, in words of version 2 or of version 1.
_NO_RATES = re.compile(r"No (?:io\.max \([rw]bps\)|blkio throttle\.(?:read|write)_bps_device) support")
_SNAP_STORAGE = "/var/snap/docker"


@dataclass(frozen=True)
class EngineFacts:
    """What the engine reports about itself and its machine.

    Attributes:
        storage: directory of the engine's own files, on its machine.
        architecture: of the engine's machine, ``amd64`` or ``arm64``.
        name: host name of the engine's machine.
        relabels: whether containers can read only files with SELinux labels.
        rootless: whether the engine's root is the user who runs edgesim.
        driver: what makes its control groups: ``cgroupfs`` (the engine itself) or ``systemd``.
        product: ``Docker``, or ``Podman`` behind Docker's API.
        setting: the program that runs the engine, often in a virtual machine: ``Docker Desktop``, ``OrbStack``,
            ``Colima``, ``WSL2`` or ``snap``; None for an engine on a plain Linux machine.
        cgroup_version: of the engine's kernel, ``1`` or ``2``; None if the engine does not say.
        unlimited: what the engine's kernel does not let it limit: ``memory``, ``swap``, ``CPU``, ``processes``,
            ``cores`` (the cores that a container may use), or ``storage rates``.
        in_containerd: whether containerd stores its images, and not the engine itself in `storage`.
        limits_nothing: whether its containers have no control groups of their own: nothing is limited, and what the
            engine reports of a container's resources is the whole machine's.
        own: edgesim's own container, if edgesim runs in one of this engine.
    """

    version: str
    cores: int
    memory_bytes: int
    storage: Path
    architecture: str
    name: str
    kernel: str
    relabels: bool = False
    rootless: bool = False
    driver: str = "cgroupfs"
    product: str = "Docker"
    setting: str | None = None
    cgroup_version: str | None = None
    unlimited: tuple[str, ...] = ()
    in_containerd: bool = False
    limits_nothing: bool = False
    own: OwnContainer | None = None

    @classmethod
    def of(
        cls,
        version: Mapping[str, Any],
        info: Mapping[str, Any],
        own: OwnContainer | None = None,
        controllers: Collection[str] | None = None,
    ) -> "EngineFacts":
        """Return the facts that an engine answers with.

        Args:
            version: the answer to ``GET /version``.
            info: the answer to ``GET /info``.
            own: edgesim's own container, if edgesim runs in one of this engine.
            controllers: the controllers of control groups that Podman has, by its own API; None if not known.
        """
        security = ",".join(info.get("SecurityOptions") or ())
        rootless = "name=rootless" in security or info.get("Rootless") is True  # Podman 4.3 has only the latter
        # Version 1 delegates nothing to a user (cgroups(7)). Podman reports the whole machine's controllers there, and
        # ignores the limits without a word; Docker's driver is `none`.
        limits_nothing = rootless and (info.get("CgroupVersion") == "1" or info.get("CgroupDriver") == "none")
        return cls(
            version["Version"],
            info["NCPU"],
            info["MemTotal"],
            Path(info["DockerRootDir"]),
            architecture=architecture_of(info["Architecture"]),
            name=info["Name"],
            kernel=info["KernelVersion"],
            relabels="name=selinux" in security,
            rootless=rootless,
            driver=info.get("CgroupDriver", "cgroupfs"),
            product="Podman" if is_podman(version) else "Docker",
            setting=_setting(info),
            cgroup_version=info.get("CgroupVersion"),
            unlimited=_unlimited(version, info, limits_nothing, controllers),
            in_containerd="containerd" in str(dict(info.get("DriverStatus") or ()).get("driver-type", "")),
            limits_nothing=limits_nothing,
            own=own,
        )

    @property
    def on_this_host(self) -> bool:
        """Whether the engine runs where edgesim runs: in no virtual machine, and with no container in between."""
        here = (socket.gethostname(), platform.release())
        return platform.system() == "Linux" and self.own is None and (self.name, self.kernel) == here

    @property
    def shares_network(self) -> bool:
        """Whether this host reaches containers at their own addresses.

        An engine without root has a network in a namespace of its own: the same address of this host may be a container
        of another engine.
        """
        return self.on_this_host and not self.rootless

    @property
    def title(self) -> str:
        """Name and version, such as ``Docker 28.0.1``."""
        return f"{self.product} {self.version}"


def _unlimited(
    version: Mapping[str, Any], info: Mapping[str, Any], limits_nothing: bool, controllers: Collection[str] | None
) -> tuple[str, ...]:
    # On control groups v2, Podman looks for the files of v1, and denies limits that it sets: its controllers tell, or,
    # without them, the limits that are read back.
    if is_podman(version) and info.get("CgroupVersion") == "2":
        return tuple(name for name, each in _CONTROLLERS.items() if controllers is not None and each not in controllers)
    lacking = [name for name, key in _LIMITS.items() if limits_nothing or info.get(key) is False]
    if limits_nothing or any(_NO_RATES.search(str(warning)) for warning in info.get("Warnings") or ()):
        lacking.append("storage rates")
    return tuple(lacking)


def _setting(info: Mapping[str, Any]) -> str | None:
    """Return the program that runs the engine, by what each one's ``docker info`` shows."""
    system, name, kernel = (str(info.get(key, "")) for key in ("OperatingSystem", "Name", "KernelVersion"))
    if system in ("Docker Desktop", "OrbStack"):
        return system
    if name == "colima" or name.startswith("colima-"):  # a profile's machine is colima-PROFILE
        return "Colima"
    if str(info.get("DockerRootDir", "")).startswith(_SNAP_STORAGE):
        return "snap"
    return "WSL2" if "microsoft-standard-WSL2" in kernel else None
