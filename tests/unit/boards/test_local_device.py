"""A server as a process of this host: what a profile may say about it."""

import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from edgesim import profiles
from edgesim.boards import local_device
from edgesim.boards import start as starting
from edgesim.boards.launch import Launch
from edgesim.errors import DeviceError
from edgesim.models import repository
from edgesim.options import BoardOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from tests.conftest import write_model
from tests.support.fake_device import FakeDevice

LOADS_CODE = {"LD_PRELOAD": "/evil.so", "PYTHONPATH": "evil", "OMP_TOOL_LIBRARIES": "evil.so", "GCONV_PATH": "."}


@pytest.fixture
def profile() -> DeviceProfile:
    """Return a profile, as a stranger may have written it."""
    nano = profiles.load("jetson-nano")
    image = nano.image.model_copy(update={"environment": {**LOADS_CODE, "OMP_NUM_THREADS": "3"}})
    return nano.model_copy(update={"image": image})


def test_process_of_this_host_gets_no_variable_of_a_profile_that_loads_code(
    profile: DeviceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    environments: list[dict[str, str]] = []

    def start(*_: Any, env: dict[str, str], **__: Any) -> None:
        environments.append(env)
        raise DeviceError("started enough")

    monkeypatch.setattr(subprocess, "Popen", start)
    with (
        pytest.raises(DeviceError),
        local_device.start([], [], intra_op_threads=1, environment=profile.image.environment),
    ):
        pass
    assert environments[0]["OMP_NUM_THREADS"] == "3"
    assert not LOADS_CODE.items() & environments[0].items()


def test_variables_that_a_process_does_not_get_are_a_shortfall(
    profile: DeviceProfile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(local_device, "start", lambda *_, **__: nullcontext(FakeDevice()))
    monkeypatch.setattr(starting, "_until_ready", lambda board, *_: board)
    model = repository.find(write_model(tmp_path / "net.onnx"))
    with starting.start(Launch.of(profile, [model], BoardOptions(engine="local")), Stages(None)) as board:
        (shortfall,) = [each for each in board.shortfalls if each.startswith("environment:")]
    assert "GCONV_PATH, LD_PRELOAD, OMP_TOOL_LIBRARIES, PYTHONPATH not set" in shortfall
