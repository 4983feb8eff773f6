"""The decisions of a run: which executions it takes, when it falls back, and what it keeps when it is cut short."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgesim import profiles
from edgesim.boards import launch as launching
from edgesim.boards import scaling_targets
from edgesim.boards.board import Board
from edgesim.boards.launch import Launch
from edgesim.boards.placement import by_itself
from edgesim.engine.context import Context
from edgesim.errors import (
    DeviceDied,
    EmulatorCrashed,
    HostError,
    HostTooSlow,
    Interrupted,
    ModelError,
    OutOfMemory,
    ScaleFailed,
    UsageError,
)
from edgesim.host.host_facts import HostFacts
from edgesim.host.identity import Comparison
from edgesim.images.image import Image
from edgesim.jobs import run as module
from edgesim.jobs.measurement import Measurement
from edgesim.jobs.run import Executions, choose_executions, run, what_is_kept
from edgesim.jobs.session_plan import SessionPlan
from edgesim.models.repository import Model
from edgesim.options import Execution, PeakLimit, RunKeywords
from edgesim.predictions import Declined
from edgesim.progress import Progress, Stages
from edgesim.recording import Sample
from edgesim.results import journal
from edgesim.results.run_result import RunResult
from edgesim.results.sections import ValiditySection
from tests.support import results
from tests.support.fake_device import FakeDevice

IMAGE = Image(reference="edgesim/jetson:arm64", id="sha256:ef", base="debian", cached=True)
ANOTHER_ARCHITECTURE = Comparison(same_architecture=False, is_the_board=False)
ANOTHER_CORE = Comparison(same_architecture=True, is_the_board=False)
THE_BOARD = Comparison(same_architecture=True, is_the_board=True)
MACHINE = HostFacts(cpu="a test", cores=4, memory_bytes=8 << 30, kernel="Linux 6")


def never() -> Execution:
    raise AssertionError("the engine was asked, which may not be there")


# --- which executions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("execution", "can_be_slowed_down", "expected"),
    [
        ("scaled", True, "scaled"),
        ("emulated", True, "unscaled"),
        ("native", True, "unscaled"),
        ("host", False, "unscaled"),
        ("same-architecture", True, "slowed down"),
        ("same-architecture", False, "unscaled"),
        (None, False, "unscaled"),
    ],
)
def test_engine_that_may_not_be_there_is_not_asked_where_its_answer_decides_nothing(
    execution: Execution | None, can_be_slowed_down: bool, expected: Executions
) -> None:
    assert choose_executions(execution, can_be_slowed_down=can_be_slowed_down, host=never) == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("emulated", "both"), ("native", "unscaled"), ("same-architecture", "slowed down")]
)
def test_executions_follow_from_how_the_host_runs_the_board(host: Execution, expected: Executions) -> None:
    assert choose_executions(None, can_be_slowed_down=True, host=lambda: host) == expected


# --- wrong options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"watch": True}, "`watch`: a run keeps the models"),
        ({"mount": "volume", "results": "/tmp"}, "no directory of this host is mounted"),
        ({"engine": "local", "mount": "bind"}, "need a container, which `engine=local` does not have"),
        ({"engine": "local", "execution": "native"}, "`engine=local` runs as host"),
        ({"peak": PeakLimit(percentile="p42", latency_ms=5)}, "`peak`: no percentile"),
    ],
)
def test_wrong_options_are_refused_before_the_model_runs_on_this_host(
    host: "Host", digits: Model, monkeypatch: pytest.MonkeyPatch, options: RunKeywords, words: str
) -> None:
    def reference(model: Model) -> None:
        raise AssertionError("the model ran on this host")

    monkeypatch.setattr(module, "Reference", reference)
    with pytest.raises(UsageError, match=words):
        run("jetson-nano", digits, **options)
    assert host.launches == []


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.fixture
def scaled(result: RunResult) -> RunResult:
    return result.model_copy(update={"execution": "scaled", "validity": ValiditySection(valid=True), "complete": True})


def test_an_error_before_anything_was_measured_leaves_nothing() -> None:
    assert what_is_kept(HostError("no engine"), None, Stages()) is None
    assert what_is_kept(KeyboardInterrupt(), None, Stages()) is None


def test_the_half_that_failed_is_kept_where_there_is_no_other(result: RunResult) -> None:
    assert what_is_kept(DeviceDied("gone", result=result), None, Stages()) is result


def test_both_halves_are_kept_where_the_second_failed_in_the_middle(scaled: RunResult) -> None:
    partial = results.emulated_and_invalid()
    kept = what_is_kept(DeviceDied("gone", result=partial), scaled, Stages())
    assert kept is not None
    assert (kept.execution, kept.emulated, kept.validity.valid) == ("scaled", partial, False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OutOfMemory("the model does not fit"), "the model does not fit"), (KeyboardInterrupt(), "interrupted")],
)
def test_the_scaled_half_is_kept_as_invalid_where_the_second_measured_nothing(
    scaled: RunResult, error: BaseException, reason: str
) -> None:
    kept = what_is_kept(error, scaled, Stages())
    assert kept is not None
    assert (kept.emulated, kept.complete, kept.validity.valid) == (None, False, False)
    assert kept.validity.reasons == (f"emulated: {reason}",)


# --- whole runs, on a host whose containers follow a script -----------------------------------------------------------


@dataclass(frozen=True)
class Container:
    """What becomes of one container.

    Attributes:
        start_error: raised in place of a board that is up.
        answers: requests that are answered before the container ends.
        error: raised while measuring, after these answers.
        exit_code: the server's, which dies after these answers; None if the server lives.
    """

    start_error: Exception | None = None
    answers: int = 5
    error: BaseException | None = None
    exit_code: int | None = None


@dataclass
class Host:
    """A host beside the board, and the containers that it starts one after another."""

    script: list[Container] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    plans: list[SessionPlan] = field(default_factory=list)
    comparison: Comparison = ANOTHER_ARCHITECTURE
    features: list[str] = field(default_factory=list)
    providers: list[str] = field(default_factory=list)
    ended: int = 0

    @property
    def executions(self) -> list[Execution | None]:
        """The execution that each container was started with; None for the one that suits the host."""
        return [launch.options.execution for launch in self.launches]

    @contextmanager
    def start(self, launch: Launch, stages: Stages) -> Iterator[Board]:
        self.launches.append(launch)
        container = self.script[len(self.launches) - 1]
        if container.start_error is not None:
            raise container.start_error
        try:
            yield Board(
                device=FakeDevice(),
                execution=launch.options.execution or by_itself(launch.profile, self.comparison),
                image=IMAGE,
                host=MACHINE.beside(self.comparison),
                memory_limit_bytes=2**30,
                cpus=2.0,
                intra_op_threads=2,
                shortfalls=(),
                models=launch.models,
                image_s=0.1,
                create_s=0.1,
                gpus="runtime nvidia" if launch.gpus else None,
                target=launch.target,
            )
        finally:
            self.ended += 1

    def measure(self, board: Board, plan: SessionPlan, stages: Stages, *, into: Measurement, keeping: Any) -> None:
        self.plans.append(plan)
        into.description = {"cpu_features": self.features, "providers": self.providers}
        if (arguments := self.launches[-1].server_arguments(intra_op_threads=1)) and "--gpus" in arguments:
            into.description["gpus"] = arguments[arguments.index("--gpus") + 1]
        with stages.stage("load", "sending requests"):
            pass
        container = self.script[len(self.launches) - 1]
        with keeping(into.samples):
            into.samples += [Sample(i * 10**9, i * 10**9, i * 10**9 + 10**8, "ok") for i in range(container.answers)]
        if container.error is not None:
            raise container.error
        if container.exit_code is not None:
            device = board.device
            assert isinstance(device, FakeDevice)
            device.die(container.exit_code)


class Notes:
    """Keeps what a run says besides its stages."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.stages: list[str] = []

    def begin(self, stage: str, doing: str) -> None:
        self.stages.append(stage)

    def advance(self, progress: Progress) -> None: ...

    def end(self, stage: str, seconds: float) -> None: ...

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    simulated = Host()
    monkeypatch.setattr(module, "compare_machine", lambda launch, stages: simulated.comparison)
    monkeypatch.setattr(module, "require_engine", lambda _: None)
    monkeypatch.setattr(module, "start", simulated.start)
    monkeypatch.setattr(module, "measure", simulated.measure)
    monkeypatch.setattr(module, "emulator_memory", lambda launch, board, stages: None)
    monkeypatch.setattr(launching, "resolve_context", lambda engine, name: None)
    monkeypatch.delenv(module.STAGES_VARIABLE, raising=False)
    return simulated


