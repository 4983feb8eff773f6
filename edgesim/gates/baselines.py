"""Baselines: small files with results to compare later ones with, one for each profile, model and fingerprint."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim.errors import ResultError, field_problem
from edgesim.file_names import part_of
from edgesim.gates import comparable
from edgesim.gates.comparable import differences, identity, unfit
from edgesim.results import result_file
from edgesim.results.proof import AS_WRITTEN
from edgesim.results.result_file import write_text
from edgesim.results.run_result import RunResult

DIRECTORY = "baselines"
_MAKE = "make one with edgesim baseline save RESULT.json"


class Baseline(BaseModel):
    """A result without its samples: the histograms of each container keep the times.

    `fingerprint` stands for all that must be equal for a comparison: see `edgesim.gates.comparable`. `digest` is the
    digest of the result as it is in the file; a file that was edited no longer matches.
    """

    model_config = ConfigDict(frozen=True)

    baseline_version: Literal[1] = 1
    saved: str
    fingerprint: str
    digest: str = ""
    result: RunResult

    def as_json(self) -> str:
        """Return the file's text. Fields with their default value are left out, except for the versions."""
        document = self.model_dump(mode="json", exclude_defaults=True)
        document["result"] = {"schema_version": self.result.schema_version, **document["result"]}
        document["digest"] = _digest(document["result"])
        return json.dumps({"baseline_version": self.baseline_version, **document}, indent=1) + "\n"


def _digest(result: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(result: RunResult) -> str:
    """Return twelve hexadecimal digits that stand for what the result ran on, and how."""
    return comparable.digest(identity(result))


def save(result: RunResult, directory: Path) -> Path:
    """Save a result as the baseline of its profile, model and fingerprint, in place of an older one; return the file.

    Raises:
        ResultError: the result is unfit for a comparison, or the file cannot be written.
    """
    if why := unfit(result):
        raise ResultError(f"an INVALID run cannot be a baseline: {why}", fix="run it again")
    baseline = Baseline(
        saved=datetime.now(UTC).isoformat(timespec="seconds"), fingerprint=fingerprint(result), result=_trimmed(result)
    )
    path = directory / _name(baseline)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"{directory}: cannot make the directory: {error.strerror}", fix="choose another directory"
        ) from error
    write_text(path, baseline.as_json(), what="the baseline", fix="choose a directory on a disk that has space")
    return path


def _name(baseline: Baseline) -> str:
    result = baseline.result
    mode = f".{result.profile.mode}" if result.profile.mode else ""
    words = (f"{result.profile.name}{mode}", result.model.name, baseline.fingerprint)
    return f"{'--'.join(map(part_of, words))}.json"


def _trimmed(result: RunResult) -> RunResult:
    emulated = _trimmed(result.emulated) if result.emulated is not None else None
    return result.model_copy(update={"samples": (), "timeline": (), "phases": (), "emulated": emulated})


def read(path: Path) -> Baseline:
    """Read a saved baseline.

    Raises:
        ResultError: the file does not exist, is not a baseline, or was changed after it was saved.
    """
    return _of(result_file.document(path, "a baseline", fix=_MAKE), path)


def _of(document: Any, path: Path) -> Baseline:
    if not isinstance(document, dict) or "baseline_version" not in document:
        raise ResultError(f"{path}: not a baseline", fix=_MAKE)
    digest = ""
    if isinstance(document.get("result"), dict):
        digest = _digest(document["result"])
        # A result file must have both; a baseline leaves them out, since they are empty.
        document = {**document, "result": {"timeline": [], "samples": [], **document["result"]}}
    try:
        # The fingerprint is of the result as it was written, whatever of the result is believed today.
        baseline = Baseline.model_validate(document, context=AS_WRITTEN)
        believed = Baseline.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: not a baseline: {where}: {field_problem(first)}") from error
    if baseline.digest != digest:
        raise ResultError(f"{path}: was changed after it was saved", fix="save it again")
    if baseline.fingerprint != fingerprint(baseline.result):
        raise ResultError(f"{path}: the fingerprint does not match the result in the file", fix="save it again")
    return believed


def read_result(path: Path) -> RunResult:
    """Read a result to compare with, from a saved baseline or from a result file.

    Raises:
        ResultError: the file is neither.
    """
    return of_document(result_file.document(path), path)


def of_document(document: Any, path: Path) -> RunResult:
    """Return the result that the document of a file holds, as `read_result` does."""
    if isinstance(document, dict) and "baseline_version" in document:
        return _of(document, path).result
    return result_file.validated(RunResult, document, path)


def read_all(directory: Path) -> list[tuple[Path, Baseline]]:
    """Read the baselines of a directory, in the order of their file names.

    Raises:
        ResultError: the directory does not exist, or a file in it is not a baseline.
    """
    if not directory.is_dir():
        raise ResultError(f"{directory}: no such directory", fix=_MAKE)
    return [(path, read(path)) for path in sorted(directory.glob("[!.]*.json"))]


def find(path: Path, result: RunResult) -> tuple[RunResult | None, str]:
    """Find the baseline to compare a result with; without one, the reason why.

    `path` is a file, or a directory of baselines, of which the newest comparable one counts.

    Raises:
        ResultError: the file or directory does not exist, or holds something that is not a baseline.
    """
    if not path.exists():
        raise ResultError(f"`baseline={path}`: no such file or directory", fix=f"{_MAKE} --dir DIR")
    if not path.is_dir():
        return of_document(result_file.document(path, "a baseline", fix=_MAKE), path), ""
    candidates = [
        baseline.result
        for _, baseline in read_all(path)
        if (baseline.result.profile.name, baseline.result.model.name) == (result.profile.name, result.model.name)
    ]
    comparable = [candidate for candidate in candidates if not differences(candidate, result)]
    if comparable:
        return max(comparable, key=lambda candidate: candidate.created), ""
    if not candidates:
        return None, f"no baseline of {result.model.name} on {result.profile.name} in {path}"
    nearest = min((differences(candidate, result) for candidate in candidates), key=len)
    return None, f"no baseline in {path} can be compared; the nearest differs in {'; '.join(nearest)}"
