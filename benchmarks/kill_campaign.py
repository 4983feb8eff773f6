"""What stays of edgesim's commands when something ends them: ``python -m benchmarks.kill_campaign [COUNT] [SEED]``.

As root, with dockerd: the campaign has an engine of its own, with look-alikes of other programs on it. Each attempt
starts a command, ends it or something that it needs at a random moment, has ``edgesim gc`` collect the garbage, and
looks for containers, networks, volumes, control groups, temporary files and processes.
"""

import contextlib
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.endurance import attempts, harms
from benchmarks.endurance.attempts import Attempt
from benchmarks.endurance.lab import Lab, opened
from benchmarks.endurance.victims import VICTIMS
from edgesim.host import signals

_COUNT, _SEED = 300, 1
# Of ten attempts as many end edgesim itself; the others do harm to what edgesim needs.
_KILLS_OF_TEN = 7


def attempts_of(lab: Lab, count: int, seed: int) -> Iterator[Attempt]:
    """Yield `count` attempts; the seed decides commands, kinds and moments."""
    moments = random.Random(seed)  # noqa: S311 (moments, and no secrets)
    seconds = {victim.name: victim.seconds for victim in VICTIMS}
    turn = itertools.cycle(VICTIMS)
    with lab.others():
        for number in range(count):
            if number % 10 < _KILLS_OF_TEN:
                victim = next(turn)
                yield attempts.kill_at_a_moment(lab, victim, seconds, moments)
            else:
                yield harms.random_one(lab, seconds, moments)


def table(done: Sequence[Attempt], seed: int, hours: float) -> Iterator[str]:
    """Yield the report, line by line."""
    faults = [attempt for attempt in done if attempt.faults]
    yield f"### {len(done)} attempts, seed {seed}, {hours:.1f} h: {len(faults)} with a fault"
    yield ""
    yield "| what was done | attempts | left something for `gc` | faults |"
    yield "|---|---|---|---|"
    for kind in dict.fromkeys(attempt.kind for attempt in done):
        of_kind = [attempt for attempt in done if attempt.kind == kind]
        yield _row(kind, of_kind)
    yield ""
    yield "| command | attempts | left something for `gc` | faults |"
    yield "|---|---|---|---|"
    for name in dict.fromkeys(attempt.victim.name for attempt in done):
        yield _row(name, [attempt for attempt in done if attempt.victim.name == name])
    yield ""
    yield "| last stage that was done | attempts |"
    yield "|---|---|"
    for stage, number in Counter(attempt.stage for attempt in done).most_common():
        yield f"| {stage} | {number} |"
    yield ""
    words = (orphan.partition(" ")[0] for attempt in done for orphan in attempt.orphans)
    orphans = Counter("control group" if word == "control" else word for word in words)
    left = ", ".join(f"{number} × {kind}" for kind, number in orphans.most_common()) or "nothing"
    yield f"Collected by `edgesim gc`: {left}. What other programs had planted stayed in every attempt."
    for attempt in faults:
        words = "; ".join(" ".join(each.split()) for each in attempt.faults)
        yield f"\n- {attempt.victim.name}, {attempt.kind}: {words}"


def _row(name: str, done: Sequence[Attempt]) -> str:
    left, faults = (sum(bool(getattr(attempt, what)) for attempt in done) for what in ("orphans", "faults"))
    return f"| {name} | {len(done)} | {left} | {faults} |"


def run(count: int = _COUNT, seed: int = _SEED) -> list[Attempt]:
    """Do all attempts, or those until Ctrl-C; say each as it ends, on standard error."""
    done: list[Attempt] = []
    with contextlib.suppress(KeyboardInterrupt), opened() as lab:
        for attempt in attempts_of(lab, count, seed):
            done.append(attempt)
            words = f"{len(done)}/{count} {attempt.victim.name}: {attempt.kind} after {attempt.stage}"
            print(words, *attempt.faults, sep="\n  ", file=sys.stderr, flush=True)
    return done


def main() -> None:
    count, seed = (int(word) for word in (*sys.argv[1:], *map(str, (_COUNT, _SEED)[len(sys.argv) - 1 :])))
    signals.as_keyboard_interrupt()  # so that the engine and its files go, whoever ends the campaign
    begin_s = time.monotonic()
    done = run(count, seed)
    print("\n".join(table(done, seed, (time.monotonic() - begin_s) / 3600)))
    if any(attempt.faults for attempt in done):
        sys.exit(1)


if __name__ == "__main__":
    main()
