"""The reference: the model's outputs from ONNX Runtime on this host, and how the board's outputs compare with them."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.host import cores
from edgesim.models.gathered import gathered, has_links
from edgesim.models.repository import Model

# A run's time on this host is looked for in this many runs and seconds.
_FEWEST_RUNS, _MOST_RUNS, _RUNS_S = 2, 50, 0.2

Outputs = Mapping[str, NDArray[Any]]


class Reference:
    """A model that runs on this host.

    Raises on construction:
        ModelError: ONNX Runtime cannot load the model, so no board could either.
    """

    def __init__(self, model: Model) -> None:
        # Without this variable ONNX Runtime reports its use over the network and leaves files in the home directory.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # By itself ONNX Runtime starts a thread for each core of the machine, and binds the threads to cores that this
        # process may not be allowed to use.
        options.intra_op_num_threads = cores.count()
        options.log_severity_level = 4  # the exception says everything that the log would

        def session(path: Path) -> Any:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

        try:
            try:
                self._session = session(model.path)
            except Exception:
                if not has_links(model):
                    raise
                with gathered(model) as path:
                    self._session = session(path)
        except Exception as error:  # the runtime's errors share no base class but this one
            text = " ".join(str(error).split())
            raise ModelError(
                f"{model.path}: ONNX Runtime does not load it: {text}", fix=f"edgesim models show {model.path}"
            ) from error

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs for one set of inputs, by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def shortest_ms(self, inputs: Mapping[str, NDArray[Any]]) -> float:
        """Return the shortest of some runs, in milliseconds: what this host takes when nothing disturbs it."""
        times_s: list[float] = []
        while len(times_s) < _FEWEST_RUNS or (sum(times_s) < _RUNS_S and len(times_s) < _MOST_RUNS):
            begun = time.perf_counter()
            self.run(inputs)
            times_s.append(time.perf_counter() - begun)
        return 1e3 * min(times_s)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The board's outputs compared with the reference, for the same inputs.

    Attributes:
        compared: number of inputs in the batch.
        max_abs_difference: over all outputs; None if no number says it: a NaN on one side, or texts that differ.
        same_class: share of inputs with the same largest score; None if no output has class scores.
        accuracy_device: share of labelled inputs that the board classifies correctly; None without labels.
        accuracy_host: the same share of the reference.
    """

    compared: int
    max_abs_difference: float | None
    same_class: float | None = None
    accuracy_device: float | None = None
    accuracy_host: float | None = None


def compare(device: Outputs, host: Outputs, labels: NDArray[np.int64] | None = None) -> Comparison:
    """Compare the board's outputs with the reference, output by output.

    Args:
        device: the board's outputs by name.
        host: the outputs of the reference; the first one with two dimensions is taken for class scores.
        labels: the correct classes, shape (inputs,).
    """
    differences = []
    classes: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    compared = 0
    for name, expected in host.items():
        actual = device[name]
        compared = len(expected) if expected.ndim else 1
        differences.append(_largest_difference(actual, expected))
        if classes is None and expected.ndim == 2 and expected.shape[1] > 1:
            classes = actual.argmax(axis=1), expected.argmax(axis=1)
    known = [difference for difference in differences if difference is not None]
    largest = max(known) if known and len(known) == len(differences) else None
    if classes is None:
        return Comparison(compared=compared, max_abs_difference=largest)
    on_device, on_host = classes
    return Comparison(
        compared=compared,
        max_abs_difference=largest,
        same_class=float((on_device == on_host).mean()),
        accuracy_device=float((on_device == labels).mean()) if labels is not None else None,
        accuracy_host=float((on_host == labels).mean()) if labels is not None else None,
    )


def _largest_difference(actual: NDArray[Any], expected: NDArray[Any]) -> float | None:
    """Return the largest absolute difference; None if there is no such number: a NaN, or texts that differ."""
    if expected.dtype == np.object_:
        return 0.0 if np.array_equal(actual, expected) else None
    largest = float(np.max(np.abs(actual.astype(np.float64) - expected.astype(np.float64)), initial=0))
    return largest if np.isfinite(largest) else None
