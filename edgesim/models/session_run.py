"""A session of ONNX Runtime on this host, run once: its Python interface takes numpy arrays, which cannot be BF16."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.models import tensor_types
from edgesim.server.tensor_types import BY_ONNX_NUMBER

_BF16 = tensor_types.BY_DATATYPE["BF16"]
_BF16_NAME = f"tensor({BY_ONNX_NUMBER[_BF16.onnx].onnx_name})"


def run(session: Any, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the outputs of an `onnxruntime.InferenceSession`, by name; BF16 on either side is `ml_dtypes.bfloat16`.

    Raises:
        Exception: whatever ONNX Runtime raises.
    """
    outputs = session.get_outputs()
    names = [output.name for output in outputs]
    if all(argument.type != _BF16_NAME for argument in (*session.get_inputs(), *outputs)):
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))
    # ONNX Runtime keeps the address of BF16's bits, and not the array: `arrays` lives until the run has ended.
    arrays = {name: values if values.flags.c_contiguous else values.copy() for name, values in inputs.items()}
    results = session.run_with_ort_values(names, {name: _ort_value(values) for name, values in arrays.items()})
    return {
        output.name: _bf16_array(result) if output.type == _BF16_NAME else result.numpy()
        for output, result in zip(outputs, results, strict=True)
    }


def _ort_value(values: NDArray[Any]) -> Any:
    import onnxruntime

    if values.dtype != _BF16.dtype:
        return onnxruntime.OrtValue.ortvalue_from_numpy(values)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(values.view(np.uint16), _BF16.onnx)


def _bf16_array(value: Any) -> NDArray[Any]:
    from edgesim.server.runtimes.onnx_runtime import bf16_bits  # imports ONNX Runtime, which takes 100 ms

    return bf16_bits(value).view(_BF16.dtype)
