"""What the runtime of a target does not take of a model that a time is predicted for."""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from edgesim.errors import HostError, ModelError
from edgesim.inputs.refusal import Failure
from edgesim.models import runtime_support, session_loading, tensorrt_support, trial_load
from edgesim.models.repository import Model
from edgesim.models.tensorrt_facts import TensorRt
from edgesim.options import CPU
from edgesim.profiles import DeviceProfile

# `edgesim check` names all of them.
_MOST_REASONS = 2
# In ONNX Runtime's words: it does not know an operation, or has no kernel for it on a processor.
_LACKS_OPERATION = re.compile(r"NOT_IMPLEMENTED|is not a registered function/op|No Op registered")


def require_loadable(model: Model, target: str) -> None:
    """Refuse a model that ONNX Runtime does not load, since no board gives it a time; a release that is yet to come may
    load a file of a newer IR version or opset (`refusal_notes`).

    TensorRT has operations that ONNX Runtime lacks, and takes other graphs no more than ONNX Runtime does.

    Raises:
        ModelError: has ONNX Runtime's words.
    """
    if runtime_support.newer(model, runtime_support.newest()) is not None:
        return
    refused = _not_loaded(_Content(model))
    if refused is not None and (target == CPU or not refused.lacks_operation):
        raise refused.error


@dataclass(frozen=True)
class _NotLoaded:
    """Why ONNX Runtime on this host does not load a model.

    Attributes:
        lacks_operation: whether the model may be right, and ONNX Runtime lacks an operation of it.
    """

    error: ModelError
    lacks_operation: bool


def refusal_notes(profile: DeviceProfile, model: Model, target: str) -> tuple[str, ...]:
    """Return a note for a prediction if the target's runtime does not take the model.

    That is the release of TensorRT that the board comes with, and for the processor every known release of ONNX
    Runtime.
    """
    if target == CPU:
        newest = runtime_support.newest()
        reason = runtime_support.newer(model, newest)
        return (f"no release of ONNX Runtime up to {newest} loads the model: {reason}",) if reason is not None else ()
    accelerator = next((each for each in profile.accelerators if target in each.targets), None)
    runtime = accelerator.runtime if accelerator is not None else None
    if runtime is None or runtime.name != "tensorrt" or runtime.version is None:
        return ()
    refused = _refused(_Content(model), runtime.version)
    if not refused:
        return ()
    more = f"; and {len(refused) - _MOST_REASONS} more" if len(refused) > _MOST_REASONS else ""
    return (
        f"TensorRT {runtime.version} does not take {'; '.join(refused[:_MOST_REASONS])}{more}: the time is that of an "
        "engine with the same arithmetic",
    )


class _Content:
    """A model by the state of its files, so that it is examined once for all boards, targets and inputs."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @cached_property
    def _state(self) -> tuple[object, ...]:
        files = (self.model.path, *self.model.data_paths)
        states = ((path, status.st_size, status.st_mtime_ns) for path in files for status in (path.stat(),))
        return (*states, *self.model.host_libraries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and other._state == self._state

    def __hash__(self) -> int:
        return hash(self._state)


@lru_cache(maxsize=64)
def _refused(content: _Content, version: str) -> tuple[str, ...]:
    facts = TensorRt.of(version)
    try:
        return tensorrt_support.examine(content.model, facts).refused if facts is not None else ()
    except ModelError:
        return ()


@lru_cache(maxsize=64)
def _not_loaded(content: _Content) -> _NotLoaded | None:
    """Return why ONNX Runtime does not load a model; None if it does, or where this host cannot tell."""
    try:
        text = trial_load.failure(content.model)
    except HostError:
        return None
    except ModelError as error:
        return _NotLoaded(error, lacks_operation=False)
    if text is None:
        return None
    refusal = session_loading.refusal(content.model, Failure.of(text).cause)
    if not isinstance(refusal, ModelError):  # this host lacks what the model needs of it
        return None
    return _NotLoaded(refusal, _LACKS_OPERATION.search(text) is not None)
