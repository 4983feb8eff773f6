"""Kinds of models that no package ships, built with their layers; the weights are seeded noise.

    python -m benchmarks.built_models DIRECTORY

Detectors and a segmentation model on the layers of MobileNetV2 and YOLOv8n, a text classifier, a decoder with a cache,
a keyword spotter, and what the quantizers of ONNX Runtime make of them.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from benchmarks import transformers
from benchmarks.networks import Detector, Network, yolov8n
from edgesim.models.samples.convnets import mobilenet_v2, mobilenet_v2_stages, resnet18
from tests.support import sequence_models

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
_CLASSES = 80


def _chosen(net: Network, boxes: str, scores: str, most: int, threshold: float) -> dict[str, tuple[str, int, list]]:
    """Add NMS; return the outputs: the corners, classes and scores of the boxes that are left.

    Args:
        boxes: corners, [1, boxes, 4].
        scores: [1, classes, boxes].
        most: boxes that are left of each class.
    """
    limits = [net.whole([most]), net.weight(np.array([0.5])), net.weight(np.array([threshold]))]
    chosen = net.node("NonMaxSuppression", [boxes, scores, *limits])
    of_class = net.node("Gather", [chosen, net.whole(1)], axis=1)
    of_box = net.node("Gather", [chosen, net.whole(2)], axis=1)
    corners = net.node("Gather", [net.node("Squeeze", [boxes, net.whole([0])]), of_box], axis=0)
    values = net.node("GatherND", [scores, chosen])
    return {
        corners: ("boxes", FLOAT, ["found", 4]),
        net.node("Identity", [of_class]): ("classes", INT64, ["found"]),
        values: ("scores", FLOAT, ["found"]),
    }


def ssd_mobilenet() -> onnx.ModelProto:
    """Build SSDLite (Sandler et al., 2018, section 6.2) at 320x320: six scales, priors, softmax, NMS inside."""
    net = Network(0)
    stages = mobilenet_v2_stages(net, "image")
    x, channels = stages[-1]
    scales = [stages[4], (x, channels)]
    for outputs in (512, 256, 256, 128):
        x = net.node("Relu", [net.convolution(x, channels, outputs // 2, 1)])
        x = net.node("Relu", [net.convolution(x, outputs // 2, outputs // 2, 3, stride=2, groups=outputs // 2)])
        x = net.node("Relu", [net.convolution(x, outputs // 2, outputs, 1)])
        scales.append((x, channels := outputs))
    anchors, priors = 6, []

    def head(source: str, channels: int, values: int) -> str:
        y = net.node("Relu", [net.convolution(source, channels, channels, 3, groups=channels)])
        y = net.node("Transpose", [net.convolution(y, channels, anchors * values, 1)], perm=[0, 2, 3, 1])
        return net.node("Reshape", [y, net.whole([1, -1, values])])

    offsets, classes = [], []
    for number, ((source, own), cells) in enumerate(zip(scales, (20, 10, 5, 3, 2, 1), strict=True)):
        offsets.append(head(source, own, 4))
        classes.append(head(source, own, _CLASSES + 1))
        centres = (np.indices((cells, cells)).reshape(2, -1).T + 0.5) / cells
        sizes = (0.2 + 0.15 * number) * np.array([[1, 1], [1, 2], [2, 1], [1, 3], [3, 1], [1.2, 1.2]]) / 2
        priors.append(np.hstack([np.repeat(centres, anchors, axis=0), np.tile(sizes, (len(centres), 1))]))
    prior = np.concatenate(priors)[None]
    offset = net.node("Mul", [net.node("Concat", offsets, axis=1), net.weight(np.array([0.1, 0.1, 0.2, 0.2]))])
    scaled = net.node("Mul", [net.sliced(offset, 0, 2, axis=2), net.weight(prior[..., 2:])])
    centre = net.node("Add", [scaled, net.weight(prior[..., :2])])
    half = net.node("Mul", [net.node("Exp", [net.sliced(offset, 2, 4, axis=2)]), net.weight(prior[..., 2:] / 2)])
    boxes = net.node("Concat", [net.node("Sub", [centre, half]), net.node("Add", [centre, half])], axis=2)
    probability = net.node("Softmax", [net.node("Concat", classes, axis=1)], axis=2)
    scores = net.node("Transpose", [net.sliced(probability, 1, _CLASSES + 1, axis=2)], perm=[0, 2, 1])
    found = _chosen(net, boxes, scores, most=3, threshold=0.3)
    return net.built("ssd_mobilenet", [("image", FLOAT, [1, 3, 320, 320])], found)


def yolo_nms() -> onnx.ModelProto:
    """Build YOLOv8n at 640x640 with its boxes decoded (distances as expectations of 16 bins) and NMS inside."""
    net = Detector(0)
    x = yolov8n(net)
    bins = net.node("Reshape", [net.sliced(x, 0, 64), net.whole([1, 4, 16, 8400])])
    bins = net.node("Transpose", [bins], perm=[0, 3, 1, 2])
    steps = net.weight(np.arange(16).reshape(16, 1))
    distance = net.node("MatMul", [net.node("Softmax", [bins], axis=3), steps])
    distance = net.node("Squeeze", [distance, net.whole([3])])
    grids = [np.indices((cells, cells)).reshape(2, -1)[::-1].T + 0.5 for cells in (80, 40, 20)]
    strides = np.repeat([8, 16, 32], [6400, 1600, 400])[:, None]
    points = net.weight(np.concatenate(grids)[None])
    corners = [
        net.node("Sub", [points, net.sliced(distance, 0, 2, axis=2)]),
        net.node("Add", [points, net.sliced(distance, 2, 4, axis=2)]),
    ]
    boxes = net.node("Mul", [net.node("Concat", corners, axis=2), net.weight(strides[None])])
    scores = net.node("Sigmoid", [net.sliced(x, 64, 144)])
    found = _chosen(net, boxes, scores, most=5, threshold=0.57)
    return net.built("yolo_nms", [("image", FLOAT, [1, 3, 640, 640])], found)


def segmentation() -> onnx.ModelProto:
    """Build DeepLabV3 (Chen et al., 2017) on MobileNetV2: any height and width, a class a pixel."""
    net = Network(0)
    x, channels = mobilenet_v2_stages(net, "image")[-2]
    size = net.sliced(net.node("Shape", [x]), 2, 4, axis=0)
    branches = [net.node("Relu", [net.convolution(x, channels, 128, 1)])]
    for rate in (2, 4, 6):
        weight, pads = net.noise(128, channels, 3, 3), [rate] * 4
        y = net.node("Conv", [x, weight], kernel_shape=[3, 3], dilations=[rate, rate], pads=pads)
        branches.append(net.node("Relu", [y]))
    pooled = net.node("Relu", [net.convolution(net.node("GlobalAveragePool", [x]), channels, 128, 1)])
    branches.append(_resized(net, pooled, size, 128))
    y = net.node("Relu", [net.convolution(net.node("Concat", branches, axis=1), 5 * 128, 128, 1)])
    y = net.convolution(y, 128, 21, 1)
    y = _resized(net, y, net.sliced(net.node("Shape", ["image"]), 2, 4, axis=0), 21)
    mask = net.node("ArgMax", [y], axis=1, keepdims=0)
    image = ("image", FLOAT, [1, 3, "height", "width"])
    return net.built("segmentation", [image], {mask: ("mask", INT64, [1, "height", "width"])})


def _resized(net: Network, source: str, size: str, channels: int) -> str:
    sizes = net.node("Concat", [net.whole([1, channels]), size], axis=0)
    return net.node(
        "Resize", [source, "", "", sizes], mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    )


def keyword_spotter() -> onnx.ModelProto:
    """Build DS-CNN (Zhang et al., 2017, small): 49 frames of 10 coefficients, 12 words."""
    net = Network(0)
    weight = net.noise(64, 1, 10, 4)
    x = net.node("Conv", ["features", weight], kernel_shape=[10, 4], strides=[2, 2], pads=[4, 1, 5, 1])
    x = net.node("Relu", [x])
    for _ in range(4):
        x = net.node("Relu", [net.convolution(x, 64, 64, 3, groups=64)])
        x = net.node("Relu", [net.convolution(x, 64, 64, 1)])
    flat = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    words = net.node("Softmax", [net.node("MatMul", [flat, net.weight(net.random((64, 12)))])])
    features = ("features", FLOAT, [1, 1, 49, 10])
    return net.built("keyword_spotter", [features], {words: ("words", FLOAT, [1, 12])})


def lstm() -> onnx.ModelProto:
    """Build an acoustic model: two bidirectional LSTMs of 128 over any number of frames, and a product."""
    net = Network(0)
    x, width, hidden = "frames", 80, 128
    for _ in range(2):
        weights = [net.weight(net.random((2, 4 * hidden, size)) / 10) for size in (width, hidden)]
        x = net.node("LSTM", [x, *weights], hidden_size=hidden, direction="bidirectional")
        x = net.node("Transpose", [x], perm=[0, 2, 1, 3])
        x, width = net.node("Reshape", [x, net.whole([0, 0, -1])]), 2 * hidden
    logits = net.node("MatMul", [x, net.weight(net.random((width, 40)) / 16)])
    frames = ("frames", FLOAT, ["time", 1, 80])
    return net.built("lstm", [frames], {logits: ("logits", FLOAT, ["time", 1, 40])})


class _Noise(CalibrationDataReader):  # type: ignore[misc]
    """Four random inputs for the static quantizer."""

    def __init__(self, name: str, sizes: tuple[int, ...]) -> None:
        random = np.random.default_rng(0)
        self._inputs = iter([{name: random.standard_normal(sizes).astype(np.float32)} for _ in range(4)])

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._inputs, None)


def _static(model: onnx.ModelProto, path: Path, sizes: tuple[int, ...], form: QuantFormat) -> None:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        onnx.save(model, file.name)
        reader = _Noise(model.graph.input[0].name, sizes)
        quantize_static(file.name, str(path), reader, quant_format=form, per_channel=True, weight_type=QuantType.QInt8)


def write_all(directory: Path) -> dict[Path, str]:
    """Write the models into a directory; return their kinds."""
    directory.mkdir(parents=True, exist_ok=True)
    decoder = sequence_models.decoder(sizes=sequence_models.Sizes(vocabulary=8000, hidden=256, heads=4, head=64))
    built = {
        "ssd_mobilenet": (ssd_mobilenet(), "SSD detector with NMS inside"),
        "yolo_nms": (yolo_nms(), "YOLO detector with NMS inside"),
        "segmentation": (segmentation(), "segmentation, open height and width"),
        "decoder": (decoder, "decoder with a cache"),
        "text_classifier": (transformers.classifier(), "text classifier"),
        "lstm": (lstm(), "LSTM over open time"),
        "resnet18_fp16": (convert_float_to_float16(resnet18(), keep_io_types=True), "image classifier, FP16 inside"),
    }
    kinds = {}
    for name, (model, kind) in built.items():
        onnx.save(model, path := directory / f"{name}.onnx")
        kinds[path] = kind

    def derived(name: str, kind: str) -> Path:
        kinds[directory / name] = kind
        return directory / name

    image, qdq, qoperator = (1, 3, 224, 224), QuantFormat.QDQ, QuantFormat.QOperator
    _static(keyword_spotter(), derived("keyword_spotter_qdq.onnx", "keyword spotter, int8 QDQ"), (1, 1, 49, 10), qdq)
    _static(mobilenet_v2(), derived("mobilenet_qdq.onnx", "image classifier, int8 QDQ"), image, qdq)
    _static(mobilenet_v2(), derived("mobilenet_qoperator.onnx", "image classifier, int8 QOperator"), image, qoperator)
    for name, kind in (
        ("decoder", "decoder with a cache, int8"),
        ("text_classifier", "text classifier, int8"),
        ("lstm", "LSTM int8"),
    ):
        quantize_dynamic(directory / f"{name}.onnx", derived(f"{name}_int8.onnx", kind), weight_type=QuantType.QUInt8)
    return kinds


def main() -> None:
    for path, kind in write_all(Path(sys.argv[1])).items():
        print(f"{kind}: {path}")


if __name__ == "__main__":
    main()
