"""The commands that a campaign ends: each with its name, its words, and what it says when it has come to its end."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Victim:
    """A command of edgesim.

    Attributes:
        words: its arguments.
        until: for a command that goes on until it is ended, what it says once it is ready; empty for one that ends.
        codes: the exit codes with which it may end by itself: a busy host makes figures suspect or inconclusive.
        in_container: whether it starts containers.
        seconds: how long it runs at most on a busy host; a campaign learns the true length.
    """

    name: str
    words: tuple[str, ...]
    until: str = ""
    codes: tuple[int, ...] = (0,)
    in_container: bool = True
    seconds: float = 20.0


_RUN = ("run", "desk.yaml", "digits", "--requests", "200", "-o", "r.json")
_PAIR = ("--base", "digits", "--cand", "digits", "--rule", "memory_peak_bytes: +50 %", "--max-rounds", "5")

VICTIMS = (
    Victim("run, plain process", (*_RUN, "--engine", "local"), codes=(0, 5), in_container=False),
    Victim("run, native", _RUN, codes=(0, 5)),
    Victim("run, models in a volume", (*_RUN, "--mount", "volume"), codes=(0, 5)),
    Victim("run, models in the image", (*_RUN, "--mount", "image"), codes=(0, 5)),
    Victim(
        "run, emulated",
        ("run", "jetson-nano", "digits", "--execution", "emulated", "--requests", "20", "-o", "e.json"),
        codes=(0, 5),
        seconds=90.0,
    ),
    Victim(
        "run, scaled",
        ("run", "slow.yaml", "digits", "--execution", "scaled", "--requests", "20", "-o", "s.json"),
        codes=(0, 3, 4, 5),
        seconds=90.0,
    ),
    Victim("check", ("check", "desk.yaml", "digits"), codes=(0, 1, 5)),
    Victim("gate of two models", ("gate", "desk.yaml", *_PAIR), codes=(0, 1, 5, 6)),
    Victim(
        "gate, plain process",
        ("gate", "desk.yaml", *_PAIR, "--engine", "local"),
        codes=(0, 1, 5, 6),
        in_container=False,
    ),
    Victim("serve", ("serve", "desk.yaml", "--models", "models"), until="http://"),
    Victim(
        "serve, plain process",
        ("serve", "desk.yaml", "--models", "models", "--engine", "local"),
        until="http://",
        in_container=False,
    ),
    Victim("up", ("up", "stack.yaml", "--attach"), until="second: ready"),
    Victim("run of a stack", ("run", "stack.yaml", "--requests", "50", "-o", "t.json"), codes=(0, 5)),
    Victim("sweep", ("sweep", "sweep.yaml", "-o", "sweep"), codes=(0, 5), in_container=False),
)
