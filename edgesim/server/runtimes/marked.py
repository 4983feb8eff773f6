"""ONNX Runtime with marks around loads and inferences, for an emulator that counts instructions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import marks
from ..config import ModelConfig
from .onnx_runtime import OnnxRuntime, OnnxSession


class MarkedRuntime(OnnxRuntime):
    """ONNX Runtime as it is installed (see `Runtime`)."""

    def load(
        self, path: Path, config: ModelConfig, *, content: bytes | None, threads: int, files_change: bool
    ) -> OnnxSession:
        """Make a session whose inferences are marked; see `Runtime.load`."""
        marks.mark(marks.LOAD_BEGINS)
        try:
            session = super().load(path, config, content=content, threads=threads, files_change=files_change)
        finally:
            marks.mark(marks.LOAD_ENDS)
        session.wrap_compiled(_MarkedSession)
        return session


class _MarkedSession:
    """The compiled session of ONNX Runtime, which its Python class calls.

    The marks are as near to the compiled code as they can be. What Python's interpreter does for one inference depends
    on its caches and on the free blocks of its allocator, which differ from one start to the next: with the marks
    around ONNX Runtime's Python class, the medians of a tiny model differ by 0.36 % between two containers.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self.run = _marked(session.run)
        self.run_with_ort_values = _marked(session.run_with_ort_values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _marked(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        marks.mark(marks.INFERENCE_BEGINS)
        try:
            return function(*arguments)
        finally:
            marks.mark(marks.INFERENCE_ENDS)

    return call
