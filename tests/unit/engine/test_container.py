"""A container as its engine's facts let this host see it."""

import os
import platform
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgesim.engine.container import DockerDevice
from edgesim.engine.engine_facts import EngineFacts

HERE = EngineFacts(
    "26.1", 2, 1 << 30, Path("/"), "amd64", socket.gethostname(), platform.release(), rootless=True, limits_nothing=True
)


class FakeContainer:
    """A container whose first process is this one, and which the engine answers no other question about."""

    id = "0" * 64

    def __init__(self) -> None:
        self.attrs: dict[str, Any] = {
            "State": {"Pid": os.getpid()},
            "NetworkSettings": {
                "Networks": {"bridge": {"IPAddress": "172.17.0.2"}},
                "Ports": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "49153"}]},
            },
        }

    def reload(self) -> None:
        """The answer stays the same."""


def _device(facts: EngineFacts) -> DockerDevice:
    return DockerDevice(FakeContainer(), 8000, architecture="amd64", start_s=0.0, facts=facts)


def test_container_without_a_control_group_of_its_own_is_read_by_its_processes() -> None:
    device = _device(HERE)
    assert device.source == "the container's processes"
    reading = device.read()
    assert reading.memory_peak_source == "largest resident sets seen"
    assert reading.processes is not None


def test_figures_of_an_engines_whole_machine_are_none_of_a_container() -> None:
    reading = _device(replace(HERE, name="another-machine")).read()
    assert set(reading._replace(at_ns=None)) == {None}  # type: ignore[arg-type]


def test_board_of_an_engine_without_root_is_reached_at_its_published_port() -> None:
    device = _device(HERE)
    device._cgroup = object()  # type: ignore[assignment]  # with control groups v2 it has one
    assert device.container_url == "http://127.0.0.1:49153"
    device._facts = replace(HERE, rootless=False)
    assert device.container_url == "http://172.17.0.2:8000"
