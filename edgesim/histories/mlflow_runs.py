"""Results as runs of MLflow, by its client. Needs the `mlflow` extra.

User names, passwords and tokens are MLflow's own: its variables (``MLFLOW_TRACKING_USERNAME``,
``MLFLOW_TRACKING_PASSWORD``, ``MLFLOW_TRACKING_TOKEN``) or a part of the URI. They are in no result and no message.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from edgesim.errors import HostError, UsageError
from edgesim.histories.entry import Entry

EXPERIMENT = "edgesim"
_ENTRY_TAG = "edgesim.entry"
# MLflow waits for a server that does not answer for minutes, reports its own use, and prints the addresses of runs on
# standard output, unless it is told otherwise.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

Value = TypeVar("Value")


def without_secrets(text: str) -> str:
    """Return text with the user name, the password and the query of each URL in it left out."""
    return re.sub(r"(//[^\s?'\"]*)\?[^\s'\"]*", r"\1", re.sub(r"//\S*@", "//", text))


def _without_login(uri: str) -> str:
    """Return a URI without its user name and password, which go to MLflow by its variables: it prints and logs URIs.

    Raises:
        UsageError: the URI has a query, in which a secret may stand.
    """
    if "?" in uri:
        raise UsageError(
            f"`mlflow={without_secrets(uri)}`: has a query, which the address of a server has not",
            fix="put a token into MLFLOW_TRACKING_TOKEN",
        )
    parts = re.fullmatch(r"(https?://)(.*)@([^@]*)", uri)
    if parts is None:
        return uri
    user, _, password = parts[2].partition(":")
    os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(user), unquote(password)
    return parts[1] + parts[3]


class Runs:
    """The runs of one experiment on an MLflow server."""

    def __init__(self, uri: str, experiment: str = EXPERIMENT) -> None:
        """Find the experiment, or make it.

        Raises:
            HostError: MLflow's client is not installed, or the server does not answer.
            UsageError: the URI is none that the installed client knows, or has a query.
        """
        uri = _without_login(uri)
        self._where = without_secrets(uri)
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it names each try
        try:
            from mlflow import MlflowClient
        except ModuleNotFoundError as error:
            raise HostError(
                f"MLflow needs {error.name}, which is not installed", fix="pip install 'edgesim[mlflow]'"
            ) from error
        try:
            self._client: Any = MlflowClient(tracking_uri=uri)
        except Exception as error:  # of MLflow's registry of schemes, and of the libraries behind each
            raise self._unknown(error) from error
        self._experiment = self._called(lambda: self._id_of(experiment))

    def __str__(self) -> str:
        return self._where

    def log(
        self, entry: Entry, *, artifacts: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Log a result as a run; return the run's id.

        Its parameters say what ran on what, its metrics have the names that rules have, with their units. The entry
        itself is the artifact ``entry.json``.

        Args:
            artifacts: texts by the names of files, such as a report.

        Raises:
            HostError: the server does not answer, or refuses the run.
        """
        return self._called(lambda: self._log(entry, artifacts or {}, tags or {}))

    def has(self, entry: Entry) -> bool:
        """Whether a run of the entry is there; raises as `log` does."""
        wanted = f"tags.`{_ENTRY_TAG}` = '{entry.file_name}'"
        return bool(self._called(lambda: self._client.search_runs([self._experiment], wanted, max_results=1)))

    def _id_of(self, experiment: str) -> str:
        known = self._client.get_experiment_by_name(experiment)
        return str(known.experiment_id if known is not None else self._client.create_experiment(experiment))

    def _log(self, entry: Entry, artifacts: Mapping[str, str], tags: Mapping[str, str]) -> str:
        from mlflow.entities import Metric, Param

        begun_ms = round(1e3 * entry.created.timestamp())
        run = self._client.create_run(
            self._experiment,
            start_time=begun_ms,
            run_name=f"{entry.model} on {entry.profile}",
            tags={**_tags(entry), **tags},
        )
        run_id = str(run.info.run_id)
        metrics = [Metric(_metric_name(name), figure.value, begun_ms, 0) for name, figure in entry.figures.items()]
        self._client.log_batch(run_id, metrics, [Param(name, value) for name, value in _parameters(entry).items()])
        for name, text in {**artifacts, "entry.json": entry.as_json().decode()}.items():
            self._client.log_text(run_id, text, name)
        self._client.set_terminated(run_id)
        return run_id

    def _called(self, action: Callable[[], Value]) -> Value:
        """Return what MLflow's client returns, or raise its error as one of edgesim's."""
        from mlflow.exceptions import MlflowException

        try:
            return action()
        except (MlflowException, OSError) as error:  # requests' errors are OSErrors
            words = without_secrets(str(error).split("\n")[0])
            if "Max retries exceeded" in words:
                words = "does not answer"
            raise HostError(
                f"MLflow at {self._where}: {words}", fix="check the address and MLFLOW_TRACKING_USERNAME or _TOKEN"
            ) from None  # a secret may stand in the error

    def _unknown(self, error: Exception) -> UsageError:
        words = without_secrets(str(error).split("\n")[0])
        return UsageError(
            f"`mlflow={self._where}`: not the address of a server: {words.strip()}",
            fix="give the address of a server, such as http://localhost:5000",
        )


def _parameters(entry: Entry) -> dict[str, str]:
    facts = {
        "profile": entry.profile,
        "model": entry.model,
        "model_sha256": entry.model_sha256,
        "execution": entry.execution,
        "runtime": entry.runtime,
        "host": entry.host,
    }
    return {name: value for name, value in facts.items() if value}


def _tags(entry: Entry) -> dict[str, str]:
    # Of the measured times where there are any: these have the most fields.
    fingerprints = [
        entry.figures[name].fingerprint for name in ("latency_ms.p50", "device_time_ms.p50") if name in entry.figures
    ]
    tags = {
        _ENTRY_TAG: entry.file_name,
        "edgesim.version": entry.edgesim_version,
        "edgesim.board": entry.board,
        "edgesim.validity": entry.validity,
    }
    if fingerprints:
        tags["edgesim.fingerprint"] = fingerprints[0]
    if entry.revision is not None:
        tags["mlflow.source.git.commit" if entry.revision.date is not None else "edgesim.revision"] = (
            entry.revision.name
        )
    return tags


def _metric_name(name: str) -> str:
    """Return a metric's name with its unit, in the letters that every release of MLflow takes."""
    return re.sub(r"[^\w./ -]", "_", f"{name}_ms" if name.startswith("targets.") else name)
