"""Predicted device time: its dependence on the board's facts, its band, calibrations, and declined predictions."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgesim
from edgesim import profiles
from edgesim.errors import HostError, ModelError, ProfileError, UsageError
from edgesim.jobs.calibrate import calibrate
from edgesim.models.repository import Model, read
from edgesim.predictions import Declined, Prediction, calibration, predict, predict_or_decline
from edgesim.predictions.alternatives import alternatives
from edgesim.predictions.calibration import Calibration
from edgesim.predictions.model_reader import ModelReader
from edgesim.profiles import DeviceProfile, cores
from edgesim.results.run_result import RunResult
from edgesim.results.sections import Distribution, GenerationSection
from tests.support import results
from tests.unit.predictions.test_graph import save


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESIM_CONFIG_DIR", str(tmp_path / "configuration"))


def width(prediction: Prediction) -> float:
    return prediction.high_ms / prediction.p50_ms


def with_cpu(profile: DeviceProfile, **facts: object) -> DeviceProfile:
    return profile.model_copy(update={"cpu": profile.cpu.model_copy(update=facts)})


def test_a_faster_clock_shortens_arithmetic_and_not_memory(resnet18: Model) -> None:
    profile = profiles.load("raspberry-pi-4")
    slow, fast = predict(profile, resnet18), predict(with_cpu(profile, clock_hz=2 * profile.cpu.clock_hz), resnet18)
    for before, after in zip(slow.nodes, fast.nodes, strict=True):
        assert after.arithmetic_ms == pytest.approx(before.arithmetic_ms / 2)
        assert before.memory_ms / 2 < after.memory_ms <= before.memory_ms
    assert slow.p50_ms / 2 < fast.p50_ms < slow.p50_ms


@pytest.mark.parametrize(("columns", "cycles"), [(16, 3_000), (1 << 20, 20_000)])
def test_node_costs_less_beside_its_arithmetic_if_it_is_too_small_for_several_threads(
    columns: int, cycles: float, tmp_path: Path
) -> None:
    profile = profiles.load("raspberry-pi-4")

    def relu_ms(columns: int) -> float:
        path = save(tmp_path / f"{columns}.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [1, columns]})
        return predict(profile, read(path, name="relu")).p50_ms

    once_ms = 2 * relu_ms(columns) - relu_ms(2 * columns)  # what does not grow with the bytes
    assert once_ms == pytest.approx(1e3 * cycles / profile.cpu.clock_hz, rel=0.15)


def test_threads_speed_up_less_than_linearly_and_stop_at_the_number_of_cores(resnet18: Model) -> None:
    times = [predict("raspberry-pi-5", resnet18, threads=threads).p50_ms for threads in (1, 2, 4, 8)]
    assert times[0] > times[1] > times[2] == times[3]
    assert times[0] / times[2] < 4


def test_a_power_mode_changes_the_predicted_time(resnet18: Model) -> None:
    assert predict("jetson-nano:5w", resnet18).p50_ms > 2 * predict("jetson-nano", resnet18).p50_ms


def test_the_nodes_add_up_to_the_prediction(resnet18: Model) -> None:
    prediction = predict("jetson-nano", resnet18)
    assert sum(time.ms for time in prediction.nodes) == pytest.approx(prediction.p50_ms)
    assert prediction.low_ms * prediction.high_ms == pytest.approx(prediction.p50_ms**2)


def test_unpublished_boards_cores_and_facts_widen_the_band_and_are_named(resnet18: Model) -> None:
    seen, other_board = predict("raspberry-pi-4", resnet18), predict("rk3399", resnet18)
    other_core, no_fact = predict("jetson-nano", resnet18), predict("jetson-tx2", resnet18)
    assert width(seen) < width(other_board) < width(other_core) < width(no_fact)
    assert seen.notes == ()
    assert "no published figure, only on other boards with a Cortex-A72" in other_board.notes[0]
    (note,) = other_core.notes
    assert "Jetson Nano 4GB (B01): an extrapolation, since no figure is published for it or another Cortex-A57" in note
    assert "the profile lacks cpu.bandwidth.copy_bytes_per_s" in no_fact.notes[1]


FROM_SCRATCH = """
name: gateway-box
title: A box with a Cortex-A72
soc: TDA4VM
architecture: arm64
cpu: {core: Cortex-A72, cores: 2, clock_hz: 2_000_000_000}
memory: {marketed_bytes: 4 GB, visible_bytes: 3.6 GiB}
emulation: {qemu_cpu: cortex-a72}
image: {dockerfile: Dockerfile.jetson}
"""
EXTENDING = """
extends: raspberry-pi-4
name: gateway-box
title: A box with a Cortex-A72
soc: TDA4VM
cpu: {cores: 2, clock_hz: 2_000_000_000, fp32_flops_per_cycle: null}
memory: {marketed_bytes: 4 GB, visible_bytes: 3.6 GiB}
"""


def test_a_board_of_equal_facts_has_one_prediction_however_its_profile_is_written(
    resnet18: Model, tmp_path: Path
) -> None:
    boards = []
    for name, text in (("scratch", FROM_SCRATCH), ("extending", EXTENDING)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        boards.append(predict(profiles.load(path), resnet18))
    assert boards[0] == boards[1]


def test_a_fact_that_a_prediction_lacks_is_named_by_its_key_with_where_to_find_it(
    resnet18: Model, tmp_path: Path
) -> None:
    path = tmp_path / "board.yaml"
    path.write_text(FROM_SCRATCH)
    lacking = {note.split(":")[0]: note for note in predict(profiles.load(path), resnet18).notes if "lacks" in note}
    assert list(lacking) == [
        "the profile lacks cpu.fp32_flops_per_cycle",
        "the profile lacks cpu.bandwidth.copy_bytes_per_s",
        "the profile lacks memory.bandwidth_bytes_per_s",
        "the profile lacks cpu.features",
    ]
    assert "tinymembench" in lacking["the profile lacks cpu.bandwidth.copy_bytes_per_s"]
    assert "edgesim profiles measure" in lacking["the profile lacks cpu.bandwidth.copy_bytes_per_s"]
    assert "/proc/cpuinfo" in lacking["the profile lacks cpu.features"]


def test_a_core_of_no_family_gets_the_mean_a_wider_band_and_a_note(resnet18: Model) -> None:
    profile = profiles.load("jetson-nano")
    known, no_family = predict(profile, resnet18), predict(with_cpu(profile, core="Denver2"), resnet18)
    assert width(no_family) > width(known)
    assert 0.5 < no_family.p50_ms / known.p50_ms < 2
    assert "core Denver2 is in no family of the table of cores: taken as the mean of all families" in no_family.notes
    assert not any("family" in other for other in known.notes)


def test_a_core_that_is_not_in_the_table_is_declined_unless_a_calibration_corrects_it(
    resnet18: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = with_cpu(profiles.load("jetson-nano"), core="Cortex-A75X")
    with pytest.raises(ProfileError, match=r"core Cortex-A75X: not in the table of cores.*did you mean 'Cortex-A75'"):
        predict(profile, resnet18)
    basis = predict(profile, resnet18, use_calibration=False)  # what a calibration corrects
    stored = Calibration(profile="mine", profile_sha256="", models=("net",), log_ratios=(math.log(2),))
    monkeypatch.setattr(calibration, "find", lambda *_: stored)
    assert predict(profile, resnet18).p50_ms == pytest.approx(2 * basis.p50_ms)


def test_a_core_may_be_written_in_any_case(resnet18: Model) -> None:
    profile = profiles.load("jetson-nano")
    assert predict(with_cpu(profile, core="cortex-a57"), resnet18) == predict(profile, resnet18)


def test_a_model_whose_files_are_more_than_the_boards_memory_is_told_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "w.bin").touch()
    os.truncate(tmp_path / "w.bin", 2**30)  # takes no disk
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL, dims=[2**14, 2**14])
    weight.external_data.add(key="location", value="w.bin")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2**14])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    large = read(tmp_path / "m.onnx", name="m")
    note = "does not fit: the model's files take 1.0 GiB, and programs on the board have 427.0 MiB of memory"
    assert note in predict("raspberry-pi-zero-2", large).notes
    assert "sha256" not in vars(large), "a digest of all weights takes seconds"
    assert not any(note.startswith("does not fit") for note in predict("raspberry-pi-4", large).notes)


def test_an_operation_of_unknown_cost_widens_the_band_and_is_named(tmp_path: Path) -> None:
    known = save(tmp_path / "k.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [512, 512]})
    strange = save(tmp_path / "s.onnx", [helper.make_node("Det", ["x"], ["y"])], {"x": [512, 512]})
    prediction = predict("raspberry-pi-5", strange)
    assert width(prediction) > 1.5 * width(predict("raspberry-pi-5", known))
    assert "the cost of Det is not known: 100 % of the time, by its time on this host" in prediction.notes


def test_a_prediction_without_a_basis_is_declined(tmp_path: Path, resnet18: Model) -> None:
    with pytest.raises(ProfileError, match="no prediction: it has the core of its host"):
        predict("x86-gateway", resnet18)
    with pytest.raises(ProfileError, match="no prediction for amd64"):
        predict("intel-n100", resnet18)
    open_sizes = save(tmp_path / "o.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": [1, "words"]})
    with pytest.raises(ModelError, match="only known at run time"):
        predict("raspberry-pi-5", open_sizes)


def test_a_declined_prediction_is_a_value_with_the_error_that_predict_raises(resnet18: Model) -> None:
    declined = predict_or_decline(profiles.load("intel-n100"), resnet18)
    assert isinstance(declined, Declined)
    assert declined.error_class is ProfileError
    assert declined.fix == "measure the time on the board itself: edgesim run there, or with `context`"
    with pytest.raises(ProfileError) as caught:
        predict("intel-n100", resnet18)
    assert (caught.value.problem, caught.value.fix) == (declined.reason, declined.fix)
    assert isinstance(predict_or_decline(profiles.load("jetson-nano"), resnet18), Prediction)


def test_a_target_that_the_board_lacks_is_refused_with_the_nearest(digits: Model) -> None:
    with pytest.raises(UsageError, match=r"`target=gpu`: .* has no such target; it has cpu, gpu:tensorrt-fp16, .*16'"):
        predict("jetson-nano", digits, target="gpu")
    with pytest.raises(UsageError, match="it has cpu; did you mean 'cpu'"):
        predict("raspberry-pi-4", digits, target="gpu")


def test_predicting_imports_no_engine_no_scipy_and_no_training(resnet18: Model) -> None:
    """A prediction must start quickly: each of these takes 0.1 s to a second to import."""
    script = f"import sys, edgesim; edgesim.predict('jetson-nano', {str(resnet18.path)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    modules = set(done.stdout.split())
    assert "edgesim.predictions.onnxruntime_cpu" in modules
    unneeded = {"docker", "scipy", "sklearn", "onnxruntime", "onnx.reference", "edgesim.results", "edgesim.engine"}
    assert modules & unneeded == set()


def test_python_predicts_by_names_of_profile_and_model(digits: Model) -> None:
    assert edgesim.predict("raspberry-pi-5", "digits").p50_ms == predict("raspberry-pi-5", digits).p50_ms


def test_the_alternatives_are_half_the_resolution_and_int8(tmp_path: Path) -> None:
    weights = np.zeros((64, 64, 3, 3), np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    convolution = read(save(tmp_path / "c.onnx", nodes, {"x": [1, 64, 64, 64]}, w=weights), name="c")
    profile = profiles.load("raspberry-pi-5")
    now = predict(profile, convolution)
    half, int8 = alternatives(profile, ModelReader(convolution))
    assert half.prediction is not None
    assert now.p50_ms / half.prediction.p50_ms == pytest.approx(4, rel=0.1)
    assert int8.prediction is not None
    assert now.p50_ms / 4 < int8.prediction.p50_ms < now.p50_ms
    assert width(int8.prediction) > width(now)


def test_a_graph_with_a_fixed_resolution_has_no_alternative_resolution(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "to"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["y"])]
    weights = {"to": np.array([1, 64]), "w": np.zeros((64, 10), np.float32)}
    fixed = read(save(tmp_path / "f.onnx", nodes, {"x": [1, 1, 8, 8]}, **weights), name="f")
    half, _ = alternatives(profiles.load("raspberry-pi-5"), ModelReader(fixed))
    assert half.prediction is None
    assert "fixed resolution" in half.reason


def calibration_of(ratios: list[float], profile: DeviceProfile) -> Calibration:
    return Calibration(
        profile=profile.reference,
        profile_sha256=profile.sha256,
        models=tuple("abcd"[: len(ratios)]),
        log_ratios=tuple(map(math.log, ratios)),
    )


def test_a_calibration_moves_and_narrows_predictions_for_its_board_only(resnet18: Model) -> None:
    profile = profiles.load("jetson-nano")
    before, neighbour = predict(profile, resnet18), predict("jetson-nano:5w", resnet18)
    calibration.write(profile, calibration_of([1.3], profile))
    once = predict(profile, resnet18)
    assert once.p50_ms == pytest.approx(1.3 * before.p50_ms)
    assert width(once) < width(before)
    assert once.notes == ()
    assert "calibrated by a on the board itself" in once.method
    calibration.write(profile, calibration_of([1.3, 1.3], profile))
    assert width(predict(profile, resnet18)) < width(once)
    calibration.write(profile, calibration_of([1.0, 1.69], profile))
    assert width(predict(profile, resnet18)) > width(once), "two models that contradict each other say less than one"
    assert predict("jetson-nano:5w", resnet18) == neighbour


def test_a_calibration_of_a_changed_profile_is_not_used(resnet18: Model) -> None:
    profile = profiles.load("jetson-nano")
    calibration.write(profile, calibration_of([2.0], profile))
    other = with_cpu(profile, clock_hz=profile.cpu.clock_hz + 1)
    assert predict(other, resnet18).p50_ms == pytest.approx(predict(other, resnet18, use_calibration=False).p50_ms)


def test_a_calibration_of_a_user_s_profile_is_beside_the_profile(resnet18: Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: jetson-nano\nname: mine\n")
    profile = profiles.load(f"{path}:5w")
    calibration.write(profile, calibration_of([2.0], profile))
    assert [file.name for file in tmp_path.glob("*.json")] == ["mine@5w.calibration.json"]
    assert "calibrated" in predict(profiles.load(f"{path}:5w"), resnet18).method
    assert "calibrated" not in predict(profiles.load(str(path)), resnet18).method


def test_a_broken_calibration_is_an_error(resnet18: Model) -> None:
    profile = profiles.load("jetson-nano")
    path = calibration.write(profile, calibration_of([2.0], profile))
    path.write_text("{}")
    with pytest.raises(ProfileError, match="not a calibration"):
        predict(profile, resnet18)


def test_a_calibration_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    profile = profiles.load("jetson-nano")
    (tmp_path / "configuration").write_text("in the way")
    with pytest.raises(HostError, match="cannot write"):
        calibration.write(profile, calibration_of([2.0], profile))


def native(result: RunResult, model: Model, profile: DeviceProfile, p50_ms: float) -> RunResult:
    return results.on_the_board(result).model_copy(
        update={
            "profile": result.profile.model_copy(update={"name": profile.name, "mode": profile.mode}),
            "model": result.model.model_copy(update={"name": model.name, "sha256": model.sha256}),
            "service_time_ms": Distribution(p50=p50_ms),
            "validity": result.validity.model_copy(update={"valid": True, "reasons": ()}),
        }
    )


def test_a_native_result_calibrates_the_board(result: RunResult, digits: Model, tmp_path: Path) -> None:
    profile = profiles.load("jetson-nano")
    predicted = predict(profile, digits, threads=2)
    assert predicted.server is not None
    # What is measured is a request, of which the server's part is not the runtime's.
    run = native(result, digits, profile, predicted.request_ms + predicted.server.p50_ms)
    run = run.model_copy(update={"device": run.device.model_copy(update={"intra_op_threads": 2})})
    run.write(tmp_path / "r.json")
    stored = calibrate(profile, [tmp_path / "r.json"])
    factor = predicted.request_ms / predicted.p50_ms
    assert stored.calibration.factor == pytest.approx(factor)
    assert predict(profile, digits, threads=2).p50_ms == pytest.approx(factor * predicted.p50_ms)
    again = calibrate(profile, [tmp_path / "r.json"])
    assert again.calibration.factor == pytest.approx(factor), "relative to the prediction without a calibration"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"execution": "emulated"}, "is a run of execution emulated"),
        (
            {"execution": "same-architecture", "host": results.beside_the_board(results.emulated_and_invalid()).host},
            r"has not proven to be the board \(core Neoverse-N1, the board's Cortex-A57\)",
        ),
        ({"complete": False}, "is INVALID, or was cut short"),
        ({"service_time_ms": Distribution()}, "has no median"),
        ({"generation": GenerationSection(prompt_tokens=8, new_tokens=4, generations=1)}, "is a generation"),
    ],
)
def test_a_result_that_does_not_show_the_board_s_time_calibrates_nothing(
    result: RunResult, digits: Model, tmp_path: Path, change: dict[str, object], problem: str
) -> None:
    profile = profiles.load("jetson-nano")
    native(result, digits, profile, 1.0).model_copy(update=change).write(tmp_path / "r.json")
    with pytest.raises(UsageError, match=problem):
        calibrate(profile, [tmp_path / "r.json"])
    assert calibration.find(profile) is None


def test_a_native_file_without_the_proof_calibrates_nothing(result: RunResult, digits: Model, tmp_path: Path) -> None:
    profile = profiles.load("jetson-nano")
    document = json.loads(native(result, digits, profile, 1.0).as_json())
    del document["host"]["is_the_board"]
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="a machine that has not proven to be the board"):
        calibrate(profile, [tmp_path / "r.json"])


def test_a_profile_with_the_core_of_its_host_is_not_calibrated(
    result: RunResult, digits: Model, tmp_path: Path
) -> None:
    profile = profiles.load("x86-gateway")
    run = native(result, digits, profile, 1.0)
    host = run.host.model_copy(update={"is_the_board": False})
    run.model_copy(update={"host": host, "profile": run.profile.model_copy(update={"core": cores.HOST})}).write(
        tmp_path / "r.json"
    )
    with pytest.raises(UsageError, match="which has the core of its host: its time is that host's"):
        calibrate(profile, [tmp_path / "r.json"])


def test_a_result_of_another_board_or_model_calibrates_nothing(
    result: RunResult, digits: Model, tmp_path: Path
) -> None:
    profile = profiles.load("jetson-nano")
    run = native(result, digits, profile, 1.0)
    run.write(tmp_path / "r.json")
    with pytest.raises(UsageError, match="is of jetson-nano, not of raspberry-pi-5"):
        calibrate(profiles.load("raspberry-pi-5"), [tmp_path / "r.json"])
    with pytest.raises(UsageError, match="a second run of digits"):
        calibrate(profile, [tmp_path / "r.json", tmp_path / "r.json"])
    run.model_copy(update={"model": run.model.model_copy(update={"sha256": "ab"})}).write(tmp_path / "r.json")
    with pytest.raises(UsageError, match="is not the measured model"):
        calibrate(profile, [tmp_path / "r.json"])


def test_a_request_takes_the_device_time_and_the_server_s_time(digits: Model, resnet18: Model) -> None:
    small, large = predict("jetson-nano", digits), predict("jetson-nano", resnet18)
    assert small.server is not None
    assert large.server is not None
    assert small.request_ms == pytest.approx(small.p50_ms + small.server.p50_ms)
    assert small.server.low_ms < small.server.p50_ms < small.server.high_ms
    assert small.server.p50_ms > small.p50_ms, "most of a request of a tiny model is the server's time"
    assert large.server.p50_ms < 0.01 * large.p50_ms
    assert large.server.p50_ms > small.server.p50_ms, "a larger request is copied longer"


def test_the_server_s_time_follows_core_and_clock(digits: Model) -> None:
    def server_ms(board: str) -> float:
        server = predict(board, digits).server
        assert server is not None
        return server.p50_ms

    assert server_ms("raspberry-pi-5") < server_ms("raspberry-pi-4") < server_ms("raspberry-pi-3")
