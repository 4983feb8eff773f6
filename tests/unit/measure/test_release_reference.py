"""A model on this host in another release of ONNX Runtime: a process of its own, with the packages of that release."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesim.errors import HostError, ModelError
from edgesim.measure import release_reference, release_worker
from edgesim.measure.host_session import TooLong
from edgesim.measure.reference import Reference, RunFailed
from edgesim.measure.release_reference import ReleaseReference
from edgesim.models import repository
from edgesim.models.repository import Model

# Stands for a release: it loads a model if its name allows it, and multiplies by two.
_RELEASE = """
import pathlib
__version__ = "1.0.0"
class SessionOptions:
    pass
class InferenceSession:
    def __init__(self, path, options, providers):
        if "refused" in pathlib.Path(path).name:
            raise RuntimeError("Unsupported model IR version: 10")
        if "deadly" in pathlib.Path(path).name:
            raise SystemExit("Illegal instruction")
    def get_outputs(self):
        return [type("Output", (), {"name": "y"})]
    def run(self, names, arrays):
        if arrays["x"][0] < 0:
            raise RuntimeError("indices element out of data bounds")
        return [2 * arrays["x"]]
"""


def _model(path: Path, datatype: int = TensorProto.FLOAT) -> Model:
    x, y = (helper.make_tensor_value_info(name, datatype, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), path)
    return repository.find(path)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "onnxruntime.py").write_text(_RELEASE)
    return packages


def _reference(model: Model, packages: Path) -> ReleaseReference:
    return ReleaseReference(model=model, release="1.0.0", python=sys.executable, packages=packages)


def test_answers_are_those_of_the_release_and_not_of_edgesims_own(tmp_path: Path, release: Path) -> None:
    outputs = _reference(_model(tmp_path / "m.onnx"), release).run_all([{"x": np.ones(2)}, {"x": np.full(2, 3.0)}])
    assert [answer["y"].tolist() for answer in outputs] == [[2.0, 2.0], [6.0, 6.0]]


def test_the_same_release_in_a_process_of_its_own_answers_the_same(tmp_path: Path, digits: Model) -> None:
    image = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 8, 8)
    here = Reference(digits).run({"image": image})
    beside = _reference(digits, tmp_path).run({"image": image})
    assert {name: array.tolist() for name, array in beside.items()} == {n: a.tolist() for n, a in here.items()}


def test_the_release_loads_the_model_once_for_all_calls(tmp_path: Path, release: Path) -> None:
    loads = tmp_path / "loads"
    text = (release / "onnxruntime.py").read_text()
    noted = text.replace(
        "(self, path, options, providers):", f"(self, path, options, providers):\n        {_note(loads)}"
    )
    (release / "onnxruntime.py").write_text(noted)
    reference = _reference(_model(tmp_path / "m.onnx"), release)
    values = [reference.run({"x": np.full(2, float(step))})["y"][0] for step in range(3)]
    with pytest.raises(RunFailed, match="out of data bounds"):
        reference.run({"x": -np.ones(2)})
    values.append(reference.run({"x": np.full(2, 3.0)})["y"][0])
    assert values == [0.0, 2.0, 4.0, 6.0]
    assert loads.read_text() == "."


def _note(loads: Path) -> str:
    return f"open({str(loads)!r}, 'a').write('.')"


def test_texts_come_back_as_texts(tmp_path: Path) -> None:
    model = _model(tmp_path / "m.onnx", TensorProto.STRING)
    answer = _reference(model, tmp_path).run({"x": np.array(["größer", ""], object)})["y"]
    assert answer.dtype == np.object_
    assert answer.tolist() == ["größer", ""]


def test_a_release_that_does_not_load_the_model_says_so(tmp_path: Path, release: Path) -> None:
    with pytest.raises(ModelError, match=r"ONNX Runtime 1\.0\.0 does not load it: Unsupported model IR version: 10"):
        _reference(_model(tmp_path / "refused.onnx"), release).run({"x": np.ones(2)})


def test_inputs_that_the_release_does_not_take_are_told_from_a_model_that_it_does_not_load(
    tmp_path: Path, release: Path
) -> None:
    with pytest.raises(RunFailed, match="out of data bounds"):
        _reference(_model(tmp_path / "m.onnx"), release).run({"x": -np.ones(2)})


def test_a_release_that_dies_is_this_hosts_failure(tmp_path: Path, release: Path) -> None:
    with pytest.raises(HostError, match="does not run on this host: Illegal instruction"):
        _reference(_model(tmp_path / "deadly.onnx"), release).run({"x": np.ones(2)})


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    requests = [{"a/b:0": np.zeros((0, 3), np.int8), "../c": np.array(1.5, np.float16)}, {}]
    release_worker.write(str(tmp_path / "r.zip"), requests)
    again = release_worker.read(str(tmp_path / "r.zip"))
    assert [list(request) for request in again] == [["a/b:0", "../c"], []]
    assert (again[0]["a/b:0"].shape, again[0]["../c"].dtype, again[0]["../c"].item()) == ((0, 3), np.float16, 1.5)


def test_release_that_does_not_end_is_ended_and_told(
    tmp_path: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (release / "onnxruntime.py").write_text("import signal\nsignal.pause()\n")
    monkeypatch.setattr(release_reference, "MOST_S", 0.5)
    with pytest.raises(TooLong, match=r"ONNX Runtime 1\.0\.0 on this host did not end within 0.5 s"):
        _reference(_model(tmp_path / "m.onnx"), release).run({"x": np.ones(2)})
