"""Fuzzing of one reader in a process of its own, which has little memory, and little time for each input.

``python -m tests.support.fuzzing READER COUNT SEED`` prints a JSON document: see `Report`.
"""

import faulthandler
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from edgesim.errors import EdgesimError, ExitCode

ROOT = Path(__file__).parents[2]
# Of one input: no good file takes a tenth of it.
SECONDS = 20
# The address space of the process, beyond what it has when it begins.
SPACE_BYTES = 3 * 2**30
_CODES = (ExitCode.USAGE, ExitCode.HOST)
_MOST_LETTERS = 2000
_UNPRINTABLE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass
class Report:
    """What a reader did with its inputs.

    Attributes:
        peak_bytes: the largest resident memory, beyond that before the first input.
        slowest_s: the longest time of one input.
        failures: for each kind of failure, how often, and the seed and the end of the traceback of the first.
    """

    reader: str
    inputs: int = 0
    read: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest_seed: str = ""
    peak_bytes: int = 0
    failures: dict[str, tuple[int, str, str]] = field(default_factory=dict)


class _TooLongError(BaseException):
    """An input took longer than `SECONDS`; no reader catches it."""


def _alarm(signum: int, frame: FrameType | None) -> None:
    raise _TooLongError


def fuzz(name: str, count: int, seed: int = 0) -> Report:
    """Give a reader `count` mutated files in another process, and return what happened."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.support.fuzzing", name, str(count), str(seed)]
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as directory:
        output = Path(directory) / "report.json"
        done = subprocess.run(
            [*command, str(output)],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=os.environ | {"TMPDIR": directory},  # what a reader's process leaves goes, too
            timeout=timeout_s(count),
        )
        if done.returncode != 0 or not output.exists():
            raise AssertionError(f"{name}: the process died: {done.returncode}\n{done.stderr[-4000:]}")
        document = json.loads(output.read_text())
    return Report(**document)


def timeout_s(count: int) -> int:
    """Return the seconds after which a process with `count` inputs is taken to hang."""
    return 120 + count


def _problem(error: Exception) -> str | None:
    """Return what is wrong with an error that a reader raised; None for a good one."""
    text = f"{error.problem}\n{error.fix}" if isinstance(error, EdgesimError) else str(error)
    if isinstance(error, EdgesimError) and error.exit_code not in _CODES:
        return f"exit code {error.exit_code}"
    if not text.strip():
        return "no message"
    if match := _UNPRINTABLE.search(text):
        return f"the message has {match[0]!r}"
    if len(text) > _MOST_LETTERS * (1 + text.count("\n")) or text.count("\n") > 12:
        return f"the message has {len(text)} letters in {1 + text.count(chr(10))} lines"
    return None


def _run(name: str, count: int, seed: int) -> Report:
    from tests.support.readers import READERS

    faulthandler.enable()
    reader, report, failures = READERS[name], Report(name), Counter[str]()
    signal.signal(signal.SIGALRM, _alarm)
    # A good one first: what is imported is not the readers' memory.
    for attempt in range(-3, count):
        directory = Path(tempfile.mkdtemp(prefix="fuzzed-"))
        generator = random.Random(f"{name} {seed} {attempt}")
        reader.write(generator, directory)
        if attempt == 0:
            space = _address_space() + SPACE_BYTES
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
            peak_before, begun = _peak_bytes(), time.monotonic()
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        problem, trace = None, ""
        try:
            reader.read(directory)
            report.read += attempt >= 0
        except reader.refusals as error:
            report.refused += attempt >= 0
            if (wrong := _problem(error)) is not None:
                problem, trace = f"{type(error).__name__}: {wrong}", traceback.format_exc()
        except (Exception, _TooLongError) as error:
            where = traceback.extract_tb(error.__traceback__)
            own = [
                frame for frame in where if "/edgesim/" in frame.filename and "/site-packages/" not in frame.filename
            ]
            place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
            problem, trace = f"{type(error).__name__} at {place}", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.monotonic() - began
        if attempt >= 0:
            report.inputs += 1
            if took > report.slowest_s:
                report.slowest_s, report.slowest_seed = took, f"{name} {seed} {attempt}"
            if problem is not None:
                failures[problem] += 1
                first = report.failures.get(problem, (0, f"{name} {seed} {attempt}", trace[-1800:]))
                report.failures[problem] = (failures[problem], *first[1:])
        shutil.rmtree(directory, ignore_errors=True)
    report.seconds = time.monotonic() - begun
    report.peak_bytes = max(0, _peak_bytes() - peak_before)
    return report


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    reader_name, count_word, seed_word, output_path = sys.argv[1:]
    Path(output_path).write_text(json.dumps(asdict(_run(reader_name, int(count_word), int(seed_word)))))