def test_each_stage_of_a_run_of_both_belongs_to_one_half(
    host: Host, digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(module.STAGES_VARIABLE, "engine=31.5")
    host.script = [Container(answers=50), Container(answers=3)]
    notes = Notes()
    result = run("jetson-nano", digits, listener=notes)
    assert result.emulated is not None
    assert list(result.stages_s) == ["engine", "model", "reference", "load"]
    assert list(result.emulated.stages_s) == ["load"]
    assert result.stages_s["load"] != result.emulated.stages_s["load"]
    assert notes.stages == ["model", "reference", "scaled: load", "emulated: load"]


def test_the_stages_of_a_half_that_was_given_up_are_named_by_it(host: Host, digits: Model) -> None:
    host.script = [Container(answers=1, error=HostTooSlow("this host takes longer")), Container(answers=5)]
    result = run("jetson-nano", digits)
    assert result.not_scaled == "this host takes longer"
    assert list(result.stages_s) == ["model", "reference", "scaled: load", "load"]


def test_the_stages_of_a_run_of_one_execution_have_plain_names(host: Host, digits: Model) -> None:
    host.script = [Container(answers=5)]
    notes = Notes()
    result = run("jetson-nano", digits, execution="emulated", listener=notes)
    assert list(result.stages_s) == ["model", "reference", "load"]
    assert notes.stages == ["model", "reference", "load"]


def test_a_run_is_scaled_with_the_users_traffic_and_emulated_with_few_requests(host: Host, digits: Model) -> None:
    host.script = [Container(answers=50), Container(answers=3)]
    result = run("jetson-nano", digits, requests=50, qps=10, seed=4)
    assert host.executions == ["scaled", None]
    assert [target.model for target in host.launches[0].targets] == [digits]
    assert not host.launches[1].targets
    scaled, emulated = (plan.scenario for plan in host.plans)
    assert (scaled.name, scaled.qps, scaled.stop.requests) == ("server", 10, 50)
    assert (emulated.name, emulated.qps, emulated.stop.requests) == ("single-stream", None, 3)
    assert emulated.seed == scaled.seed == 4
    assert result.emulated is not None
    assert (result.execution, result.emulated.execution) == ("scaled", "emulated")
    assert (result.complete, result.validity.valid, result.not_scaled) == (True, True, None)
    assert (result.requests.ok, result.emulated.requests.ok) == (50, 3)


def test_another_host_of_the_architecture_is_slowed_down_in_one_container(host: Host, digits: Model) -> None:
    host.comparison, host.script = ANOTHER_CORE, [Container(answers=50)]
    result = run("jetson-nano", digits, requests=50)
    assert host.executions == ["same-architecture"]
    assert [target.model for target in host.launches[0].targets] == [digits]
    assert host.launches[0].is_slowed_down
    assert (result.execution, result.emulated, result.not_scaled) == ("same-architecture", None, None)
    assert (result.host.same_architecture, result.host.is_the_board) == (True, False)
    assert result.device_time_ms.method.startswith("predicted from the graph")


@pytest.mark.parametrize("error", [HostTooSlow("this host takes 9 ms"), ScaleFailed("no answer")])
def test_another_host_of_the_architecture_that_cannot_be_slowed_down_says_why(
    host: Host, digits: Model, error: Exception
) -> None:
    host.comparison, host.script = ANOTHER_CORE, [Container(start_error=error), Container(answers=50)]
    result = run("jetson-nano", digits, requests=50)
    assert [launch.is_slowed_down for launch in host.launches] == [True, False]
    assert (result.execution, result.not_scaled, result.time_origin) == ("same-architecture", str(error), "host")
    assert result.device_time_ms.method.startswith("predicted from the graph")


@pytest.mark.parametrize(("comparison", "extra"), [(ANOTHER_CORE, ("asimddp", "sve")), (THE_BOARD, ())])
def test_features_beyond_the_board_that_decide_kernels_are_named_on_another_host(
    host: Host, digits: Model, comparison: Comparison, extra: tuple[str, ...]
) -> None:
    host.comparison, host.script = comparison, [Container(answers=50)]
    board = profiles.load("jetson-nano").cpu.features
    host.features = [*(feature for feature in board if feature != "aes"), "asimddp", "sve", "dcpop", "cpuid"]
    result = run("jetson-nano", digits, requests=50)
    assert (result.device.features_missing, result.device.features_extra) == (("aes",), extra)


def test_machine_behind_a_context_is_not_slowed_down_and_says_why(
    host: Host, digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.comparison, host.script = ANOTHER_CORE, [Container(answers=50)]
    far = Context(name="board1", url="tcp://10.0.0.7:2375")
    monkeypatch.setattr(launching, "resolve_context", lambda engine, name: far)
    result = run("jetson-nano", digits, requests=50)
    assert (host.executions, result.execution) == ([None], "same-architecture")
    assert result.not_scaled == "each request's time would include the network to 10.0.0.7"


def test_board_itself_runs_once_and_its_time_is_measured(host: Host, digits: Model) -> None:
    host.comparison, host.script = THE_BOARD, [Container(answers=50)]
    result = run("jetson-nano", digits, requests=50)
    assert (host.executions, result.execution, result.not_scaled) == ([None], "native", None)
    assert (result.time_origin, result.host.is_the_board) == ("board", True)
    assert result.device_time_ms.method == "measured on the board (this host), minimum to maximum"


def test_board_itself_measures_its_gpu_where_the_container_gets_it(host: Host, digits: Model) -> None:
    host.comparison, host.script = THE_BOARD, [Container(answers=50)]
    host.providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    result = run("jetson-nano", digits, requests=50, target="gpu:tensorrt-fp32", gpus="all")
    assert (host.executions, result.execution) == ([None], "native")
    arguments = host.launches[0].server_arguments(intra_op_threads=4)
    assert arguments is not None
    assert arguments[arguments.index("--gpus") + 1] == "fp32", "the server builds its engines in the target's precision"
    assert (result.device_time_ms.p50, result.device_time_ms.target) == (100.0, "gpu:tensorrt-fp32")
    assert result.device_time_ms.method == "measured on the board (this host), minimum to maximum"


@pytest.mark.parametrize("execution", [None, "native"])
def test_board_itself_without_its_gpu_does_not_measure_one(
    host: Host, digits: Model, execution: Execution | None
) -> None:
    host.comparison, host.script = THE_BOARD, [Container(answers=50)]
    with pytest.raises(UsageError, match="runs on the board's processor") as raised:
        run("jetson-nano", digits, requests=50, target="gpu:tensorrt-fp16", execution=execution)
    assert raised.value.fix.startswith("`gpus=all` gives the container the GPU; or leave `target` out")
    assert host.launches == []


def test_profile_with_the_core_of_its_host_has_this_hosts_time(host: Host, digits: Model) -> None:
    host.comparison, host.script = ANOTHER_CORE, [Container(answers=50)]
    result = run("x86-gateway", digits, requests=50)
    assert (result.execution, result.time_origin, result.host.is_the_board) == ("native", "host", False)
    assert result.device_time_ms.method.startswith("this host's time, not a board's")
    assert (result.device_time_ms.p50, result.energy_j) == (100.0, None)
    assert repr(result).startswith("<RunResult: digits on Generic x86 gateway, 4 GB, native; this host's time 100")


def test_only_the_scaled_half_is_repeated(host: Host, digits: Model) -> None:
    host.script = [Container(answers=20), Container(answers=20), Container(answers=3)]
    result = run("jetson-nano", digits, repeat=2)
    assert host.executions == ["scaled", "scaled", None]
    assert result.emulated is not None
    assert (len(result.restarts), len(result.emulated.restarts)) == (2, 0)


@pytest.mark.parametrize("error", [HostTooSlow("this host takes 9 ms"), ScaleFailed("no answer")])
def test_a_board_that_cannot_be_scaled_is_emulated_alone_with_few_requests_and_says_so(
    host: Host, digits: Model, error: Exception
) -> None:
    host.script, notes = [Container(start_error=error), Container(answers=3)], Notes()
    result = run("jetson-nano", digits, qps=5, duration_s=10, repeat=2, listener=notes)
    assert host.executions == ["scaled", None]
    assert (result.execution, result.emulated, result.not_scaled) == ("emulated", None, str(error))
    scenario = host.plans[0].scenario
    assert (scenario.name, scenario.qps, scenario.stop.requests) == ("single-stream", None, 3)
    few = "emulated with 3 requests; `execution=emulated` sends the options' traffic"
    assert notes.texts == ["scaled: container 1 of 2", f"not scaled: {error}", few]


@pytest.fixture
def declined(monkeypatch: pytest.MonkeyPatch) -> Declined:
    """Why no device time is predicted, for any model."""
    reason = Declined(reason="an operation without a figure")
    monkeypatch.setattr(scaling_targets, "predicted", lambda *_, target: reason)
    return reason


def test_a_model_without_a_prediction_is_emulated_alone_and_the_result_says_why(
    host: Host, digits: Model, declined: Declined
) -> None:
    host.script = [Container()]
    result = run("jetson-nano", digits)
    assert (host.executions, result.not_scaled) == ([None], declined.reason)
    assert result.device_time_ms.p50 is None
    assert declined.reason in result.device_time_ms.method


def test_a_run_that_must_be_scaled_needs_a_prediction(host: Host, digits: Model, declined: Declined) -> None:
    with pytest.raises(ModelError, match=declined.reason):
        run("jetson-nano", digits, execution="scaled")
    assert host.executions == []


@pytest.mark.parametrize("error", [HostTooSlow("this host takes 9 ms"), ScaleFailed("no answer")])
def test_a_run_that_must_be_scaled_does_not_fall_back(host: Host, digits: Model, error: Exception) -> None:
    host.script = [Container(start_error=error)]
    with pytest.raises(type(error), match=str(error)):
        run("jetson-nano", digits, execution="scaled")
    assert host.executions == ["scaled"]


def test_another_failure_of_the_scaled_half_is_no_reason_to_fall_back(host: Host, digits: Model) -> None:
    host.script = [Container(start_error=OutOfMemory("the model does not fit"))]
    with pytest.raises(OutOfMemory):
        run("jetson-nano", digits)
    assert host.executions == ["scaled"]


def test_an_emulator_that_crashes_is_started_again_twice_and_only_whole_attempts_count(
    host: Host, digits: Model
) -> None:
    crash = EmulatorCrashed("the emulator crashed")
    host.script = [Container(answers=2, error=crash), Container(start_error=crash), Container(answers=7)]
    notes = Notes()
    result = run("jetson-nano", digits, execution="emulated", listener=notes)
    assert (result.emulator_failures, result.requests.ok, result.complete) == (2, 7, True)
    assert notes.texts == ["the emulator crashed; once more"] * 2


def test_a_third_crash_of_the_emulator_ends_the_run_with_what_its_last_attempt_measured(
    host: Host, digits: Model
) -> None:
    host.script = [Container(answers=answers, error=EmulatorCrashed("the emulator crashed")) for answers in (1, 2, 3)]
    with pytest.raises(EmulatorCrashed) as ended:
        run("jetson-nano", digits, execution="emulated")
    assert isinstance(ended.value.result, RunResult)
    assert (ended.value.result.requests.ok, ended.value.result.emulator_failures) == (3, 2)
    assert host.ended == 3


def test_a_crash_keeps_the_containers_that_were_measured_before_it(host: Host, digits: Model) -> None:
    crash = Container(answers=1, error=EmulatorCrashed("the emulator crashed"))
    host.script = [Container(answers=5), crash, Container(answers=6)]
    result = run("jetson-nano", digits, execution="emulated", repeat=2)
    assert [restart.samples for restart in result.restarts] == [5, 6]
    assert result.emulator_failures == 1


def test_a_server_that_dies_while_measuring_is_an_error_with_an_invalid_result(
    host: Host, digits: Model, tmp_path: Path
) -> None:
    host.script, path = [Container(answers=4, exit_code=137)], tmp_path / "r.json"
    with pytest.raises(DeviceDied, match="exit code 137 while measuring") as ended:
        run("jetson-nano", digits, execution="emulated", output=path)
    kept = RunResult.read(path)
    assert kept == ended.value.result
    assert (kept.requests.ok, kept.validity.valid) == (4, False)
    assert any(reason.startswith("device alive") for reason in kept.validity.reasons)


def test_an_interrupt_while_measuring_is_an_invalid_result_of_what_was_measured(host: Host, digits: Model) -> None:
    host.script = [Container(answers=4, error=KeyboardInterrupt())]
    with pytest.raises(Interrupted) as ended:
        run("jetson-nano", digits, execution="emulated")
    kept = ended.value.result
    assert isinstance(kept, RunResult)
    assert (kept.requests.ok, kept.complete, kept.validity.valid) == (4, False, False)
    assert host.ended == 1


def test_an_interrupt_between_two_containers_keeps_the_first(host: Host, digits: Model) -> None:
    host.script = [Container(answers=5), Container(start_error=Interrupted("interrupted"))]
    with pytest.raises(Interrupted) as ended:
        run("jetson-nano", digits, execution="emulated", repeat=2)
    kept = ended.value.result
    assert isinstance(kept, RunResult)
    assert (kept.requests.ok, kept.complete, kept.validity.valid) == (5, False, False)


def test_an_interrupt_before_the_first_container_is_up_leaves_no_file(
    host: Host, digits: Model, tmp_path: Path
) -> None:
    host.script = [Container(start_error=Interrupted("interrupted"))]
    with pytest.raises(Interrupted) as ended:
        run("jetson-nano", digits, execution="emulated", output=tmp_path / "r.json")
    assert ended.value.result is None
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_the_emulated_half_keeps_the_scaled_half(host: Host, digits: Model, tmp_path: Path) -> None:
    host.script = [Container(answers=50), Container(start_error=OutOfMemory("the model does not fit"))]
    with pytest.raises(OutOfMemory):
        run("jetson-nano", digits, output=tmp_path / "r.json")
    kept = RunResult.read(tmp_path / "r.json")
    assert (kept.execution, kept.emulated, kept.requests.ok) == ("scaled", None, 50)
    assert kept.validity.reasons == ("emulated: the model does not fit",)


def test_the_file_holds_the_scaled_halfs_samples_and_never_the_emulated_ones(
    host: Host, digits: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    keeping = journal.Journal.keeping

    def counting(self: journal.Journal, samples: Any, so_far: Any) -> Any:
        kept.append(len(host.launches))
        return keeping(self, samples, so_far)

    monkeypatch.setattr(journal.Journal, "keeping", counting)
    host.script = [Container(answers=50), Container(answers=3)]
    result = run("jetson-nano", digits, output=tmp_path / "r.json")
    assert kept == [1], "the journal is the first container's"
    assert RunResult.read(tmp_path / "r.json") == result
