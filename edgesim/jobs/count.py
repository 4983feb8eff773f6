"""The instructions of one inference on a board, by an emulator that counts them."""

from pathlib import Path
from typing import Unpack

from edgesim.errors import DeviceError
from edgesim.jobs.run import run
from edgesim.models.repository import Model
from edgesim.options import RunKeywords, RunOptions
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener
from edgesim.results.run_result import RunResult

# Requests before the counted ones: they map memory and fill caches, and show that the answers are right.
_REQUESTS = 3

# The options that a count has a use for: it sends its own requests, one at a time, in an emulator.
COUNT_OPTIONS = frozenset(
    {
        "context",
        "base_image",
        "runtime",
        "mount",
        "ready_timeout_s",
        "count_threads",
        "seed",
        "input",
        "shapes",
        "ranges",
        "models",
        "output",
        "repeat",
    }
)


def count(
    profile: str | Path | DeviceProfile,
    model: str | Path | Model,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> RunResult:
    """Count the instructions of one inference of a model on an emulated arm64 board.

    Returns:
        The result of an emulated run with the section `instructions`. Its times say nothing about the board.

    Raises:
        UsageError: profile, model or options are wrong, or the board is not arm64.
        HostError: the emulator that counts has not been made, or this host cannot run the board.
        DeviceError: the device failed, or answered no request.
    """
    options = RunOptions.of(options, **keywords)
    options.require_only(COUNT_OPTIONS, "a count sends its own requests, in an emulator")
    result = run(
        profile,
        model,
        RunOptions.of(options, count=True, requests=_REQUESTS, duration_s=0.0, warmup=0),
        listener=listener,
    )
    if result.instructions is None:
        raise DeviceError(
            "the board answered no request, so nothing was counted",
            fix="run edgesim run, and read the reason in its report",
            result=result,
        )
    return result
