"""The server over gRPC: tritonclient unchanged, and messages that it would not send."""

import contextlib
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from edgesim.server.rpc.messages import SERVICE, TYPES
from tests.conformance.conftest import TYPES as DATATYPES
from tests.conformance.test_infer import VALUES, as_strings
from tests.support.serving import Server, identity, running_server, save, scale

# The typed field of each type; FP16 and BF16 have none.
FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(server.grpc_address) as client:
        yield client


@pytest.fixture
def channel(server: Server) -> Iterator[Any]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


def infer_input(name: str, values: np.ndarray, datatype: str = "FP32") -> Any:
    tensor = triton.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def call(channel: Any, method: str, message: Any) -> bytes:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return bytes(channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=30))


def infer(channel: Any, message: Any) -> Any:
    return TYPES["ModelInferResponse"].FromString(call(channel, "ModelInfer", message))


def refusal(channel: Any, message: Any, method: str = "ModelInfer") -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, method, message)
    return refused.value.code().name, refused.value.details()


def request(model: str = "identity_fp32", datatype: str = "FP32", shape: tuple[int, ...] = (1, 2)) -> Any:
    message = TYPES["ModelInferRequest"](model_name=model)
    message.inputs.add(name="x", datatype=datatype, shape=shape)
    return message


def raw_request(values: tuple[float, ...] = (1, 2), model: str = "identity_fp32", **fields: Any) -> Any:
    message = request(model, shape=(1, len(values)) if model != "scale" else (len(values),))
    message.raw_input_contents.append(np.array(values, np.float32).tobytes())
    message.MergeFrom(TYPES["ModelInferRequest"](**fields))
    return message


# --- inference --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_type_comes_back_as_it_was_sent(client: Any, datatype: str, compression: str | None) -> None:
    values = VALUES[datatype]
    result = client.infer(
        f"identity_{datatype.lower()}", [infer_input("x", values, datatype)], compression_algorithm=compression
    )
    received = as_strings(result.as_numpy("y")) if datatype == "BYTES" else result.as_numpy("y")
    assert received.shape == values.shape
    assert (received == values).all()


@pytest.mark.parametrize("datatype", FIELDS)
def test_every_type_with_a_typed_field_is_taken_from_it(channel: Any, datatype: str) -> None:
    values = VALUES[datatype]
    message = request(f"identity_{datatype.lower()}", datatype, values.shape)
    flat = [text.encode() for text in values.reshape(-1)] if datatype == "BYTES" else values.reshape(-1).tolist()
    getattr(message.inputs[0].contents, FIELDS[datatype]).extend(flat)
    (typed,) = infer(channel, message).raw_output_contents
    if datatype == "BYTES":
        assert typed == b"".join(len(text).to_bytes(4, "little") + text for text in flat)
    else:
        assert typed == values.tobytes()


def test_outputs_versions_and_ids_are_those_that_were_asked_for(client: Any) -> None:
    a, b = np.array([[3, 4]], np.float32), np.array([[1, 2]], np.float32)
    result = client.infer(
        "pair",
        [infer_input("b", b), infer_input("a", a)],
        outputs=[triton.InferRequestedOutput("difference")],
        request_id="abc",
    )
    assert result.as_numpy("difference").tolist() == [[2, 2]]
    assert result.as_numpy("sum") is None
    assert result.get_response().id == "abc"
    one = client.infer("scale", [infer_input("x", np.ones(1, np.float32))], model_version="2")
    assert (one.get_response().model_version, one.as_numpy("y").tolist()) == ("2", [2.0])
    newest = client.infer("scale", [infer_input("x", np.ones(1, np.float32))])
    assert (newest.get_response().model_version, newest.as_numpy("y").tolist()) == ("10", [10.0])


def test_classification_returns_the_best_classes_with_labels(client: Any) -> None:
    result = client.infer(
        "labelled",
        [infer_input("x", np.array([[0.1, 0.7, 0.2, 0.0]], np.float32))],
        outputs=[triton.InferRequestedOutput("y", class_count=2)],
    )
    assert as_strings(result.as_numpy("y")).tolist() == [["0.700000:1:dog", "0.200000:2:owl"]]


def test_model_without_inputs_answers(channel: Any) -> None:
    response = infer(channel, TYPES["ModelInferRequest"](model_name="constant"))
    assert response.raw_output_contents[0] == np.array([1, 2, 3], np.int32).tobytes()


def test_unknown_fields_of_a_newer_protocol_are_skipped(channel: Any) -> None:
    unknown = b"\xfa\x3e\x02hi"  # field 1007, two bytes
    assert infer(channel, raw_request().SerializeToString() + unknown).raw_output_contents


