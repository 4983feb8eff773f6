"""A runtime whose loads and inferences are marked, for an emulator that counts instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import marks
from ..config import ModelConfig
from ..tensor_types import Signature
from . import Runtime, Session


class MarkedSession:
    """A session of another runtime."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def load_s(self) -> float:
        return self._session.load_s

    @property
    def inputs(self) -> Mapping[str, Signature]:
        return self._session.inputs

    @property
    def outputs(self) -> Mapping[str, Signature]:
        return self._session.outputs

    def infer(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        marks.mark(marks.INFERENCE_BEGINS)
        try:
            return self._session.infer(inputs, outputs)
        finally:
            marks.mark(marks.INFERENCE_ENDS)


class MarkedRuntime:
    """Another runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def name(self) -> str:
        return self._runtime.name

    @property
    def version(self) -> str:
        return self._runtime.version

    @property
    def gpus(self) -> str | None:
        return self._runtime.gpus

    @property
    def providers(self) -> tuple[str, ...]:
        return self._runtime.providers

    def load(
        self, path: Path, config: ModelConfig, *, content: bytes | None, threads: int, files_change: bool
    ) -> Session:
        marks.mark(marks.LOAD_BEGINS)
        try:
            session = self._runtime.load(path, config, content=content, threads=threads, files_change=files_change)
        finally:
            marks.mark(marks.LOAD_ENDS)
        return MarkedSession(session)
