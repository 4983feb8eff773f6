"""The calibration of a scaled board, on a host made of arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgesim import inputs, profiles
from edgesim.boards import scaling_targets, time_scaling
from edgesim.boards.dial import Target
from edgesim.boards.time_scaling import Scale
from edgesim.errors import HostTooSlow
from edgesim.host.cpu_quota import CpuQuota
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.predictions import Prediction
from edgesim.predictions.model_reader import ModelReader
from edgesim.profiles.surroundings import Thermal
from edgesim.reports import scaling_phrases as words
from edgesim.results.sections import ScalingSection, ThrottleSection, section
from tests.unit.predictions.test_arithmetic import model as write


@dataclass
class FakeDial:
    """A host on which a request takes its CPU time divided by the share, at least its pace, and the network's time.

    `lost_ms` of CPU time is what the kernel keeps of each request's share.
    """

    cpu_ms: Mapping[str, float]
    network_ms: float = 0.4
    lost_ms: float = 0.0
    quota: CpuQuota = field(default_factory=lambda: CpuQuota.of_share(2.0))
    pace_ms: Mapping[str, float] = field(default_factory=dict)
    used_s: float = 0.0
    asked: int = 0

    def limit_cpu(self, quota: CpuQuota) -> None:
        self.quota = quota

    def set_pace(self, least_ms: Mapping[str, float]) -> None:
        self.pace_ms = dict(least_ms)

    def ask(self, target: Target, requests: int) -> list[float]:
        name = target.model.name
        self.asked += requests
        self.used_s += requests * self.cpu_ms[name] / 1e3
        share = min(self.quota.share, 1.0)
        held = self.cpu_ms[name] if self.quota.share >= 2 else (self.cpu_ms[name] + self.lost_ms) / share
        return [max(held, self.pace_ms.get(name, 0.0)) + self.network_ms] * requests

    def cpu_seconds(self) -> float | None:
        return self.used_s


def target(model: Model, time_ms: float, heated_ms: float | None = None, name: str = "digits") -> Target:
    arrays = {"image": np.zeros((1, 8, 8), np.float32)}
    return Target(model=replace(model, name=name), arrays=arrays, time_ms=time_ms, heated_ms=heated_ms)


def calibrated(dial: FakeDial, *targets: Target) -> Scale:
    scale = Scale(dial, targets, threads=1, cores=2.0)
    scale.find()
    return scale


@pytest.mark.parametrize(("cpu_ms", "time_ms"), [(0.2, 5.0), (5.0, 8.0), (5.0, 60.0), (20.0, 1000.0), (300.0, 5000.0)])
def test_request_takes_the_boards_time_within_a_percent(digits: Model, cpu_ms: float, time_ms: float) -> None:
    dial = FakeDial({"digits": cpu_ms})
    scale = calibrated(dial, target(digits, time_ms))
    scale.check()
    (model,) = scale.record().models
    assert model.check_ms == pytest.approx(time_ms, rel=0.01)
    assert model.error_percent == pytest.approx(0, abs=1)
    assert model.host_ms == pytest.approx(cpu_ms + dial.network_ms)
    assert model.host_cpu_ms == pytest.approx(cpu_ms)


def test_share_is_raised_until_the_time_holds_if_the_kernel_gives_less(digits: Model) -> None:
    dial = FakeDial({"digits": 5.0}, lost_ms=20.0)
    scale = calibrated(dial, target(digits, 100.0))
    tries = scale.record().models[0].tries
    assert tries[0].p50_ms > 150
    assert [attempt.share for attempt in tries] == sorted(attempt.share for attempt in tries)
    assert dial.ask(target(digits, 100.0), 1) == [pytest.approx(100, rel=0.01)]


def test_host_slower_than_the_board_is_an_error_with_both_times(digits: Model) -> None:
    with pytest.raises(HostTooSlow, match=r"takes 12\.4 ms for a request of digits, the board 10 ms"):
        calibrated(FakeDial({"digits": 12.0}), target(digits, 10.0))


def test_host_with_too_little_to_spare_is_an_error(digits: Model) -> None:
    with pytest.raises(HostTooSlow, match="without a fifth of that to spare it cannot be slowed down"):
        calibrated(FakeDial({"digits": 9.0}), target(digits, 10.0))


@pytest.mark.parametrize(("cpu_ms", "time_ms"), [(0.2, 3.0), (5.0, 8.0), (20.0, 30.0)])
def test_an_accelerators_time_is_made_by_the_pace_alone(digits: Model, cpu_ms: float, time_ms: float) -> None:
    dial = FakeDial({"digits": cpu_ms})
    scale = Scale(dial, [target(digits, time_ms)], threads=1, cores=2.0, by_pace=True)
    scale.find()
    scale.check()
    record = scale.record()
    assert {attempt.share for model in record.models for attempt in model.tries} == {2.0}, "all that the server may use"
    assert record.models[0].check_ms == pytest.approx(time_ms, rel=0.01)
    assert "without a CPU share" in record.method


def test_a_busy_host_does_not_make_an_accelerators_pace_run_ahead_of_the_board(digits: Model) -> None:
    class Late(FakeDial):
        def ask(self, target: Target, requests: int) -> list[float]:
            return [ms + (20.0 if self.pace_ms else 0.0) for ms in super().ask(target, requests)]

    dial = Late({"digits": 0.3})
    Scale(dial, [target(digits, 3.0)], threads=1, cores=2.0, by_pace=True).find()
    assert dial.pace_ms["digits"] == pytest.approx(3.0 - (0.3 + dial.network_ms))


def test_a_host_slower_than_the_accelerator_is_an_error(digits: Model) -> None:
    with pytest.raises(HostTooSlow, match=r"takes 12\.4 ms for a request of digits, the board 10 ms"):
        Scale(FakeDial({"digits": 12.0}), [target(digits, 10.0)], threads=1, cores=2.0, by_pace=True).find()


def test_most_demanding_model_sets_the_share_and_each_model_has_its_pace(digits: Model) -> None:
    dial = FakeDial({"quick": 2.0, "slow": 100.0})
    quick, slow = target(digits, 100.0, name="quick"), target(digits, 300.0, name="slow")
    scale = calibrated(dial, quick, slow)
    scale.check()
    assert [model.check_ms for model in scale.record().models] == [pytest.approx(100, 0.01), pytest.approx(300, 0.01)]
    assert scale.quota.share > 0.3, "the slow one takes a third of a core, and a little more"


def test_calibration_that_never_settles_ends_with_the_best_try(digits: Model) -> None:
    dial = FakeDial({"digits": 5.0}, lost_ms=1000.0)
    scale = calibrated(dial, target(digits, 10.0))
    tries = scale.record().models[0].tries
    assert len(tries) <= 6
    assert scale.quota.share == max(attempt.share for attempt in tries)


def test_tuning_that_ends_before_a_try_is_close_keeps_what_the_last_one_taught(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(FakeDial):  # at full speed other programs delay each request; a slow board's wait hides that
        def ask(self, target: Target, requests: int) -> list[float]:
            return [ms + (0.0 if self.pace_ms else 40.0) for ms in super().ask(target, requests)]

    monkeypatch.setattr(time_scaling, "_LIMIT_S", 0.0)
    scale = calibrated(Busy({"digits": 2.0}), target(digits, 100.0))
    (model,) = scale.record().models
    assert [attempt.p50_ms for attempt in model.tries] == [pytest.approx(60, abs=1)]
    scale.check()
    assert scale.record().models[0].error_percent == pytest.approx(0, abs=1)


def test_second_server_is_calibrated_like_the_first_in_one_try(digits: Model) -> None:
    aims = target(digits, 100.0), target(digits, 40.0, name="other")
    first = calibrated(FakeDial({"digits": 7.0, "other": 5.0}, lost_ms=10.0), *aims).record()
    second = Scale(FakeDial({"digits": 7.0, "other": 5.0}, lost_ms=10.0), aims, threads=1, cores=2.0)
    second.find(first)
    assert len(first.models[0].tries) > 1
    again = second.record()
    assert [len(model.tries) for model in again.models] == [1, 1]
    assert again.share == first.share
    for then, now in zip(first.models, again.models, strict=True):
        assert (now.host_ms, now.host_cpu_ms) == (then.host_ms, then.host_cpu_ms)
        assert now.pace_ms == pytest.approx(then.pace_ms, rel=0.01)


def test_second_server_does_not_inherit_first_servers_error(digits: Model) -> None:
    first = calibrated(FakeDial({"digits": 7.0}, network_ms=0.4), target(digits, 100.0)).record()
    dial = FakeDial({"digits": 7.0}, network_ms=1.2)  # 0.8 % later than the first: close enough
    second = Scale(dial, [target(digits, 100.0)], threads=1, cores=2.0)
    second.find(first)
    assert len(second.record().models[0].tries) == 1
    second.check()
    assert second.record().models[0].check_ms == pytest.approx(100.0, rel=1e-6)


def test_second_server_with_other_times_is_calibrated_anew(digits: Model) -> None:
    first = calibrated(FakeDial({"digits": 7.0}), target(digits, 100.0)).record()
    second = Scale(FakeDial({"digits": 7.0}, network_ms=6.4), [target(digits, 100.0)], threads=1, cores=2.0)
    second.find(first)
    tries = second.record().models[0].tries
    assert [round(attempt.p50_ms, 2) for attempt in tries] == [106.0, 100.0]


def test_heat_slows_share_and_pace_and_the_check_uses_the_new_time(digits: Model) -> None:
    dial = FakeDial({"digits": 5.0})
    scale = calibrated(dial, target(digits, 60.0, heated_ms=90.0))
    before = scale.quota.share
    scale.heat()
    scale.check()
    (model,) = scale.record().models
    assert scale.heated
    assert list(scale.times_ms) == [90.0]
    assert scale.quota.share == pytest.approx(before * 60 / 90, rel=0.01)
    assert model.check_ms == pytest.approx(90, rel=0.01)
    assert abs(model.error_percent or 0) < 1
    assert model.target_ms == 60.0


def test_slow_model_is_calibrated_with_few_requests(digits: Model) -> None:
    dial = FakeDial({"digits": 300.0})
    calibrated(dial, target(digits, 5000.0))
    assert dial.asked < 20


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.99, 1.0, 1.5, 2.0])
def test_share_is_given_in_the_kernels_shortest_periods(share: float) -> None:
    quota = CpuQuota.of_share(share)
    assert quota.share == pytest.approx(share, rel=0.005)
    assert quota.quota_us >= 1000
    assert 1000 <= quota.period_us <= 1_000_000
    assert quota.quota_us == 1000 or quota.period_us == 1000


def test_report_shows_the_share_and_the_distance_from_the_target(digits: Model) -> None:
    scale = calibrated(FakeDial({"digits": 5.0}), target(digits, 60.0))
    scale.check()
    scaling = section(ScalingSection, scale.record())
    assert "% of a core of this host, in periods of" in words.method(scaling)
    assert "the server waits for the rest" in words.method(scaling)
    assert "at the end (+0." in words.against_target(scaling) or "at the end (-0." in words.against_target(scaling)
    heat = ThrottleSection(after_s=60, clock_hz=1_000_000_000, target_ms=90, before_ms=60.1, after_ms=90.2)
    assert words.throttle(heat) == "1 GHz after 60 s of load: p50 60.1 ms before, 90.2 ms after (90 ms predicted)"


def test_the_spread_of_times_over_inputs_is_told_where_sizes_are_of_the_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Identity", ["n"], ["y"])]
    nonzero = write(tmp_path / "n.onnx", nodes, {"x": [512, 512]}, types={"y": TensorProto.INT64})
    requests = [{"x": np.full((512, 512), value, np.float32)} for value in (1, 0)]
    readers = [ModelReader(nonzero, arrays=request) for request in requests]
    board = profiles.load("raspberry-pi-4")
    alone = scaling_targets.predicted(board, readers[:1])
    both = scaling_targets.predicted(board, readers)
    assert isinstance(alone, Prediction)
    assert isinstance(both, Prediction)
    assert both.notes[:-1] == alone.notes
    low, high = both.notes[-1].removeprefix("over 2 inputs: ").removesuffix(" ms").split(" to ")
    assert float(high) > 2 * float(low)


def test_heat_slows_a_calibrated_board_as_its_clock_drops(digits: Model) -> None:
    cool = profiles.load("raspberry-pi-4")
    board = cool.model_copy(update={"thermal": Thermal(full_speed_s=60, clock_hz=cool.cpu.clock_hz // 2)})
    arrays = inputs.choose(digits, InputOptions()).requests[0]
    readers = [ModelReader(digits, arrays=arrays)]
    plain, hot = (scaling_targets.predicted(each, readers) for each in (board, board.heated()))
    assert isinstance(plain, Prediction)
    assert isinstance(hot, Prediction)
    calibrated = replace(plain, p50_ms=3 * plain.p50_ms)
    found = scaling_targets.target(board, digits, arrays, calibrated)
    assert found.heated_ms is not None
    assert plain.server is not None
    assert 1 < found.heated_ms / found.time_ms < 2.1
    assert found.time_ms == pytest.approx(3 * plain.p50_ms + plain.server.p50_ms)
    assert found.heated_ms == pytest.approx(3 * hot.p50_ms + 2 * plain.server.p50_ms)


def test_steps_of_a_sequence_have_paces_on_a_straight_line_between_the_tuned_ones(digits: Model) -> None:
    dial = FakeDial({"digits": 2.0})
    of_model = target(digits, 20.0)
    steps = [replace(of_model, step=step, time_ms=time_ms) for step, time_ms in ((1, 20.0), (11, 40.0), (0, 200.0))]
    scale = calibrated(dial, *steps)
    times_ms = {}
    for step in (0, 1, 6, 11):
        scale.pace_step(step)
        times_ms[step] = dial.ask(of_model, 1)[0]
    assert times_ms == pytest.approx({0: 200.0, 1: 20.0, 6: 30.0, 11: 40.0}, rel=0.02)


def test_step_whose_pace_hardly_differs_sets_no_pace_anew(digits: Model) -> None:
    dial = FakeDial({"digits": 2.0})
    of_model = target(digits, 20.0)
    scale = calibrated(
        dial, *(replace(of_model, step=step, time_ms=time_ms) for step, time_ms in ((1, 20.0), (99, 20.4)))
    )
    scale.pace_step(1)
    pace_ms = dial.pace_ms
    scale.pace_step(2)
    assert dial.pace_ms is pace_ms
    scale.pace_step(98)
    assert dial.pace_ms is not pace_ms


def test_requests_of_one_time_have_no_pace_by_step(digits: Model) -> None:
    dial = FakeDial({"digits": 2.0})
    scale = calibrated(dial, target(digits, 20.0))
    pace_ms = dial.pace_ms
    scale.pace_step(3)
    assert dial.pace_ms is pace_ms
