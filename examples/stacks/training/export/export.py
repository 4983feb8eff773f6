"""The third step: the trained network as an ONNX model, which takes pictures as they are, 0 to 16."""

from pathlib import Path

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WORK = Path("/work")


def main() -> None:
    network = joblib.load(WORK / "network.joblib")
    weights = {
        "ink": np.float32(1 / 16),
        "hidden_weight": network.coefs_[0].astype(np.float32),
        "hidden_bias": network.intercepts_[0].astype(np.float32),
        "class_weight": network.coefs_[1].astype(np.float32),
        "class_bias": network.intercepts_[1].astype(np.float32),
    }
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
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path = WORK / "models" / "digits" / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
