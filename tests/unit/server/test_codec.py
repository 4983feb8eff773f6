"""Inference requests and responses in JSON and in binary form, and the table of tensor types."""

import contextlib
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgesim.server import codec
from edgesim.server.inference_request import BadRequest, InferRequest, InferResponse, RequestedOutput
from edgesim.server.tensor_types import TENSOR_TYPES, Signature, TensorType

IMAGE = Signature("image", "FP32", (-1, 2))


def request(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}
    return {"inputs": [{key: value for key, value in {**tensor, **changes}.items() if value is not None}]}


def decode(document: Any, *inputs: Signature, outputs: tuple[Signature, ...] = ()) -> InferRequest:
    def by_name(signatures: tuple[Signature, ...]) -> dict[str, Signature]:
        return {signature.name: signature for signature in signatures}

    body = orjson.dumps(document)
    decoder = codec.RequestDecoder(by_name(inputs), by_name(outputs))
    return decoder.decode(memoryview(body), len(body))


def test_a_tensor_of_any_rank_takes_every_shape_and_a_scalar_only_its_own() -> None:
    any_rank = Signature("image", "FP32", (), any_rank=True)
    for shape in ([2], [1, 2], [1, 1, 2]):
        assert list(decode(request(shape=shape), any_rank).inputs["image"].shape) == shape
    with pytest.raises(BadRequest, match=r"expected \[\]"):
        decode(request(), Signature("image", "FP32", ()))


def test_tensor_data_may_be_flat_or_nested() -> None:
    flat = decode(request(), IMAGE).inputs["image"]
    nested = decode(request(data=[[1.5, 2.5]]), IMAGE).inputs["image"]
    assert flat.dtype == np.float32
    assert flat.tolist() == nested.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (request(name="picture"), "unknown input 'picture'; the model takes 'image'"),
        (request(datatype="FP64"), "input 'image' has datatype 'FP64'; expected FP32"),
        (request(shape=[1, 3]), r"input 'image' has shape \[1, 3\]; expected \[-1, 2\]"),
        (request(shape=[2]), r"input 'image' has shape \[2\]; expected"),
        (request(shape="big"), "input 'image' has shape 'big'; expected a list"),
        (request(shape=[-1, 2]), r"input 'image' has shape \[-1, 2\]; expected a list"),
        (request(shape=[True, 2]), "expected a list of sizes"),
        (request(data=[1.0]), r"input 'image' holds 1 values; its shape \[1, 2\] takes 2"),
        (request(data=["a", "b"]), "input 'image' holds data that is not FP32"),
        (request(data=[[1.0], [2.0, 3.0]]), "input 'image' holds data that is not FP32"),
        (request(data=None), "input 'image' has no list 'data'"),
        (
            request(data=None, parameters={"binary_data_size": 8}),
            "input 'image' has binary_data_size 8; 0 bytes are left",
        ),
        (request(parameters={"binary_data_size": 8}), "input 'image' has both 'data' and 'binary_data_size'"),
        (request(parameters=[]), "input 'image' has 'parameters' that are no object"),
        ({"inputs": []}, "input 'image' is missing; the model takes 'image'"),
        ({"inputs": request()["inputs"] * 2}, "input 'image' is given twice"),
        ({}, "input 'image' is missing"),
        ([], "must be a JSON object"),
        ({"inputs": ["image"]}, "'inputs' must be a list of objects"),
        ({"inputs": [{}]}, "unknown input None"),
        ({**request(), "id": 7}, "'id' is 7; expected a string"),
        ({**request(), "outputs": [{"name": "c"}]}, "unknown output 'c'; the model gives none"),
        ({**request(), "outputs": "all"}, "'outputs' must be a list of objects"),
        ({**request(), "parameters": {"binary_data_output": 1}}, "'binary_data_output' is 1; expected true or false"),
    ],
)
def test_wrong_request_names_tensor_and_received_and_expected_value(document: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        decode(document, IMAGE)


def test_request_chooses_outputs_and_the_form_of_each() -> None:
    outputs = (Signature("a", "FP32", (1,)), Signature("b", "FP32", (1,)))
    assert [output.name for output in decode({}, outputs=outputs).outputs] == ["a", "b"]
    chosen = {"outputs": [{"name": "b", "parameters": {"binary_data": False}}, {"name": "a"}]}
    requested = decode(chosen | {"parameters": {"binary_data_output": True}}, outputs=outputs).outputs
    assert [(output.name, output.binary) for output in requested] == [("b", False), ("a", True)]


def test_same_json_before_different_tensors_gives_each_its_own_values() -> None:
    """The decoder keeps short JSON parts, but never the tensors that follow."""
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}}
    text = orjson.dumps({"id": "7", "inputs": [tensor]})
    decoder = codec.RequestDecoder({"image": IMAGE}, {})
    for values in ([1.0, 2.0], [3.0, 4.0]):
        body = memoryview(text + np.array(values, np.float32).tobytes())
        decoded = decoder.decode(body, len(text))
        assert (decoded.id, decoded.inputs["image"].tolist()) == ("7", [values])


