"""How an engine gives containers GPUs, by what engines of several kinds report and answer."""

from typing import Any

import docker.errors
import pytest

from edgesim.engine import gpus
from edgesim.errors import DeviceError, HostError

# GET /info of JetPack 4.6 to 6 (nvidia-container-toolkit registers its runtime), of Docker 28.3 with CDI, and without.
JETPACK = {"Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}}}
WITH_CDI = {
    "Runtimes": {"runc": {"path": "runc"}},
    "DiscoveredDevices": [
        {"Source": "cdi", "ID": "nvidia.com/gpu=0"},
        {"Source": "cdi", "ID": "nvidia.com/gpu=all"},
    ],
}
WITHOUT: dict[str, Any] = {"Runtimes": {"runc": {"path": "runc"}}, "DiscoveredDevices": None}
NO_DRIVER = 'could not select device driver "" with capabilities: [[gpu]]'


class FakeEngine:
    """An engine that reports `info`, and answers the start of a container with an error."""

    def __init__(self, info: dict[str, Any], on_start: str | None = None) -> None:
        self.client = self.images = self.containers = self.facts = self
        self.title = "Docker 28"
        self._info, self._on_start = info, on_start
        self.created: list[dict[str, Any]] = []
        self.removed: list[str] = []

    def info(self) -> dict[str, Any]:
        return self._info

    def make_empty(self) -> str:
        return "empty"

    def create(self, image: str, command: list[str], **arguments: Any) -> "FakeEngine":
        self.created.append(arguments)
        return self

    def start(self) -> None:
        if self._on_start is not None:
            raise docker.errors.APIError("refused", explanation=self._on_start)

    def remove_session(self, session: str) -> None:
        self.removed.append(session)


def test_jetpack_s_engine_gives_gpus_by_nvidia_s_runtime() -> None:
    access = gpus.reported(JETPACK)
    assert access is not None
    assert (access.method, access.arguments) == ("runtime nvidia", {"runtime": "nvidia", "group_add": ["44"]})
    assert access.environment["NVIDIA_VISIBLE_DEVICES"] == "all"


def test_an_engine_with_cdi_devices_gives_gpus_by_them() -> None:
    access = gpus.reported(WITH_CDI)
    assert access is not None
    (request,) = access.arguments["device_requests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=all"])
    assert "runtime" not in access.arguments
    assert gpus.reported({"DiscoveredDevices": [{"Source": "cdi", "ID": "vendor.com/nic=0"}]}) is None


def test_an_engine_that_reports_neither_is_asked_by_a_container_that_is_removed() -> None:
    engine = FakeEngine(WITHOUT, 'exec: "-": executable file not found in $PATH')
    access = gpus.require(engine)  # type: ignore[arg-type]
    assert access.method == "a device request"
    (request,) = engine.created[0]["device_requests"]
    assert (request["Count"], request["Capabilities"]) == (-1, [["gpu"]])
    assert len(engine.removed) == 1


def test_an_engine_without_gpus_is_refused_with_the_fix() -> None:
    engine = FakeEngine(WITHOUT, NO_DRIVER)
    with pytest.raises(HostError, match="has no GPU to give: could not select device driver") as refused:
        gpus.require(engine)  # type: ignore[arg-type]
    assert refused.value.exit_code == 3
    assert "nvidia-ctk runtime configure" in refused.value.fix
    assert len(engine.removed) == 1


def test_another_failure_of_the_engine_is_told_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine(WITHOUT)

    def create(*_: Any, **__: Any) -> None:
        raise docker.errors.APIError("refused", explanation="name is in use")

    monkeypatch.setattr(engine, "create", create)
    with pytest.raises((DeviceError, docker.errors.APIError), match=r"name is in use|refused"):
        gpus.require(engine)  # type: ignore[arg-type]
