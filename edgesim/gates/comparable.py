"""What a result must be, and what must be the same in two of them, before their figures may stand side by side."""

from collections.abc import Callable, Mapping

from edgesim.results.run_result import RunResult

_Field = Callable[[RunResult], object]
_OF_THE_RUN: Mapping[str, _Field] = {
    "schema_version": lambda r: r.schema_version,
    "execution": lambda r: r.execution,
    "profile": lambda r: (r.profile.name, r.profile.mode),
    "profile's facts": lambda r: r.profile.sha256,
    "model's signature": lambda r: r.model.signature,
    "scenario": lambda r: (r.scenario.name, r.scenario.qps, r.scenario.samples, r.scenario.clients),
    "interleaved": lambda r: r.interleaved is not None,
    "architecture": lambda r: r.device.architecture,
    "threads of an inference": lambda r: r.device.intra_op_threads,
}
_OF_THE_HOST: Mapping[str, _Field] = {
    "host CPU": lambda r: r.host.cpu,
    "host cores": lambda r: r.host.cores,
    "kernel": lambda r: r.host.kernel,
    "engine": lambda r: r.host.engine,
    "engine's context": lambda r: r.host.context,
    "emulator": lambda r: r.host.emulator,
    "image": lambda r: r.image.server_id or r.image.id,
    "limits": lambda r: tuple((limit.name, limit.requested) for limit in r.device.limits),
}


def identity(result: RunResult) -> dict[str, object]:
    """What must be the same, by the field's name."""
    fields = {**_OF_THE_RUN, **_OF_THE_HOST}
    if result.execution == "scaled":
        # Held back to the device time, each by its own share: the limits in force are no part of what was asked.
        del fields["limits"]
    return {name: value(result) for name, value in fields.items()}


def unfit(result: RunResult) -> str:
    """Why a result shows nothing that could be compared with; empty where it does."""
    problems = [] if result.validity.valid else [*(result.validity.reasons or ("INVALID",))]
    problems += [] if result.complete else ["it was cut short"]
    problems += [] if result.requests.ok else ["no request was answered"]
    return "; ".join(problems)


def are_paired(base: RunResult, candidate: RunResult) -> bool:
    """Whether the two are the sides of one interleaved job, and in this order."""
    ours, theirs = base.interleaved, candidate.interleaved
    if ours is None or theirs is None or ours.job != theirs.job:
        return False
    return (ours.side, theirs.side) == ("base", "candidate") and len(base.restarts) == len(candidate.restarts)


def differences(base: RunResult, candidate: RunResult) -> list[str]:
    """Each field that keeps the two apart, with both values. Empty where their figures may be compared."""
    ours, theirs = identity(base), identity(candidate)
    if are_paired(base, candidate):
        # The job has seen to it that both take the same requests: one may leave a size open that the other fixes.
        del theirs["model's signature"]
    return [
        f"{name}: {_apart(ours.get(name), value)}"
        for name, value in theirs.items()
        if name not in ours or ours[name] != value
    ]


def _apart(ours: object, theirs: object) -> str:
    """Both values; of limits, those that differ."""
    if isinstance(ours, tuple) and isinstance(theirs, tuple) and all(isinstance(part, tuple) for part in ours + theirs):
        pairs = (ours, theirs), (theirs, ours)
        ours, theirs = (tuple(part for part in side if part not in other) for side, other in pairs)
    return f"{_shown(ours)} and {_shown(theirs)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        separator = ", " if any(isinstance(part, tuple) for part in value) else " "
        return separator.join(_shown(part) for part in value if part is not None) or "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
