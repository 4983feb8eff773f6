"""The server's parts that need no server: tensors in JSON, and what it finds inside its board."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim.server import board, tensors
from edgesim.server.tensors import BadRequest, Signature

IMAGE = Signature("image", "FP32", (-1, 2))


def request(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}
    return {"inputs": [{key: value for key, value in {**tensor, **changes}.items() if value is not None}]}


def test_a_tensor_is_read_flat_or_nested() -> None:
    flat = tensors.parse_inputs(request(), [IMAGE])["image"]
    nested = tensors.parse_inputs(request(data=[[1.5, 2.5]]), [IMAGE])["image"]
    assert flat.dtype == np.float32
    assert flat.tolist() == nested.tolist() == [[1.5, 2.5]]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (request(name="picture"), "unknown input 'picture'; the model takes image"),
        (request(datatype="FP64"), "input 'image' has datatype FP64; expected FP32"),
        (request(shape=[1, 3]), r"input 'image' has shape \[1, 3\]; expected \[-1, 2\]"),
        (request(shape=[2]), r"input 'image' has shape \[2\]; expected"),
        (request(shape="big"), "input 'image' has shape big; expected a list"),
        (request(shape=[-1, 2]), r"input 'image' has shape \[-1, 2\]; expected a list"),
        (request(data=[1.0]), r"input 'image' holds 1 values; its shape \[1, 2\] takes 2"),
        (request(data=["a", "b"]), "input 'image' holds data that is not FP32"),
        (request(data=[[1.0], [2.0, 3.0]]), "input 'image' holds data that is not FP32"),
        (request(data=None), "input 'image' has no list 'data'"),
        ({"inputs": []}, "input 'image' is missing; the model takes image"),
        ({"inputs": request()["inputs"] * 2}, "input 'image' is given twice"),
        ({}, "must be a JSON object with a list 'inputs'"),
        ([], "must be a JSON object with a list 'inputs'"),
        ({"inputs": ["image"]}, "unknown input None"),
    ],
)
def test_a_wrong_request_names_the_tensor_what_was_given_and_what_is_expected(wrong: Any, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        tensors.parse_inputs(wrong, [IMAGE])


def test_outputs_can_be_chosen_and_an_unknown_one_is_refused() -> None:
    outputs = [Signature("a", "FP32", (1,)), Signature("b", "FP32", (1,))]
    assert tensors.requested_outputs({}, outputs) == ["a", "b"]
    assert tensors.requested_outputs({"outputs": [{"name": "b"}]}, outputs) == ["b"]
    with pytest.raises(BadRequest, match="unknown output 'c'; the model gives a, b"):
        tensors.requested_outputs({"outputs": [{"name": "c"}]}, outputs)


def test_texts_are_tensors_too() -> None:
    text = Signature("t", "BYTES", (-1,))
    given = {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}]}
    values = tensors.parse_inputs(given, [text])["t"]
    assert tensors.as_json("t", "BYTES", values)["data"] == ["a", "b"]


# --- the board from inside --------------------------------------------------------------------------------------------


def test_the_core_is_named_by_its_part_number() -> None:
    cpuinfo = "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd07\n"
    assert board.cpu_model(cpuinfo) == "cortex-a57"
    assert board.cpu_features(cpuinfo) == ["fp", "asimd"]


def test_an_unknown_part_is_given_as_its_number_and_no_part_as_none() -> None:
    assert board.cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n") == "arm part 0xfff"
    assert board.cpu_model("") is None


def test_limits_are_read_from_version_2(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.swap.max").write_text("0\n")
    (tmp_path / "cpu.max").write_text("20000 10000\n")
    found = board.memory_limit_bytes(tmp_path), board.swap_limit_bytes(tmp_path), board.cpu_limit(tmp_path)
    assert found == (1000, 0, 2.0)


def test_limits_are_read_from_version_1(tmp_path: Path) -> None:
    for controller in ("memory", "cpu"):
        (tmp_path / controller).mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory" / "memory.memsw.limit_in_bytes").write_text("1000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("15000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("10000\n")
    found = board.memory_limit_bytes(tmp_path), board.swap_limit_bytes(tmp_path), board.cpu_limit(tmp_path)
    assert found == (1000, 0, 1.5)


def test_no_limit_is_none(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert board.memory_limit_bytes(tmp_path) is None
    assert board.cpu_limit(tmp_path) is None
