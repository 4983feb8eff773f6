"""Models of strangers that take more of this host than they should."""

import onnx
from onnx import TensorProto, helper

INT64, BOOL, FLOAT = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT


def model(nodes: list[onnx.NodeProto], **inputs: int) -> bytes:
    """Return a model with inputs of one dimension of any size."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    file: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return file


def endless() -> bytes:
    """Return a model whose loop turns for centuries."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["h"], ["h2"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("h", FLOAT, ["n"]),
        ],
        [helper.make_tensor_value_info("on", BOOL, []), helper.make_tensor_value_info("h2", FLOAT, ["n"])],
    )
    return model([helper.make_node("Loop", ["turns", "", "x"], ["y"], body=body)], turns=INT64, x=FLOAT)


def expanding() -> bytes:
    """Return a model that makes a tensor of as many floats as its input says."""
    return model([helper.make_node("ConstantOfShape", ["s"], ["y"])], s=INT64)
