"""The server's parts that need no server: tensors in JSON, and what it finds inside its board."""

import contextlib
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edgesim.server import codec, introspection
from edgesim.server.codec import BadRequest, InferRequest, Signature

IMAGE = Signature("image", "FP32", (-1, 2))


def request(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}
    return {"inputs": [{key: value for key, value in {**tensor, **changes}.items() if value is not None}]}


def decode(document: Any, *inputs: Signature, outputs: tuple[Signature, ...] = ()) -> InferRequest:
    def by_name(signatures: tuple[Signature, ...]) -> dict[str, Signature]:
        return {signature.name: signature for signature in signatures}

    read = codec.read_document(orjson.dumps(document), by_name(inputs), by_name(outputs))
    return read.with_tensors(memoryview(b""))


def test_a_tensor_is_read_flat_or_nested() -> None:
    flat = decode(request(), IMAGE).inputs["image"]
    nested = decode(request(data=[[1.5, 2.5]]), IMAGE).inputs["image"]
    assert flat.dtype == np.float32
    assert flat.tolist() == nested.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    ("wrong", "words"),
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
def test_a_wrong_request_names_the_tensor_what_was_given_and_what_is_expected(wrong: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        decode(wrong, IMAGE)


def test_outputs_can_be_chosen_each_in_its_form() -> None:
    outputs = (Signature("a", "FP32", (1,)), Signature("b", "FP32", (1,)))
    assert [want.name for want in decode({}, outputs=outputs).outputs] == ["a", "b"]
    asked = {"outputs": [{"name": "b", "parameters": {"binary_data": False}}, {"name": "a"}]}
    wanted = decode(asked | {"parameters": {"binary_data_output": True}}, outputs=outputs).outputs
    assert [(want.name, want.binary) for want in wanted] == [("b", False), ("a", True)]


@given(arrays(np.float32, array_shapes(min_dims=1, max_dims=3, min_side=0)))
def test_numbers_survive_both_forms_bit_for_bit(values: np.ndarray) -> None:
    signature = Signature("x", "FP32", (-1,) * values.ndim)
    binary = bytes(codec.to_binary(values, "FP32"))
    assert codec.from_binary(memoryview(binary), signature, values.shape).tobytes() == values.tobytes()


@given(arrays(np.object_, array_shapes(max_dims=2), elements=st.text()))
def test_texts_survive_the_binary_form(values: np.ndarray) -> None:
    signature = Signature("x", "BYTES", (-1,) * values.ndim)
    binary = codec.to_binary(values, "BYTES")
    assert codec.from_binary(memoryview(binary), signature, values.shape).tolist() == values.tolist()


@given(st.binary(max_size=64), st.integers(0, 8))
def test_any_bytes_for_texts_are_read_or_refused_and_nothing_else(data: bytes, count: int) -> None:
    with contextlib.suppress(BadRequest):
        codec.from_binary(memoryview(data), Signature("x", "BYTES", (-1,)), (count,))


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_bf16_of_json_is_the_nearest_one(value: float) -> None:
    sent = {"name": "x", "datatype": "BF16", "shape": [1], "data": [value]}
    bits = decode({"inputs": [sent]}, Signature("x", "BF16", (1,))).inputs["x"]
    assert bits.view(ml_dtypes.bfloat16)[0] == np.float32(value).astype(ml_dtypes.bfloat16)


# --- the board from inside --------------------------------------------------------------------------------------------


def test_the_core_is_named_by_its_part_number() -> None:
    cpuinfo = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n"
    assert introspection.cpu_model(cpuinfo) == "cortex-a57"
    assert introspection.cpu_features(cpuinfo) == ["fp", "asimd"]


def test_an_unknown_part_is_given_as_its_number_and_no_part_as_none() -> None:
    assert introspection.cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n") == "arm part 0xfff"
    assert introspection.cpu_model("") is None


def test_limits_are_read_from_version_2(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.swap.max").write_text("0\n")
    (tmp_path / "cpu.max").write_text("20000 10000\n")
    found = (
        introspection.memory_limit_bytes(tmp_path),
        introspection.swap_limit_bytes(tmp_path),
        introspection.cpu_limit(tmp_path),
    )
    assert found == (1000, 0, 2.0)


def test_limits_are_read_from_version_1(tmp_path: Path) -> None:
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory" / "memory.memsw.limit_in_bytes").write_text("1000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("15000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("10000\n")
    found = (
        introspection.memory_limit_bytes(tmp_path),
        introspection.swap_limit_bytes(tmp_path),
        introspection.cpu_limit(tmp_path),
    )
    assert found == (1000, 0, 1.5)


def test_no_limit_is_none(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert introspection.memory_limit_bytes(tmp_path) is None
    assert introspection.cpu_limit(tmp_path) is None
