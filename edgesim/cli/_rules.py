"""The rules that ``edgesim gate`` judges by, and what it refuses before the work."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from edgesim import profiles
from edgesim.cli._console import say
from edgesim.errors import ProfileError, UsageError
from edgesim.gates import Rules
from edgesim.gates.rules import FILE_NAME
from edgesim.jobs import noise
from edgesim.options import EngineName, Execution
from edgesim.profiles import DeviceProfile

# Similarity above which an unknown board name is treated as a typo.
_TYPO_SIMILARITY = 0.85


def choose(file: Path | None, words: list[str] | None, board: str, default: Sequence[str] = ()) -> Rules:
    """Return the rules of the command line; else those of `file`, or of the rules file in this directory.

    Args:
        board: name of the profile that the rules judge.
        default: the rules if there is no file; without any, rules are required.

    Raises:
        UsageError: there are no rules, or they are wrong.
    """
    if words:
        return Rules.of(words)
    if file is None and not Path(FILE_NAME).exists():
        if not default:
            raise UsageError(
                "no rule is given",
                fix=f"--rule 'device_time_ms.p50 <= 120', or {FILE_NAME} (see docs/reference/rules.md)",
            )
        return Rules.of(default)
    path = file if file is not None else Path(FILE_NAME)
    rules = Rules.read(path)
    for name in rules.by_profile:
        if name.partition(":")[0] != board:
            _refuse_typo(name, path)
    return rules


def _refuse_typo(name: str, path: Path) -> None:
    """Refuse rules for a mistyped board, which would never apply; a board that edgesim does not know is allowed."""
    try:
        profiles.load(name)
    except ProfileError as error:
        if difflib.get_close_matches(name.partition(":")[0], profiles.names(), cutoff=_TYPO_SIMILARITY):
            raise UsageError(f"{path}: profiles: {error.problem}", fix=error.fix) from error
        say(f"edgesim: {path}: profiles: {name} is not a known board")


def refuse_invisible(
    rules: Rules,
    profile: DeviceProfile,
    most_rounds: int,
    *,
    model_name: str,
    engine: EngineName,
    execution: Execution | None = None,
    context: str | None = None,
) -> None:
    """Refuse a rule whose change is smaller than this host can detect, as far as `edgesim noise` has measured it.

    Raises:
        UsageError: there is such a rule.
    """
    changes = [rule for rule in rules.of_board(profile.name, profile.mode) if rule.kind == "change"]
    probes = noise.known(profile, engine, execution, context, model=model_name)
    for rule in changes:
        detectable = [
            (change, probe)
            for probe in probes
            if (change := probe.visible(rule.metric, most_rounds, len(changes))) is not None
        ]
        if not detectable:
            continue
        smallest, probe = min(detectable, key=lambda each: each[0])
        if abs(rule.limit) < smallest:
            raise UsageError(
                f"{rule.text}: this host cannot detect a change below {100 * smallest:.1f} % in {most_rounds} rounds"
                f" (edgesim noise with {probe.model}, {probe.created[:10]})",
                fix=f"a larger limit, more --max-rounds, or a quieter host and edgesim noise {profile.reference}"
                f" {model_name} again",
            )
