"""What Podman's own API answers, and which limits its containers are made with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from requests.adapters import BaseAdapter

from edgesim.engine import podman
from edgesim.engine.container import Container
from edgesim.engine.docker_engine import limit_arguments
from edgesim.engine.engine_facts import EngineFacts

PODMAN = EngineFacts(
    "5.4.2", 2, 4 << 30, Path("/home/rl"), "amd64", "bare", "6.12.118", rootless=True, product="Podman"
)
BOARD = Container(
    image="x",
    platform="linux/amd64",
    arguments=None,
    mounts=(),
    memory_bytes=1 << 30,
    cpus=2,
    processes=512,
    cores=(1,),
)


class Answers(BaseAdapter):
    """An engine that answers each request with the same status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__()
        self.status, self.body, self.asked = status, body, ""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.asked = str(request.url)
        answer = requests.Response()
        answer.status_code = self.status
        answer._content = json.dumps(self.body).encode()
        return answer

    def close(self) -> None:
        """Nothing is open."""


# The answer of Podman 5.4.2 as Debian 13 delegates to a user, shortened to what is read; an engine without that API.
@pytest.mark.parametrize(
    ("status", "body", "controllers"),
    [
        (200, {"host": {"cgroupVersion": "v2", "cgroupControllers": ["cpu", "memory", "pids"]}}, "cpu memory pids"),
        (200, {"host": {"cgroupVersion": "v2", "cgroupControllers": None}}, None),
        (404, {"message": "Not Found"}, None),
    ],
)
def test_controllers_are_those_of_podmans_own_answer(status: int, body: Any, controllers: str | None) -> None:
    api, engine = docker.APIClient(base_url="http://podman:1", version="1.41"), Answers(status, body)
    api.mount("http://", engine)
    found = podman.controllers(api, "5.4.2")
    assert (" ".join(found) if found is not None else None) == controllers
    assert engine.asked.endswith("/v5.4.2/libpod/info")


def test_podman_is_not_asked_for_a_limit_that_it_would_refuse() -> None:
    everything = {"mem_limit", "memswap_limit", "cpu_period", "cpu_quota", "pids_limit", "cpuset_cpus"}
    assert limit_arguments(BOARD, PODMAN).keys() == everything
    without = replace(PODMAN, unlimited=("CPU", "cores", "storage rates"))
    assert limit_arguments(BOARD, without).keys() == everything - {"cpu_period", "cpu_quota", "cpuset_cpus"}
    assert limit_arguments(BOARD, replace(PODMAN, unlimited=("memory", "processes"))).keys() == {
        "cpu_period",
        "cpu_quota",
        "cpuset_cpus",
    }
    docker_ = replace(without, product="Docker")  # discards the limit, and says so
    assert limit_arguments(BOARD, docker_).keys() == everything
