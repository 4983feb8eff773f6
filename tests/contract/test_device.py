"""The contract of a device, tested on the fake, on a plain process, and on a container."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.boards import local_device, readiness
from edgesim.boards.device import Device
from edgesim.boards.launch import Launch
from edgesim.boards.start import start
from edgesim.delivery.deliver import model_mounts
from edgesim.engine.container import State
from edgesim.errors import DeviceDied, DeviceError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions
from edgesim.progress import Stages
from tests.conftest import write_model
from tests.support.fake_device import running_fake

Starter = Callable[[Model], AbstractContextManager[Device]]


def explain(state: State) -> DeviceError:
    return DeviceDied(f"exit code {state.exit_code}")


@contextmanager
def fake(_: Model) -> Iterator[Device]:
    with running_fake() as device:
        yield device


@contextmanager
def process(model: Model) -> Iterator[Device]:
    with local_device.start(model_mounts(model, "/models"), [model.name], intra_op_threads=1) as device:
        readiness.wait(device, "/v2/health/ready", explain_death=explain, timeout_s=60)
        yield device


@contextmanager
def container(model: Model) -> Iterator[Device]:
    launch = Launch.of(profiles.load("jetson-nano"), [model], BoardOptions())
    with start(launch, Stages()) as started:
        yield started.device


DEVICES = [
    pytest.param(fake, id="fake"),
    pytest.param(process, id="local"),
    pytest.param(container, id="docker", marks=pytest.mark.emulation),
]


@pytest.mark.parametrize("starter", DEVICES)
def test_device_runs_answers_logs_and_reports_its_resources(starter: Starter, digits: Model) -> None:
    with starter(digits) as device:
        assert device.state().running
        assert readiness.wait(device, "/v2/health/ready", explain_death=explain, timeout_s=10) < 10
        assert "loaded" in device.log()
        first = device.read()
        time.sleep(0.2)
        second = device.read()
    assert second.at_ns > first.at_ns
    assert first.cpu_seconds is not None
    assert second.cpu_seconds is not None
    assert second.cpu_seconds >= first.cpu_seconds
    assert (second.memory_bytes or 0) > 0
    assert second.memory_peak_bytes is not None
    assert second.memory_peak_source is not None


@pytest.mark.parametrize("starter", DEVICES[1:])
def test_model_that_does_not_load_ends_the_wait_and_shows_the_reason(starter: Starter, tmp_path: Path) -> None:
    broken = repository.find(str(write_model(tmp_path / "broken.onnx", operation="NoSuchOperation")))
    begun = time.monotonic()
    with pytest.raises(DeviceError) as caught, starter(broken):
        pytest.fail("it loaded")
    assert time.monotonic() - begun < 60
    assert "exit code 3" in caught.value.problem or "NoSuchOperation" in caught.value.log
