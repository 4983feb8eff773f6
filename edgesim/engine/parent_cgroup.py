"""One budget for several containers: the control group above them, which holds their sum to the board's limits."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import docker.types

from edgesim import __version__
from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import LABEL, OWNER_LABEL, Engine, EngineFacts, owner
from edgesim.errors import BudgetDenied, EdgesimError
from edgesim.host import cgroup_tree
from edgesim.host.signals import deferred

_PERIOD_US = 10_000
_ABOVE = "edgesim"


@dataclass(frozen=True)
class Parent:
    """The group, by the name that the engine takes as a container's ``--cgroup-parent``."""

    name: str

    @classmethod
    def of(cls, stack: str, facts: EngineFacts | None) -> "Parent":
        """That of a stack, as the engine's driver wants it.

        A hyphen in a slice's name stands for one slice in another (systemd.slice(5)), so none is left in the stack's.
        """
        if facts is not None and facts.driver == "systemd":
            return cls(f"{_ABOVE}-{stack.replace('-', '_')}.slice")
        return cls(f"/{_ABOVE}/{stack}")

    @staticmethod
    def is_ours_to_make(facts: EngineFacts) -> bool:
        """Whether this user may; else it takes a container of the engine's."""
        return facts.here and (os.geteuid() == 0 or facts.rootless)

    def make(self, engine: Engine, *, memory_bytes: int, cpus: float, processes: int, image: str | None) -> None:
        """Make it, with the board's limits.

        Args:
            image: of this host's architecture and with Python, for where it takes a container to do it.

        Raises:
            BudgetDenied: it cannot be made, or not be limited.
        """
        limits = {
            "memory_bytes": memory_bytes,
            "quota_us": round(cpus * _PERIOD_US),
            "period_us": _PERIOD_US,
            "processes": processes,
        }
        try:
            self._do(engine, {"do": "make", "limits": limits}, image)
        except (OSError, EdgesimError, subprocess.TimeoutExpired) as error:
            raise BudgetDenied(
                f"no one budget for the stack's services: {self.name} cannot be made and limited: {error}",
                fix="run as root, or as a user who may start privileged containers on the engine's host",
            ) from error

    def remove(self, engine: Engine, image: str | None) -> None:
        """Remove it once its containers are gone; without an image, only where this user may do it.

        An empty group that stays does nothing; it is no reason to fail.
        """
        try:
            self._do(engine, {"do": "remove"}, image)
        except (OSError, EdgesimError, subprocess.TimeoutExpired):
            return

    def _do(self, engine: Engine, order: dict[str, object], image: str | None) -> None:
        order |= {"parent": self.name, "rootless": engine.facts.rootless}
        if self.is_ours_to_make(engine.facts):
            with deferred():
                cgroup_tree.main(order)
        elif image is not None:
            _in_container(engine, order, image)
        else:
            raise PermissionError("only root may")


def _in_container(engine: Engine, order: dict[str, object], image: str) -> None:
    """As the first process of the engine's machine would: who may use the engine may do this, too."""
    program = Path(cgroup_tree.__file__).read_text()
    with engine_call():
        container = engine.client.containers.create(
            image,
            ["-S", "-I", "-c", program, json.dumps(order)],
            entrypoint=["python3.11"],
            user="0:0",
            privileged=True,
            mounts=[docker.types.Mount("/host", "/", type="bind")],
            pid_mode="host",  # or systemd, which looks at who asks, sees nobody
            network_mode="none",
            labels={LABEL: __version__, OWNER_LABEL: owner()},
        )
        try:
            container.start()
            ended = container.wait()
            said = container.logs().decode(errors="replace").strip().splitlines()
        finally:
            container.remove(force=True, v=True)
    if ended["StatusCode"] != 0:
        raise OSError(said[-1] if said else f"it ended with {ended['StatusCode']}")
