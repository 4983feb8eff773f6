"""The models that the server serves: found in a repository, held as ONNX Runtime sessions."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from .tensors import Signature


class NotServed(LookupError):
    """No such model or version here."""


@dataclass
class LoadedModel:
    """One version of a model, ready to run.

    Attributes:
        load_s: how long it took to make the session, in seconds of this machine (or its emulator).
    """

    name: str
    version: str
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]
    load_s: float
    _session: Any
    _one_at_a_time: threading.Lock

    @classmethod
    def load(cls, name: str, version: str, path: Path, intra_op_threads: int) -> "LoadedModel":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        # A thread that spins while it waits takes the core from one that works wherever the board has more cores
        # than this host, and always in an emulator.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        begun = time.perf_counter()
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return cls(
            name=name,
            version=version,
            inputs=tuple(Signature.of(argument) for argument in session.get_inputs()),
            outputs=tuple(Signature.of(argument) for argument in session.get_outputs()),
            load_s=time.perf_counter() - begun,
            _session=session,
            _one_at_a_time=threading.Lock(),
        )

    def run(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Arrays in, arrays out, in the order of `outputs`; one request at a time, as on the board's one CPU."""
        with self._one_at_a_time:
            results: list[np.ndarray] = self._session.run(list(outputs), inputs)
        return results

    def metadata(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": "onnxruntime_onnx",
            "inputs": [signature.as_json() for signature in self.inputs],
            "outputs": [signature.as_json() for signature in self.outputs],
        }


class Repository:
    """A directory ``NAME/VERSION/model.onnx`` and what has been loaded from it."""

    def __init__(self, directory: Path, intra_op_threads: int) -> None:
        self._directory = directory
        self._intra_op_threads = intra_op_threads
        self._loaded: dict[str, LoadedModel] = {}

    def names(self) -> list[str]:
        """The models on disk, loaded or not."""
        found = {
            path.parent.parent.name for path in self._directory.glob("*/*/model.onnx") if path.parent.name.isdigit()
        }
        return sorted(found)

    def load(self, name: str) -> LoadedModel:
        """Load the newest version of a model.

        Raises:
            NotServed: the repository has no such model.
        """
        versions = [
            path.parent.name for path in (self._directory / name).glob("*/model.onnx") if path.parent.name.isdigit()
        ]
        if not versions:
            raise NotServed(f"{self._directory}: no model {name!r}")
        version = max(versions, key=int)
        model = LoadedModel.load(name, version, self._directory / name / version / "model.onnx", self._intra_op_threads)
        self._loaded[name] = model
        return model

    def get(self, name: str, version: str | None = None) -> LoadedModel:
        """A loaded model.

        Raises:
            NotServed: it is not loaded, or not in that version.
        """
        model = self._loaded.get(name)
        if model is None:
            raise NotServed(f"model {name!r} is not served here; there are {', '.join(self._loaded) or 'none'}")
        if version is not None and version != model.version:
            raise NotServed(f"model {name!r} has no version {version!r}; it has {model.version}")
        return model

    def loaded(self) -> list[LoadedModel]:
        return list(self._loaded.values())
