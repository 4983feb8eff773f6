"""A session of ONNX Runtime that takes or gives BF16, which numpy's own types lack."""

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgesim.models import session_run


def _cast(source: int, target: int) -> onnxruntime.InferenceSession:
    x, y = (helper.make_tensor_value_info(name, kind, [None, 4]) for name, kind in (("x", source), ("y", target)))
    graph = helper.make_graph([helper.make_node("Cast", ["x"], ["y"], to=target)], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_bf16_output_has_the_values_of_its_bits(rows: int) -> None:
    values = np.linspace(-1, 1, 4 * rows, dtype=np.float32).reshape(rows, 4)
    outputs = session_run.run(_cast(TensorProto.FLOAT, TensorProto.BFLOAT16), {"x": values})
    assert outputs["y"].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(outputs["y"], values.astype(ml_dtypes.bfloat16))


def test_bf16_input_whose_rows_are_apart_in_memory_is_read_in_order() -> None:
    values = np.arange(24, dtype=np.float32).reshape(3, 8).astype(ml_dtypes.bfloat16)[:, ::2]
    outputs = session_run.run(_cast(TensorProto.BFLOAT16, TensorProto.FLOAT), {"x": values})
    np.testing.assert_array_equal(outputs["y"], values.astype(np.float32))
