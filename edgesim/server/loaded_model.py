"""One loaded version of a model: its session in a runtime, its queue, its configuration and its statistics."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import config_files
from .codec import RequestDecoder
from .config import PLATFORM, ModelConfig
from .model_statistics import Statistics
from .pace import Pace
from .runtimes import Runtime
from .worker import Run, Worker

# Path, size, time and inode number of each file.
FilesState = tuple[tuple[str, int, int, int], ...]


class LoadedModel:
    """A loaded version of a model.

    Attributes:
        files_state: the files that it was made from, see `ServedModels.files_state`; None for content that was sent.
        inputs, outputs: signatures by name.
        labels: names of classes, by output.
        decoder: decodes the requests for this model.
        load_s: how long the runtime took to make the session, in seconds of this machine (or its emulator).
    """

    def __init__(
        self,
        name: str,
        version: str,
        path: Path,
        model_config: ModelConfig,
        *,
        runtime: Runtime,
        content: bytes | None,
        threads: int,
        board_cores: int,
        files_state: FilesState | None,
        files_change: bool,
        pace: Pace | None = None,
    ) -> None:
        """Load a model file.

        Args:
            path, content, threads, files_change: see `Runtime.load`.
            board_cores: the most threads that the configuration may ask for.
            pace: makes each inference take at least the board's time; None without time scaling.

        Raises:
            ConfigError: the configuration does not fit the model or the board.
            ValueError: an input or output is of a type that the protocol does not have.
            Exception: whatever the runtime raises for a bad file.
        """
        self.name = name
        self.version = version
        self.config = model_config
        self.files_state = files_state
        self.statistics = Statistics()
        if pace is not None:
            # The configured threads are the board's, and the prediction counts them. How many threads of this host give
            # the board's time is the choice of whoever paces the server.
            model_config = replace(model_config, intra_op_threads=None, inter_op_threads=None)
        session = runtime.load(path, model_config, content=content, threads=threads, files_change=files_change)
        self.load_s = session.load_s
        self.inputs = session.inputs
        self.outputs = session.outputs
        model_config.check(self.inputs, self.outputs, board_cores)
        self.labels = config_files.labels(model_config, path.parent.parent)
        self.decoder = RequestDecoder(self.inputs, self.outputs)
        self.worker = Worker(
            f"{name}/{version}",
            session.infer if pace is None else _paced(session.infer, pace, name, model_config),
            largest_batch=model_config.max_batch_size if model_config.dynamic_batching else 0,
            max_delay_s=model_config.max_queue_delay_us / 1e6,
            preferred_batch=model_config.preferred_batch_size or model_config.max_batch_size,
            inline=pace is None,
        )
        self._users = 0
        self._retired = False
        self._lock = threading.Lock()

    def is_made_of(self, files_state: FilesState | None, model_config: ModelConfig) -> bool:
        """Return whether the files and the configuration are those that this model was loaded from."""
        return (self.files_state, self.config) == (files_state, model_config)

    def acquire(self) -> bool:
        """Keep the model running until `release`; False if it is retired, and another one may be in its place."""
        with self._lock:
            if not self._retired:
                self._users += 1
            return not self._retired

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._retired and self._users == 0:
                self.worker.stop()

    def retire(self) -> None:
        """Take no more requests, and end after the requests in flight."""
        with self._lock:
            self._retired = True
            if self._users == 0:
                self.worker.stop()

    def metadata(self, versions: Sequence[str]) -> dict[str, Any]:
        """Return the protocol's metadata of the model, of which `versions` are loaded."""
        return {
            "name": self.name,
            "versions": list(versions),
            "platform": PLATFORM,
            "inputs": [signature.as_json() for signature in self.inputs.values()],
            "outputs": [signature.as_json() for signature in self.outputs.values()],
        }


def _paced(run: Run, pace: Pace, name: str, model_config: ModelConfig) -> Run:
    def run_at_pace(inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        rows = len(next(iter(inputs.values()))) if model_config.max_batch_size > 0 else 1
        with pace.inference(name, rows):
            return run(inputs, outputs)

    return run_at_pace
