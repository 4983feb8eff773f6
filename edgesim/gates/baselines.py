"""Results kept to be compared with: small files, one for each profile, model and fingerprint of what they ran on."""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim.errors import ResultError
from edgesim.gates.comparable import differences, identity, unfit
from edgesim.results.run_result import RunResult, write_text

DIRECTORY = "baselines"
_MAKE = "edgesim baseline save RESULT.json makes one"


class Baseline(BaseModel):
    """A result without its samples: each container's times are in its histograms.

    `fingerprint` stands for all that must be the same for a comparison: see `edgesim.gates.comparable`. `digest` is of
    the result as the file has it.
    """

    model_config = ConfigDict(frozen=True)

    baseline_version: Literal[1] = 1
    saved: str
    fingerprint: str
    digest: str = ""
    result: RunResult

    def as_json(self) -> str:
        """The file's text; what is as it is by default is left out, but for the versions."""
        document = self.model_dump(mode="json", exclude_defaults=True)
        document["result"] = {"schema_version": self.result.schema_version, **document["result"]}
        document["digest"] = _digest(document["result"])
        return json.dumps({"baseline_version": self.baseline_version, **document}, indent=1) + "\n"


def _digest(result: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()[:12]


def fingerprint(result: RunResult) -> str:
    """Twelve hexadecimal digits of what the result ran on, and how."""
    text = json.dumps(sorted(identity(result).items()), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def save(result: RunResult, directory: Path) -> Path:
    """Keep a result as the baseline of its profile, model and fingerprint; the file, in place of an older one.

    Raises:
        ResultError: the result shows nothing that could be compared with, or the file cannot be written.
    """
    if why := unfit(result):
        raise ResultError(f"an INVALID run is no baseline: {why}", fix="run it again")
    kept = Baseline(
        saved=datetime.now(UTC).isoformat(timespec="seconds"), fingerprint=fingerprint(result), result=_trimmed(result)
    )
    path = directory / _name(kept)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"{directory}: cannot be made: {error.strerror}", fix="give --dir a directory") from error
    write_text(path, kept.as_json(), what="the baseline", fix="give --dir a directory that has space")
    return path


def _name(baseline: Baseline) -> str:
    result = baseline.result
    mode = f".{result.profile.mode}" if result.profile.mode else ""
    words = (f"{result.profile.name}{mode}", result.model.name, baseline.fingerprint)
    return "--".join(re.sub(r"[^A-Za-z0-9._-]+", "_", word) for word in words) + ".json"


def _trimmed(result: RunResult) -> RunResult:
    inside = _trimmed(result.emulated) if result.emulated is not None else None
    return result.model_copy(update={"samples": (), "timeline": (), "phases": (), "emulated": inside})


def read(path: Path) -> Baseline:
    """A saved baseline.

    Raises:
        ResultError: there is none, or it is not one, or not as it was saved.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}", fix=_MAKE) from error
    except ValueError as error:
        raise ResultError(f"{path}: not a baseline: {error}", fix=_MAKE) from error
    if not isinstance(document, dict) or "baseline_version" not in document:
        raise ResultError(f"{path}: not a baseline", fix=_MAKE)
    # What is left out as it is by default is not part of what makes a result file one.
    as_it_is = ""
    if isinstance(document.get("result"), dict):
        as_it_is = _digest(document["result"])
        document["result"] = {"timeline": [], "samples": [], **document["result"]}
    try:
        found = Baseline.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: not a baseline: {where}: {first['msg']}") from error
    if found.digest != as_it_is:
        raise ResultError(f"{path}: was changed after it was saved", fix="save it again")
    if found.fingerprint != fingerprint(found.result):
        raise ResultError(f"{path}: its fingerprint is not of what it holds", fix="save it again")
    return found


def held(path: Path) -> RunResult:
    """What a file holds to be compared with: a saved baseline, or a result file.

    Raises:
        ResultError: it is neither.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return RunResult.read(path)  # which says what is wrong
    return read(path).result if isinstance(document, dict) and "baseline_version" in document else RunResult.read(path)


def all_in(directory: Path) -> list[tuple[Path, Baseline]]:
    """The baselines of a directory, by their files' names.

    Raises:
        ResultError: there is no such directory, or a file in it is no baseline.
    """
    if not directory.is_dir():
        raise ResultError(f"{directory}: no such directory", fix="edgesim baseline save RESULT.json makes it")
    return [(path, read(path)) for path in sorted(directory.glob("[!.]*.json"))]


def find(path: Path, result: RunResult) -> tuple[RunResult | None, str]:
    """The baseline for a result: the file's, or of a directory the one that fits; else why there is none.

    Raises:
        ResultError: nothing is there, or it is no baseline.
    """
    if not path.is_dir():
        return held(path), ""
    kept = [found.result for _, found in all_in(path)]
    same = [
        found for found in kept if (found.profile.name, found.model.name) == (result.profile.name, result.model.name)
    ]
    fits = [found for found in same if not differences(found, result)]
    if fits:
        return max(fits, key=lambda found: found.created), ""
    if not same:
        return None, f"no baseline of {result.model.name} on {result.profile.name} in {path}"
    nearest = min((differences(found, result) for found in same), key=len)
    return None, f"no baseline in {path} is of the same; the nearest differs in {'; '.join(nearest)}"
