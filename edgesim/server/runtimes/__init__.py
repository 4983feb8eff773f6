"""What the server needs from a library that runs models: load a model, describe it, infer. There is no HTTP here.

`onnx_runtime` is the runtime that the server has. Another one, or another version of this one, is another module beside
it with a class that fulfils `Runtime`; `edgesim.server.__main__` chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..config import ModelConfig
from ..tensor_types import Signature


class InferenceFailed(ValueError):
    """The model cannot run with these inputs; the message is the runtime's own."""


class Session(Protocol):
    """A model that a runtime has loaded."""

    @property
    def load_s(self) -> float:
        """Seconds in which the runtime made the session, without the checks of the model's files before."""
        ...

    @property
    def inputs(self) -> Mapping[str, Signature]:
        """The signatures of the inputs by name, in the order of the model."""
        ...

    @property
    def outputs(self) -> Mapping[str, Signature]:
        """The signatures of the outputs by name, in the order of the model."""
        ...

    def infer(self, inputs: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """Run the model once, in the calling thread.

        Args:
            inputs: one array for each input, of the numpy type in `tensor_types.DTYPES` and a shape that fits the
                signature. They may be views of a request's body.
            outputs: the names of the outputs to compute.

        Returns:
            One array for each name in `outputs`, in that order.

        Raises:
            InferenceFailed: the values do not fit the model: shapes that do not go together, an index out of bounds,
                a size that no memory holds.
        """
        ...


class Runtime(Protocol):
    """A library that runs models."""

    @property
    def name(self) -> str:
        """The name that `GET /edgesim/board` gives."""
        ...

    @property
    def version(self) -> str: ...

    @property
    def gpus(self) -> str | None:
        """The precision in which GPUs run models; None for the CPU alone."""
        ...

    @property
    def providers(self) -> tuple[str, ...]:
        """What runs the operations of a model, in the order of preference."""
        ...

    def load(
        self, path: Path, config: ModelConfig, *, content: bytes | None, threads: int, files_change: bool
    ) -> Session:
        """Load one model file.

        Args:
            path: where the model file is in the repository; weights in other files are beside it.
            config: how to load it: threads, graph optimizations, memory.
            content: the model file's content in place of what is at `path`.
            threads: of one inference; `config` may ask for fewer.
            files_change: the files may be overwritten while the model runs, so they must not be mapped into memory.

        Raises:
            ValueError: an input or output is of a type that the protocol does not have, or the model names a file of
                weights outside its directory.
            Exception: whatever the runtime raises for a bad file.
        """
        ...
