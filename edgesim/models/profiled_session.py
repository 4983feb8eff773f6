"""A model run under ONNX Runtime's profiler in a process of its own, which has little time and bounded memory.

The model may be a stranger's: a loop may turn for years, a tensor may take terabytes, and a bug of the runtime may end
the process that runs it: ``python -m edgesim.models.profiled_session DIRECTORY WEIGHTS BYTES [LIBRARY…]``.
"""

import json
import math
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import ModelError
from edgesim.models import bounded_process, session_options
from edgesim.units import format_bytes

# Loading and all runs together. A model of a billion parameters takes half of it on one thread of a slow host.
MOST_S = 120
# A quick model runs again, for this long and this often: the first run of a kernel is slower than all others.
_AT_LEAST_S = 0.02
_FEWEST_RUNS, _MOST_RUNS = 2, 20
# A model that takes longer than this runs once.
_LONG_S = 0.5
_FOLDER = "session.model_external_initializers_file_folder_path"
# Of `session_options.LEVELS`: the highest changes nodes that a prediction counts.
_LEVELS = session_options.LEVELS[:-1]
_MODEL, _INPUTS, _ANSWER = "model.onnx", "inputs.pickle", "answer.json"
_SMALLER = "predict a smaller or shorter input: `shapes`"


class RunFailed(Exception):
    """ONNX Runtime does not run the model with these inputs; the message is its own."""


class LoadFailed(RunFailed):
    """ONNX Runtime does not load the model, whatever its inputs are."""


@dataclass(frozen=True, kw_only=True)
class ProfiledRuns:
    """The runs of a model under the profiler.

    Attributes:
        lines: the profiler's file.
        cpu_shares: for each run, the CPU time of its thread by its wall time, 0 to 1: the profiler's times are wall
            times, which other programs of a busy host lengthen.
    """

    lines: Path
    cpu_shares: tuple[float, ...]


def profile(
    model: bytes,
    inputs: Mapping[str, NDArray[Any]],
    *,
    weights: Path,
    directory: Path,
    libraries: Sequence[str] = (),
    most_s: float | None = None,
    most_bytes: int | None = None,
) -> ProfiledRuns:
    """Run a model on one thread without optimizations, a quick one several times.

    Args:
        model: the ONNX file.
        weights: the directory of the model's files of weights.
        directory: an empty one, which takes the profiler's file.
        libraries: of custom operations: code that the user has named for this host.
        most_s: seconds after which the run is ended; None means `MOST_S`.
        most_bytes: the memory that the process may take; None means most of what is free.

    Raises:
        LoadFailed, RunFailed: see there.
        ModelError: the model takes more time or memory than that, or ends the process.
    """
    most_s = most_s if most_s is not None else MOST_S
    most_bytes = most_bytes if most_bytes is not None else bounded_process.spare_bytes()
    (directory / _MODEL).write_bytes(model)
    with (directory / _INPUTS).open("wb") as file:
        pickle.dump(dict(inputs), file, protocol=5)
    words = (str(directory), str(weights), str(most_bytes), *libraries)
    try:
        done = bounded_process.run(__name__, *words, most_s=most_s)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"a run of the model on this host did not end within {most_s:g} s", fix=_SMALLER) from error
    try:
        answer: dict[str, Any] = json.loads((directory / _ANSWER).read_bytes())
    except OSError as error:
        raise ModelError(_ended(done, most_bytes), fix=_SMALLER) from error
    if "lines" in answer:
        return ProfiledRuns(lines=Path(answer["lines"]), cpu_shares=tuple(answer["cpu_shares"]))
    if bounded_process.lacks_memory(answer["error"]):
        raise ModelError(_takes_more(most_bytes), fix=_SMALLER)
    raise (RunFailed if "loaded" in answer else LoadFailed)(answer["error"])


def _takes_more(most_bytes: int) -> str:
    return f"a run of the model takes more memory than this host can spare, {format_bytes(most_bytes)}"


def _ended(done: "subprocess.CompletedProcess[str]", most_bytes: int) -> str:
    """Return why there is no answer."""
    why = bounded_process.why_ended(done.returncode, done.stderr)
    return why if why is not None else _takes_more(most_bytes)


# --- in the process ---------------------------------------------------------------------------------------------------


def _run(directory: Path, weights: str, libraries: Sequence[str]) -> dict[str, Any]:
    """Run the model; return the fields of `ProfiledRuns`, or what went wrong, and whether that was after it had loaded.

    One thread runs the session: the one that calls it.
    """
    # Without this variable ONNX Runtime reports its use over the network and leaves files in the home directory.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    model = (directory / _MODEL).read_bytes()
    # From edgesim itself, which wrote the file a moment ago: text has no other form.
    arrays: dict[str, np.ndarray] = pickle.loads((directory / _INPUTS).read_bytes())  # noqa: S301
    answer: dict[str, Any] = {}
    for level in _LEVELS:
        options = session_options.of(level, libraries)
        options.enable_profiling = True
        options.profile_file_prefix = str(directory / level)
        options.add_session_config_entry(_FOLDER, weights)
        try:
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            answer = {"loaded": level}
            first_s, share = _timed(session, arrays)
            again = 0 if first_s > _LONG_S else min(max(math.ceil(_AT_LEAST_S / first_s), _FEWEST_RUNS), _MOST_RUNS)
            shares = [share, *(_timed(session, arrays)[1] for _ in range(again))]
            return {"lines": str(session.end_profiling()), "cpu_shares": shares}
        except Exception as error:  # the runtime's errors share no base class but this one
            answer |= {"error": " ".join(f"{error}".split()) or type(error).__name__}
    return answer


def _timed(session: Any, arrays: Mapping[str, NDArray[Any]]) -> tuple[float, float]:
    """Run a session once; return its wall time in seconds, and the share of it that this thread had a core."""
    from edgesim.models import session_run

    begun, begun_cpu = time.monotonic(), time.thread_time()
    session_run.run(session, arrays)
    wall_s, cpu_s = time.monotonic() - begun, time.thread_time() - begun_cpu
    return wall_s, min(cpu_s / wall_s, 1.0)


def _main(directory: Path, weights: str, most_bytes: int, libraries: Sequence[str]) -> None:
    bounded_process.bound(most_bytes)
    try:
        answer = _run(directory, weights, libraries)
    except Exception as error:  # of a library, or of memory that is not there
        answer = {"error": " ".join(f"{error}".split()) or type(error).__name__}
    (directory / _ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:])
