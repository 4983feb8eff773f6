"""The models that the server serves: which are on disk, which are loaded, and why others are not.

The model repository is a directory ``NAME/VERSION/model.onnx``. It may change while the server runs: a model is loaded
beside the one that it replaces, which finishes the requests that it has. A model that does not load does not stop any
other.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import config_files
from .config import MODEL_FILE, ConfigError, ModelConfig
from .loaded_model import FilesState, LoadedModel
from .pace import Pace
from .runtimes import Runtime

WATCH_INTERVAL_S = 0.5


class NotServed(LookupError):
    """The server has no such model or version; the message says which there are."""


class NotLoaded(ValueError):
    """A model does not load; the message is the reason."""


@dataclass(frozen=True)
class ServedModel:
    """The loaded versions of one model.

    Attributes:
        versions: the loaded versions by name, oldest first.
        reasons: by version, why it is not loaded, or is loaded in an earlier state than on disk.
    """

    versions: dict[str, LoadedModel] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


class ServedModels:
    """The models of a repository by name. Any thread may load, one at a time; `get` never waits for a load."""

    def __init__(
        self,
        directory: Path,
        runtime: Runtime,
        threads: int,
        only: Sequence[str] = (),
        *,
        board_cores: int | None = None,
        paced: bool = False,
    ) -> None:
        """Describe what to serve; `load` loads it.

        Args:
            directory: the model repository.
            runtime: loads and runs the models.
            threads: of one inference; no model gets more.
            only: the names of the models to serve; empty for all.
            board_cores: the most threads that a configuration may ask for; `threads` without. It is more than `threads`
                where this machine has fewer cores than the board.
            paced: inferences take at least the board's time, see `pace`.
        """
        self._directory = directory
        self.runtime = runtime
        self._threads = threads
        self._board_cores = board_cores or threads
        self._only = tuple(only)
        self.pace = Pace() if paced else None
        self._models: dict[str, ServedModel] = {}
        self._loading = threading.RLock()
        self._watching = False
        self.verbose = True

    # --- for requests -------------------------------------------------------------------------------------------------

    def acquire(self, name: str, version: str | None = None) -> LoadedModel:
        """Return a loaded model, the newest version if none is named; it stays loaded until its `release`.

        Raises:
            NotServed: the model is not loaded, or not in that version.
        """
        while True:
            model = self.get(name, version)
            if model.acquire():
                return model

    def get(self, name: str, version: str | None = None) -> LoadedModel:
        """Return a loaded model to describe it, without acquiring it; raises as `acquire`."""
        model = self._models.get(name)
        if model is None:
            raise NotServed(f"model {name!r} is not served here; there are {', '.join(self._models) or 'none'}")
        if version is None and model.versions:
            return next(reversed(model.versions.values()))
        if version is not None and version in model.versions:
            return model.versions[version]
        if version is None or version in model.reasons:
            missing, reasons = version or ", ".join(model.reasons), [*model.reasons.values()]
            reason = model.reasons[version] if version else (reasons[-1] if reasons else "nothing of it is loaded")
            raise NotServed(f"model {name!r} version {missing} is not loaded: {reason}")
        loaded = ", ".join(model.versions) or "none"
        raise NotServed(f"model {name!r} has no version {version!r} loaded; it has {loaded}")

    def versions(self, name: str) -> list[str]:
        """Return the loaded versions of a model, oldest first; none for an unknown model."""
        return list(self._models[name].versions) if name in self._models else []

    def loaded(self) -> list[LoadedModel]:
        return [version for model in list(self._models.values()) for version in model.versions.values()]

    def index(self) -> list[dict[str, str]]:
        """Return the protocol's repository index.

        A loaded version has an entry READY. A version that is not loaded has an entry UNAVAILABLE with the reason, and
        so has a version that is loaded in an earlier state than on disk.
        """
        entries = []
        for name, model in sorted(self._models.items()):
            entries += [{"name": name, "version": v, "state": "READY", "reason": ""} for v in model.versions]
            entries += [
                {"name": name, "version": version, "state": "UNAVAILABLE", "reason": reason}
                for version, reason in model.reasons.items()
            ]
        return entries

    # --- what is on disk ----------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Return the names of the models to serve that are on disk."""
        try:
            directories = sorted(entry.name for entry in os.scandir(self._directory) if entry.is_dir())
        except OSError:
            directories = []
        return [name for name in directories if (not self._only or name in self._only) and self._versions_on_disk(name)]

    def _versions_on_disk(self, name: str) -> list[str]:
        directory = self._directory / name
        return sorted(
            (
                path.parent.name
                for path in directory.glob(f"*/{MODEL_FILE}")
                if re.fullmatch("[0-9]+", path.parent.name)
            ),
            key=int,
        )

    def files_state(self, name: str, version: str | None = None) -> FilesState:
        """Return a value that changes with any change of a version's files or the configuration's.

        Without `version` it changes with those of any version.
        """
        directory = self._directory / name
        files = [*_files(directory)] if version else []
        for parent, _, _ in os.walk(directory / version if version else directory):
            files += _files(Path(parent))
        return tuple(sorted(files))

    # --- loading ------------------------------------------------------------------------------------------------------

    def load(
        self, name: str, model_config: ModelConfig | None = None, files: Mapping[str, bytes] | None = None
    ) -> ServedModel:
        """Load a model as it is on disk, and unload the versions that are no longer there.

        Args:
            model_config: in place of the configuration on disk.
            files: model files by version, in place of those on disk, until the model is loaded again or changes there.

        Raises:
            NotServed: the model is not on disk.
            NotLoaded: a version does not load. The others are served, and that one as it was loaded before, if it was.
        """
        with self._loading:
            available = sorted(files, key=int) if files else self._versions_on_disk(name)
            if not available:
                self._replace(name, None)
                raise NotServed(f"no model {name!r} in the repository")
            before = self._models.get(name, ServedModel())
            try:
                if model_config is None:
                    model_config = config_files.read(self._directory / name)
            except ConfigError as error:
                reasons = dict.fromkeys(available, str(error))
                self._replace(name, ServedModel(versions=before.versions, reasons=reasons))
                raise NotLoaded(f"model {name!r}: {error}") from error
            versions: dict[str, LoadedModel] = {}
            reasons = {}
            for version in model_config.versions.choose(available):
                loaded = before.versions.get(version)
                content = files[version] if files else None
                files_state = self.files_state(name, version) if content is None else None
                if loaded is not None and content is None and loaded.is_made_of(files_state, model_config):
                    versions[version] = loaded
                    continue
                try:
                    versions[version] = self._load_version(name, version, model_config, files_state, content)
                except Exception as error:  # whatever the runtime raises for a bad file
                    reasons[version] = _first_line(error)
                    if loaded is not None:
                        versions[version] = loaded
            self._replace(name, ServedModel(versions=versions, reasons=reasons))
            if reasons or not versions:
                reason = next(iter(reasons.values()), f"no version to serve: {model_config.versions}")
                raise NotLoaded(f"model {name!r} does not load: {reason}")
            return self._models[name]

    def _load_version(
        self,
        name: str,
        version: str,
        model_config: ModelConfig,
        files_state: FilesState | None,
        content: bytes | None,
    ) -> LoadedModel:
        path = self._directory / name / version / MODEL_FILE
        model = LoadedModel(
            name,
            version,
            path,
            model_config,
            runtime=self.runtime,
            content=content,
            threads=self._threads,
            board_cores=self._board_cores,
            files_state=files_state,
            files_change=self._watching,
            pace=self.pace,
        )
        self.log(f"model {name!r} version {version} loaded in {model.load_s:.3f} s")
        return model

    def _replace(self, name: str, model: ServedModel | None) -> None:
        before = self._models.get(name, ServedModel())
        if model is None:
            self._models.pop(name, None)
        else:
            self._models[name] = model
        kept = set(map(id, model.versions.values())) if model else set()
        for version in before.versions.values():
            if id(version) not in kept:
                version.retire()

    def unload(self, name: str) -> None:
        """Stop serving a model until it is loaded or changes on disk.

        Raises:
            NotServed: the server has no such model.
        """
        with self._loading:
            model = self._models.get(name)
            if model is None:
                raise NotServed(f"model {name!r} is not served here")
            self._replace(name, ServedModel(reasons=dict.fromkeys([*model.versions, *model.reasons], "unloaded")))
            self.log(f"model {name!r} unloaded")

    def log(self, text: str) -> None:
        if self.verbose:
            print(f"edgesim-server: {text}", file=sys.stderr, flush=True)

    # --- watching -----------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """From now on, load what changes on disk, within two intervals.

        The directory is polled. The kernel's notices (inotify) do not cross the border of a virtual machine or a
        network mount, where a container's directories may come from. A change is acted on when it has lasted for one
        interval, so that a file that is still being written is mostly left alone; if it is incomplete even so, it does
        not load.
        """
        self._watching = True
        applied = self._snapshot()
        threading.Thread(target=self._poll, args=(applied,), name="watch", daemon=True).start()

    def _poll(self, applied: dict[str, FilesState]) -> None:
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
                self._load_or_log(name)
            previous = current

    def _snapshot(self) -> dict[str, FilesState]:
        return {name: self.files_state(name) for name in self.names()}

    def _load_or_log(self, name: str) -> None:
        try:
            self.load(name)
        except NotServed:
            self.log(f"model {name!r} is gone")
        except NotLoaded as error:
            self.log(str(error))


def _files(directory: Path) -> list[tuple[str, int, int, int]]:
    """Return path, size, time and inode number of each file in a directory, without files that vanish meanwhile."""
    files = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_file():
                    status = entry.stat()
                    files.append((entry.path, status.st_size, status.st_mtime_ns, status.st_ino))
    except OSError:
        pass
    return files


def _first_line(error: BaseException) -> Any:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
