"""A text classifier with the layers of DistilBERT, as exporters write it: shapes are computed, heads are reshaped."""

import numpy as np
import onnx
from onnx import TensorProto

from benchmarks.networks import Network

LAYERS, HIDDEN, HEADS, VOCABULARY, POSITIONS = 3, 256, 4, 8000, 512


class _Encoder(Network):
    """The blocks of an encoder (Sanh et al., 2019)."""

    def dense(self, source: str, inputs: int, outputs: int) -> str:
        weight = self.weight(self.random((inputs, outputs)) / np.sqrt(inputs))
        return self.node("Add", [self.node("MatMul", [source, weight]), self.weight(np.zeros(outputs))])

    def normalized(self, source: str) -> str:
        return self.node("LayerNormalization", [source, self.weight(np.ones(HIDDEN)), self.weight(np.zeros(HIDDEN))])

    def gelu(self, source: str) -> str:
        inner = self.node("Erf", [self.node("Div", [source, self.weight(np.sqrt(2.0))])])
        product = self.node("Mul", [source, self.node("Add", [inner, self.weight(np.array(1))])])
        return self.node("Mul", [product, self.weight(np.array(0.5))])

    def heads(self, source: str, perm: list[int]) -> str:
        y = self.node("Reshape", [self.dense(source, HIDDEN, HIDDEN), self.whole([0, 0, HEADS, HIDDEN // HEADS])])
        return self.node("Transpose", [y], perm=perm)

    def layer(self, source: str, bias: str) -> str:
        query, key, value = (self.heads(source, perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        scores = self.node("Div", [self.node("MatMul", [query, key]), self.weight(np.sqrt(HIDDEN // HEADS))])
        attention = self.node("Softmax", [self.node("Add", [scores, bias])], axis=-1)
        mixed = self.node("Transpose", [self.node("MatMul", [attention, value])], perm=[0, 2, 1, 3])
        mixed = self.dense(self.node("Reshape", [mixed, self.whole([0, 0, HIDDEN])]), HIDDEN, HIDDEN)
        x = self.normalized(self.node("Add", [mixed, source]))
        y = self.dense(self.gelu(self.dense(x, HIDDEN, 4 * HIDDEN)), 4 * HIDDEN, HIDDEN)
        return self.normalized(self.node("Add", [y, x]))


def classifier() -> onnx.ModelProto:
    """Build the classifier: token ids and a mask, [batch, sequence], to two logits."""
    net = _Encoder(0)
    sequence = net.sliced(net.node("Shape", ["input_ids"]), 1, 2, axis=0)
    table = net.weight(net.random((POSITIONS, HIDDEN)))
    places = net.node("Slice", [table, net.whole([0]), sequence, net.whole([0])])
    words = net.node("Gather", [net.weight(net.random((VOCABULARY, HIDDEN))), "input_ids"])
    x = net.normalized(net.node("Add", [words, places]))
    mask = net.node("Cast", [net.node("Unsqueeze", ["attention_mask", net.whole([1, 2])])], to=TensorProto.FLOAT)
    missing = net.node("Sub", [net.weight(np.array(1)), mask])
    bias = net.node("Mul", [missing, net.weight(np.array(np.finfo(np.float32).min))])
    for _ in range(LAYERS):
        x = net.layer(x, bias)
    first = net.node("Gather", [x, net.whole(0)], axis=1)
    logits = net.dense(net.node("Relu", [net.dense(first, HIDDEN, HIDDEN)]), HIDDEN, 2)
    sizes = ["batch", "sequence"]
    inputs = [(name, TensorProto.INT64, sizes) for name in ("input_ids", "attention_mask")]
    return net.built("text_classifier", inputs, {logits: ("logits", TensorProto.FLOAT, ["batch", 2])})
