"""Inference as tritonclient asks for it."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.conftest import TYPES

BINARY_ONLY = ("FP16", "BF16")  # the client sends these in no other form
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


def given(name: str, values: np.ndarray, datatype: str = "FP32", *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def texts(values: np.ndarray) -> Any:
    return np.vectorize(lambda value: value.decode() if isinstance(value, bytes) else value, otypes=[object])(values)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize("answer", ["binary-answer", "json-answer"])
@pytest.mark.parametrize("request_form", ["binary-request", "json-request"])
@pytest.mark.parametrize("datatype", TYPES)
def test_every_type_comes_back_as_it_was_sent(
    client: triton.InferenceServerClient, datatype: str, request_form: str, answer: str, compression: str | None
) -> None:
    if datatype in BINARY_ONLY and (request_form, answer) != ("binary-request", "binary-answer"):
        return
    values = VALUES[datatype]
    result = client.infer(
        f"identity_{datatype.lower()}",
        [given("x", values, datatype, binary=request_form == "binary-request")],
        outputs=[triton.InferRequestedOutput("y", binary_data=answer == "binary-answer")],
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )
    received = result.as_numpy("y")
    assert received is not None
    if datatype == "BYTES":
        received = texts(received)
    assert received.shape == values.shape
    assert (received == values).all()


def test_without_outputs_named_all_come_in_the_form_that_the_request_asks_for(
    client: triton.InferenceServerClient,
) -> None:
    a, b = np.array([[3, 4]], np.float32), np.array([[1, 2]], np.float32)
    result = client.infer("pair", [given("a", a), given("b", b)])
    assert [output["name"] for output in result.get_response()["outputs"]] == ["sum", "difference"]
    assert result.as_numpy("sum").tolist() == [[4, 6]]
    assert result.as_numpy("difference").tolist() == [[2, 2]]


def test_inputs_may_be_mixed_in_form_and_out_of_order(client: triton.InferenceServerClient) -> None:
    a, b = np.array([[3, 4]], np.float32), np.array([[1, 2]], np.float32)
    result = client.infer(
        "pair",
        [given("b", b, binary=False), given("a", a)],
        outputs=[triton.InferRequestedOutput("difference", binary_data=False), triton.InferRequestedOutput("sum")],
    )
    assert result.as_numpy("sum").tolist() == [[4, 6]]
    assert result.as_numpy("difference").tolist() == [[2, 2]]


def test_one_output_of_two_can_be_asked_for(client: triton.InferenceServerClient) -> None:
    values = np.ones((1, 2), np.float32)
    outputs = [triton.InferRequestedOutput("difference")]
    result = client.infer("pair", [given("a", values), given("b", values)], outputs=outputs)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["difference"]


def test_a_model_without_inputs_answers(client: triton.InferenceServerClient) -> None:
    assert client.infer("constant", []).as_numpy("y").tolist() == [1, 2, 3]


def test_sizes_left_open_may_be_anything_zero_included(client: triton.InferenceServerClient) -> None:
    for shape in ((0, 3), (1, 1), (7, 5)):
        values = np.zeros(shape, np.float32)
        assert client.infer("identity_fp32", [given("x", values)]).as_numpy("y").shape == shape


def test_the_request_id_comes_back(client: triton.InferenceServerClient) -> None:
    values = np.ones((1, 1), np.float32)
    assert client.infer("identity_fp32", [given("x", values)], request_id="17").get_response()["id"] == "17"


def test_each_version_answers_and_the_newest_where_none_is_named(client: triton.InferenceServerClient) -> None:
    values = np.ones(1, np.float32)
    for version, factor in (("1", 1.0), ("2", 2.0), ("10", 10.0), ("", 10.0)):
        result = client.infer("scale", [given("x", values)], model_version=version)
        assert result.as_numpy("y").tolist() == [factor]
        assert result.get_response()["model_version"] == (version or "10")


@pytest.mark.parametrize("binary", [True, False])
def test_the_best_classes_are_given_with_their_labels(client: triton.InferenceServerClient, binary: bool) -> None:
    values = np.array([[0.1, 0.7, 0.2, 0.0], [0.5, 0.25, 0.0, 0.75]], np.float32)
    outputs = [triton.InferRequestedOutput("y", binary_data=binary, class_count=2)]
    classes = texts(client.infer("labelled", [given("x", values)], outputs=outputs).as_numpy("y"))
    assert classes.tolist() == [["0.700000:1:dog", "0.200000:2:owl"], ["0.750000:3", "0.500000:0:cat"]]


def test_requests_at_the_same_time_each_get_their_own_answer(client: triton.InferenceServerClient) -> None:
    pending = []
    for i in range(200):
        values = np.full((1 + i % 3, 2), i, np.float32)
        pending.append((values, client.async_infer("batched", [given("a", values), given("b", values)])))
    for values, answer in pending:
        total = answer.get_result().as_numpy("sum")
        assert total.shape == values.shape
        assert (total == 2 * values).all()
    statistics = client.get_inference_statistics("batched")["model_stats"][0]
    assert statistics["execution_count"] < statistics["inference_stats"]["success"]["count"]


def test_asynchronous_requests_work(client: triton.InferenceServerClient) -> None:
    values = np.ones((2, 2), np.float32)
    pending = [client.async_infer("identity_fp32", [given("x", values * i)], request_id=str(i)) for i in range(20)]
    for i, answer in enumerate(pending):
        result = answer.get_result()
        assert (result.as_numpy("y") == values * i).all()
        assert result.get_response()["id"] == str(i)


WRONG: list[Any] = [
    pytest.param("identity_fp32", "x", (1, 1), "FP64", "input 'x' has datatype 'FP64'; expected FP32", id="type"),
    pytest.param("identity_fp32", "x", (1,), "FP32", r"input 'x' has shape [1]; expected [-1, -1]", id="rank"),
    pytest.param("identity_fp32", "z", (1, 1), "FP32", "unknown input 'z'; the model takes 'x'", id="name"),
    pytest.param("nowhere", "x", (1,), "FP32", "model 'nowhere' is not served here; there are ", id="model"),
    pytest.param("pair", "a", (1, 2), "FP32", "input 'b' is missing; the model takes 'a', 'b'", id="missing"),
    pytest.param("pair", "a", (1, 3), "FP32", "input 'a' has shape [1, 3]; expected [-1, 2]", id="size"),
    pytest.param("gather", "index", (1,), "INT64", "model 'gather' cannot run with these inputs: ", id="value"),
]


@pytest.mark.parametrize(("model", "name", "shape", "datatype", "words"), WRONG)
def test_what_is_wrong_is_said_with_the_tensor_what_was_given_and_what_is_expected(
    client: triton.InferenceServerClient, model: str, name: str, shape: tuple[int, ...], datatype: str, words: str
) -> None:
    dtype = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}[datatype]
    with pytest.raises(InferenceServerException) as raised:
        client.infer(model, [given(name, np.full(shape, 99, dtype), datatype)])
    assert words in raised.value.message()
    assert raised.value.status() == ("404" if model == "nowhere" else "400")


def test_no_inputs_given_names_the_first_one_that_is_missing(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match="input 'a' is missing; the model takes 'a', 'b'"):
        client.infer("pair", [])


def test_an_unknown_output_and_an_unknown_version_are_named(client: triton.InferenceServerClient) -> None:
    tensor = given("x", np.ones(1, np.float32))
    with pytest.raises(InferenceServerException, match="unknown output 'z'; the model gives 'y'"):
        client.infer("scale", [tensor], outputs=[triton.InferRequestedOutput("z")])
    with pytest.raises(InferenceServerException, match="model 'scale' has no version '3' loaded; it has 1, 2, 10"):
        client.infer("scale", [tensor], model_version="3")


def test_a_batch_that_is_too_large_is_refused(client: triton.InferenceServerClient) -> None:
    values = np.ones((9, 2), np.float32)
    with pytest.raises(InferenceServerException, match="input 'a' has a batch of 9; model 'batched' takes 1 to 8"):
        client.infer("batched", [given("a", values), given("b", values)])


def test_shared_memory_and_sequences_are_refused_in_words(client: triton.InferenceServerClient) -> None:
    tensor = given("x", np.ones(1, np.float32))
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