def test_batches_of_concurrent_requests_answer_each_its_own(client: Any) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    zeros = np.zeros((1, 2), np.float32)
    for i in range(32):
        inputs = [infer_input("a", zeros + i), infer_input("b", zeros)]
        client.async_infer("batched", inputs, lambda result, error: answers.put((result, error)), request_id=str(i))
    for _ in range(32):
        result, error = answers.get(timeout=30)
        assert error is None
        assert result.as_numpy("sum").tolist() == [[float(result.get_response().id)] * 2]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_refusals_have_the_status_code_of_their_kind(channel: Any) -> None:
    refused = {
        "unknown model": (raw_request(model="none"), "NOT_FOUND", "'none' is not served"),
        "unknown version": (raw_request(model_version="7"), "NOT_FOUND", "no version '7'"),
        "no message": (b"\xff\xff", "INVALID_ARGUMENT", "no ModelInferRequest"),
        "no inputs": (TYPES["ModelInferRequest"](model_name="scale"), "INVALID_ARGUMENT", "'x' is missing"),
        "no values": (request(), "INVALID_ARGUMENT", "holds 0 values"),
        "negative size": (request(shape=(-1, 2)), "INVALID_ARGUMENT", "shape [-1, 2]"),
        "too many": (raw_request(raw_input_contents=[b""]), "INVALID_ARGUMENT", "2 tensors for 1 inputs"),
    }
    for kind, (message, code, words) in refused.items():
        refused_as, details = refusal(channel, message)
        assert (refused_as, words in details) == (code, True), f"{kind}: {refused_as} {details}"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: setattr(m.inputs[0], "name", "z"), "unknown input 'z'"),
        (lambda m: setattr(m.inputs[0], "datatype", "INT8"), "datatype 'INT8'; expected FP32"),
        (lambda m: m.outputs.add(name="z"), "unknown output 'z'"),
        (lambda m: m.inputs[0].contents.fp32_contents.append(1), "both 'contents' and raw_input_contents"),
        (lambda m: setattr(m.parameters["sequence_id"], "int64_param", 5), "no stateful sequences"),
        (lambda m: setattr(m.parameters["shared_memory_region"], "string_param", "a"), "shared memory"),
        (lambda m: m.raw_input_contents.__setitem__(0, b"123"), "holds 3 bytes"),
    ],
)
def test_malformed_request_is_refused_with_the_words_of_http(channel: Any, change: Any, words: str) -> None:
    message = raw_request()
    change(message)
    code, details = refusal(channel, message)
    assert code == "INVALID_ARGUMENT"
    assert words in details


def test_values_in_the_field_of_another_type_are_refused(channel: Any) -> None:
    message = request()
    message.inputs[0].contents.int_contents.extend([1, 2])
    assert "int_contents; FP32 are in fp32_contents" in refusal(channel, message)[1]


def test_typed_values_out_of_range_are_refused_and_not_wrapped(channel: Any) -> None:
    message = request("identity_int8", "INT8")
    message.inputs[0].contents.int_contents.extend([1, 300])
    assert "expected -128 to 127" in refusal(channel, message)[1]


def test_half_floats_in_typed_fields_are_refused(channel: Any) -> None:
    message = request("identity_fp16", "FP16")
    message.inputs[0].contents.fp32_contents.extend([1, 2])
    assert "FP16 in raw_input_contents alone" in refusal(channel, message)[1]


def test_shared_memory_and_unknown_calls_are_unimplemented(client: Any, channel: Any) -> None:
    with pytest.raises(InferenceServerException, match="no shared memory") as refused:
        client.register_system_shared_memory("a", "/a", 64)
    assert refused.value.status() == "StatusCode.UNIMPLEMENTED"
    assert not client.get_system_shared_memory_status().regions
    client.unregister_cuda_shared_memory()
    assert refusal(channel, b"", "Teleport")[0] == "UNIMPLEMENTED"


