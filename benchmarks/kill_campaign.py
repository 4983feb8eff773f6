"""What stays of edgesim's commands when something ends them: ``python -m benchmarks.kill_campaign [COUNT] [SEED]``.

As root, with dockerd: the campaign has an engine of its own, with look-alikes of other programs on it. Each attempt
starts a command, ends it or something that it needs at a random moment, has ``edgesim gc`` collect the garbage, and
looks for containers, networks, volumes, control groups, temporary files and processes.

Each attempt is added to docs/evidence/kills.csv at once. The next call with the same seed goes on after the last one,
until the file has COUNT attempts of this seed; Ctrl-C ends a call sooner. With COUNT 0 it prints the report alone.
"""

import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import csv_rows
from benchmarks.endurance import attempts, harms
from benchmarks.endurance.attempts import Attempt
from benchmarks.endurance.lab import Lab, opened
from benchmarks.endurance.victims import VICTIMS
from edgesim.host import signals

_COUNT, _SEED = 300, 1
ROWS = Path(__file__).parents[1] / "docs" / "evidence" / "kills.csv"
# Of ten attempts as many end edgesim itself; the others do harm to what edgesim needs.
_KILLS_OF_TEN = 7
_BETWEEN = "; "


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An attempt of a campaign, as docs/evidence/kills.csv has it.

    Attributes:
        number: from 0 on; with the seed it decides command, kind and moment.
        stage: the last stage that the command had come to the end of; ``start`` before the first.
        orphans: what was left of the command until the garbage was collected, with `_BETWEEN` between.
        faults: what is wrong with the attempt, with `_BETWEEN` between; empty if all is well.
    """

    when: str
    seed: int
    number: int
    kind: str
    command: str
    stage: str
    orphans: str
    faults: str
    seconds: float


def attempts_of(lab: Lab, seed: int, numbers: Sequence[int]) -> Iterator[tuple[int, Attempt]]:
    """Yield the attempts of these numbers; seed and number decide command, kind and moment."""
    seconds = {victim.name: victim.seconds for victim in VICTIMS}
    with lab.others():
        for number in numbers:
            moments = random.Random(f"{seed}:{number}")  # noqa: S311 (moments, and no secrets)
            tens, digit = divmod(number, 10)
            if digit < _KILLS_OF_TEN:
                victim = VICTIMS[(tens * _KILLS_OF_TEN + digit) % len(VICTIMS)]
                yield number, attempts.kill_at_a_moment(lab, victim, seconds, moments)
            else:
                yield number, harms.random_one(lab, seconds, moments)


def table(done: Sequence[Recorded]) -> Iterator[str]:
    """Yield the report on attempts of one seed, line by line."""
    faults = [attempt for attempt in done if attempt.faults]
    hours, days = sum(attempt.seconds for attempt in done) / 3600, sorted({attempt.when[:10] for attempt in done})
    between = " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "never"
    yield f"### {len(done)} attempts, seed {done[0].seed if done else '-'}: {len(faults)} with a fault"
    yield ""
    yield f"{hours:.1f} h of attempts, {between}."
    yield ""
    yield "| what was done | attempts | left something for `gc` | faults |"
    yield "|---|---|---|---|"
    for kind in dict.fromkeys(attempt.kind for attempt in done):
        yield _row(kind, [attempt for attempt in done if attempt.kind == kind])
    yield ""
    yield "| command | attempts | left something for `gc` | faults |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(attempt.command for attempt in done):
        yield _row(name, [attempt for attempt in done if attempt.command == name])
    yield ""
    yield "| last stage that was done | attempts |"
    yield "|---|---|"
    for stage, number in Counter(attempt.stage for attempt in done).most_common():
        yield f"| {stage} | {number} |"
    yield ""
    words = (orphan.partition(" ")[0] for attempt in done for orphan in attempt.orphans.split(_BETWEEN) if orphan)
    orphans = Counter("control group" if word == "control" else word for word in words)
    left = ", ".join(f"{number} × {kind}" for kind, number in orphans.most_common()) or "nothing"
    yield f"Collected by `edgesim gc`: {left}. What other programs had planted stayed in every attempt."
    for attempt in faults:
        yield f"\n- {attempt.command}, {attempt.kind}: {attempt.faults}"


def _row(name: str, done: Sequence[Recorded]) -> str:
    left, faults = (sum(bool(getattr(attempt, what)) for attempt in done) for what in ("orphans", "faults"))
    return f"| {name} | {len(done)} | {left} | {faults} |"


def recorded(seed: int, rows: Path = ROWS) -> list[Recorded]:
    """Return the attempts of a seed that were recorded so far."""
    return [row for row in csv_rows.read(rows, Recorded) if row.seed == seed]


def run(count: int = _COUNT, seed: int = _SEED, rows: Path = ROWS) -> list[Recorded]:
    """Do the attempts that are missing, until Ctrl-C; say and record each; return all of this seed so far."""
    missing = sorted(set(range(count)) - {row.number for row in recorded(seed, rows)})
    with contextlib.suppress(KeyboardInterrupt), opened() as lab:
        begin_s = time.monotonic()
        for number, attempt in attempts_of(lab, seed, missing):
            end_s = time.monotonic()
            row = _record(seed, number, attempt, end_s - begin_s)
            csv_rows.append(rows, row)
            words = f"{number + 1}/{count} {row.command}: {row.kind} after {row.stage}, {row.seconds:g} s"
            print(words, *attempt.faults, sep="\n  ", file=sys.stderr, flush=True)
            begin_s = end_s
    return recorded(seed, rows)


def _record(seed: int, number: int, attempt: Attempt, seconds: float) -> Recorded:
    orphans, faults = (
        _BETWEEN.join(" ".join(each.split()) for each in found) for found in (sorted(attempt.orphans), attempt.faults)
    )
    return Recorded(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        number=number,
        kind=attempt.kind,
        command=attempt.victim.name,
        stage=attempt.stage,
        orphans=orphans,
        faults=faults,
        seconds=round(seconds, 1),
    )


def main() -> None:
    count, seed = (int(word) for word in (*sys.argv[1:], *map(str, (_COUNT, _SEED)[len(sys.argv) - 1 :])))
    signals.as_keyboard_interrupt()  # so that the engine and its files go, whoever ends the campaign
    done = run(count, seed) if count else recorded(seed)
    print("\n".join(table(done)))
    if count and any(attempt.faults for attempt in done):
        sys.exit(1)


if __name__ == "__main__":
    main()
