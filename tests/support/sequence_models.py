"""Small models whose outputs are inputs of the next request: decoders with a cache, a voice detector, a GRU.

``python -m tests.support.sequence_models DIR`` writes one of each.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

VOCABULARY, LAYERS = 50, 2
POSITIONS = 512
_OPSET = [helper.make_opsetid("", 17)]
_FLOAT, _INT64, _BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
_Sizes = Sequence[int | str]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of a decoder: rows of its table, and the widths of a token and of a head."""

    vocabulary: int = VOCABULARY
    hidden: int = 16
    heads: int = 2
    head: int = 8


SMALL = Sizes()


def decoder(
    *, spelling: str = "optimum", mask: bool = True, layers: int = LAYERS, sizes: Sizes = SMALL
) -> onnx.ModelProto:
    """Return a decoder with a cache: token ids in, logits out.

    Args:
        spelling: ``optimum`` (``past_key_values.0.key``, ``present.0.key``, a tensor for keys and one for values),
            ``merged`` (the same with ``use_cache_branch``, which chooses between two branches), or ``past``
            (``past_0``, ``present_0``: keys and values of a layer in one tensor).
        mask: whether the model has an attention mask and position ids; else it counts the cache itself.
    """
    names = _spelled(spelling, layers)
    nodes = _body(names, mask=mask)
    weights = _weights(layers, sizes)
    inputs: dict[str, tuple[int, _Sizes]] = {"input_ids": (_INT64, ["batch", "sequence"])}
    if mask:
        inputs["attention_mask"] = (_INT64, ["batch", "total"])
        inputs["position_ids"] = (_INT64, ["batch", "sequence"])
    pair = [2] if spelling == "past" else []
    for past, _ in names:
        inputs[past] = (_FLOAT, [*pair, "batch", sizes.heads, "past", sizes.head])
    outputs: dict[str, tuple[int, _Sizes]] = {"logits": (_FLOAT, ["batch", "sequence", sizes.vocabulary])}
    outputs |= {present: (_FLOAT, [*pair, "batch", sizes.heads, "total", sizes.head]) for _, present in names}
    if spelling == "merged":
        inputs["use_cache_branch"] = (_BOOL, [1])
        nodes = _merged(nodes, _body([("", present) for _, present in names], mask=mask), list(outputs))
    return _model(nodes, inputs, outputs, weights)


def _spelled(spelling: str, layers: int) -> list[tuple[str, str]]:
    if spelling == "past":
        return [(f"past_{i}", f"present_{i}") for i in range(layers)]
    return [(f"past_key_values.{i}.{what}", f"present.{i}.{what}") for i in range(layers) for what in ("key", "value")]


def _body(names: Sequence[tuple[str, str]], *, mask: bool) -> list[onnx.NodeProto]:
    """Return the nodes of a decoder; a past without a name is no past."""
    paired = names[0][1].startswith("present_")
    first = names[0][0]
    nodes = [node("Gather", ["embedding", "input_ids"], ["tokens"]), node("Shape", ["input_ids"], ["shape"])]
    nodes += [node("Gather", ["shape", "one"], ["new"], axis=0)]
    if first:
        nodes += [node("Shape", [first], ["past_shape"]), node("Gather", ["past_shape", "minus2"], ["before"], axis=0)]
    else:
        nodes += [node("Identity", ["zero"], ["before"])]
    nodes += [node("Add", ["new", "before"], ["total"]), node("Range", ["before", "total", "one"], ["rows"])]
    nodes += [node("Range", ["zero", "total", "one"], ["columns"])]
    positions = "rows"
    if mask:
        positions = "position_ids"
    nodes += [
        node("Gather", ["position_table", positions], ["places"]),
        node("Add", ["tokens", "places"], ["x0"]),
        node("Unsqueeze", ["rows", "axis1"], ["rows_"]),
        node("LessOrEqual", ["columns", "rows_"], ["earlier"]),
    ]
    allowed = "earlier"
    if mask:
        nodes += [
            node("Unsqueeze", ["attention_mask", "axes12"], ["mask_"]),
            node("Cast", ["mask_"], ["seen"], to=_BOOL),
            node("And", ["earlier", "seen"], ["allowed"]),
        ]
        allowed = "allowed"
    nodes += [node("Where", [allowed, "nothing", "far"], ["bias"])]
    layers = len(names) if paired else len(names) // 2
    for i in range(layers):
        nodes += _layer(i, names, paired=paired)
    return [*nodes, node("MatMul", [f"x{layers}", "unembedding"], ["logits"])]


