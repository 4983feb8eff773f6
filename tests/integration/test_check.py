"""The check before a release: what it says of a good model, and of planted faults."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.host.emulator import host_architecture
from edgesim.models.repository import Model
from tests.integration.conftest import edgesim
from tests.support import custom_operations
from tests.support import model_faults as faults
from tests.support.command_line import edgesim_here
from tests.support.this_host import ONE_IMAGE, accuracy_on_this_host

LOCAL = ("--engine", "local")


def check(*arguments: str | Path) -> tuple[int, str, dict[str, dict[str, str]]]:
    """Exit code, the verdict of the whole, and the items by their names."""
    done = edgesim("check", *arguments, "--json")
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    return done.returncode, document["verdict"], {item["name"]: item for item in document["items"]}


@pytest.fixture
def copy(digits: Model, tmp_path: Path) -> Callable[..., Path]:
    """A repository with the digits in it, changed as told."""

    def make(change: Callable[[onnx.ModelProto], None] | None = None, **options: Any) -> Path:
        repository = tmp_path / "models"
        shutil.copytree(digits.path.parents[1], repository / "digits")
        path = repository / "digits" / "1" / "model.onnx"
        if change is not None:
            proto = onnx.load(path)
            change(proto)
            onnx.save(proto, path, **options)
        return repository

    return make


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_a_good_model_passes_every_item_on_the_board(tmp_path: Path, digits: Model) -> None:
    junit = tmp_path / "check.xml"
    code, verdict, items = check("jetson-nano", "digits", "--junit", junit)
    assert (code, verdict) == (0, "PASS"), items
    assert list(items) == ["artifact", "release", "loads", "operations", "answers", "accuracy", "memory", "cold start"]
    assert "on cortex-a57" in items["loads"]["finding"]
    # The digits are trained on this host, and another processor's sums give a model that errs elsewhere.
    accuracy = re.match(r"([\d.]+) % of 360; .*this host ([\d.]+) %", items["accuracy"]["finding"])
    assert accuracy is not None, items["accuracy"]
    assert float(accuracy[2]) == pytest.approx(100 * accuracy_on_this_host(digits), abs=0.01)
    assert float(accuracy[1]) == pytest.approx(float(accuracy[2]), abs=100 * ONE_IMAGE)
    assert float(accuracy[1]) >= 95
    assert "without the emulator" in items["memory"]["finding"]
    suite = ElementTree.fromstring(junit.read_text())
    # What is shown and not judged is skipped: the board's three targets on its GPU, and its usual release.
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("12", "0", "4")


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_a_model_that_needs_more_memory_than_the_board_has_fails_for_it(tiny_board: Path, tmp_path: Path) -> None:
    # 187 MiB of weights: more than the board's 100, whatever the emulator takes.
    weight = numpy_helper.from_array(np.ones((7000, 7000), np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 7000]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    done = edgesim("check", tiny_board, path, "--json")
    document = json.loads(done.stdout)
    items = {item["name"]: item for item in document["items"]}
    assert (done.returncode, document["verdict"]) == (1, "FAIL")
    assert items["memory"]["verdict"] == "FAIL"
    assert "killed at the board's memory limit of 100.0 MiB" in items["memory"]["finding"]
    assert "running the reference" not in done.stderr, "this host may have no room for the reference, either"


@pytest.mark.docker
@pytest.mark.usefixtures("nothing_left_behind")
def test_inputs_file_beside_a_model_gives_a_container_sizes_and_values(desk: Path, tmp_path: Path) -> None:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "sequence", 4])
    table = numpy_helper.from_array(np.arange(80, dtype=np.float32).reshape(20, 4), "table")
    graph = helper.make_graph([helper.make_node("Gather", ["table", "ids"], ["rows"])], "g", [ids], [rows], [table])
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert edgesim("check", desk, path).returncode == 2, "the sizes are open"
    (tmp_path / "net.inputs.yaml").write_text("inputs:\n  ids: {shape: [1, 16], range: [0, 19]}\n")
    code, _, items = check(desk, path, "--requests", "2")
    assert code == 0, items
    assert items["answers"]["finding"].endswith("over 2 samples")


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_an_operation_without_a_kernel_on_the_board_fails_by_name(tmp_path: Path) -> None:
    path = faults.no_kernel(tmp_path / "net.onnx")
    code, _, items = check("jetson-nano", path)
    assert code == 1
    assert items["operations"]["verdict"] == "FAIL"
    assert "Sin" in items["operations"]["finding"]


def test_an_opset_too_new_does_not_load(copy: Callable[..., Path]) -> None:
    code, _, items = check("jetson-nano", "digits", "--models", copy(faults.newer), *LOCAL)
    assert code == 1
    assert items["loads"]["verdict"] == "FAIL"
    assert "opset" in items["loads"]["finding"].lower()


def test_weights_changed_in_one_channel_are_found_beside_a_reference(copy: Callable[..., Path], digits: Model) -> None:
    repository = copy(faults.one_channel)
    code, _, items = check("jetson-nano", "digits", "--models", repository, "--reference", digits.path, *LOCAL)
    assert code == 1
    assert items["answers"]["verdict"] == "FAIL"
    assert "worst at [" in items["answers"]["finding"]
    code, verdict, _ = check("jetson-nano", "digits", "--models", repository, *LOCAL)
    assert (code, verdict) == (0, "PASS"), "beside itself it is as it is"


def test_golden_outputs_beside_the_model_find_it_too(copy: Callable[..., Path], digits: Model) -> None:
    import onnxruntime

    repository = copy(faults.one_channel)
    session = onnxruntime.InferenceSession(str(digits.path), providers=["CPUExecutionProvider"])
    assert digits.samples_path is not None
    with np.load(digits.samples_path) as samples:
        outputs = session.run(None, {"image": samples["image"]})
    names = [output.name for output in session.get_outputs()]
    np.savez(repository / "digits" / "golden.npz", **dict(zip(names, outputs, strict=True)))
    code, _, items = check("jetson-nano", "digits", "--models", repository, *LOCAL)
    assert code == 1
    assert "differs from the golden outputs in golden.npz" in items["answers"]["finding"]


def test_a_missing_file_of_weights_and_a_file_cut_in_half_fail_the_artifact(
    copy: Callable[..., Path], digits: Model
) -> None:
    repository = copy(faults.outside)
    (repository / "digits" / "1" / "weights.bin").unlink()
    code, _, items = check("jetson-nano", "digits", "--models", repository, *LOCAL)
    assert code == 1
    assert "file of weights weights.bin is missing" in items["artifact"]["finding"]

    path = repository / "digits" / "1" / "model.onnx"
    whole = digits.path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    code, _, items = check("jetson-nano", "digits", "--models", repository, *LOCAL)
    assert code == 1
    assert {name for name, item in items.items() if item["verdict"] == "FAIL"} <= {"artifact", "loads"}


def test_an_accuracy_lost_on_the_board_fails(copy: Callable[..., Path], digits: Model) -> None:
    def broken(proto: onnx.ModelProto) -> None:
        for tensor in proto.graph.initializer:
            if len(tensor.dims) == 2:
                values = numpy_helper.to_array(tensor)
                tensor.CopyFrom(numpy_helper.from_array(-values, tensor.name))

    code, _, items = check("jetson-nano", "digits", "--models", copy(broken), "--reference", digits.path, *LOCAL)
    assert code == 1
    assert items["accuracy"]["verdict"] == "FAIL"
    assert "points lost, at most 1 allowed" in items["accuracy"]["finding"]


def test_size_and_libraries_are_held_against_what_is_asked_for() -> None:
    code, _, items = check("jetson-nano", "digits", *LOCAL, "--max-artifact", "10kB", "--outside-container")
    assert code == 1
    assert items["artifact"]["verdict"] == "FAIL"
    assert "Ubuntu 18.04 has glibc 2.27 and Python 3.6: 1.10.0 is the newest release" in items["libraries"]["finding"]
    assert items["libraries"]["verdict"] == "FAIL"
    _, _, newer = check("raspberry-pi-5", "digits", *LOCAL, "--outside-container")
    assert newer["libraries"]["verdict"] == "PASS"


def test_a_tolerance_of_nothing_is_not_met_and_is_the_user_s_to_set(copy: Callable[..., Path], digits: Model) -> None:
    def nudge(proto: onnx.ModelProto) -> None:
        weights = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 2)
        values = numpy_helper.to_array(weights) * np.float32(1.0000005)
        weights.CopyFrom(numpy_helper.from_array(values, weights.name))

    options = ("--models", copy(nudge), "--reference", digits.path, *LOCAL)
    assert check("jetson-nano", "digits", *options)[0] == 0
    assert check("jetson-nano", "digits", *options, "--tolerance", "0,0")[0] == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["no-such-model"], "unknown model 'no-such-model'"),
        (["nowhere.onnx"], "nowhere.onnx: no such model file"),
        (["digits", "--tolerance", "x"], "--tolerance x: not REL,ABS"),
        (["digits", "--max-artifact", "much"], "--max-artifact much: not a size"),
        (["digits", "--reference", "nowhere.onnx"], "nowhere.onnx: no such model file"),
        (["digits", "--input", "nowhere.npz"], "nowhere.npz: not a file of inputs"),
        (["digits", "--junit", "/no/such/dir/x.xml"], "its directory does not exist"),
    ],
)
def test_a_check_that_cannot_be_made_is_no_verdict(options: list[str], problem: str) -> None:
    done = edgesim_here("check", "jetson-nano", *options, *LOCAL)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_an_int8_model_is_compared_between_this_host_a_core_with_the_dot_product_and_one_without(
    digits: Model, tmp_path: Path
) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    repository = tmp_path / "models"
    (repository / "digits-int8" / "1").mkdir(parents=True)
    assert digits.samples_path is not None
    shutil.copy(digits.samples_path, repository / "digits-int8" / "samples.npz")
    quantize_dynamic(digits.path, repository / "digits-int8" / "1" / "model.onnx", weight_type=QuantType.QUInt8)
    kernels = {"jetson-nano": "plain kernels", "raspberry-pi-5": "dot product kernels"}
    for board, words in kernels.items():
        code, _, items = check(board, "digits-int8", "--models", repository)
        assert code in (0, 1)
        assert words in items["low precision"]["finding"]
        assert re.search(r"differs from .*this host by", items["answers"]["finding"])
        assert items["accuracy"]["verdict"] == "PASS"


@pytest.mark.emulation
@pytest.mark.usefixtures("nothing_left_behind")
def test_half_precision_is_compared_on_a_core_with_its_arithmetic_and_on_one_without(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).standard_normal((8, 4, 3, 3)).astype(np.float16)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT16, None) for name in "xy")
    for size in (1, 4, 16, 16):
        x.type.tensor_type.shape.dim.add().dim_value = size
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Relu", ["c"], ["y"])]
    proto = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(weights, "w")])
    path = tmp_path / "half.onnx"
    onnx.save(helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    kernels = {"jetson-nano": "computed in FP32 (the core lacks asimdhp)", "raspberry-pi-5": "on FP16 kernels as far"}
    for board, words in kernels.items():
        # Sums of numbers around 10 that cancel out: the last digit of those is what half precision costs.
        code, _, items = check(board, path, "--tolerance", "0.02,0.1")
        assert code == 0, items
        assert words in items["low precision"]["finding"]
        assert items["answers"]["verdict"] == "PASS"


@pytest.mark.parametrize(("of_input", "of_output"), [("FLOAT", "BFLOAT16"), ("BFLOAT16", "FLOAT")])
@pytest.mark.parametrize("form", ["random", "bits", "ml_dtypes"])
def test_bf16_is_sent_decoded_and_compared(tmp_path: Path, of_input: str, of_output: str, form: str) -> None:
    kinds = [TensorProto.DataType.Value(name) for name in (of_input, of_output)]
    x, y = (helper.make_tensor_value_info(name, kind, [1, 8]) for name, kind in zip("xy", kinds, strict=True))
    graph = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=kinds[1])], "g", [x], [y])
    path, samples = tmp_path / "m.onnx", tmp_path / "x.npz"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    values = np.linspace(-3, 3, 24, dtype=np.float32).reshape(3, 8)
    if of_input == "BFLOAT16":
        values = values.astype(ml_dtypes.bfloat16)
        values = values.view(np.uint16) if form == "bits" else values
    np.savez(samples, x=values)
    options: list[str | Path] = ["--input", samples] if form != "random" else []
    code, _, items = check("x86-gateway", path, *LOCAL, *options)
    assert code == 0, items
    assert "differs from this host by at most 0 " in items["answers"]["finding"]


def detector(path: Path, *, lift: float) -> Path:
    """A detector of four boxes, whose scores are the input plus `lift`, with a score threshold of 0.5."""
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "boxes": np.array([[[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9], [60, 0, 69, 9]]], np.float32),
        "lift": np.array([lift], np.float32),
        "most": np.array([9], np.int64),
        "iou": np.array([0.5], np.float32),
        "threshold": np.array([0.5], np.float32),
        "third": np.array([2], np.int64),
        "flat": np.array([-1], np.int64),
        "four": np.array([-1, 4], np.int64),
    }
    nodes = [
        helper.make_node("Add", ["x", "lift"], ["of_classes"]),
        helper.make_node("NonMaxSuppression", ["boxes", "of_classes", "most", "iou", "threshold"], ["chosen"]),
        helper.make_node("Gather", ["chosen", "third"], ["column"], axis=1),
        helper.make_node("Reshape", ["column", "flat"], ["index"]),
        helper.make_node("Reshape", ["boxes", "four"], ["all_boxes"]),
        helper.make_node("Reshape", ["of_classes", "flat"], ["all_scores"]),
        helper.make_node("Gather", ["all_boxes", "index"], ["dets"]),
        helper.make_node("Gather", ["all_scores", "index"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4])],
        [
            helper.make_tensor_value_info("dets", TensorProto.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(values, name) for name, values in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_row_more_at_the_threshold_of_the_graph_passes_with_match_and_fails_without(tmp_path: Path) -> None:
    model, reference = (detector(tmp_path / f"{name}.onnx", lift=lift) for name, lift in (("m", 2e-6), ("r", 0.0)))
    np.savez(tmp_path / "x.npz", x=np.array([[[0.9, 0.499999, 0.1, 0.7]]], np.float32))
    options: list[str | Path] = [*LOCAL, "--input", tmp_path / "x.npz", "--reference", reference]
    code, _, items = check("x86-gateway", model, *options)
    assert (code, "has another shape" in items["answers"]["finding"]) == (1, True)
    code, _, items = check("x86-gateway", model, *options, "--match", "detections")
    assert code == 0, items
    finding = items["answers"]["finding"]
    assert "2 detections matched by class and overlap" in finding
    assert "1 more (score 0.5), at the threshold of 0.5" in finding


def test_match_of_outputs_that_are_no_detections_is_refused_before_a_board_starts(digits: Model) -> None:
    done = edgesim("run", "x86-gateway", digits.path, *LOCAL, "--match", "detections")
    assert done.returncode == 2
    assert "no outputs look like boxes with scores or classes: probabilities [1, 10]" in done.stderr


def test_library_of_a_stranger_is_loaded_on_this_host_only_when_named(tmp_path: Path) -> None:
    mark = tmp_path / "loaded"
    directory = custom_operations.model(tmp_path / "models", "libraries: [{amd64: lib/ops.so, arm64: lib/ops.so}]")
    path = custom_operations.library(directory / "lib" / "ops.so", host_architecture(), mark=mark)
    models = ("--models", tmp_path / "models")
    done = edgesim("check", "x86-gateway", "net", *models, *LOCAL)
    assert (done.returncode, mark.exists()) == (2, False)
    assert f"fix: if you trust it: --host-library {path}" in done.stderr
    code, _, items = check("x86-gateway", "net", *models, *LOCAL, "--host-library", path)
    assert (code, mark.exists()) == (0, True), items
    assert items["custom operations"]["finding"] == f"lib/ops.so: for {host_architecture()}"
    # Only a server that registers the library finds that it has no such function.
    path.write_bytes(path.read_bytes().replace(b"RegisterCustomOps", b"RegisterNothingAt"))
    code, _, items = check("x86-gateway", "net", *models, *LOCAL, "--host-library", path)
    assert code == 1
    assert "RegisterCustomOps" in items["loads"]["finding"]


def test_library_for_another_processor_fails_the_check_before_a_board_starts(tmp_path: Path) -> None:
    directory = custom_operations.model(tmp_path / "models", "libraries: [lib/ops.so]")
    (directory / "lib").mkdir()
    (directory / "lib" / "ops.so").write_bytes(b"\x7fELF\x01\x01" + bytes(10) + b"\x03\x00\x28\x00")
    code, _, items = check("x86-gateway", "net", "--models", tmp_path / "models", *LOCAL)
    assert (code, list(items)) == (1, ["artifact", "custom operations"])
    assert items["custom operations"]["finding"].startswith("lib/ops.so: built for arm, and the board's server is")


@pytest.mark.emulation
def test_library_for_the_board_is_loaded_there_and_not_on_this_host(tmp_path: Path) -> None:
    directory = custom_operations.model(tmp_path / "models", "libraries: [{arm64: lib/ops.so}]")
    custom_operations.library(directory / "lib" / "ops.so", "arm64")
    code, _, items = check("jetson-nano", "net", "--models", tmp_path / "models", "--requests", "1")
    assert code == 0, items
    assert items["custom operations"]["finding"] == "lib/ops.so: for arm64"
