"""Which machine an engine runs on: read by a container where the engine is not on this host itself."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from edgesim.engine import machine
from edgesim.engine.context import Context
from edgesim.engine.engine_facts import EngineFacts
from edgesim.host import identity
from edgesim.host.identity import MachineIdentity

# What the container prints on a Jetson Nano behind a context.
OUTPUT = (
    b"edgesim-file /proc/cpuinfo\n"
    b"processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n\n\n"
    b"edgesim-file /run/edgesim-firmware/devicetree/base/model\nNVIDIA Jetson Nano Developer Kit\0\n"
    b"edgesim-file /sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq\n1479000\n\n"
)
FACTS = EngineFacts(
    "26.1", 4, 4 << 30, Path("/var/lib/docker"), architecture="arm64", name="board1", kernel="4.9.253-tegra"
)


class Containers:
    """The containers of an engine, which `refuses` this many creations."""

    def __init__(self, output: bytes = OUTPUT, *, refuses: int = 0) -> None:
        self.created: list[dict[str, Any]] = []
        self.removed = 0
        self._output, self._refuses = output, refuses

    def create(self, image: str, command: list[str], **options: Any) -> Any:
        self.created.append({"image": image, "command": command, **options})
        if len(self.created) <= self._refuses:
            raise docker.errors.APIError("refused", explanation="bind source path does not exist: /sys/firmware")
        return SimpleNamespace(
            start=lambda: None, wait=lambda timeout: None, logs=lambda stderr: self._output, remove=self._remove
        )

    def _remove(self, **_: Any) -> None:
        self.removed += 1


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_known", {})


def engine(containers: Containers, url: str = "tcp://10.0.0.7:2375", facts: EngineFacts = FACTS) -> Any:
    return SimpleNamespace(
        context=Context(name=None, url=url), facts=facts, client=SimpleNamespace(containers=containers)
    )


def test_machine_behind_a_context_is_read_by_a_container() -> None:
    containers = Containers()
    read = machine.identity_of(engine(containers), lambda: "edgesim/jetson:arm64")
    assert [(group.core, group.count, group.clock_hz) for group in read.cores] == [("Cortex-A57", 1, 1_479_000_000)]
    assert (read.board, read.architecture) == ("NVIDIA Jetson Nano Developer Kit", "arm64")
    (created,) = containers.created
    assert created["image"] == "edgesim/jetson:arm64"
    (mount,) = created["mounts"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("/sys/firmware", "/run/edgesim-firmware", True)
    assert containers.removed == 1


def test_machine_is_read_once() -> None:
    containers = Containers()
    for _ in range(2):
        machine.identity_of(engine(containers), lambda: "image")
    assert len(containers.created) == 1


def test_engine_that_cannot_mount_the_firmware_gives_what_else_there_is() -> None:
    containers = Containers(OUTPUT.split(b"edgesim-file /run")[0], refuses=2)
    read = machine.identity_of(engine(containers), lambda: "image")
    assert (read.cores[0].core, read.board) == ("Cortex-A57", None)
    assert [len(created["mounts"]) for created in containers.created] == [1, 1, 0]


def test_image_without_python_is_asked_through_its_shell() -> None:
    containers = Containers(refuses=1)
    assert machine.identity_of(engine(containers), lambda: "image").board == "NVIDIA Jetson Nano Developer Kit"
    assert [created["entrypoint"] for created in containers.created] == [["/usr/bin/python3"], ["/bin/sh"]]


def test_image_that_can_read_nothing_leaves_the_machine_unknown() -> None:
    read = machine.identity_of(engine(Containers(refuses=4)), lambda: "image")
    assert read == MachineIdentity(architecture="arm64")


def test_without_an_image_no_container_is_started() -> None:
    containers = Containers()
    assert machine.identity_of(engine(containers), lambda: None) == MachineIdentity(architecture="arm64")
    assert containers.created == []


def test_engine_in_a_virtual_machine_of_this_host_is_read_by_a_container() -> None:
    containers = Containers()
    machine.identity_of(engine(containers, "unix:///var/run/docker.sock"), lambda: "image")
    assert len(containers.created) == 1


def test_engine_on_this_host_itself_needs_no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    here = MachineIdentity(architecture="arm64", board="this very board")
    monkeypatch.setattr(identity, "of_this_host", lambda: here)
    monkeypatch.setattr(EngineFacts, "on_this_host", True)
    read = machine.identity_of(engine(Containers(), "unix:///run/docker.sock", replace(FACTS)), lambda: "image")
    assert read == here
