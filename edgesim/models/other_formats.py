"""Models in formats that edgesim does not run: what a file or directory is, and what exports it to ONNX.

The content decides where a format begins with bytes of its own: the suffix may be any. Sources of the magic numbers:
TensorFlow Lite's schema.fbs (``TFL3``) and ONNX Runtime's ort.fbs (``ORTM``), identifiers of FlatBuffers at byte 4; the
HDF5 file format specification; the GGUF specification of ggml; the README of safetensors (a length, then JSON); and
``torch.serialization`` (the magic number of its format before 1.6).
"""

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class OtherFormat(NamedTuple):
    """A format: its name in words, and how its models get into ONNX."""

    kind: str
    fix: str


def identify(path: Path) -> OtherFormat | None:
    """Return the format of a file or directory; None if it is unknown, or cannot be read."""
    try:
        name = _of_directory(path) if path.is_dir() else _of_content(path) or _BY_SUFFIX.get(path.suffix.lower())
    except OSError:
        return None
    if name is None:
        return None
    kind, fix = _FORMATS[name]
    onnx = path.with_suffix(".onnx")
    if onnx == path:  # the file has the suffix already, and the export must not overwrite what it reads
        onnx = path.with_name(f"{path.stem}-exported.onnx")
    return OtherFormat(kind, fix.format(path=path, onnx=onnx))


