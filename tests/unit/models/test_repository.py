"""Models in repositories and files: their description, and files that are refused."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from edgesim.errors import ModelError
from edgesim.models import repository, samples
from tests.conftest import write_model


def test_signature_operations_and_parameters_are_read(digits: repository.Model) -> None:
    assert [str(tensor) for tensor in digits.inputs] == ["image FP32[?, 8, 8]"]
    assert [str(tensor) for tensor in digits.outputs] == ["probabilities FP32[?, 10]"]
    assert digits.operations["Gemm"] == 2
    assert digits.parameters == 64 * 64 + 64 + 64 * 10 + 10 + 1
    assert digits.opset == 17
    assert digits.samples_path is not None


def test_the_newest_version_is_the_highest_number(tmp_path: Path) -> None:
    for version in ("1", "2", "10"):
        write_model(tmp_path / "m" / version / "model.onnx")
    assert repository.find("m", tmp_path).version == "10"


def test_a_model_file_of_any_name_names_the_model(tmp_path: Path) -> None:
    model = repository.find(str(write_model(tmp_path / "some net.onnx")))
    assert (model.name, model.version) == ("some net", "1")


def test_model_with_the_longest_name_needs_no_file_of_inputs_beside_it(tmp_path: Path) -> None:
    assert repository.find(write_model(tmp_path / f"{'x' * 250}.onnx")).inputs_path is None


def test_path_that_is_not_utf8_is_named_as_the_reason(tmp_path: Path) -> None:
    path = write_model(tmp_path / "net.onnx").rename(tmp_path / os.fsdecode(b"\xff.onnx"))
    with pytest.raises(ModelError, match="its path is not UTF-8 text, and ONNX Runtime opens no such path"):
        repository.find(path)


def test_a_file_in_a_repository_has_the_name_of_its_directory(tmp_path: Path) -> None:
    model = repository.find(str(write_model(tmp_path / "net" / "3" / "model.onnx")))
    assert (model.name, model.version) == ("net", "3")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(content=st.binary(max_size=200))
def test_other_files_are_not_onnx_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "not.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"not\.onnx: not an ONNX model"):
        repository.find(str(path))


def test_an_unknown_model_is_refused_with_the_known_models() -> None:
    with pytest.raises(ModelError, match=r"unknown model 'digit'; there are digits, mobilenet_v2, resnet18"):
        repository.find("digit")


def test_an_unknown_model_of_a_repository_is_refused_with_its_models(tmp_path: Path) -> None:
    write_model(tmp_path / "net" / "1" / "model.onnx")
    with pytest.raises(ModelError, match="no model 'nett'; it has net"):
        repository.find("nett", tmp_path)


def test_a_missing_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model directory"):
        repository.find("net", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_model_directory_without_a_version_is_refused_with_the_layout(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(ModelError) as caught:
        repository.find("net", tmp_path)
    assert "net/VERSION/model.onnx" in caught.value.fix


def test_a_missing_model_file_is_named() -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: no such model file"):
        repository.find("nowhere.onnx")


def with_external_weights(path: Path) -> Path:
    write_model(path, operation="Relu")
    proto = onnx.load(path)
    weight = numpy_helper.from_array(np.ones((4,), np.float32), "w")
    proto.graph.initializer.append(weight)
    proto.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "w"], ["y"]))
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_files_of_weights_are_a_part_of_the_model(tmp_path: Path) -> None:
    path = with_external_weights(tmp_path / "net.onnx")
    model = repository.find(str(path))
    assert model.data_paths == (tmp_path / "weights.bin",)
    assert model.size_bytes == path.stat().st_size + (tmp_path / "weights.bin").stat().st_size
    before = model.sha256
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    assert repository.find(str(path)).sha256 != before


def test_a_missing_file_of_weights_is_named(tmp_path: Path) -> None:
    path = with_external_weights(tmp_path / "net.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"its file of weights weights\.bin is missing"):
        repository.find(str(path))


def test_a_directory_without_models_gives_the_sample_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"

    def ensure(name: str) -> Path:
        write_model(cache / name / "1" / "model.onnx")
        return cache

    monkeypatch.setattr(samples, "ensure", ensure)
    monkeypatch.chdir(tmp_path)
    assert repository.whole(None) == cache
    assert repository.names(cache) == sorted(samples.NAMES)
    Path("models").mkdir()
    assert repository.whole(None) == cache, "there is no model in models/"
    write_model(Path("models/own/1/model.onnx"))
    assert repository.whole(None) == Path("models")


def test_a_repository_that_is_named_must_have_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in it") as raised:
        repository.whole(tmp_path)
    assert raised.value.exit_code == 2
    assert raised.value.fix == f"edgesim models build --models {tmp_path} builds the sample models"


def test_operations_and_weights_in_branches_and_constants_count(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.zeros((8, 8), np.float32), "w")

    def branch(name: str) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Constant", [], [f"c{name}"], value=numpy_helper.from_array(np.zeros(8, np.float32))),
            helper.make_node("MatMul", ["x", f"w{name}"], [f"m{name}"]),
            helper.make_node("Add", [f"m{name}", f"c{name}"], [name]),
        ]
        inner = onnx.TensorProto()
        inner.CopyFrom(weights)
        inner.name = f"w{name}"
        return helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8])], [inner]
        )

    graph = helper.make_graph(
        [
            helper.make_node("If", ["c"], ["i"], then_branch=branch("t"), else_branch=branch("e")),
            helper.make_node("Scaler", ["i"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0]),
        ],
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 8]),
            helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("unused", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / "b.onnx")
    model = repository.read(tmp_path / "b.onnx", name="b")
    assert model.operations == {"If": 1, "MatMul": 2, "Add": 2, "Constant": 2, "Scaler": 1}
    assert model.parameters == 2 * (64 + 8)
    assert model.opset_words == "17, ai.onnx.ml 3"


def test_a_graph_without_nodes_is_a_model_if_it_has_outputs(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])
    proto = helper.make_model(helper.make_graph([], "g", [x], [x]), opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(proto, tmp_path / "same.onnx")
    model = repository.find(str(tmp_path / "same.onnx"))
    assert [tensor.name for tensor in (*model.inputs, *model.outputs)] == ["x", "x"]
    del proto.graph.output[:]
    onnx.save(proto, tmp_path / "nothing.onnx")
    with pytest.raises(ModelError, match="no graph in it"):
        repository.find(str(tmp_path / "nothing.onnx"))


@pytest.mark.parametrize(
    ("directory", "problem", "fix"),
    [
        ("", "a model repository, and not a model; it has net", "`models="),
        ("net", "a directory, and not a model", "net/2/model.onnx"),
        ("net/2", "a directory, and not a model", "net/2/model.onnx"),
        ("empty", "a directory, and not a model", "give an .onnx file"),
    ],
)
def test_directory_in_place_of_a_model_is_told_with_what_to_give(
    directory: str, problem: str, fix: str, tmp_path: Path
) -> None:
    write_model(tmp_path / "net" / "2" / "model.onnx")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError) as refused:
        repository.find(str(tmp_path / directory))
    assert problem in refused.value.problem
    assert fix in refused.value.fix
