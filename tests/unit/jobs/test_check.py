"""A check whose emulated board is killed for lack of memory: it gets room for the emulator, and is judged then."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.boards import launch as launching
from edgesim.boards.board import Board
from edgesim.boards.launch import Launch
from edgesim.errors import EngineMissing, ModelError, ModelUnsupported, OutOfMemory, UsageError
from edgesim.host.host_facts import HostFacts
from edgesim.jobs import check as checking
from edgesim.jobs.check_items import EMULATOR_ROOM
from edgesim.jobs.run import run
from edgesim.measure import host_session
from edgesim.models.repository import Model
from edgesim.options import InputOptions, RunOptions
from edgesim.progress import Stages
from edgesim.recording import Reading
from edgesim.results.verdict import Item, Verdict
from tests.support.fake_device import FakeDevice
from tests.support.strange_models import endless

MACHINE = HostFacts(cpu="x", cores=2, memory_bytes=2**33, kernel="Linux", engine="Docker", emulator="QEMU 10")


class Emulation:
    """Boards that are killed below a memory limit, and need so much memory above it."""

    def __init__(self, *, killed_below_bytes: float, needed_bytes: int, emulated: bool = True) -> None:
        self._killed_below_bytes, self._needed_bytes, self._emulated = killed_below_bytes, needed_bytes, emulated
        self.limits: list[int] = []

    @contextmanager
    def start(self, launch: Launch, stages: Stages) -> Iterator[Board]:
        limit = int(launch.profile.memory.visible_bytes)
        self.limits.append(limit)
        if limit < self._killed_below_bytes:
            error = OutOfMemory("killed at the board's memory limit")
            error.emulated = self._emulated
            raise error
        reading = Reading(0, None, None, memory_peak_bytes=limit, memory_unreclaimable_bytes=self._needed_bytes)
        yield Board(
            device=FakeDevice(),
            execution="emulated",
            host=MACHINE,
            cpus=1.0,
            intra_op_threads=1,
            shortfalls=(),
            models=launch.models,
            create_s=0.1,
            start_readings=(reading,),
        )


def check(
    model: Model,
    emulation: Emulation,
    monkeypatch: pytest.MonkeyPatch,
    profile: str = "raspberry-pi-zero-2",
    targets: tuple[str, ...] = (),
) -> Verdict:
    def no_answers(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(checking, "require_engine", lambda _: None)
    monkeypatch.setattr(checking, "start", emulation.start)
    monkeypatch.setattr(checking, "_items_of_the_answers", no_answers)
    monkeypatch.setattr(checking, "emulator_memory", lambda *_: None)
    monkeypatch.setattr(launching, "resolve_context", lambda engine, name: None)
    return checking.check(profile, model.path, checking.CheckOptions(targets=targets))


def test_output_that_edgesim_cannot_serve_is_no_fault_of_the_artifact(tmp_path: Path) -> None:
    weights: dict[str, Any] = {"coefficients": [1.0] * 4, "intercepts": [0.0] * 2}
    scores = helper.make_node("LinearClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **weights)
    maps = helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])]
    outputs = [helper.make_value_info("maps", helper.make_sequence_type_proto(kind))]
    graph = helper.make_graph([scores, maps], "net", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "net.onnx")
    with pytest.raises(ModelUnsupported, match="maps is a sequence of maps") as refused:
        checking.check("raspberry-pi-4", tmp_path / "net.onnx")
    assert refused.value.exit_code == 2
    assert "options={'zipmap': False}" in refused.value.fix


def test_artifact_that_is_no_model_fails_with_what_to_do(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 4096\n"
    (tmp_path / "net.onnx").write_text(pointer)
    (item,) = checking.check("raspberry-pi-4", tmp_path / "net.onnx").items
    assert (item.name, item.verdict) == ("artifact", "FAIL")
    assert "a Git LFS pointer, not the file; git -C " in item.finding
    assert "lfs pull" in item.finding


def test_board_that_is_killed_with_the_emulator_is_judged_with_room_for_the_emulator(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(killed_below_bytes=500 << 20, needed_bytes=300 << 20)
    memory = next(item for item in check(digits, emulation, monkeypatch).items if item.name == "memory")
    assert memory.verdict == "PASS"
    assert "killed at the board's memory limit; these figures are with 256.0 MiB more" in memory.finding
    assert emulation.limits[1] - emulation.limits[0] == EMULATOR_ROOM


def test_board_that_is_killed_again_does_not_fit(digits: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    emulation = Emulation(killed_below_bytes=2**40, needed_bytes=0)
    (memory,) = (item for item in check(digits, emulation, monkeypatch).items if item.name == "memory")
    assert memory.verdict == "FAIL"
    assert "and again with 256.0 MiB more" in memory.finding


def test_board_that_is_killed_without_an_emulator_does_not_fit(digits: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    emulation = Emulation(killed_below_bytes=2**40, needed_bytes=0, emulated=False)
    (memory,) = (item for item in check(digits, emulation, monkeypatch).items if item.name == "memory")
    assert (memory.verdict, len(emulation.limits)) == ("FAIL", 1)


def test_targets_of_the_board_are_shown_and_judged_only_where_they_are_named(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(killed_below_bytes=0, needed_bytes=1 << 20)
    shown = check(digits, emulation, monkeypatch, "jetson-nano")
    assert _gpus(shown.not_judged) == [f"gpu:tensorrt-{name}" for name in ("fp16", "fp32", "int8")]
    assert shown.word == "PASS", "int8, which the board has no fast path for, is none that anybody named"
    named = check(digits, emulation, monkeypatch, "jetson-nano", ("gpu:tensorrt-int8",))
    assert _gpus(named.not_judged) == []
    assert named.items[-1].name == "gpu:tensorrt-int8"
    assert named.word == "FAIL"
    with pytest.raises(UsageError, match="has no such target"):
        check(digits, emulation, monkeypatch, "jetson-nano", ("gpu",))


def test_what_a_gpu_makes_of_a_model_is_said_of_a_board_that_does_not_start_too(
    digits: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation = Emulation(killed_below_bytes=2**40, needed_bytes=0)
    assert len(_gpus(check(digits, emulation, monkeypatch, "jetson-nano").not_judged)) == 3


def _gpus(items: Sequence[Item]) -> list[str]:
    return [item.name for item in items if item.name.startswith("gpu:")]


@pytest.mark.parametrize("job", [run, checking.check])
def test_an_engine_that_does_not_answer_is_told_before_the_model_runs_on_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Callable[..., object]
) -> None:
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    monkeypatch.setattr(host_session.HostSession, "run", lambda *_, **__: pytest.fail("it ran on this host"))
    options = RunOptions(inputs=InputOptions(shapes={"turns": (1,), "x": (1,)}))
    with pytest.raises(EngineMissing):
        job("x86-gateway", path, options=options)


def test_model_that_does_not_end_on_this_host_is_refused_before_a_board_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(launch: Launch, stages: Stages) -> None:
        raise AssertionError("a board was started")

    path = tmp_path / "endless.onnx"
    path.write_bytes(endless())
    monkeypatch.setattr(checking, "require_engine", lambda _: None)
    monkeypatch.setattr(checking, "start", start)
    monkeypatch.setattr(host_session, "MOST_S", 2)
    inputs = InputOptions(shapes={"turns": (1,), "x": (1,)}, ranges={"turns": (2**40, 2**40)})
    with pytest.raises(ModelError, match="did not end within 2 s"):
        checking.check("x86-gateway", path, options=RunOptions(inputs=inputs))
