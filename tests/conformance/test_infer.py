"""Inference requests from tritonclient."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.conftest import TYPES

BINARY_ONLY = ("FP16", "BF16")  # tritonclient sends these in no other form
VALUES: dict[str, Any] = {
    "BOOL": np.array([[True, False, True]]),
    **{
        name: np.array([[np.iinfo(name.lower()).min, 0, np.iinfo(name.lower()).max]], dtype=name.lower())
        for name in TYPES
        if "INT" in name
    },
    "FP16": np.array([[-1.5, 0.0, 65504.0]], np.float16),
    "BF16": np.array([[-1.5, 0.0, 3.0e38]]).astype(ml_dtypes.bfloat16),
    "FP32": np.array([[-1.5, 0.0, np.finfo(np.float32).max]], np.float32),
    "FP64": np.array([[-1.5, 0.0, np.finfo(np.float64).max]], np.float64),
    "BYTES": np.array([["", "naïve", "雪\x00"]], dtype=np.object_),
}


def infer_input(name: str, values: np.ndarray, datatype: str = "FP32", *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def as_strings(values: np.ndarray) -> Any:
    return np.vectorize(lambda value: value.decode() if isinstance(value, bytes) else value, otypes=[object])(values)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_form", ["binary-response", "json-response"])
@pytest.mark.parametrize("request_form", ["binary-request", "json-request"])
@pytest.mark.parametrize("datatype", TYPES)
def test_every_type_comes_back_as_it_was_sent(
    client: triton.InferenceServerClient, datatype: str, request_form: str, response_form: str, compression: str | None
) -> None:
    if datatype in BINARY_ONLY and (request_form, response_form) != ("binary-request", "binary-response"):
        return
    values = VALUES[datatype]
    result = client.infer(
        f"identity_{datatype.lower()}",
        [infer_input("x", values, datatype, binary=request_form == "binary-request")],
        outputs=[triton.InferRequestedOutput("y", binary_data=response_form == "binary-response")],
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    received = result.as_numpy("y")
    assert received is not None
    if datatype == "BYTES":
        received = as_strings(received)
    assert received.shape == values.shape
    assert (received == values).all()


def test_request_without_outputs_gets_all_in_the_form_of_the_request(
    client: triton.InferenceServerClient,
) -> None:
    a, b = np.array([[3, 4]], np.float32), np.array([[1, 2]], np.float32)
    result = client.infer("pair", [infer_input("a", a), infer_input("b", b)])
    assert [output["name"] for output in result.get_response()["outputs"]] == ["sum", "difference"]
    assert result.as_numpy("sum").tolist() == [[4, 6]]
    assert result.as_numpy("difference").tolist() == [[2, 2]]


def test_inputs_may_mix_forms_and_come_in_any_order(client: triton.InferenceServerClient) -> None:
    a, b = np.array([[3, 4]], np.float32), np.array([[1, 2]], np.float32)
    result = client.infer(
        "pair",
        [infer_input("b", b, binary=False), infer_input("a", a)],
        outputs=[triton.InferRequestedOutput("difference", binary_data=False), triton.InferRequestedOutput("sum")],
    )
    assert result.as_numpy("sum").tolist() == [[4, 6]]
    assert result.as_numpy("difference").tolist() == [[2, 2]]


def test_request_for_one_output_of_two_gets_one(client: triton.InferenceServerClient) -> None:
    values = np.ones((1, 2), np.float32)
    outputs = [triton.InferRequestedOutput("difference")]
    result = client.infer("pair", [infer_input("a", values), infer_input("b", values)], outputs=outputs)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["difference"]


def test_a_model_without_inputs_answers(client: triton.InferenceServerClient) -> None:
    assert client.infer("constant", []).as_numpy("y").tolist() == [1, 2, 3]


def test_open_dimensions_take_any_size_including_zero(client: triton.InferenceServerClient) -> None:
    for shape in ((0, 3), (1, 1), (7, 5)):
        values = np.zeros(shape, np.float32)
        assert client.infer("identity_fp32", [infer_input("x", values)]).as_numpy("y").shape == shape


def test_the_request_id_comes_back(client: triton.InferenceServerClient) -> None:
    values = np.ones((1, 1), np.float32)
    assert client.infer("identity_fp32", [infer_input("x", values)], request_id="17").get_response()["id"] == "17"


def test_each_version_answers_and_the_newest_if_none_is_named(client: triton.InferenceServerClient) -> None:
    values = np.ones(1, np.float32)
    for version, factor in (("1", 1.0), ("2", 2.0), ("10", 10.0), ("", 10.0)):
        result = client.infer("scale", [infer_input("x", values)], model_version=version)
        assert result.as_numpy("y").tolist() == [factor]
        assert result.get_response()["model_version"] == (version or "10")


@pytest.mark.parametrize("binary", [True, False])
def test_classification_returns_the_best_classes_with_labels(
    client: triton.InferenceServerClient, binary: bool
) -> None:
    values = np.array([[0.1, 0.7, 0.2, 0.0], [0.5, 0.25, 0.0, 0.75]], np.float32)
    outputs = [triton.InferRequestedOutput("y", binary_data=binary, class_count=2)]
    classes = as_strings(client.infer("labelled", [infer_input("x", values)], outputs=outputs).as_numpy("y"))
    assert classes.tolist() == [["0.700000:1:dog", "0.200000:2:owl"], ["0.750000:3", "0.500000:0:cat"]]


def test_simultaneous_requests_each_get_their_own_response(client: triton.InferenceServerClient) -> None:
    pending = []
    for i in range(200):
        values = np.full((1 + i % 3, 2), i, np.float32)
        pending.append((values, client.async_infer("batched", [infer_input("a", values), infer_input("b", values)])))
    for values, response in pending:
        total = response.get_result().as_numpy("sum")
        assert total.shape == values.shape
        assert (total == 2 * values).all()
    statistics = client.get_inference_statistics("batched")["model_stats"][0]
    assert statistics["execution_count"] < statistics["inference_stats"]["success"]["count"]


def test_asynchronous_requests_work(client: triton.InferenceServerClient) -> None:
    values = np.ones((2, 2), np.float32)
    pending = [
        client.async_infer("identity_fp32", [infer_input("x", values * i)], request_id=str(i)) for i in range(20)
    ]
    for i, response in enumerate(pending):
        result = response.get_result()
        assert (result.as_numpy("y") == values * i).all()
        assert result.get_response()["id"] == str(i)


WRONG: list[Any] = [
    pytest.param("identity_fp32", "x", (1, 1), "FP64", "input 'x' has datatype 'FP64'; expected FP32", id="type"),
    pytest.param("identity_fp32", "x", (1,), "FP32", r"input 'x' has shape [1]; expected [-1, -1]", id="rank"),
    pytest.param("identity_fp32", "z", (1, 1), "FP32", "unknown input 'z'; the model takes 'x'", id="name"),
    pytest.param("unknown", "x", (1,), "FP32", "model 'unknown' is not served here; there are ", id="model"),
    pytest.param("pair", "a", (1, 2), "FP32", "input 'b' is missing; the model takes 'a', 'b'", id="missing"),
    pytest.param("pair", "a", (1, 3), "FP32", "input 'a' has shape [1, 3]; expected [-1, 2]", id="size"),
    pytest.param("gather", "index", (1,), "INT64", "model 'gather' cannot run with these inputs: ", id="value"),
]


@pytest.mark.parametrize(("model", "name", "shape", "datatype", "words"), WRONG)
def test_error_names_the_tensor_and_the_received_and_expected_value(
    client: triton.InferenceServerClient, model: str, name: str, shape: tuple[int, ...], datatype: str, words: str
) -> None:
    dtype = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[datatype]
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, [infer_input(name, np.full(shape, 99, dtype), datatype)])
    assert words in raised.value.message()
    assert raised.value.status() == ("404" if model == "unknown" else "400")


def test_request_without_inputs_names_the_first_missing_one(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="input 'a' is missing; the model takes 'a', 'b'"):
        client.infer("pair", [])


def test_error_names_the_unknown_output_or_version(client: triton.InferenceServerClient) -> None:
    tensor = infer_input("x", np.ones(1, np.float32))
    with pytest.raises(InferenceServerException, match="unknown output 'z'; the model gives 'y'"):
        client.infer("scale", [tensor], outputs=[triton.InferRequestedOutput("z")])
    with pytest.raises(InferenceServerException, match="model 'scale' has no version '3' loaded; it has 1, 2, 10"):
        client.infer("scale", [tensor], model_version="3")


def test_batch_above_max_batch_size_is_refused(client: triton.InferenceServerClient) -> None:
    values = np.ones((9, 2), np.float32)
    with pytest.raises(InferenceServerException, match="input 'a' has a batch of 9; model 'batched' takes 1 to 8"):
        client.infer("batched", [infer_input("a", values), infer_input("b", values)])


def test_shared_memory_and_sequences_are_refused_with_a_reason(client: triton.InferenceServerClient) -> None:
    tensor = infer_input("x", np.ones(1, np.float32))
    with pytest.raises(InferenceServerException, match="no stateful sequences"):
        client.infer("scale", [tensor], sequence_id=5, sequence_start=True)
    tensor = triton.InferInput("x", [1], "FP32")
    tensor.set_shared_memory("region", 4)
    with pytest.raises(
        InferenceServerException, match="input 'x' is in shared memory, which this server does not offer"
    ):
        client.infer("scale", [tensor])
    assert client.get_system_shared_memory_status() == []
    with pytest.raises(InferenceServerException, match="offers no shared memory"):
        client.register_system_shared_memory("region", "/key", 4)
