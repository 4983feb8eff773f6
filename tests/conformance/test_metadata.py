"""Metadata, statistics, index, logging, traces and metrics, requested by tritonclient."""

import http.client
import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

from tests.conformance.test_infer import infer_input
from tests.support.serving import Server


def test_the_server_is_live_and_ready_and_names_its_extensions(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    metadata = client.get_server_metadata()
    assert metadata["name"] == "edgesim"
    assert {"binary_tensor_data", "statistics", "model_configuration", "model_repository"} <= {*metadata["extensions"]}


def test_each_model_and_version_has_its_readiness(client: triton.InferenceServerClient) -> None:
    assert client.is_model_ready("scale")
    assert client.is_model_ready("scale", "2")
    assert not client.is_model_ready("scale", "3")
    assert not client.is_model_ready("unknown")


def test_metadata_has_versions_and_tensors_with_open_dimensions(client: triton.InferenceServerClient) -> None:
    assert client.get_model_metadata("scale", "2") == {
        "name": "scale",
        "versions": ["1", "2", "10"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
    }


def test_configuration_has_dims_without_the_batch(client: triton.InferenceServerClient) -> None:
    config = client.get_model_config("batched")
    assert config["max_batch_size"] == 8
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 20000
    assert config["input"][0] == {"name": "a", "data_type": "TYPE_FP32", "dims": [2]}
    assert client.get_model_config("pair")["input"][0] == {"name": "a", "data_type": "TYPE_FP32", "dims": [-1, 2]}


def test_statistics_count_successes_failures_and_compute_times(
    client: triton.InferenceServerClient,
) -> None:
    before = client.get_inference_statistics("scale", "1")["model_stats"][0]
    for _ in range(3):
        client.infer("scale", [infer_input("x", np.ones(4, np.float32))], model_version="1")
    with pytest.raises(InferenceServerException):
        client.infer("scale", [infer_input("x", np.ones((1, 1), np.float32))], model_version="1")
    after = client.get_inference_statistics("scale", "1")["model_stats"][0]
    assert after["version"] == "1"
    assert after["inference_count"] - before["inference_count"] == 3
    assert after["execution_count"] - before["execution_count"] == 3
    assert after["last_inference"] > 1.6e12
    counted = {
        stage: after["inference_stats"][stage]["count"] - before["inference_stats"][stage]["count"]
        for stage in after["inference_stats"]
    }
    compute = {"queue": 3, "compute_input": 3, "compute_infer": 3, "compute_output": 3}
    assert counted == {"success": 3, "fail": 1, **compute, "cache_hit": 0, "cache_miss": 0}
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]


def test_statistics_cover_all_models_or_all_versions_of_one(client: triton.InferenceServerClient) -> None:
    everything = client.get_inference_statistics()["model_stats"]
    assert {"scale", "pair", "constant"} <= {entry["name"] for entry in everything}
    assert [entry["version"] for entry in client.get_inference_statistics("scale")["model_stats"]] == ["1", "2", "10"]


def test_the_index_lists_every_version(client: triton.InferenceServerClient) -> None:
    index = client.get_model_repository_index()
    scale = [(entry["version"], entry["state"]) for entry in index if entry["name"] == "scale"]
    assert scale == [("1", "READY"), ("2", "READY"), ("10", "READY")]


def test_logging_settings_are_read_and_changed(client: triton.InferenceServerClient, server: Server) -> None:
    assert client.get_log_settings()["log_verbose_level"] == 0
    assert client.update_log_settings({"log_verbose_level": 1})["log_verbose_level"] == 1
    client.is_server_live()
    client.update_log_settings({"log_verbose_level": 0})
    assert "GET /v2/health/live 200" in server.log
    with pytest.raises(InferenceServerException, match="unknown logging setting 'log_everything'"):
        client.update_log_settings({"log_everything": True})


def test_traces_are_off_and_cannot_be_turned_on(client: triton.InferenceServerClient) -> None:
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    with pytest.raises(InferenceServerException, match="this server records no traces"):
        client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]})


def test_metrics_parse_as_prometheus_and_agree_with_the_statistics(
    client: triton.InferenceServerClient, server: Server
) -> None:
    client.infer("scale", [infer_input("x", np.ones(1, np.float32))], model_version="2")
    with urllib.request.urlopen(f"http://{server.address}/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    statistics = client.get_inference_statistics("scale", "2")["model_stats"][0]["inference_stats"]
    metrics = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    labels = (("model", "scale"), ("version", "2"))
    assert (
        metrics["edgesim_inference_requests_total", labels[0], ("outcome", "ok"), labels[1]]
        == metrics["edgesim_inference_duration_seconds_count", *labels]
        == statistics["success"]["count"]
        > 0
    )
    assert metrics["edgesim_model_ready", *labels] == 1
    assert metrics["edgesim_connections",] >= 1
    assert metrics["process_resident_memory_bytes",] > 1e6


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/scale/infer", 404),
        ("GET", "/unknown", 404),
        ("POST", "/v2/repository/models/..%2Fscale/load", 400),
        ("DELETE", "/v2", 405),
        ("GET", "/v2/models/unknown", 404),
        ("HEAD", "/v2/health/ready", 200),
        ("GET", "/v2/models/identity%5ffp32", 200),
    ],
)
def test_unknown_address_or_method_is_an_error_in_the_protocols_form(
    server: Server, method: str, path: str, status: int
) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    assert answer.status == status
    assert status == 200 or answer.read().startswith(b'{"error":"')
    connection.close()
