"""What the engine's events say about the services of a stack."""

from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.engine import compose_project
from edgesim.engine.compose_project import Project, killed_in
from edgesim.errors import HostError


def test_a_service_that_ends_with_sigkill_after_memory_ran_out_is_the_one_that_was_killed() -> None:
    def event(at: int, action: str, service: str, **facts: str) -> dict[str, Any]:
        attributes = {"com.docker.compose.service": service} | facts
        return {"timeNano": at, "Action": action, "Actor": {"Attributes": attributes}}

    events = [
        event(4, "die", "two", exitCode="137"),
        event(1, "oom", "one"),
        event(2, "oom", "two"),  # all in the group are told
        event(5, "die", "one", exitCode="0"),
        event(6, "die", "three", exitCode="137"),  # somebody's docker kill
        event(7, "oom", "two"),
        event(8, "die", "two", exitCode="137"),
    ]
    assert killed_in(events) == {"two": 2}


class FakeEngine:
    """An engine whose containers are one, with these variables in its environment."""

    def __init__(self, environment: list[str] | None) -> None:
        config = {"Labels": {"com.docker.compose.service": "app"}, "Env": environment}
        state: dict[str, Any] = {"Pid": 1, "Status": "running", "ExitCode": 0}
        state |= dict.fromkeys(("StartedAt", "FinishedAt"), "0001-01-01T00:00:00Z")
        facts = {"Id": "1", "Image": "sha256:1", "RestartCount": 0, "Config": config, "State": state}
        facts["NetworkSettings"] = {"Ports": None, "Networks": None}
        self.client = SimpleNamespace(
            api=SimpleNamespace(containers=lambda **_: [{"Id": "1"}], inspect_container=lambda _: facts)
        )


@pytest.mark.parametrize(
    ("environment", "proxies"),
    [
        (["PATH=/bin", "HTTP_PROXY=http://ann:secret@p:1", "https_proxy="], {"HTTP_PROXY": "http://p:1"}),
        (["NO_PROXY=a"], {}),
        (None, {}),
    ],
)
def test_proxies_in_a_services_environment_are_known_without_passwords(
    environment: list[str] | None, proxies: dict[str, str]
) -> None:
    project = Project(FakeEngine(environment), "edgesim-shop")  # type: ignore[arg-type] # all that states() takes
    assert project.states()["app"].proxies == proxies


def test_file_that_the_engine_does_not_see_is_the_hosts_fault() -> None:
    said = (
        ' Container app  Creating\nError response from daemon: invalid mount config for type "bind": '
        "bind source path does not exist: /tmp/net.onnx\n"
    )
    with pytest.raises(HostError, match=r"cannot see a file that a service mounts: .*: /tmp/net.onnx") as caught:
        compose_project._raise(said, "app")
    assert "snap" in caught.value.fix
