"""The address of an MLflow server: what of it may be shown, and what is refused before any work."""

import os

import pytest

from edgesim.errors import UsageError
from edgesim.histories import mlflow_runs
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
        assert (done.returncode, "goes with mlflow alone" in done.stderr) == (2, True), done.stderr