def test_message_larger_than_the_limit_is_refused_and_the_server_lives(repository: Path) -> None:
    save(identity(), repository, "identity")
    with (
        running_server(repository, "--grpc-port", "0", "--max-body-bytes", "65536") as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        large = raw_request(tuple(range(20_000)), "identity")
        large.inputs[0].shape[:] = [20_000]
        assert refusal(channel, large)[0] == "RESOURCE_EXHAUSTED"
        small = raw_request((1.0,), "identity")
        small.inputs[0].shape[:] = [1]
        assert infer(channel, small).raw_output_contents[0] == np.float32(1).tobytes()


def test_deadline_of_a_client_ends_its_request_and_counts_it_as_failed(repository: Path) -> None:
    save(scale(2.0, shape=("batch", 1)), repository, "slow")
    # A batch waits a second for its second request, which does not come.
    (repository / "slow" / "config.pbtxt").write_text(
        "max_batch_size: 2\ndynamic_batching { max_queue_delay_microseconds: 1000000 preferred_batch_size: [2] }\n"
    )
    with (
        running_server(repository, "--grpc-port", "0") as server,
        triton.InferenceServerClient(server.grpc_address) as client,
    ):
        with pytest.raises(InferenceServerException) as late:
            client.infer("slow", [infer_input("x", np.ones((1, 1), np.float32))], client_timeout=0.1)
        assert late.value.status() == "StatusCode.DEADLINE_EXCEEDED"
        until = time.monotonic() + 20
        while not (failed := _statistics(client, "slow").fail.count) and time.monotonic() < until:
            time.sleep(0.05)
        assert failed == 1


def _statistics(client: Any, model: str) -> Any:
    return client.get_inference_statistics(model).model_stats[0].inference_stats


# --- streams ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def stream(client: Any) -> Iterator["queue.Queue[Any]"]:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    yield answers
    client.stop_stream()


def test_stream_answers_each_request_once_and_in_order(client: Any) -> None:
    with stream(client) as answers:
        for i in range(50):
            client.async_stream_infer(
                "scale",
                [infer_input("x", np.array([i], np.float32))],
                request_id=str(i),
                enable_empty_final_response=True,
            )
        for i in range(50):
            result, error = answers.get(timeout=30)
            assert error is None
            response = result.get_response()
            assert (response.id, result.as_numpy("y").tolist()) == (str(i), [i * 10.0])
            assert response.parameters["triton_final_response"].bool_param
    assert answers.empty()


def test_error_within_a_stream_is_a_response_and_the_stream_goes_on(client: Any) -> None:
    with stream(client) as answers:
        client.async_stream_infer("none", [infer_input("x", np.ones(1, np.float32))])
        client.async_stream_infer("scale", [infer_input("x", np.ones(1, np.float32))], sequence_id=3)
        client.async_stream_infer("scale", [infer_input("x", np.ones(1, np.float32))])
        assert "'none' is not served" in str(answers.get(timeout=30)[1])
        assert "no stateful sequences" in str(answers.get(timeout=30)[1])
        assert answers.get(timeout=30)[0].as_numpy("y").tolist() == [10.0]


# --- everything else --------------------------------------------------------------------------------------------------


def test_server_and_models_describe_themselves_as_over_http(client: Any, server: Server) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("scale")
    assert client.is_model_ready("scale", "2")
    assert not client.is_model_ready("scale", "3")
    assert not client.is_model_ready("none")
    assert "statistics" in client.get_server_metadata().extensions
    metadata = client.get_model_metadata("batched")
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [
        ("a", "FP32", [-1, 2]),
        ("b", "FP32", [-1, 2]),
    ]
    assert list(client.get_model_metadata("scale").versions) == ["1", "2", "10"]
    config = client.get_model_config("batched").config
    assert (config.max_batch_size, list(config.input[0].dims), list(config.output[0].dims)) == (8, [2], [2])
    assert config.dynamic_batching.max_queue_delay_microseconds == 20000
    assert config.instance_group[0].kind == 2  # KIND_CPU
    assert config.backend == "onnxruntime"


def test_health_service_of_grpc_says_serving(channel: Any) -> None:
    assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=30) == b"\x08\x01"


def test_statistics_count_requests_of_both_transports(client: Any) -> None:
    before = _statistics(client, "gather").success.count
    client.infer("gather", [infer_input("index", np.array([1], np.int64), "INT64")])
    assert _statistics(client, "gather").success.count == before + 1
    failed = _statistics(client, "gather").fail.count
    with pytest.raises(InferenceServerException, match="cannot run with these inputs"):
        client.infer("gather", [infer_input("index", np.array([9], np.int64), "INT64")])
    assert _statistics(client, "gather").fail.count == failed + 1


def test_settings_are_answered_in_their_types(client: Any) -> None:
    assert client.get_log_settings().settings["log_info"].bool_param
    assert client.update_log_settings({"log_verbose_level": 0}).settings["log_verbose_level"].uint32_param == 0
    assert list(client.get_trace_settings().settings["trace_level"].value) == ["OFF"]
    with pytest.raises(InferenceServerException, match="records no traces"):
        client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})


def test_models_are_unloaded_loaded_and_sent(repository: Path) -> None:
    save(scale(2.0), repository, "model")
    with (
        running_server(repository, "--grpc-port", "0") as server,
        triton.InferenceServerClient(server.grpc_address) as client,
    ):
        client.unload_model("model")
        assert not client.is_model_ready("model")
        assert [entry.state for entry in client.get_model_repository_index().models] == ["UNAVAILABLE"]
        client.load_model("model")
        assert client.is_model_ready("model")
        content = scale(5.0).SerializeToString()
        client.load_model("model", config="{}", files={"file:1/model.onnx": content})
        assert client.infer("model", [infer_input("x", np.ones(1, np.float32))]).as_numpy("y").tolist() == [5.0]
        with pytest.raises(InferenceServerException, match="no model 'none'") as missing:
            client.load_model("none")
        assert missing.value.status() == "StatusCode.NOT_FOUND"


def test_second_server_does_not_share_the_port_of_the_first(server: Server, repository: Path) -> None:
    port = server.grpc_address.rpartition(":")[2]
    with (
        pytest.raises(AssertionError, match="cannot be listened on for gRPC"),
        running_server(repository, "--grpc-port", port),
    ):
        pass
