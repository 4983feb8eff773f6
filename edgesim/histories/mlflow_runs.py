"""Results as runs of MLflow, by its client. Needs the `mlflow` extra.

User names, passwords and tokens are MLflow's own: its variables (``MLFLOW_TRACKING_USERNAME``,
``MLFLOW_TRACKING_PASSWORD``, ``MLFLOW_TRACKING_TOKEN``) or a part of the URI. They are in no result and no message.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from edgesim.errors import HostError, UsageError
from edgesim.histories.entry import Entry

EXPERIMENT = "edgesim"
_ENTRY_TAG = "edgesim.entry"
_PARENT_TAG = "mlflow.parentRunId"  # MLflow's own name: its page shows the runs of a parent below it
_PAGE = 1000  # runs that a search answers at a time
# MLflow waits for a server that does not answer for minutes, reports its own use, and prints the addresses of runs on
# standard output, unless it is told otherwise.
_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

Value = TypeVar("Value")
# How a run ended, in MLflow's words: KILLED is an interrupt's.
Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """A run as MLflow keeps it.

    Attributes:
        metrics: by the names that rules have, with their units.
        artifacts: texts by the names of files.
    """

    name: str
    created: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    status: Status = "FINISHED"


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
            f"`mlflow={without_secrets(uri)}`: has a query, which a server's address cannot have",
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
        self,
        entry: Entry,
        *,
        artifacts: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        status: Status = "FINISHED",
    ) -> str:
        """Log a result as a run; return the run's id.

        Its parameters say what ran on what. The entry itself is the artifact ``entry.json``.

        Args:
            artifacts: texts by the names of files, such as a report.

        Raises:
            HostError: the server does not answer, or refuses the run.
        """
        record = Record(
            name=f"{entry.model} on {entry.profile}",
            created=entry.created,
            parameters=_parameters(entry),
            metrics={name: figure.value for name, figure in entry.figures.items()},
            tags={**_tags(entry), **(tags or {})},
            artifacts={**(artifacts or {}), "entry.json": entry.as_json().decode()},
            status=status,
        )
        return self.add(record)

    def add(self, record: Record, *, parent: str | None = None) -> str:
        """Log a run, below another one if `parent` is that one's id; return its id. Raises as `log` does."""
        return self._called(lambda: self._add(record, parent))

    def update(self, run_id: str, artifacts: Mapping[str, str]) -> None:
        """Write artifacts of a run anew; raises as `log` does."""
        for name, text in artifacts.items():
            self._called(partial(self._client.log_text, run_id, text, name))

    def with_tag(self, tag: str, value: str) -> str | None:
        """Return the id of the newest run whose tag has a value; None without one. Raises as `log` does."""
        wanted = f"tags.`{tag}` = '{value}'"
        found = self._called(partial(self._client.search_runs, [self._experiment], wanted, max_results=1))
        return str(found[0].info.run_id) if found else None

    def tags_below(self, parent: str, tag: str) -> set[str]:
        """Return the values that a tag has in the runs below another one which did not fail; raises as `log` does."""
        wanted = f"tags.`{_PARENT_TAG}` = '{parent}' and attributes.status = 'FINISHED'"
        search = partial(self._client.search_runs, [self._experiment], wanted, max_results=_PAGE)
        values: set[str] = set()
        token = None
        while True:
            page = self._called(partial(search, page_token=token))
            values |= {str(run.data.tags[tag]) for run in page if tag in run.data.tags}
            if not (token := page.token):
                return values

    def has(self, entry: Entry) -> bool:
        """Whether a run of the entry is there; raises as `log` does."""
        return self.with_tag(_ENTRY_TAG, entry.file_name) is not None

    def _id_of(self, experiment: str) -> str:
        known = self._client.get_experiment_by_name(experiment)
        return str(known.experiment_id if known is not None else self._client.create_experiment(experiment))

    def _add(self, record: Record, parent: str | None) -> str:
        """Make a run, fill it, and end it: no error and no interrupt leaves it running for ever."""
        begun_ms = round(1e3 * record.created.timestamp())
        below = {_PARENT_TAG: parent} if parent is not None else {}
        run = self._client.create_run(
            self._experiment, start_time=begun_ms, run_name=record.name, tags={**record.tags, **below}
        )
        run_id = str(run.info.run_id)
        try:
            self._fill(run_id, record, begun_ms)
        except BaseException as error:
            with suppress(Exception):  # the first error says more than that of a server which is gone
                self._client.set_terminated(run_id, status="FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        self._client.set_terminated(run_id, status=record.status)
        return run_id

    def _fill(self, run_id: str, record: Record, begun_ms: int) -> None:
        from mlflow.entities import Metric, Param

        metrics = [Metric(_metric_name(name), value, begun_ms, 0) for name, value in record.metrics.items()]
        self._client.log_batch(run_id, metrics, [Param(name, value) for name, value in record.parameters.items()])
        for name, text in record.artifacts.items():
            self._client.log_text(run_id, text, name)

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
