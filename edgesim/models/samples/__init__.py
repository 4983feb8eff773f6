"""Sample models: built by code with fixed seeds, on first use, into a model repository."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from edgesim import paths
from edgesim.errors import ModelError
from edgesim.host.cache import new_entry

NAMES = ("digits", "mobilenet_v2", "resnet18")


def ensure(name: str, repository: Path | None = None) -> Path:
    """See to it that the sample model `name` is in a repository (the user's cache by default); return the repository.

    A model that is there is left alone.

    Raises:
        ModelError: no such sample.
        HostError: the repository cannot be written, or no space is left.
    """
    repository = repository if repository is not None else paths.cache_directory() / "models"
    if name not in NAMES:
        raise ModelError(f"no sample model {name!r}; there are {', '.join(NAMES)}")
    target = repository / name
    if (target / "1" / "model.onnx").is_file():
        return repository
    model, inputs = _build(name)
    with new_entry(target, needed_bytes=model.ByteSize()) as directory:
        _write(directory, model, inputs)
    return repository


def _build(name: str) -> tuple[onnx.ModelProto, Mapping[str, np.ndarray]]:
    # Imported when wanted: the digits bring scikit-learn with them.
    if name == "digits":
        from edgesim.models.samples.digits import digits

        return digits()
    from edgesim.models.samples import convnets

    return {"mobilenet_v2": convnets.mobilenet_v2, "resnet18": convnets.resnet18}[name](), {}


def _write(directory: Path, model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> None:
    version = directory / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / "model.onnx")
    if inputs:
        np.savez_compressed(directory / "samples.npz", allow_pickle=False, **inputs)
