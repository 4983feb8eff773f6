"""Write the trained network as an ONNX model."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from step import Step

OPSET = 16

step = Step()
weights = dict(np.load(step.inputs["weights"])) | {"ink": np.float32(1 / 16)}
graph = helper.make_graph(
    [
        helper.make_node("Mul", ["image", "ink"], ["scaled"]),
        helper.make_node("Flatten", ["scaled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "hidden_weight", "hidden_bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["activated"]),
        helper.make_node("Gemm", ["activated", "class_weight", "class_bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ],
    "digits",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 8, 8])],
    [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
    [numpy_helper.from_array(np.asarray(weight), name) for name, weight in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
content = model.SerializeToString()
step.outputs["model"].write_bytes(content)
step.describe(
    model={
        "framework": "ONNX",
        "opset": OPSET,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
)
