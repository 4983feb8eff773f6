"""Models in formats that edgesim does not run: named by their content or suffix, with what exports them."""

import os
import pickle
import zipfile
from pathlib import Path

import pytest

from edgesim.errors import EdgesimError, ModelError
from edgesim.models import repository, revisions
from tests.conftest import write_model

CONTENTS: dict[str, tuple[bytes, str, str]] = {
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(60), "a TensorFlow Lite model", "tf2onnx.convert --tflite"),
    "ONNX Runtime": (b"\x18\0\0\0ORTM" + bytes(60), "ONNX Runtime's own format", "the ONNX file"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "a Keras model", "format='onnx'"),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(60), "a GGUF file", "optimum-cli"),
    "safetensors": (b'\x10\0\0\0\0\0\0\0{"w":{"dtype":1}}', "safetensors", "optimum-cli"),
    "PyTorch before 1.6": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(60), "a PyTorch", "torch.onnx.export"),
    "pickle": (pickle.dumps({"a": 1}), "a pickled Python object", "skl2onnx"),
    "OpenVINO": (b'<?xml version="1.0"?>\n<net name="m" version="11">', "an OpenVINO model", "the original model"),
}


def refused(reference: str | Path, models: Path | None = None) -> ModelError:
    with pytest.raises(ModelError) as caught:
        repository.find(reference, models)
    return caught.value


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("suffix", [".bin", ".onnx"])
def test_format_is_told_by_the_content_whatever_the_suffix(name: str, suffix: str, tmp_path: Path) -> None:
    content, kind, fix = CONTENTS[name]
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    error = refused(path)
    assert kind in error.problem
    assert fix in error.fix


def test_export_does_not_overwrite_the_file_that_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(CONTENTS["TensorFlow Lite"][0])
    assert f"--tflite {path} --output {tmp_path / 'net-exported.onnx'}" in refused(path).fix


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        ("net/data.pkl", "a PyTorch checkpoint"),
        ("net/constants.pkl", "a TorchScript model"),
        ("model.weights.h5", "a Keras model"),
    ],
)
def test_format_of_an_archive_is_told_by_its_members(member: str, kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.bin", "w") as archive:
        archive.writestr(member, b"")
    assert kind in refused(tmp_path / "net.bin").problem


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".pb", "a frozen TensorFlow graph"),
        (".engine", "a TensorRT engine"),
        (".plan", "a TensorRT engine"),
        (".joblib", "a pickled Python object"),
        (".rknn", "one vendor's accelerator"),
        (".PT", "a PyTorch checkpoint"),
    ],
)
def test_format_without_a_magic_number_is_told_by_the_suffix(suffix: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(b"anything")
    assert kind in refused(path).problem
    assert f"net{suffix}: no such file" in refused(f"net{suffix}", tmp_path / "..").problem


def test_directories_of_tensorflow_and_hugging_face_are_told(tmp_path: Path) -> None:
    for name, files in (("saved", ["saved_model.pb"]), ("hub", ["config.json", "model.safetensors"])):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    assert "a TensorFlow SavedModel" in refused(tmp_path / "saved").problem
    assert "safetensors" in refused(tmp_path / "hub").problem


def test_side_of_a_comparison_in_another_format_is_told(tmp_path: Path) -> None:
    write_model(tmp_path / "net.onnx")
    (tmp_path / "net.tflite").touch()
    sides = revisions.sides(str(tmp_path / "net.onnx"), str(tmp_path / "net.tflite"))
    with pytest.raises(EdgesimError, match="a TensorFlow Lite model"), sides:
        pass


def test_suffix_of_an_onnx_file_may_have_any_case(tmp_path: Path) -> None:
    assert repository.find(write_model(tmp_path / "UPPER.ONNX")).name == "UPPER"


def test_file_whose_name_does_not_end_in_onnx_is_told(tmp_path: Path) -> None:
    assert "ends in .onnx" in refused(write_model(tmp_path / "net.bin")).problem


def test_pipe_that_is_called_a_model_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.tflite")
    assert "net.tflite" in refused(tmp_path / "net.tflite").problem


def test_mistyped_name_has_the_nearest_one(tmp_path: Path) -> None:
    write_model(tmp_path / "detector" / "1" / "model.onnx")
    assert refused("detectr", tmp_path).problem.endswith("did you mean 'detector'?")


def test_directory_that_is_called_an_onnx_file_is_named_as_what_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "net.onnx"
    directory.mkdir()
    with pytest.raises(ModelError, match=r"net\.onnx: a directory"):
        repository.find(directory)
    (directory / "variables").mkdir()
    (directory / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    with pytest.raises(ModelError, match="a TensorFlow SavedModel"):
        repository.find(directory)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'<?xml version="1.0"?>\n<!-- made by <hand> -->\n<net name="n" version="11">', "an OpenVINO model"),
        (b'<?xml version="1.0"?>\n<testsuites name="edgesim">', "a JUnit report"),
        (b"<project>", "an XML file, and no OpenVINO model"),
        (b"<?a?>" * 700, "an OpenVINO model"),  # no element: by the suffix, and in no time
    ],
)
def test_an_xml_file_is_told_by_its_first_element(content: bytes, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"{kind}; edgesim runs ONNX models"):
        repository.find(str(path))
