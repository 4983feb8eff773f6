"""Runs of MLflow without a server: what of its address may be shown, what is refused, and how runs end."""

import os
import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from edgesim.cli import _mlflow
from edgesim.errors import DeviceError, HostError, Interrupted, UsageError
from edgesim.histories import mlflow_runs
from edgesim.histories.mlflow_runs import Record, Runs
from edgesim.results.run_result import RunResult
from tests.support.command_line import edgesim_here


def test_texts_lose_the_logins_and_queries_of_their_addresses() -> None:
    text = "GET https://me:s3/cr@t@host:5000/api?token=s3cret failed"
    assert mlflow_runs.without_secrets(text) == "GET https://host:5000/api failed"
    assert mlflow_runs.without_secrets("http://host:5000/x: no") == "http://host:5000/x: no"


def test_a_login_goes_to_mlflow_by_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "before")
    assert mlflow_runs._without_login("https://me:s3%40cret@host/mlflow") == "https://host/mlflow"
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "s3@cret")
    with pytest.raises(UsageError, match="has a query") as refused:
        mlflow_runs._without_login("https://host/?token=s3cret")
    assert "s3cret" not in f"{refused.value} {refused.value.fix}"


def test_an_export_to_mlflow_needs_its_address_and_no_file() -> None:
    for words in (("mlflow",), ("jsonl", "--mlflow", "http://x"), ("mlflow", "--mlflow", "http://x", "-o", "f")):
        done = edgesim_here("history", "export", *words)
        assert (done.returncode, "is only for the format mlflow" in done.stderr) == (2, True), done.stderr


class Client:
    """MLflow's client, as far as a run needs it; the call that is named ends with an error."""

    def __init__(self, breaks: str = "", error: BaseException | None = None) -> None:
        self.ended: list[str] = []
        self.tags: list[dict[str, str]] = []
        self._breaks, self._error = breaks, error

    def create_run(self, *_: Any, tags: dict[str, str], **__: Any) -> Any:
        self.tags.append(tags)
        return SimpleNamespace(info=SimpleNamespace(run_id=str(len(self.tags))))

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any) -> None:
            if name == self._breaks and self._error is not None:
                raise self._error

        return call

    def set_terminated(self, _: str, status: str) -> None:
        self.ended.append(status)


@pytest.fixture
def runs_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes the runs of a client, in a Python without MLflow."""
    modules = {name: ModuleType(name) for name in ("mlflow", "mlflow.entities", "mlflow.exceptions")}
    modules["mlflow.exceptions"].MlflowException = type("MlflowException", (Exception,), {})  # type: ignore[attr-defined]  # a module of this test
    for name in ("Metric", "Param"):
        setattr(modules["mlflow.entities"], name, lambda *values: values)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)

    def make(client: Client) -> Runs:
        runs = Runs.__new__(Runs)
        runs._client, runs._where, runs._experiment = client, "http://host", "1"
        return runs

    return make


@pytest.mark.parametrize("breaks", ["log_batch", "log_text"])
@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [(OSError("gone"), HostError, "FAILED"), (KeyboardInterrupt(), KeyboardInterrupt, "KILLED")],
)
def test_a_run_that_cannot_be_filled_is_ended(
    runs_of: Any, breaks: str, error: BaseException, raised: type[BaseException], status: str
) -> None:
    client = Client(breaks, error)
    with pytest.raises(raised):
        runs_of(client).add(Record(name="net on board", created=datetime.now(UTC), artifacts={"a": "b"}))
    assert client.ended == [status]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeviceError("the board ran out of memory"), "FAILED"),
        (Interrupted("interrupted; the measurements so far are kept"), "KILLED"),
        (KeyboardInterrupt(), "KILLED"),
    ],
)
@pytest.mark.parametrize("measured", [True, False])
def test_a_command_that_fails_or_is_interrupted_leaves_a_run_that_says_so(
    runs_of: Any, result: RunResult, error: DeviceError, status: str, measured: bool
) -> None:
    client = Client()
    if measured:
        error.result = result
    with pytest.raises(type(error)), _mlflow.failures_logged(runs_of(client), "net on board"):
        raise error
    assert client.ended == [status]
    assert client.tags[0]["edgesim.error"] == getattr(error, "problem", "interrupted")


def test_a_usage_error_makes_no_run_and_a_server_that_is_gone_does_not_hide_the_failure(runs_of: Any) -> None:
    client = Client("log_batch", OSError("gone"))
    with pytest.raises(UsageError), _mlflow.failures_logged(runs_of(client), "net on board"):
        raise UsageError("no such model")
    assert client.ended == []
    with pytest.raises(DeviceError, match="out of memory"), _mlflow.failures_logged(runs_of(client), "net on board"):
        raise DeviceError("out of memory")
