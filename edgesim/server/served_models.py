"""The models that the server serves: what is on disk, what of it is loaded, and what went wrong.

The directory is ``NAME/VERSION/model.onnx``. It may change while the server runs: a model is loaded beside the one that
it replaces, which finishes what it has begun; one that does not load takes nothing down.
"""

import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import config
from .config import ConfigError, ModelConfig
from .model import LoadedModel
from .pace import Pace

MODEL_FILE = "model.onnx"
WATCH_INTERVAL_S = 0.5

Fingerprint = tuple[tuple[str, int, int, int], ...]


class NotServed(LookupError):
    """No such model or version here."""


class NotLoaded(ValueError):
    """A model does not load; the reason is its text."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model as it is served.

    Attributes:
        versions: the loaded ones, oldest first.
        reasons: why a version on disk is not loaded, or not as it is on disk.
    """

    versions: dict[str, LoadedModel] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class Repository:
    """Models by name. Loading is safe from any thread, one at a time; `get` never waits for it."""

    def __init__(self, directory: Path, board_threads: int, only: Sequence[str] = (), *, paced: bool = False) -> None:
        """Args:
        board_threads: the board's cores; no model gets more threads for an inference.
        only: the models to serve; all that are there without.
        paced: inferences are held to the board's time, see `pace`.
        """
        self._directory = directory
        self._board_threads = board_threads
        self._only = tuple(only)
        self.pace = Pace() if paced else None
        self._entries: dict[str, Entry] = {}
        self._loading = threading.RLock()
        self._watching = False
        self.verbose = True

    # --- what requests ask --------------------------------------------------------------------------------------------

    def acquire(self, name: str, version: str | None = None) -> LoadedModel:
        """A loaded model, the newest version when none is named, kept until its `release`.

        Raises:
            NotServed: it is not loaded, or not in that version.
        """
        while True:
            model = self.get(name, version)
            if model.acquire():
                return model

    def get(self, name: str, version: str | None = None) -> LoadedModel:
        """A loaded model, to look at; raises as `acquire`."""
        entry = self._entries.get(name)
        if entry is None:
            raise NotServed(f"model {name!r} is not served here; there are {', '.join(self._entries) or 'none'}")
        if version is None and entry.versions:
            return next(reversed(entry.versions.values()))
        if version is not None and version in entry.versions:
            return entry.versions[version]
        if version is None or version in entry.reasons:
            which, reasons = version or ", ".join(entry.reasons), [*entry.reasons.values()]
            reason = entry.reasons[version] if version else (reasons[-1] if reasons else "nothing of it is loaded")
            raise NotServed(f"model {name!r} version {which} is not loaded: {reason}")
        has = ", ".join(entry.versions) or "none"
        raise NotServed(f"model {name!r} has no version {version!r} loaded; it has {has}")

    def versions(self, name: str) -> list[str]:
        return list(self._entries[name].versions) if name in self._entries else []

    def loaded(self) -> list[LoadedModel]:
        return [model for entry in list(self._entries.values()) for model in entry.versions.values()]

    def index(self) -> list[dict[str, str]]:
        """An entry for each version that is loaded, and one for each that is there and is not (or not as it is)."""
        found = []
        for name, entry in sorted(self._entries.items()):
            found += [{"name": name, "version": version, "state": "READY", "reason": ""} for version in entry.versions]
            found += [
                {"name": name, "version": version, "state": "UNAVAILABLE", "reason": reason}
                for version, reason in entry.reasons.items()
            ]
        return found

    # --- what is on disk ----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The models to serve that are on disk."""
        try:
            there = sorted(entry.name for entry in os.scandir(self._directory) if entry.is_dir())
        except OSError:
            there = []
        return [name for name in there if (not self._only or name in self._only) and self._versions(name)]

    def _versions(self, name: str) -> list[str]:
        directory = self._directory / name
        return sorted(
            (
                path.parent.name
                for path in directory.glob(f"*/{MODEL_FILE}")
                if re.fullmatch("[0-9]+", path.parent.name)
            ),
            key=int,
        )

    def fingerprint(self, name: str, version: str | None = None) -> Fingerprint:
        """What changes with any change of a version's files and the configuration's; of all versions without one."""
        directory = self._directory / name
        inside = directory / version if version else directory
        found = [*_stat(directory)] if version else []
        for parent, _, _ in os.walk(inside):
            found += _stat(Path(parent))
        return tuple(sorted(found))

    # --- loading ------------------------------------------------------------------------------------------------------

    def load(self, name: str, settings: ModelConfig | None = None, files: Mapping[str, bytes] | None = None) -> Entry:
        """Make what is served of a model what is on disk of it.

        Args:
            settings: in place of its configuration on disk.
            files: model files by version, in place of those on disk, until the model is loaded again or changes there.

        Raises:
            NotServed: there is nothing of it on disk.
            NotLoaded: something of it does not load; what did, and what was loaded before, is served.
        """
        with self._loading:
            there = sorted(files, key=int) if files else self._versions(name)
            if not there:
                self._replace(name, None)
                raise NotServed(f"no model {name!r} in the repository")
            before = self._entries.get(name, Entry())
            try:
                chosen = settings if settings is not None else config.read(self._directory / name)
            except ConfigError as error:
                reasons = dict.fromkeys(there, str(error))
                self._replace(name, Entry(versions=before.versions, reasons=reasons))
                raise NotLoaded(f"model {name!r}: {error}") from error
            versions: dict[str, LoadedModel] = {}
            reasons = {}
            for version in chosen.versions.choose(there):
                known = before.versions.get(version)
                file = files[version] if files else None
                fingerprint = self.fingerprint(name, version) if file is None else None
                if known is not None and file is None and (known.fingerprint, known.config) == (fingerprint, chosen):
                    versions[version] = known
                    continue
                try:
                    versions[version] = self._load_version(name, version, chosen, fingerprint, file)
                except Exception as error:  # whatever ONNX Runtime makes of a bad file
                    reasons[version] = _first_line(error)
                    if known is not None:
                        versions[version] = known
            self._replace(name, Entry(versions=versions, reasons=reasons))
            if reasons or not versions:
                why = next(iter(reasons.values()), f"no version to serve: {chosen.versions}")
                raise NotLoaded(f"model {name!r} does not load: {why}")
            return self._entries[name]

    def _load_version(
        self, name: str, version: str, settings: ModelConfig, fingerprint: Fingerprint | None, file: bytes | None
    ) -> LoadedModel:
        path = self._directory / name / version / MODEL_FILE
        model = LoadedModel(
            name,
            version,
            path,
            settings,
            file=file,
            board_threads=self._board_threads,
            fingerprint=fingerprint,
            files_change=self._watching,
            pace=self.pace,
        )
        self.log(f"model {name!r} version {version} loaded in {model.load_s:.3f} s")
        return model

    def _replace(self, name: str, entry: Entry | None) -> None:
        before = self._entries.get(name, Entry())
        if entry is None:
            self._entries.pop(name, None)
        else:
            self._entries[name] = entry
        kept = set(map(id, entry.versions.values())) if entry else set()
        for model in before.versions.values():
            if id(model) not in kept:
                model.retire()

    def unload(self, name: str) -> None:
        """Serve a model no more, until it is loaded or changes.

        Raises:
            NotServed: it is not known.
        """
        with self._loading:
            entry = self._entries.get(name)
            if entry is None:
                raise NotServed(f"model {name!r} is not served here")
            self._replace(name, Entry(reasons=dict.fromkeys([*entry.versions, *entry.reasons], "unloaded")))
            self.log(f"model {name!r} unloaded")

    def log(self, text: str) -> None:
        if self.verbose:
            print(f"edgesim-server: {text}", file=sys.stderr, flush=True)

    # --- watching -----------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Notice from now on what changes on disk, within two intervals.

        By looking, not by the kernel's notices: those do not cross the border of a virtual machine or a network mount,
        where a container's directories may come from. A change is acted on when it has lasted for one interval, so
        that a file that is still being written is mostly left alone; one that is not complete even so does not load.
        """
        self._watching = True
        applied = self._snapshot()
        threading.Thread(target=self._watch, args=(applied,), name="watch", daemon=True).start()

    def _watch(self, applied: dict[str, Fingerprint]) -> None:
        pause, previous = threading.Event(), applied
        while not pause.wait(WATCH_INTERVAL_S):
            try:
                current = self._snapshot()
            except OSError as error:
                self.log(f"the repository cannot be read: {error}")
                continue
            for name in sorted(current.keys() | applied.keys()):
                now = current.get(name)
                if now == applied.get(name) or now != previous.get(name):
                    continue
                if now is None:
                    del applied[name]
                else:
                    applied[name] = now
                self._follow(name)
            previous = current

    def _snapshot(self) -> dict[str, Fingerprint]:
        return {name: self.fingerprint(name) for name in self.names()}

    def _follow(self, name: str) -> None:
        try:
            self.load(name)
        except NotServed:
            self.log(f"model {name!r} is gone")
        except NotLoaded as error:
            self.log(str(error))


def _stat(directory: Path) -> list[tuple[str, int, int, int]]:
    """Name, size, time and number of each file in a directory; those that vanish meanwhile are not there."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    found.append((entry.path, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError:
        pass
    return found


def _first_line(error: BaseException) -> Any:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