def test_response_has_the_json_first_and_then_the_binary_outputs() -> None:
    values = np.array([[1.5, 2.5]], np.float32)
    outputs = (RequestedOutput("a"), RequestedOutput("b", binary=True), RequestedOutput("a", classes=1))
    signatures = {name: Signature(name, "FP32", (-1, 2)) for name in "ab"}
    response = InferResponse("m", "1", None, outputs, [values] * 3, signatures, {"a": ["cat", "dog"]})
    (text, tensor), json_length = codec.encode_response(response)
    assert json_length == len(text)
    assert bytes(tensor) == values.tobytes()
    document = orjson.loads(text)
    assert list(document) == ["model_name", "model_version", "outputs"]
    assert [output.get("data") for output in document["outputs"]] == [[1.5, 2.5], None, ["2.500000:1:dog"]]


@pytest.mark.parametrize("tensor_type", TENSOR_TYPES, ids=lambda tensor_type: tensor_type.name)
def test_every_tensor_type_has_onnx_own_number_and_the_numpy_type_of_onnx(tensor_type: TensorType) -> None:
    assert onnx.TensorProto.DataType.Name(tensor_type.onnx_number) == tensor_type.onnx_name.upper()
    if tensor_type.name != "BF16":  # numpy has none
        assert onnx.helper.tensor_dtype_to_np_dtype(tensor_type.onnx_number) == tensor_type.dtype


@given(arrays(np.float32, array_shapes(min_dims=1, max_dims=3, min_side=0)))
def test_numbers_survive_the_binary_form_bit_for_bit(values: np.ndarray) -> None:
    signature = Signature("x", "FP32", (-1,) * values.ndim)
    binary = bytes(codec.to_binary(values, "FP32"))
    assert codec.from_binary(memoryview(binary), signature, values.shape).tobytes() == values.tobytes()


@given(arrays(np.object_, array_shapes(max_dims=2), elements=st.text()))
def test_texts_survive_the_binary_form(values: np.ndarray) -> None:
    signature = Signature("x", "BYTES", (-1,) * values.ndim)
    binary = codec.to_binary(values, "BYTES")
    assert codec.from_binary(memoryview(binary), signature, values.shape).tolist() == values.tolist()


@given(st.binary(max_size=64), st.integers(0, 8))
def test_any_bytes_for_texts_are_read_or_refused_as_bad_request(data: bytes, count: int) -> None:
    with contextlib.suppress(BadRequest):
        codec.from_binary(memoryview(data), Signature("x", "BYTES", (-1,)), (count,))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bf16_from_json_is_rounded_to_nearest(value: float) -> None:
    tensor = {"name": "x", "datatype": "BF16", "shape": [1], "data": [value]}
    bits = decode({"inputs": [tensor]}, Signature("x", "BF16", (1,))).inputs["x"]
    assert bits.view(ml_dtypes.bfloat16)[0] == np.float32(value).astype(ml_dtypes.bfloat16)
