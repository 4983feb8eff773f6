"""What must be the same in two results before their figures may stand side by side."""

from collections.abc import Callable, Mapping

from edgesim.result import RunResult

_Field = Callable[[RunResult], object]
_OF_THE_RUN: Mapping[str, _Field] = {
    "schema_version": lambda r: r.schema_version,
    "execution": lambda r: r.execution,
    "profile": lambda r: (r.profile.name, r.profile.mode),
    "profile's facts": lambda r: r.profile.sha256,
    "scenario": lambda r: (r.scenario.name, r.scenario.qps, r.scenario.samples, r.scenario.clients),
    "architecture": lambda r: r.device.architecture,
    "threads of an inference": lambda r: r.device.intra_op_threads,
}
_OF_THE_HOST: Mapping[str, _Field] = {
    "host CPU": lambda r: r.host.cpu,
    "host cores": lambda r: r.host.cores,
    "kernel": lambda r: r.host.kernel,
    "engine": lambda r: r.host.engine,
    "emulator": lambda r: r.host.emulator,
    "image": lambda r: r.image.id,
    "limits": lambda r: tuple((limit.name, limit.requested) for limit in r.device.limits),
}


def differences(base: RunResult, candidate: RunResult) -> list[str]:
    """Each field that keeps the two apart, with both values. Empty where their figures may be compared."""
    if candidate.execution == "scaled":
        # Held back to the device time, each by its own share: the limits in force are no part of what was asked.
        fields = {**_OF_THE_RUN, **{name: value for name, value in _OF_THE_HOST.items() if name != "limits"}}
    else:
        fields = {**_OF_THE_RUN, **_OF_THE_HOST}
    found = []
    for name, value in fields.items():
        ours, theirs = value(base), value(candidate)
        if ours != theirs:
            found.append(f"{name}: {_shown(ours)} and {_shown(theirs)}")
    return found


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value if part is not None)
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
