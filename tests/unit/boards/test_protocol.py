"""A board that gets its requests over gRPC: ports, readiness, and what its results are compared with."""

import importlib.util
from typing import Any

import pytest

from edgesim import profiles
from edgesim.boards import readiness
from edgesim.boards.launch import Launch
from edgesim.engine.context import Context
from edgesim.errors import HostError, UsageError
from edgesim.gates import baselines, comparable
from edgesim.options import BoardOptions
from edgesim.profiles import DeviceProfile
from edgesim.results.run_result import RunResult
from tests.support.fake_device import FakeDevice

ENGINE = Context(name=None, url="unix:///nowhere")


def launch(profile: DeviceProfile | None = None, **options: Any) -> Launch:
    board = profile if profile is not None else profiles.load("jetson-nano")
    return Launch.of(board, [], BoardOptions(**options), context=ENGINE)


def other_image(**image: Any) -> DeviceProfile:
    return profiles.load("jetson-nano").served_by(reference="other:arm64", **image)


def test_own_server_gets_a_port_for_grpc_when_requests_go_there() -> None:
    assert launch().grpc_port is None
    assert launch(protocol="grpc").grpc_port == 8001
    assert not launch(protocol="grpc").ready_by_grpc, "it has HTTP, too"


def test_other_image_is_asked_over_grpc_at_its_own_port() -> None:
    of_image = launch(other_image(grpc_port=9000), protocol="grpc")
    assert (of_image.grpc_port, of_image.ready_by_grpc) == (9000, True)
    assert not launch(other_image()).ready_by_grpc


def test_other_image_takes_no_port_of_this_host_for_grpc_without_the_protocol() -> None:
    with pytest.raises(UsageError, match="`grpc_port=0`: needs edgesim's own server"):
        launch(other_image(), grpc_port=0).check()


def test_grpc_without_its_package_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HostError, match="`protocol=grpc`: requests need grpcio") as caught:
        launch(protocol="grpc").check()
    assert caught.value.fix == "pip install 'edgesim[grpc]'"


def test_grpc_port_of_edgesims_own_server_is_fixed() -> None:
    with pytest.raises(Exception, match=r"image\.grpc_port: is for image\.reference"):
        profiles.load("jetson-nano").served_by(grpc_port=9000)


def test_device_without_grpc_is_not_ready_over_grpc() -> None:
    assert readiness.over_grpc(FakeDevice())("/v2/health/ready") is False


def test_results_over_different_protocols_are_not_compared(result: RunResult) -> None:
    over_grpc = result.model_copy(update={"scenario": result.scenario.model_copy(update={"protocol": "grpc"})})
    (difference,) = comparable.differences(result, over_grpc)
    assert difference.startswith("scenario: ")
    assert difference.endswith("grpc")
    assert comparable.differences(over_grpc, result)
    assert baselines.fingerprint(result) != baselines.fingerprint(over_grpc)


def test_protocol_is_no_part_of_the_fingerprint_over_http(result: RunResult) -> None:
    scenario = result.scenario
    fields = comparable.identity(result)
    assert fields["scenario"] == (scenario.name, scenario.qps, scenario.samples, scenario.clients)
