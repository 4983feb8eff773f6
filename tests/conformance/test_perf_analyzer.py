"""perf_analyzer completes against the server, in each form and pattern of its requests."""

from collections.abc import Iterator

import pytest

from tests.conformance import perf_analyzer
from tests.support.serving import Server, running_server, save, scale, sum_and_difference

# Its containers are no boards, and nothing looks for what they leave: they may run beside tests of the engine.
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("perf_analyzer")]

GRPC = ("-i", "grpc")
JSON = ("--input-tensor-format", "json", "--output-tensor-format", "json")
BATCHED = "max_batch_size: 8\ndynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 200 }\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("perf") / "models"
    save(scale(2.0, shape=(4,)), repository, "fixed")
    # In JSON perf_analyzer sends the product of all dimensions but the first as values: right only if the first is 1.
    save(scale(2.0, shape=(1, 4)), repository, "row")
    save(scale(2.0, shape=(None, 3)), repository, "open")
    save(sum_and_difference(), repository, "batched")
    (repository / "batched" / "config.pbtxt").write_text(BATCHED)
    with running_server(repository, "--grpc-port", "0") as running:
        yield running


@pytest.mark.parametrize(
    ("model", "levels", "options"),
    [
        pytest.param("fixed", 2, ["--concurrency-range", "1:4:3"], id="concurrency-binary"),
        pytest.param("row", 2, ["--concurrency-range", "1:4:3", *JSON], id="concurrency-json", marks=pytest.mark.long),
        pytest.param("fixed", 2, ["--request-rate-range", "50:150:100"], id="rate-binary", marks=pytest.mark.long),
        pytest.param("row", 2, ["--request-rate-range", "50:150:100", *JSON], id="rate-json"),
        pytest.param("fixed", 1, ["--concurrency-range", "4", "--async"], id="async"),
        pytest.param("open", 1, ["--concurrency-range", "2", "--shape", "x:5,3"], id="open-sizes"),
        pytest.param("batched", 1, ["--concurrency-range", "4", "-b", "2"], id="batches"),
        pytest.param("fixed", 1, ["--concurrency-range", "2", "-x", "1"], id="version"),
        pytest.param(
            "fixed", 2, [*GRPC, "--concurrency-range", "1:4:3"], id="grpc-concurrency", marks=pytest.mark.long
        ),
        pytest.param("fixed", 1, [*GRPC, "--request-rate-range", "100"], id="grpc-rate", marks=pytest.mark.long),
        pytest.param(
            "fixed", 1, [*GRPC, "--concurrency-range", "4", "--async"], id="grpc-async", marks=pytest.mark.long
        ),
        pytest.param("fixed", 1, [*GRPC, "--concurrency-range", "4", "--async", "--streaming"], id="grpc-stream"),
        pytest.param(
            "batched", 1, [*GRPC, "--concurrency-range", "4", "-b", "2"], id="grpc-batches", marks=pytest.mark.long
        ),
    ],
)
def test_perf_analyzer_completes(server: Server, model: str, levels: int, options: list[str]) -> None:
    report = perf_analyzer.run(server, model, *options)
    assert report.code == 0, report.text
    assert len(report.throughputs) == levels, report.text
    assert all(throughput > 0 for throughput in report.throughputs)
    assert all(float(row["Server Compute Infer"]) > 0 for row in report.rows), "the server's statistics were read"
    assert "Traceback" not in server.log


def test_perf_analyzer_reports_a_model_that_the_server_does_not_have(server: Server) -> None:
    report = perf_analyzer.run(server, "unknown")
    assert report.code != 0
    assert "model 'unknown' is not served here" in report.text
