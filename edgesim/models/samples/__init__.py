"""Sample models: code with fixed seeds builds them on first use, into a model repository."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgesim import paths
from edgesim.errors import ModelError
from edgesim.host.cache import make_public, new_entry

if TYPE_CHECKING:
    import numpy as np
    import onnx

NAMES = ("digits", "mobilenet_v2", "resnet18")


def ensure(name: str, repository: str | Path | None = None) -> Path:
    """Build the sample model `name` in a repository, unless it has one of that name; return the repository.

    Args:
        repository: None means the one in the user's cache.

    Raises:
        ModelError: no such sample model.
        HostError: the repository cannot be written, no space is left, or scikit-learn, which trains ``digits``, is not
            installed.
    """
    repository = Path(repository) if repository is not None else paths.cache_directory() / "models"
    if name not in NAMES:
        raise ModelError(f"no sample model {name!r}; the sample models are {', '.join(NAMES)}")
    target = repository / name
    if (target / "1" / "model.onnx").is_file():
        return repository
    model, inputs = _build(name)
    with new_entry(target, needed_bytes=model.ByteSize()) as directory:
        _write(directory, model, inputs)
    return repository


def _build(name: str) -> tuple["onnx.ModelProto", Mapping[str, "np.ndarray"]]:
    """Build a sample model; return it with its real inputs, if it has any."""
    # Imported here: onnx, and scikit-learn for the digits, take a second, and a sample model is built once.
    if name == "digits":
        from edgesim.models.samples.digits import digits

        return digits()
    from edgesim.models.samples import convnets

    return {"mobilenet_v2": convnets.mobilenet_v2, "resnet18": convnets.resnet18}[name](), {}


def _write(directory: Path, model: "onnx.ModelProto", inputs: Mapping[str, "np.ndarray"]) -> None:
    import numpy as np
    import onnx

    version = directory / "1"
    version.mkdir(parents=True)
    onnx.save(model, version / "model.onnx")
    if inputs:
        # Without `allow_pickle`: NumPy 1.26 and other old releases take it for an array to be saved.
        np.savez_compressed(directory / "samples.npz", **inputs)  # type: ignore[arg-type]
    make_public(directory)