def _layer(i: int, names: Sequence[tuple[str, str]], *, paired: bool) -> list[onnx.NodeProto]:
    nodes = []
    for what in ("q", "k", "v"):
        nodes += [
            node("MatMul", [f"x{i}", f"{what}{i}"], [f"{what}_{i}"]),
            node("Reshape", [f"{what}_{i}", "to_heads"], [f"{what}__{i}"]),
            node("Transpose", [f"{what}__{i}"], [f"{what}new{i}"], perm=[0, 2, 1, 3]),
        ]
    if paired:
        past, present = names[i]
        nodes += [
            node("Unsqueeze", [f"knew{i}", "axis0"], [f"knew_{i}"]),
            node("Unsqueeze", [f"vnew{i}", "axis0"], [f"vnew_{i}"]),
            node("Concat", [f"knew_{i}", f"vnew_{i}"], [f"kvnew{i}"], axis=0),
            node("Concat", [past, f"kvnew{i}"], [present], axis=3),
            node("Gather", [present, "zero"], [f"kall{i}"], axis=0),
            node("Gather", [present, "one"], [f"vall{i}"], axis=0),
        ]
        keys, values = f"kall{i}", f"vall{i}"
    else:
        (past_key, keys), (past_value, values) = names[2 * i : 2 * i + 2]
        for past, new, present in ((past_key, f"knew{i}", keys), (past_value, f"vnew{i}", values)):
            nodes.append(node("Concat", [past, new], [present], axis=2) if past else node("Identity", [new], [present]))
    return [
        *nodes,
        node("Transpose", [keys], [f"kt{i}"], perm=[0, 1, 3, 2]),
        node("MatMul", [f"qnew{i}", f"kt{i}"], [f"scores_{i}"]),
        node("Add", [f"scores_{i}", "bias"], [f"scores{i}"]),
        node("Softmax", [f"scores{i}"], [f"attention{i}"], axis=-1),
        node("MatMul", [f"attention{i}", values], [f"heads_{i}"]),
        node("Transpose", [f"heads_{i}"], [f"heads__{i}"], perm=[0, 2, 1, 3]),
        node("Reshape", [f"heads__{i}", "from_heads"], [f"heads{i}"]),
        node("MatMul", [f"heads{i}", f"o{i}"], [f"mixed{i}"]),
        node("Add", [f"x{i}", f"mixed{i}"], [f"x{i + 1}"]),
    ]


def _merged(
    with_cache: list[onnx.NodeProto], without: list[onnx.NodeProto], outputs: Sequence[str]
) -> list[onnx.NodeProto]:
    """Return one node that runs the decoder with its cache, or without."""
    values = [helper.make_tensor_value_info(name, _FLOAT, None) for name in outputs]

    def branch(nodes: list[onnx.NodeProto], suffix: str) -> onnx.GraphProto:
        made = {name for each in nodes for name in each.output}
        for each in nodes:
            for names in (each.input, each.output):
                names[:] = [f"{name}{suffix}" if name in made else name for name in names]
        renamed = [helper.make_tensor_value_info(f"{value.name}{suffix}", _FLOAT, None) for value in values]
        return helper.make_graph(nodes, f"decoder{suffix}", [], renamed)

    then_branch, else_branch = branch(with_cache, "@cache"), branch(without, "@first")
    return [node("If", ["use_cache_branch"], list(outputs), then_branch=then_branch, else_branch=else_branch)]


def _weights(layers: int, sizes: Sizes) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def floats(*shape: int) -> np.ndarray:
        return np.asarray(random.standard_normal(shape) / np.sqrt(shape[0]), np.float32)

    weights = {
        "embedding": floats(sizes.vocabulary, sizes.hidden) * 4,
        "unembedding": floats(sizes.hidden, sizes.vocabulary),
        "position_table": floats(POSITIONS, sizes.hidden) * 8,
        "to_heads": np.array([0, 0, sizes.heads, sizes.head]),
        "from_heads": np.array([0, 0, sizes.hidden]),
        "zero": np.array(0),
        "one": np.array(1),
        "minus2": np.array(-2),
        "axis0": np.array([0]),
        "axis1": np.array([1]),
        "axes12": np.array([1, 2]),
        "nothing": np.array(0, np.float32),
        "far": np.array(-1e9, np.float32),
    }
    weights |= {
        f"{what}{i}": floats(sizes.hidden, sizes.hidden) for i in range(layers) for what in ("q", "k", "v", "o")
    }
    return weights


