"""Networks to be predicted: true topology, seeded noise as weights, which no prediction depends on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesim.models.samples.convnets import Builder, mobilenet_v2

OPSET = 17
# Name, type and sizes, as `onnx.helper.make_tensor_value_info` takes them.
Tensor = tuple[str, int, Sequence[int | str] | None]


def resnet50() -> onnx.ModelProto:
    """Build ResNet-50 (He et al., 2015, table 1; stride in the 3x3 convolution): 53 convolutions at 224x224."""
    net = Builder(0)
    x = net.node("Relu", [net.convolution("image", 3, 64, 7, stride=2)])
    x, channels = net.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and width != 64 else 1
            y = net.node("Relu", [net.convolution(x, channels, width, 1)])
            y = net.node("Relu", [net.convolution(y, width, width, 3, stride=stride)])
            y = net.convolution(y, width, 4 * width, 1)
            if block == 0:
                x = net.convolution(x, channels, 4 * width, 1, stride=stride)
            x, channels = net.node("Relu", [net.node("Add", [y, x])]), 4 * width
    return net.model("resnet50", net.classifier(x, channels), 0)


class Network(Builder):
    """A builder of networks that compute sizes, and whose inputs and outputs have any names."""

    def whole(self, values: Sequence[int] | int) -> str:
        """Add integers: a list, or a scalar."""
        name = f"whole_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def random(self, sizes: tuple[int, ...]) -> np.ndarray:
        """Return values with the variance 1."""
        return self._random.standard_normal(sizes)

    def sliced(self, source: str, start: int, end: int, axis: int = 1) -> str:
        return self.node("Slice", [source, self.whole([start]), self.whole([end]), self.whole([axis])])

    def built(self, name: str, inputs: Sequence[Tensor], outputs: Mapping[str, Tensor]) -> onnx.ModelProto:
        """Return the model; `outputs` has what each output is called, by the name that a method has returned."""
        renamed = {made: tensor[0] for made, tensor in outputs.items()}
        for node in self._nodes:
            for names in (node.input, node.output):
                names[:] = [renamed.get(each, each) for each in names]
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info(*tensor) for tensor in inputs],
            [helper.make_tensor_value_info(*tensor) for tensor in outputs.values()],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgesim")
        model.ir_version = 8
        return model


class Detector(Network):
    """The blocks of YOLOv8 (github.com/ultralytics/ultralytics, cfg/models/v8/yolov8.yaml), written from its sizes."""

    def conv(self, source: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> str:
        """Convolution and SiLU."""
        x = self.convolution(source, inputs, outputs, kernel, stride=stride)
        return self.node("Mul", [x, self.node("Sigmoid", [x])])

    def c2f(self, source: str, inputs: int, outputs: int, repeats: int, *, adds: bool) -> str:
        """Two halves of a convolution, of which one goes through bottlenecks; all are joined again."""
        half = outputs // 2
        x = self.conv(source, inputs, outputs, 1)
        parts = [self.sliced(x, 0, half), self.sliced(x, half, outputs)]
        for _ in range(repeats):
            y = self.conv(self.conv(parts[-1], half, half), half, half)
            parts.append(self.node("Add", [parts[-1], y]) if adds else y)
        return self.conv(self.node("Concat", parts, axis=1), half * len(parts), outputs, 1)

    def sppf(self, source: str, channels: int) -> str:
        """Three poolings in a row, joined."""
        parts = [self.conv(source, channels, channels // 2, 1)]
        for _ in range(3):
            parts.append(self.node("MaxPool", parts[-1:], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
        return self.conv(self.node("Concat", parts, axis=1), 2 * channels, channels, 1)

    def doubled(self, source: str) -> str:
        return self.node("Resize", [source, "", self.weight(np.array([1, 1, 2, 2]))], mode="nearest")

    def joined(self, sources: Sequence[str]) -> str:
        return self.node("Concat", sources, axis=1)

    def head(self, source: str, channels: int) -> str:
        """Boxes and classes of one scale, [1, 64 + 80, cells]."""
        boxes = self.convolution(self.conv(self.conv(source, channels, 64), 64, 64), 64, 64, 1)
        classes = self.convolution(self.conv(self.conv(source, channels, 80), 80, 80), 80, 80, 1)
        return self.node("Reshape", [self.joined([boxes, classes]), self.whole([1, 144, -1])])


def yolov8n(net: Detector) -> str:
    """Add the layers of YOLOv8n for ``image``, 640x640: boxes and classes, [1, 64 + 80, 8400]."""
    x = net.conv(net.conv("image", 3, 16, stride=2), 16, 32, stride=2)
    x = net.c2f(x, 32, 32, 1, adds=True)
    small = net.c2f(net.conv(x, 32, 64, stride=2), 64, 64, 2, adds=True)
    middle = net.c2f(net.conv(small, 64, 128, stride=2), 128, 128, 2, adds=True)
    large = net.sppf(net.c2f(net.conv(middle, 128, 256, stride=2), 256, 256, 1, adds=True), 256)
    middle = net.c2f(net.joined([net.doubled(large), middle]), 384, 128, 1, adds=False)
    small = net.c2f(net.joined([net.doubled(middle), small]), 192, 64, 1, adds=False)
    middle = net.c2f(net.joined([net.conv(small, 64, 64, stride=2), middle]), 192, 128, 1, adds=False)
    large = net.c2f(net.joined([net.conv(middle, 128, 128, stride=2), large]), 384, 256, 1, adds=False)
    heads = [net.head(small, 64), net.head(middle, 128), net.head(large, 256)]
    return net.node("Concat", heads, axis=2)


def detector() -> onnx.ModelProto:
    """Build a detector with the layers of YOLOv8n at 640x640, without the decoding of boxes: about 8.6 GFLOP."""
    net = Detector(0)
    output = yolov8n(net)
    image = ("image", TensorProto.FLOAT, [1, 3, 640, 640])
    return net.built("detector", [image], {output: (output, TensorProto.FLOAT, [1, 144, 8400])})


def write_all(directory: Path) -> dict[str, Path]:
    """Write the networks into a directory; return their files by title."""
    networks = {
        "MobileNetV2, 224x224": mobilenet_v2,
        "ResNet-50, 224x224": resnet50,
        "YOLOv8n's layers, 640x640": detector,
    }
    files = {}
    for title, build in networks.items():
        files[title] = directory / f"{build.__name__}.onnx"
        onnx.save(build(), files[title])
    return files
