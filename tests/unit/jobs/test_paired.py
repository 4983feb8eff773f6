"""The execution of a paired run: the one whose times mean something on the host that runs it."""

import pytest

from edgesim import profiles
from edgesim.boards.launch import Launch
from edgesim.boards.placement import local_execution
from edgesim.engine.context import Context
from edgesim.errors import UsageError
from edgesim.gates import Rules
from edgesim.host.identity import Comparison
from edgesim.jobs import paired
from edgesim.jobs.paired import default_execution, run_pair
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, Execution
from edgesim.progress import Stages

HERE = Context(name=None, url="unix:///var/run/docker.sock")
FAR = Context(name="board1", url="tcp://10.0.0.7:2375")


def launch(name: str, context: Context | None) -> Launch:
    engine = "docker" if context is not None else "local"
    return Launch.of(profiles.load(name), [], BoardOptions(engine=engine), context=context)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "machine", "expected"),
    [
        ("amd64", Comparison(same_architecture=False, is_the_board=False), "scaled"),
        ("arm64", Comparison(same_architecture=True, is_the_board=False), "same-architecture"),
        ("arm64", Comparison(same_architecture=True, is_the_board=True), "native"),
    ],
)
@pytest.mark.parametrize("context", [HERE, FAR])
def test_both_sides_run_as_the_machine_is(
    monkeypatch: pytest.MonkeyPatch, host: str, machine: Comparison, expected: Execution, context: Context
) -> None:
    monkeypatch.setattr(paired, "host_architecture", lambda: host)
    monkeypatch.setattr(paired, "compare_machine", lambda launch, stages, build: machine)
    assert default_execution(launch("jetson-nano", context), Stages()) == expected


def test_engine_is_not_asked_where_the_architecture_or_the_profile_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> Comparison:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(paired, "host_architecture", lambda: "amd64")
    monkeypatch.setattr(paired, "compare_machine", asked)
    assert default_execution(launch("jetson-nano", HERE), Stages()) == "scaled"
    assert default_execution(launch("x86-gateway", HERE), Stages()) == "native"
    nano = launch("jetson-nano", None)
    assert default_execution(nano, Stages()) == local_execution(nano.profile)[0]


def test_absolute_rule_for_a_time_is_refused_on_another_host_than_the_board(
    monkeypatch: pytest.MonkeyPatch, digits: Model
) -> None:
    monkeypatch.setattr(paired, "default_execution", lambda launch, stages: "same-architecture")
    with pytest.raises(UsageError, match="`execution=same-architecture` does not measure the board's time"):
        run_pair("jetson-nano", digits, digits, Rules.of(["latency_ms.p50 <= 5"]), context="tcp://10.0.0.7:2375")
