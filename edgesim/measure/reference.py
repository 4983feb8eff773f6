"""Whether the device answers as this host does: the same inputs through ONNX Runtime here, side by side."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.models.repository import Model
from edgesim.results.run_result import AgreementSection

Arrays = Mapping[str, NDArray[Any]]


class Reference:
    """The model on this host, as the yardstick for the device's answers.

    Raises on construction:
        ModelError: ONNX Runtime does not load the model, so no device would either.
    """

    def __init__(self, model: Model) -> None:
        # It reports its use over the network and leaves files in the home directory unless told not to.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # the exception says it all
        try:
            self._session = onnxruntime.InferenceSession(str(model.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base but this
            text = " ".join(str(error).split())
            raise ModelError(
                f"{model.path}: ONNX Runtime does not load it: {text}", fix=f"edgesim models show {model.path}"
            ) from error

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """The outputs for one set of inputs, by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def compare(device: Arrays, host: Arrays, labels: NDArray[np.int64] | None = None) -> AgreementSection:
    """Device and host, output by output; the first output of two dimensions is taken for class scores.

    `compared` counts the inputs in the batch. With labels, the shares that each gets right.
    """
    differences = []
    classes: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
    compared = 0
    for name, theirs in host.items():
        ours = device[name]
        compared = len(theirs) if theirs.ndim else 1
        differences.append(_largest_difference(ours, theirs))
        if classes is None and theirs.ndim == 2 and theirs.shape[1] > 1:
            classes = ours.argmax(axis=1), theirs.argmax(axis=1)
    known = [difference for difference in differences if difference is not None]
    difference = max(known) if known and len(known) == len(differences) else None
    if classes is None:
        return AgreementSection(compared=compared, max_abs_difference=difference)
    on_device, on_host = classes
    return AgreementSection(
        compared=compared,
        max_abs_difference=difference,
        same_class=float((on_device == on_host).mean()),
        accuracy_device=float((on_device == labels).mean()) if labels is not None else None,
        accuracy_host=float((on_host == labels).mean()) if labels is not None else None,
    )


def _largest_difference(ours: NDArray[Any], theirs: NDArray[Any]) -> float | None:
    """The largest absolute difference; None where there is no such number: NaN on a side, or texts that differ."""
    if theirs.dtype == np.object_:
        return 0.0 if np.array_equal(ours, theirs) else None
    largest = float(np.max(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)), initial=0))
    return largest if np.isfinite(largest) else None