def voice_detector() -> onnx.ModelProto:
    """Return a detector with a state, whose batch is its second size, and a sampling rate that chooses a branch."""
    random, hidden = np.random.default_rng(0), 32
    weights = {
        "W": random.random((1, 4 * hidden, 64), np.float32) * 0.1,
        "R": random.random((1, 4 * hidden, hidden), np.float32) * 0.1,
        "k16": np.array([-1, 8, 64]),
        "k8": np.array([-1, 4, 64]),
        "rate": np.array(16000),
        "P": random.random((hidden, 1), np.float32) - 0.5,
        "axis0": np.array([0]),
    }

    def branch(name: str, sizes: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info(name, _FLOAT, None)
        return helper.make_graph([node("Reshape", ["input", sizes], [name])], name, [], [output])

    nodes = [
        node("Equal", ["sr", "rate"], ["is16"]),
        node("If", ["is16"], ["frames"], then_branch=branch("f16", "k16"), else_branch=branch("f8", "k8")),
        node("Transpose", ["frames"], ["sequence"], perm=[1, 0, 2]),
        node("Split", ["state"], ["h0", "c0"], axis=0),
        node("LSTM", ["sequence", "W", "R", "", "", "h0", "c0"], ["", "hn", "cn"], hidden_size=hidden),
        node("Concat", ["hn", "cn"], ["stateN"], axis=0),
        node("Squeeze", ["hn", "axis0"], ["last"]),
        node("MatMul", ["last", "P"], ["sum"]),
        node("Sigmoid", ["sum"], ["output"]),
    ]
    inputs: dict[str, tuple[int, _Sizes]] = {
        "input": (_FLOAT, ["batch", "samples"]),
        "state": (_FLOAT, [2, "batch", hidden]),
        "sr": (_INT64, []),
    }
    outputs: dict[str, tuple[int, _Sizes]] = {
        "output": (_FLOAT, ["batch", 1]),
        "stateN": (_FLOAT, [2, "batch", hidden]),
    }
    return _model(nodes, inputs, outputs, weights)


def gru() -> onnx.ModelProto:
    """Return a GRU with its state as an input: ``x`` FP32[1, 1, 8], ``h0`` and ``hn`` FP32[1, 1, 16]."""
    random, hidden = np.random.default_rng(1), 16
    weights = {
        "W": random.standard_normal((1, 3 * hidden, 8)).astype(np.float32) * 0.3,
        "R": random.standard_normal((1, 3 * hidden, hidden)).astype(np.float32) * 0.3,
    }
    nodes = [node("GRU", ["x", "W", "R", "", "", "h0"], ["y", "hn"], hidden_size=hidden)]
    inputs = {"x": (_FLOAT, [1, 1, 8]), "h0": (_FLOAT, [1, 1, hidden])}
    outputs = {"y": (_FLOAT, [1, 1, 1, hidden]), "hn": (_FLOAT, [1, 1, hidden])}
    return _model(nodes, inputs, outputs, weights)


def counter(*, growth: float = 1.0) -> onnx.ModelProto:
    """Return a model ``total`` = ``growth`` * ``sum`` + ``x``, whose next request takes the total as ``sum``."""
    nodes = [node("Mul", ["sum", "growth"], ["grown"]), node("Add", ["grown", "x"], ["total"])]
    sizes = (_FLOAT, [1, 2])
    weights = {"growth": np.array(growth, np.float32)}
    return _model(nodes, {"x": sizes, "sum": sizes}, {"total": sizes}, weights)


def _model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, _Sizes]],
    outputs: Mapping[str, tuple[int, _Sizes]],
    weights: Mapping[str, np.ndarray],
) -> onnx.ModelProto:
    def values(tensors: Mapping[str, tuple[int, _Sizes]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, kind, list(sizes)) for name, (kind, sizes) in tensors.items()]

    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    used = {name for each in nodes for name in each.input}
    used |= {name for each in nodes for one in each.attribute for inner in one.g.node for name in inner.input}
    graph = helper.make_graph(
        nodes, "g", values(inputs), values(outputs), [each for each in initializers if each.name in used]
    )
    return helper.make_model(graph, opset_imports=_OPSET, ir_version=8)


def main(directory: Path) -> None:
    """Write one model of each kind."""
    directory.mkdir(parents=True, exist_ok=True)
    models = {
        "decoder": decoder(),
        "merged": decoder(spelling="merged"),
        "past": decoder(spelling="past"),
        "bare": decoder(mask=False),
        "vad": voice_detector(),
        "gru": gru(),
        "counter": counter(),
    }
    for name, model in models.items():
        onnx.save(model, directory / f"{name}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
