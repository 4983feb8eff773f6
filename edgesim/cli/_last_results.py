"""The results of the last runs, in the user's cache, for `edgesim report` and `edgesim compare` without a file."""

import contextlib
import time
from pathlib import Path

from edgesim import paths
from edgesim.cli._console import say
from edgesim.errors import DiskFull, HostError, ResultError
from edgesim.file_names import part_of
from edgesim.results.load import Recorded
from edgesim.results.run_result import RunResult

_MOST_FILES = 20
_MOST_BYTES = 100 * 2**20
# The two newest stay, whatever their size: a comparison takes two.
_FEWEST_FILES = 2


def keep(result: Recorded) -> None:
    """Keep a result, and remove the oldest ones beyond 20 files or 100 MiB. A cache that cannot be written is no error.

    A name begins with the time in nanoseconds, so the files' order by name is the order of the runs.
    """
    names = (result.profile.name, result.model.name if isinstance(result, RunResult) else result.stack.name)
    name = "-".join(map(part_of, names))
    with contextlib.suppress(OSError, ResultError, HostError, DiskFull):
        directory = _directory()
        directory.mkdir(parents=True, exist_ok=True)
        result.write(directory / f"{time.time_ns()}-{name}.json")
        _remove_oldest(_files())


def latest(count: int) -> list[Path]:
    """Return the files of the last runs, the oldest first, and say on stderr which they are.

    Raises:
        ResultError: fewer results are kept.
    """
    files = _files()
    if len(files) < count:
        kept = "no result is" if not files else "one result is"
        raise ResultError(
            f"{kept} kept in {_directory()}",
            fix="give result files, or run edgesim run first",
        )
    for path in files[-count:]:
        say(f"edgesim: reading {path}")
    return files[-count:]


def _directory() -> Path:
    return paths.cache_directory() / "results"


def _files() -> list[Path]:
    return sorted(_directory().glob("[0-9]*.json"))


def _remove_oldest(files: list[Path]) -> None:
    total_bytes = 0
    for position, path in enumerate(reversed(files)):
        total_bytes += path.stat().st_size
        if position >= _FEWEST_FILES and (position >= _MOST_FILES or total_bytes > _MOST_BYTES):
            path.unlink(missing_ok=True)
