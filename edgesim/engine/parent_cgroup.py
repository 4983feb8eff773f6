"""One set of limits for several containers: their parent control group, whose sum is held to the board's limits."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import docker.types

from edgesim.engine.api_errors import engine_call
from edgesim.engine.delegation import remedy
from edgesim.engine.docker_engine import Engine
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.labels import run_labels
from edgesim.errors import EdgesimError, LimitsDenied
from edgesim.host import cgroup_tree
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.owner import Owner, is_left_behind
from edgesim.host.signals import deferred

_ROOT = "edgesim"


# What a group limits, by the names in `EngineFacts.unlimited`.
_LIMITED = ("memory", "CPU", "processes")


def require(facts: EngineFacts) -> None:
    """Check that an engine without root can limit containers together.

    Raises:
        LimitsDenied: it says that it cannot.
    """
    lacking = [name for name in _LIMITED if name in facts.unlimited]
    if facts.rootless and lacking:
        raise LimitsDenied(
            f"the stack's services cannot share common limits: {facts.title} without root cannot limit"
            f" {', '.join(lacking)} on its host",
            fix=remedy(facts),
        )


@dataclass(frozen=True)
class ParentCgroup:
    """A control group above containers; `name` is what the engine takes as a container's ``--cgroup-parent``."""

    name: str

    @classmethod
    def of(cls, stack: str, facts: EngineFacts | None) -> "ParentCgroup":
        """Return the parent group of a stack, named as the engine's cgroup driver wants it.

        In the name of a slice, a hyphen separates it from the slice that it is in (systemd.slice(5)): hyphens of the
        stack's name are replaced.
        """
        if facts is not None and facts.driver == "systemd":
            return cls(f"{_ROOT}-{stack.replace('-', '_')}.slice")
        return cls(f"/{_ROOT}/{stack}")

    @staticmethod
    def can_be_made_by_user(facts: EngineFacts) -> bool:
        """Return whether this user may make the group; else a privileged container of the engine makes it."""
        return facts.on_this_host and (os.geteuid() == 0 or facts.rootless)

    def make(self, engine: Engine, *, memory_bytes: int, cpus: float, processes: int, image: str | None) -> None:
        """Make the group with the board's limits.

        Args:
            image: an image of the engine's architecture with Python, for the privileged container.

        Raises:
            LimitsDenied: the group cannot be made, or cannot be limited.
        """
        quota = CpuQuota.of_container(cpus)
        limits = {
            "memory_bytes": memory_bytes,
            "quota_us": quota.quota_us,
            "period_us": quota.period_us,
            "processes": processes,
        }
        try:
            self._run(engine, {"do": "make", "limits": limits, "owner": Owner.this_process().label}, image)
        except (OSError, EdgesimError, subprocess.TimeoutExpired) as error:
            raise LimitsDenied(
                f"the stack's services cannot share common limits: {self.name} cannot be made and limited: {error}",
                fix=remedy(engine.facts)
                if engine.facts.rootless
                else "run as root, or as a user who may start privileged containers on the engine's host",
            ) from error

    def remove(self, engine: Engine, image: str | None) -> None:
        """Remove the group once its containers are gone; without an image, only if this user may.

        An empty group that stays does no harm: a failure to remove it is ignored.
        """
        try:
            self._run(engine, {"do": "remove"}, image)
        except (OSError, EdgesimError, subprocess.TimeoutExpired):
            return

    @classmethod
    def left_behind(cls, engine: Engine) -> list["ParentCgroup"]:
        """Return the empty groups on this host of processes that have ended, as far as this user may remove them."""
        if not cls.can_be_made_by_user(engine.facts):
            return []
        return [
            cls(name)
            for name, owner in sorted(cgroup_tree.owners(rootless=engine.facts.rootless).items())
            if is_left_behind(owner)
        ]

    def _run(self, engine: Engine, order: dict[str, object], image: str | None) -> None:
        order |= {"parent": self.name, "rootless": engine.facts.rootless}
        if self.can_be_made_by_user(engine.facts):
            with deferred():
                cgroup_tree.main(order)
        elif image is not None:
            _run_in_container(engine, order, image)
        else:
            raise PermissionError("this needs root")


def _run_in_container(engine: Engine, order: dict[str, object], image: str) -> None:
    """Run `cgroup_tree` in a privileged container, as root of the engine's machine: whoever may use the engine may."""
    program = Path(cgroup_tree.__file__).read_text(encoding="utf-8")
    with engine_call():
        container = engine.client.containers.create(
            image,
            ["-S", "-I", "-c", program, json.dumps(order)],
            entrypoint=["python3"],
            user="0:0",
            privileged=True,
            mounts=[docker.types.Mount("/host", "/", type="bind")],
            pid_mode="host",  # systemd looks at the calling process, and cannot see one in another namespace
            network_mode="none",
            labels=run_labels(),
        )
        try:
            container.start()
            ended = container.wait()
            lines = container.logs().decode(errors="replace").strip().splitlines()
        finally:
            container.remove(force=True, v=True)
    if ended["StatusCode"] != 0:
        raise OSError(lines[-1] if lines else f"the helper container ended with {ended['StatusCode']}")
