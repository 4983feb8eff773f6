"""The models of the ONNX standard's operator tests that ONNX Runtime runs, with their inputs."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgesim.errors import ModelError
from edgesim.inputs import Arrays
from edgesim.models import repository
from edgesim.models.repository import Model


@dataclass(frozen=True)
class OperatorModel:
    """A model of one operator, and the inputs of its test."""

    model: Model
    arrays: Arrays


def operator_models(directory: Path, *, step: int = 1) -> Iterator[OperatorModel]:
    """Write and yield each `step`-th model that edgesim takes and ONNX Runtime runs on this host."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():  # of NumPy, about overflows that the tests are for
        warnings.simplefilter("ignore")
        cases = sorted(load_model_tests(kind="node"), key=lambda case: case.name)
    for case in cases[::step]:
        assert case.model is not None, "an operator's test has its model"
        assert case.data_sets is not None, "and its inputs"
        path = directory / f"{case.name}.onnx"
        onnx.save(case.model, path)
        try:
            model = repository.read(path, name=case.name)
        except ModelError:
            continue
        arrays = dict(zip([tensor.name for tensor in model.inputs], case.data_sets[0][0], strict=False))
        if all(isinstance(array, np.ndarray | np.generic) for array in arrays.values()) and _runs(path, arrays):
            yield OperatorModel(model, {name: np.asarray(array) for name, array in arrays.items()})


def _runs(path: Path, arrays: dict[str, np.ndarray]) -> bool:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        session.run(None, {name: np.asarray(array) for name, array in arrays.items()})
    except Exception:
        return False
    return True
