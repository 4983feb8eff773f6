"""Models that ONNX Runtime has optimized for the processor of one machine: others have no kernels for them."""

from edgesim.errors import ModelError
from edgesim.models.repository import Model

# Convolutions on blocks of channels, as wide as a vector register. ONNX Runtime writes them into a model that it saves
# at the level ORT_ENABLE_ALL; its wheels have their kernels for x86 alone.
_BLOCKED = "com.microsoft.nchwc"


def refusal(model: Model, architecture: str) -> ModelError | None:
    """Return why no processor of an architecture (``arm64``, ``amd64``) runs a model; None if nothing speaks for it."""
    if architecture == "amd64" or _BLOCKED not in model.opsets:
        return None
    return ModelError(
        f"{model.path}: optimized by ONNX Runtime for an x86 processor: {architecture} has no kernels of {_BLOCKED}",
        fix="give the model from before this optimization, or save it at the level ORT_ENABLE_EXTENDED"
        " (graph_optimization_level)",
    )


def require(model: Model, architecture: str) -> None:
    """Refuse a model that no processor of an architecture runs.

    Raises:
        ModelError: see `refusal`.
    """
    if (error := refusal(model, architecture)) is not None:
        raise error