_GIVE_A_MODEL = "give an .onnx file, or a name of edgesim models list"
_FORMATS: Mapping[str, tuple[str, str]] = {
    "tflite": (
        "a TensorFlow Lite model",
        "export it to ONNX: pip install tf2onnx, then python -m tf2onnx.convert --tflite {path} --output {onnx}",
    ),
    "saved model": (
        "a TensorFlow SavedModel",
        "export it to ONNX: pip install tf2onnx, then python -m tf2onnx.convert --saved-model {path} --output {onnx}",
    ),
    "graph": (
        "a frozen TensorFlow graph",
        "export it to ONNX: python -m tf2onnx.convert --graphdef {path} --inputs NAME:0 --outputs NAME:0 "
        "--output {onnx}",
    ),
    "keras": (
        "a Keras model",
        "export it to ONNX in Python: keras.models.load_model('{path}').export('{onnx}', format='onnx')",
    ),
    "pytorch": (
        "a PyTorch checkpoint",
        "export the model to ONNX in Python: torch.onnx.export(model, (example,), '{onnx}'); of Ultralytics: "
        "yolo export model={path} format=onnx",
    ),
    "torchscript": (
        "a TorchScript model",
        "export the model that was scripted to ONNX in Python: torch.onnx.export(model, (example,), '{onnx}')",
    ),
    "safetensors": (
        "weights in safetensors, without a graph",
        "export the model to ONNX: pip install optimum-onnx, then optimum-cli export onnx --model DIRECTORY OUTPUT",
    ),
    "gguf": (
        "a GGUF file of llama.cpp, weights without a graph",
        "export the original model to ONNX: optimum-cli export onnx --model DIRECTORY OUTPUT",
    ),
    "pickle": (
        "a pickled Python object, such as a scikit-learn model; edgesim does not load pickles",
        "export it to ONNX in Python: skl2onnx.to_onnx(model, X[:1], options={{'zipmap': False}}), written to {onnx}",
    ),
    "trees": (
        "a model of gradient-boosted trees",
        "export it to ONNX in Python: onnxmltools.convert_xgboost, convert_lightgbm or convert_catboost",
    ),
    "tensorrt": (
        "a TensorRT engine, which runs on one kind of GPU",
        "give the ONNX file that the engine was built from",
    ),
    "ort": (
        "a model in ONNX Runtime's own format",
        "give the ONNX file that it was converted from",
    ),
    "openvino": (
        "an OpenVINO model",
        "export the original model to ONNX; there is no way back from OpenVINO's format",
    ),
    "junit": ("a JUnit report", _GIVE_A_MODEL),
    "xml": ("an XML file, and no OpenVINO model", _GIVE_A_MODEL),
    "coreml": ("a Core ML model", "export the original model to ONNX"),
    "paddle": (
        "a PaddlePaddle model",
        "export it to ONNX: paddle2onnx --model_dir DIRECTORY --model_filename MODEL --params_filename PARAMETERS "
        "--save_file {onnx}",
    ),
    "vendor": (
        "a model compiled for one vendor's accelerator",
        "give the ONNX file that it was compiled from",
    ),
    "caffe": ("a Caffe model", "export the model to ONNX from a framework that reads it"),
    "darknet": ("weights of Darknet", "export the model to ONNX from a framework that reads it"),
    "mobile": ("a model of a mobile runtime (ncnn or MNN)", "give the ONNX file that it was converted from"),
}
_BY_SUFFIX: Mapping[str, str] = {
    suffix: name
    for name, suffixes in {
        "tflite": (".tflite", ".lite"),
        "graph": (".pb",),
        "keras": (".h5", ".hdf5", ".keras"),
        "pytorch": (".pt", ".pth", ".ckpt", ".pt2"),
        "torchscript": (".torchscript", ".ptl"),
        "safetensors": (".safetensors",),
        "gguf": (".gguf", ".ggml"),
        "pickle": (".pkl", ".pickle", ".joblib", ".sav"),
        "trees": (".ubj", ".xgb", ".lgb", ".cbm"),
        "tensorrt": (".engine", ".plan", ".trt"),
        "ort": (".ort",),
        "openvino": (".xml",),
        "coreml": (".mlmodel", ".mlpackage", ".mlmodelc"),
        "paddle": (".pdmodel", ".pdiparams"),
        "vendor": (".rknn", ".hef", ".dlc", ".kmodel", ".nb", ".om", ".blob"),
        "caffe": (".caffemodel", ".prototxt"),
        "darknet": (".weights",),
        "mobile": (".param", ".mnn"),
    }.items()
    for suffix in suffixes
}
SUFFIXES = frozenset(_BY_SUFFIX)
_HEAD_BYTES = 4096
# The name of the first element, after declarations and comments. A stranger's file: no part can match in two ways.
_ROOT_OF_XML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*"
    rb"(?:<\?(?:(?!\?>).)*\?>\s*|<!--(?:(?!-->).)*-->\s*|<![A-Z][^>]*>\s*)*"
    rb"<([A-Za-z_][\w.:-]*)[\s/>]",
    re.DOTALL,
)
# What `torch.save` before 1.6 writes first: the pickled number 0x1950a86a20f9469cfc6c.
_TORCH_BEFORE_1_6 = re.compile(rb"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_MAGIC: Sequence[tuple[Callable[[bytes], object], str]] = (
    (lambda head: head[4:8] == b"TFL3", "tflite"),
    (lambda head: head[4:8] == b"ORTM", "ort"),
    (lambda head: head.startswith(b"\x89HDF\r\n\x1a\n"), "keras"),
    (lambda head: head.startswith(b"GGUF"), "gguf"),
    (
        lambda head: 2 <= int.from_bytes(head[:8], "little") < 2**27 and head[8:10] in (b'{"', b"{}", b"{ "),
        "safetensors",
    ),
    (_TORCH_BEFORE_1_6.match, "pytorch"),
    (_PICKLE.match, "pickle"),
    (lambda head: _root_of_xml(head) == b"net", "openvino"),
    (lambda head: _root_of_xml(head) in (b"testsuites", b"testsuite"), "junit"),
    # A page is told as such elsewhere, with another fix: see `edgesim.models.placeholders`.
    (lambda head: (_root_of_xml(head) or b"html").lower() != b"html", "xml"),
)


def _root_of_xml(head: bytes) -> bytes | None:
    found = _ROOT_OF_XML.match(head)
    return found[1] if found is not None else None


def _of_content(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK"):
        return _of_archive(path)
    return next((name for is_format, name in _MAGIC if is_format(head)), None)


def _of_archive(path: Path) -> str | None:
    """Return the format of a zip archive, by the names of its members."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        return None
    if "constants.pkl" in names:
        return "torchscript"
    if "model.weights.h5" in names:
        return "keras"
    return "pytorch" if names & {"data.pkl", "archive_format"} else None


def _of_directory(path: Path) -> str | None:
    if (path / "saved_model.pb").is_file():
        return "saved model"
    if path.suffix.lower() in (".mlpackage", ".mlmodelc"):
        return "coreml"
    names = {entry.name for entry in path.iterdir()}
    if "config.json" in names and names & {"model.safetensors", "pytorch_model.bin", "model.safetensors.index.json"}:
        return "safetensors"
    return None
