"""Write the detector's model, which finds the window of 8 by 8 pixels with most ink in a picture.

A convolution adds up the ink of each window, and the largest sum wins. Nothing is trained, and the picture is 24 by 24.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, WINDOW = 24, 8


def detector() -> onnx.ModelProto:
    places = SIZE - WINDOW + 1
    weights = {
        "window": np.ones((1, 1, WINDOW, WINDOW), np.float32),
        "line": np.array([-1, places * places], np.int64),
        "width": np.array(places, np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "window"], ["ink"]),
            helper.make_node("Reshape", ["ink", "line"], ["sums"]),
            helper.make_node("ArgMax", ["sums"], ["place"], axis=1, keepdims=1),
            helper.make_node("Div", ["place", "width"], ["row"]),
            helper.make_node("Mod", ["place", "width"], ["column"]),
            helper.make_node("Concat", ["row", "column"], ["corner"], axis=1),
        ],
        "detector",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("corner", TensorProto.INT64, ["batch", 2])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def main() -> None:
    path = Path(__file__).parent / "detector.onnx" if len(sys.argv) < 2 else Path(sys.argv[1])
    onnx.save(detector(), path)
    print(path)


if __name__ == "__main__":
    main()
