"""Whether ONNX Runtime loads a model on this host: tried without optimizations, in a process of its own.

A graph may be read and counted that no runtime loads: two nodes of one name, an operation with tensors of a wrong type.
The trial takes about 0.3 s, most of which is the start of the process; files of weights are mapped and not read.
``python -m edgesim.models.trial_load MODEL BYTES [LIBRARY…]`` is that process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgesim.errors import EdgesimError, HostError, ModelError
from edgesim.models import bounded_process, session_options
from edgesim.models.gathered import gathered, has_links
from edgesim.models.repository import Model

_MOST_S = 60.0
_NO_MEMORY = "this host lacks memory for the model"


def failure(model: Model) -> str | None:
    """Return with which words ONNX Runtime on this host does not load a model; None if it does.

    Raises:
        ModelError: the model ends the process.
        HostError: this host lacks memory or time for the model, or ONNX Runtime does not run here.
    """
    text = _failure(model, model.path)
    if text is None or not has_links(model):
        return text
    with gathered(model) as path:
        return _failure(model, path)


def _failure(model: Model, path: Path) -> str | None:
    most_bytes = bounded_process.spare_bytes()
    try:
        done = bounded_process.run(__name__, str(path), str(most_bytes), *model.host_libraries, most_s=_MOST_S)
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{model.path}: ONNX Runtime on this host did not load it within {_MOST_S:g} s") from error
    try:
        answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        why = bounded_process.why_ended(done.returncode, done.stderr)
        if why is not None and done.returncode < 0:
            raise ModelError(f"{model.path}: {why}") from error
        raise HostError(f"{model.path}: {why or _NO_MEMORY}") from error
    text = answer.get("error")
    if text is not None and bounded_process.lacks_memory(text):
        raise HostError(f"{model.path}: {_NO_MEMORY}")
    return text


# --- in the process ---------------------------------------------------------------------------------------------------


def _load(path: str, libraries: Sequence[str]) -> dict[str, str]:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    answer: dict[str, str] = {}
    for level in session_options.LEVELS:
        try:
            options = session_options.of(level, libraries)
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            return {}
        except EdgesimError as error:  # of a library, which the last words are not about
            return {"error": error.problem}
        except Exception as error:  # the runtime's errors share no base class but this one
            answer = {"error": " ".join(f"{error}".split()) or type(error).__name__}
    return answer


def _main(path: str, most_bytes: int, libraries: Sequence[str]) -> None:
    bounded_process.bound(most_bytes)
    sys.stdout.write(json.dumps(_load(path, libraries)))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
