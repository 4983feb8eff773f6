"""An entry of a history: what is kept of one result, without samples, and the revision that it is of."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim import untrusted
from edgesim.errors import ResultError, field_problem
from edgesim.gates.comparable import digest, is_of_host, metric_identity
from edgesim.gates.result_metrics import NAMES, is_constant, is_count, metric, of_targets
from edgesim.results.run_result import RunResult

# How edgesim names the files of entries; other files in a history's directory are somebody else's.
FILE_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z--.+--[0-9a-f]{12}\.json")
# An entry has some kilobytes.
MOST_BYTES = 2 * 2**20


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Revision(_Part):
    """The revision of the model, or of whatever is developed, that a result is of.

    Attributes:
        name: the commit's hash; outside of git, any name, such as a build's.
        date: of the commit, in ISO 8601; None outside of git.
        subject: the first line of the commit's message.
    """

    name: str
    date: datetime | None = None
    subject: str = ""

    @property
    def short(self) -> str:
        """The first twelve letters of a commit's hash; any other name as it is."""
        return self.name[:12] if re.fullmatch(r"[0-9a-f]{40,64}", self.name) else self.name


class Figure(_Part):
    """The value of one metric, in the unit that the metric's name says.

    Attributes:
        low, high: an interval around the value, where the result has one: a band, or a confidence interval.
        fingerprint: stands for all that must be equal in the results of one series; `Entry.fingerprints` has it in
            words. No host is in it but for measured times.
        exact: whether the figure is equal in every run of a model, so that any change is a real one.
    """

    value: float
    low: float | None = None
    high: float | None = None
    fingerprint: str
    exact: bool = False


class Entry(_Part):
    """What a history keeps of one result: its figures, and on what and of what it is.

    Attributes:
        created: when the result was made; `added`: when it was added to the history. ISO 8601 with a time zone.
        profile: with its power mode, ``jetson-nano:5w``; `board` is its title.
        host: the machine that ran the board, in words; None where none did.
        validity: ``VALID`` or ``VALID, but suspect``: an INVALID result is no entry.
        fingerprints: the fields that each fingerprint stands for, in words.
    """

    history_version: Literal[1] = 1
    added: datetime
    created: datetime
    edgesim_version: str
    revision: Revision | None = None
    profile: str
    board: str
    model: str
    model_sha256: str | None = None
    execution: str | None = None
    runtime: str | None = None
    host: str | None = None
    validity: str
    figures: dict[str, Figure]
    fingerprints: dict[str, dict[str, str]] = {}

    @property
    def file_name(self) -> str:
        """The name of the entry's file: the same result of the same revision has the same name."""
        content = self.model_dump(mode="json", exclude={"added"})
        key = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
        words = (re.sub(r"[^A-Za-z0-9._-]+", "_", word)[:80] or "_" for word in (self.profile, self.model))
        return f"{self.created.astimezone(UTC):%Y-%m-%dT%H%M%SZ}--{'--'.join(words)}--{key}.json"

    @property
    def moment(self) -> datetime:
        """When the entry stands in the order of the history: its revision's date, else when its result was made."""
        dated = self.revision.date if self.revision is not None else None
        return dated if dated is not None else self.created

    def as_json(self) -> bytes:
        """Return the entry's file."""
        return orjson.dumps(self.model_dump(mode="json", exclude_defaults=True) | {"history_version": 1}) + b"\n"


def of_run(result: RunResult, revision: Revision | None) -> Entry:
    """Return the entry of a run, with all metrics that the result has, but for times of an emulator.

    Raises:
        ResultError: the result does not say when it was made.
    """
    figures: dict[str, Figure] = {}
    fingerprints: dict[str, dict[str, str]] = {}
    for name in (*NAMES, *of_targets(result)):
        reading = metric(result, name)
        if reading.value is None or reading.elsewhere or _is_emulators(result, name):
            continue
        fields = metric_identity(result, name)
        fingerprint = digest(fields)
        fingerprints[fingerprint] = {field: in_words(value) for field, value in fields.items()}
        figures[name] = Figure(
            value=reading.value,
            low=reading.low,
            high=reading.high,
            fingerprint=fingerprint,
            exact=is_count(name) or (is_constant(result, name) and not result.profile.has_core_of_host),
        )
    profile = result.profile
    return Entry(
        added=datetime.now(UTC),
        created=_moment(result.created),
        edgesim_version=result.edgesim_version,
        revision=revision,
        profile=":".join(filter(None, (profile.name, profile.mode))),
        board=profile.title,
        model=result.model.name,
        model_sha256=result.model.sha256,
        execution=result.execution,
        runtime=str(result.device.runtime) if result.device.runtime is not None else None,
        host=f"{result.host.cores} cores of {result.host.cpu}, {result.host.kernel}",
        validity=result.validity.words,
        figures=figures,
        fingerprints=fingerprints,
    )


def _is_emulators(result: RunResult, name: str) -> bool:
    """Whether a metric is a time that an emulator took, which says nothing about a board."""
    return (result.time_origin == "emulator" or result.instructions is not None) and is_of_host(result, name)


def _moment(text: str) -> datetime:
    """Return the time of an ISO 8601 text; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ResultError(f"created: {text}: not a time in ISO 8601", fix="run it again") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def in_words(value: object) -> str:
    """Return a field's value in words: ``jetson-nano 5w``, and ``-`` for one that is not known."""
    if isinstance(value, tuple | list):
        return ", ".join(in_words(part) for part in value if part is not None) or "-"
    return "-" if value is None else str(value)


def read(document: bytes, where: str) -> Entry:
    """Return the entry in a file's bytes; `where` names the file in messages.

    Raises:
        ResultError: the file is not an entry of a history.
    """
    fix = "remove the file, and add its result again with edgesim history add"
    try:
        facts: Any = untrusted.json_of(document)
        return Entry.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ResultError(f"{where}: not an entry of a history: {place}: {field_problem(first)}", fix=fix) from error
    except ValueError as error:
        raise ResultError(f"{where}: not an entry of a history: {error}", fix=fix) from error
