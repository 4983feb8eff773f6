"""Variants of a model in another precision: a model of the user's own beside it, or one that ONNX Runtime quantizes.

``precision=fp32`` is the model as it is. Any other precision is first looked for beside the model, by its name:
``models/NAME-int8`` in a repository, ``NAME-int8.onnx`` beside a file; ``_`` or ``.`` may stand for the hyphen. Without
such a model, ``int8`` is made by ONNX Runtime's own quantizer, see `edgesim.sweeps.quantized`.
"""

from collections.abc import Sequence

from edgesim.errors import ModelError, UsageError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.sweeps import quantized
from edgesim.sweeps.choice import ChosenModel
from edgesim.sweeps.model_files import ModelFiles

AS_IT_IS = "fp32"
_SEPARATORS = ("-", "_", ".")


def require_precision(value: object) -> str:
    """Return the name of a precision.

    Raises:
        UsageError: it is no name.
    """
    if not isinstance(value, str) or not value.isalnum():
        raise UsageError(f"`precision={value}`: not the name of a precision", fix="for example fp32 or int8")
    return value.lower()


def without_variants(models: Sequence[ChosenModel], precisions: Sequence[str]) -> list[ChosenModel]:
    """Return the models without those that are another one's variant in one of these precisions."""
    names = {chosen.files.name for chosen in models}
    suffixes = [separator + precision for precision in precisions for separator in _SEPARATORS]

    def is_variant(name: str) -> bool:
        return any(name.endswith(suffix) and name.removesuffix(suffix) in names for suffix in suffixes)

    return [chosen for chosen in models if not is_variant(chosen.files.name)]


def variant(chosen: ChosenModel, precision: str, inputs: InputOptions) -> ChosenModel:
    """Return a model in a precision.

    Args:
        inputs: the inputs with which a quantizer calibrates.

    Raises:
        ModelError: there is no such variant, and none can be made.
    """
    if precision == AS_IT_IS or chosen.model is None:
        return chosen
    if (own := _beside(chosen, precision)) is not None:
        return ChosenModel(ModelFiles.of(own), own)
    if precision != "int8":
        name = f"{chosen.files.name}-{precision}"
        suffix = ".onnx" if _is_file(chosen) else ""
        raise ModelError(
            f"{chosen.files.name}: no variant in {precision}: {chosen.files.root / name}{suffix} is not there",
            fix="export the model in this precision, under this name",
        )
    made = quantized.int8(chosen.model, inputs)
    return ChosenModel(ModelFiles.of(made.model), made.model, made.note)


def _beside(chosen: ChosenModel, precision: str) -> Model | None:
    root = chosen.files.root
    for separator in _SEPARATORS:
        variant = f"{chosen.files.name}{separator}{precision}"
        if _is_file(chosen) and (root / f"{variant}.onnx").is_file():
            return repository.find(root / f"{variant}.onnx")
        if not _is_file(chosen) and (root / variant).is_dir():
            return repository.find(variant, root)
    return None


def _is_file(chosen: ChosenModel) -> bool:
    """Return whether a model is a file by itself, and not one of a repository."""
    return "/" not in chosen.files.entry
