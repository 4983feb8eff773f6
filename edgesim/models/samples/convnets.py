"""MobileNetV2 and ResNet-18 at 224x224: true topology, seeded weights.

The time of a convolutional network depends on its operations and shapes and hardly on the values of its weights, so
seeded noise is good enough for a benchmark. Batch normalization is folded into the convolutions before it, as every
exporter does for inference.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
CLASSES = 1000


class Builder:
    """Collects the nodes and weights of one graph; each method adds a node and returns its output's name."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def node(self, operation: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"{operation.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [output], name=output, **attributes))
        return output

    def weight(self, values: np.ndarray) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def noise(self, *shape: int) -> str:
        """Add random weights that keep the variance of the activations between layers (He et al., 2015, eq. 10)."""
        fan_in = int(np.prod(shape[1:]))
        return self.weight(self._random.standard_normal(shape) * np.sqrt(2.0 / fan_in))

    def convolution(
        self, source: str, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> str:
        weight = self.noise(outputs, inputs // groups, kernel, kernel)
        bias = self.weight(self._random.standard_normal(outputs) * 0.1)
        return self.node(
            "Conv",
            [source, weight, bias],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[(kernel - 1) // 2] * 4,
            group=groups,
        )

    def classifier(self, source: str, features: int) -> str:
        pooled = self.node("GlobalAveragePool", [source])
        flat = self.node("Flatten", [pooled], axis=1)
        return self.node("Gemm", [flat, self.noise(CLASSES, features), self.weight(np.zeros(CLASSES))], transB=1)

    def model(self, name: str, output: str, seed: int) -> onnx.ModelProto:
        # Clients ask for the graph's output by this name.
        self._nodes[-1].output[0] = "logits"
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
            self._weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgesim")
        model.ir_version = 8  # the lowest with opset 17, so that an old runtime on a board reads the model, too
        helper.set_model_props(model, {"weights": f"seeded noise, seed {seed}: no use but to be timed"})
        return model


def mobilenet_v2(seed: int = 0) -> onnx.ModelProto:
    """Build MobileNetV2, width 1.0 (Sandler et al., 2018, table 2): 52 convolutions, about 0.30 G multiply-adds.

    Input ``image`` float32 [batch, 3, 224, 224]; output ``logits`` float32 [batch, 1000].
    """
    net = Builder(seed)
    x = mobilenet_v2_stages(net, "image")[-1][0]
    return net.model("mobilenet_v2", net.classifier(x, 1280), seed)


def mobilenet_v2_stages(net: Builder, source: str) -> list[tuple[str, int]]:
    """Add the layers of MobileNetV2 before its classifier; return the output of each stage, and its channels."""
    low, high = net.weight(np.array(0)), net.weight(np.array(6))

    def relu6(source: str) -> str:
        return net.node("Clip", [source, low, high])

    x, channels = relu6(net.convolution(source, 3, 32, 3, stride=2)), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    made = []
    for expansion, outputs, repeats, first_stride in stages:
        for block in range(repeats):
            stride = first_stride if block == 0 else 1
            hidden = channels * expansion
            y = relu6(net.convolution(x, channels, hidden, 1)) if expansion > 1 else x
            y = relu6(net.convolution(y, hidden, hidden, 3, stride=stride, groups=hidden))
            y = net.convolution(y, hidden, outputs, 1)
            x = net.node("Add", [x, y]) if stride == 1 and channels == outputs else y
            channels = outputs
        made.append((x, channels))
    return [*made, (relu6(net.convolution(x, channels, 1280, 1)), 1280)]


def resnet18(seed: int = 0) -> onnx.ModelProto:
    """Build ResNet-18 (He et al., 2015, table 1): 20 convolutions, about 1.8 G multiply-adds.

    Input ``image`` float32 [batch, 3, 224, 224]; output ``logits`` float32 [batch, 1000].
    """
    net = Builder(seed)
    x = net.node("Relu", [net.convolution("image", 3, 64, 7, stride=2)])
    x, channels = net.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 64
    for outputs in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and outputs != 64 else 1
            y = net.node("Relu", [net.convolution(x, channels, outputs, 3, stride=stride)])
            y = net.convolution(y, outputs, outputs, 3)
            if stride != 1:
                x = net.convolution(x, channels, outputs, 1, stride=stride)
            x, channels = net.node("Relu", [net.node("Add", [y, x])]), outputs
    return net.model("resnet18", net.classifier(x, 512), seed)
