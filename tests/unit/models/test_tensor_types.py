"""The table of tensor types: agrees with ONNX, numpy and the server's table."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgesim.models import tensor_types
from edgesim.models.tensor_types import TENSOR_TYPES, TensorType

ONNX_NAMES = {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BF16": "BFLOAT16", "BYTES": "STRING"}


@pytest.mark.parametrize("kind", TENSOR_TYPES, ids=lambda kind: kind.datatype)
def test_onnx_has_the_same_number_and_numpy_the_same_type(kind: TensorType) -> None:
    assert TensorProto.DataType.Value(ONNX_NAMES.get(kind.datatype, kind.datatype)) == kind.onnx
    if kind.is_numeric:
        assert kind.dtype == helper.tensor_dtype_to_np_dtype(kind.onnx)
        assert kind.dtype is not None
        assert kind.item_bytes == kind.dtype.itemsize


def test_each_type_is_found_by_its_name_and_by_its_number() -> None:
    assert len(tensor_types.BY_DATATYPE) == len(tensor_types.BY_ONNX) == len(TENSOR_TYPES)
    assert tensor_types.BY_DATATYPE["FP16"].dtype == np.float16
    assert tensor_types.BY_ONNX[TensorProto.STRING].item_bytes is None
