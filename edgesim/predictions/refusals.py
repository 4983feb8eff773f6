"""What the runtime of a target does not take of a model that a time is predicted for."""

from functools import lru_cache

from edgesim.errors import ModelError
from edgesim.models import runtime_support, tensorrt_support
from edgesim.models.repository import Model
from edgesim.models.tensorrt_facts import TensorRt
from edgesim.options import CPU
from edgesim.profiles import DeviceProfile

# `edgesim check` names all of them.
_MOST_REASONS = 2


def refusal_notes(profile: DeviceProfile, model: Model, target: str) -> tuple[str, ...]:
    """Return a note for a prediction if the target's runtime does not take the model.

    That is the release of TensorRT that the board comes with, and for the processor every known release of ONNX
    Runtime.
    """
    if target == CPU:
        newest = runtime_support.newest()
        reason = runtime_support.refusal(model, newest)
        return (f"no release of ONNX Runtime up to {newest} loads the model: {reason}",) if reason is not None else ()
    accelerator = next((each for each in profile.accelerators if target in each.targets), None)
    runtime = accelerator.runtime if accelerator is not None else None
    if runtime is None or runtime.name != "tensorrt" or runtime.version is None:
        return ()
    refused = _refused(_Identified(model), runtime.version)
    if not refused:
        return ()
    more = f"; and {len(refused) - _MOST_REASONS} more" if len(refused) > _MOST_REASONS else ""
    return (
        f"TensorRT {runtime.version} does not take {'; '.join(refused[:_MOST_REASONS])}{more}: the time is that of an "
        "engine with the same arithmetic",
    )


class _Identified:
    """A model by its digest, so that it is examined once for all targets of a board."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identified) and other.model.sha256 == self.model.sha256

    def __hash__(self) -> int:
        return hash(self.model.sha256)


@lru_cache(maxsize=64)
def _refused(identified: _Identified, version: str) -> tuple[str, ...]:
    facts = TensorRt.of(version)
    try:
        return tensorrt_support.examine(identified.model, facts).refused if facts is not None else ()
    except ModelError:
        return ()
