"""Reads a model for the targets of a board: its graph once for each way of fusing, one run on this host for all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from edgesim.errors import ModelError
from edgesim.inputs import Arrays
from edgesim.inputs.first_request import FirstRequest
from edgesim.models.repository import Model
from edgesim.options import InputOptions

if TYPE_CHECKING:
    from edgesim.predictions.fusions import Fusions
    from edgesim.predictions.graph import Graph
    from edgesim.predictions.host_run import HostRunner


class ModelReader:
    """Reads the graph of a model with the inputs of a request; what was read or refused once is kept.

    Args:
        shapes, batch, arrays, inputs: see `edgesim.predict`.

    Attributes:
        model, batch: as given.
    """

    def __init__(
        self,
        model: Model,
        *,
        shapes: Mapping[str, Sequence[int]] | None = None,
        batch: int = 1,
        arrays: Arrays | None = None,
        inputs: InputOptions | None = None,
    ) -> None:
        self.model, self.batch = model, batch
        self._given, self._arrays, self._inputs = shapes, arrays, inputs
        self._opened: tuple[HostRunner, dict[str, Sequence[int]], str] | None = None
        self._read: dict[type[Fusions], Graph | ModelError] = {}

    @property
    def shapes(self) -> Mapping[str, Sequence[int]]:
        """Sizes by input name.

        Raises:
            ModelError: see `edgesim.inputs.first_request.FirstRequest`.
        """
        return self._open()[1]

    def resized(self, shapes: Mapping[str, Sequence[int]]) -> "ModelReader":
        """Return a reader of the model at other sizes of these inputs.

        Real inputs have the sizes that they have: the resized model runs with random ones, if it must.
        """
        options = (self._inputs or InputOptions()).model_copy(update={"input": None})
        return ModelReader(self.model, shapes={**self.shapes, **shapes}, inputs=options)

    def graph(self, fusions: "type[Fusions] | None" = None) -> "Graph":
        """Return the nodes of the model; where inference does not tell all sizes, the model runs on this host.

        Args:
            fusions: which nodes the board's runtime runs as one; None means those of ONNX Runtime.

        Raises:
            ModelError: see `edgesim.predictions.graph.read_graph`; or the graph has no output.
        """
        from edgesim.predictions.fusions import Fusions  # here, because importing onnx takes 50 ms

        fusions = fusions or Fusions
        if fusions not in self._read:
            try:
                self._read[fusions] = self._graph(fusions)
            except ModelError as error:
                self._read[fusions] = error
        read = self._read[fusions]
        if isinstance(read, ModelError):
            raise read
        return read

    def _graph(self, fusions: "type[Fusions]") -> "Graph":
        from edgesim.predictions.graph import read_graph

        runner, shapes, guessed = self._open()
        graph = read_graph(self.model.path, shapes=shapes, batch=self.batch, runner=runner, fusions=fusions)
        if not graph.nodes:
            raise ModelError(f"{self.model.path}: has no output that depends on the inputs, so there is nothing to run")
        return replace(graph, guessed=guessed)

    def _open(self) -> "tuple[HostRunner, dict[str, Sequence[int]], str]":
        """Return what runs the model, the sizes of its inputs, and in words those that were guessed."""
        from edgesim.predictions.host_run import HostRunner

        if self._opened is None:
            if self._arrays is not None:
                sizes: dict[str, Sequence[int]] = {name: array.shape for name, array in self._arrays.items()}
                self._opened = HostRunner(self.model, self._arrays), sizes, ""
            else:
                made = FirstRequest(self.model, shapes=self._given, batch=self.batch, options=self._inputs)
                self._opened = HostRunner(self.model, made.arrays), dict(made.shapes), made.guessed
        return self._opened
