"""Whether two results can be compared: what each must be, and what must be equal in both."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TypeGuard

from edgesim.gates.result_metrics import OF_THE_BOARD, is_count, is_predicted, is_time, measured_as, target_of
from edgesim.options import CPU
from edgesim.results.run_result import RunResult

# The names are in every baseline's fingerprint: a name that changes makes all saved baselines incomparable.
_Field = Callable[[RunResult], object]
_OF_THE_RUN: Mapping[str, _Field] = {
    "schema_version": lambda r: r.schema_version,
    "execution": lambda r: r.execution,
    "profile": lambda r: (r.profile.name, r.profile.mode),
    "profile's facts": lambda r: r.profile.sha256,
    "model's signature": lambda r: r.model.signature,
    # The protocol is told where it is not HTTP, as in baselines that were saved before there was another.
    "scenario": lambda r: (
        *(r.scenario.name, r.scenario.qps, r.scenario.samples, r.scenario.clients),
        *((r.scenario.protocol,) if r.scenario.protocol != "http" else ()),
    ),
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


# What instructions depend on. No host, and no load of one, has a part in them; image and runtime are what is judged.
_OF_COUNTS: Mapping[str, _Field] = {
    "schema_version": lambda r: r.schema_version,
    "profile": lambda r: (r.profile.name, r.profile.mode),
    "emulated core": lambda r: r.device.qemu_cpu,
    "model's signature": lambda r: r.model.signature,
    "inputs": lambda r: (r.scenario.inputs, r.scenario.seed),
    "threads of an inference": lambda r: r.device.intra_op_threads,
    "counted by": lambda r: r.instructions.method if r.instructions is not None else None,
}

# What a predicted time depends on, beside its target, and the size of the artifact.
_OF_PREDICTIONS: Mapping[str, _Field] = {
    name: _OF_THE_RUN[name] for name in ("schema_version", "profile", "profile's facts", "model's signature")
}


def identity(result: RunResult) -> dict[str, object]:
    """Return the fields that must be equal in two results, by name: of counted instructions, no host is among them."""
    if result.instructions is not None:
        return _values(_OF_COUNTS, result)
    fields = {**_OF_THE_RUN, **_OF_THE_HOST}
    slowed_down = result.time_origin == "slowed down host"
    if slowed_down:
        # Time scaling gives each run its own CPU share, so the limits in force differ between runs of the same board.
        del fields["limits"]
    values = _values(fields, result)
    if result.device_time_ms.target != CPU:  # left out for the CPU, as in baselines that were saved without targets
        values["target"] = result.device_time_ms.target
    if values["image"] is None:  # a plain process; an image has its release
        values["runtime"] = str(result.device.runtime)
    if result.execution == "same-architecture":  # the one execution with and without time scaling
        values["slowed down"] = slowed_down
    return values


def metric_identity(result: RunResult, name: str) -> dict[str, object]:
    """Return the fields that must be equal in two results for one metric of both to stand in one series.

    A measured time is its host's, with all fields of `identity`. Predictions, counts, memory, answers and the
    artifact's size have no host among their fields.
    """
    if is_of_host(result, name):
        return identity(result)
    if is_count(name):
        return _values(_OF_COUNTS, result)
    if is_predicted(name, result.execution):
        target = target_of(name) or result.device_time_ms.target
        return _values(_OF_PREDICTIONS, result) | {"target": target}
    if name not in OF_THE_BOARD:
        return _values(_OF_PREDICTIONS, result)
    fields = {each: value for each, value in _OF_THE_RUN.items() if each != "execution"}
    # Memory and answers are those of the emulated half, where a run has one.
    board = result.emulated if result.emulated is not None else result
    inputs = {} if name.startswith("memory_") else {"inputs": (result.scenario.inputs, result.scenario.seed)}
    return {"execution": board.execution} | _values(fields, board) | inputs


def is_of_host(result: RunResult, name: str) -> bool:
    """Whether a metric is a time that the machine took which ran the board, so that another machine takes another."""
    if result.profile.has_core_of_host and name.startswith(("device_time_ms.", "energy_j")):
        return True
    return is_time(measured_as(result.execution, name))


def digest(fields: Mapping[str, object]) -> str:
    """Return twelve hexadecimal digits that stand for fields with their values."""
    text = json.dumps(sorted(fields.items()), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _values(fields: Mapping[str, _Field], result: RunResult) -> dict[str, object]:
    return {name: value(result) for name, value in fields.items()}


def unfit(result: RunResult) -> str:
    """Return why a result is unfit for a comparison; empty if it is fit."""
    problems = [] if result.validity.valid else [*(result.validity.reasons or ("INVALID",))]
    problems += [] if result.complete else ["it was cut short"]
    problems += [] if result.requests.ok else ["no request was answered"]
    return "; ".join(problems)


def are_paired(base: RunResult, candidate: RunResult) -> bool:
    """Whether the two are the base and the candidate of the same paired run, in this order."""
    first, second = base.interleaved, candidate.interleaved
    if first is None or second is None or first.job != second.job:
        return False
    return (first.side, second.side) == ("base", "candidate") and len(base.restarts) == len(candidate.restarts)


def differences(base: RunResult, candidate: RunResult, *, across_runtimes: bool = False) -> list[str]:
    """Return each field that makes the two incomparable, with both values; empty if they can be compared.

    Args:
        across_runtimes: compare results of different releases of ONNX Runtime, and so of different images.
    """
    base_fields, candidate_fields = identity(base), identity(candidate)
    if base.device.runtime != candidate.device.runtime:
        for fields, result in ((base_fields, base), (candidate_fields, candidate)):
            if fields.pop("image", None) is not None:  # which differs with the release; counts have none
                fields["runtime"] = str(result.device.runtime) if not across_runtimes else None
    if candidate.interleaved is not None and are_paired(base, candidate):
        # A paired run makes sure that both take the same requests: one may leave a size open that the other fixes.
        del base_fields["model's signature"], candidate_fields["model's signature"]
        if candidate.interleaved.release is not None:  # what the two sides compare
            for name in ("image", "runtime"):
                candidate_fields.pop(name, None)
    # Fields that the base has alone are left out: where they count, another field differs, too. Not so the target.
    targets = base.device_time_ms.target, candidate.device_time_ms.target
    fields = candidate_fields | ({"target": targets[1]} if targets[0] != targets[1] else {})
    base_fields.setdefault("target", targets[0])
    return [
        f"{name}: {_both(base_fields.get(name), value)}"
        for name, value in fields.items()
        if name not in base_fields or base_fields[name] != value
    ]


def _both(base: object, candidate: object) -> str:
    """Return both values in words; of two lists of limits, only the limits that differ."""
    if _is_limits(base) and _is_limits(candidate):
        only_base = tuple(limit for limit in base if limit not in candidate)
        only_candidate = tuple(limit for limit in candidate if limit not in base)
        return f"{_shown(only_base)} and {_shown(only_candidate)}"
    return f"{_shown(base)} and {_shown(candidate)}"


def _is_limits(value: object) -> TypeGuard[tuple[tuple[object, ...], ...]]:
    return isinstance(value, tuple) and all(isinstance(part, tuple) for part in value)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        separator = ", " if any(isinstance(part, tuple) for part in value) else " "
        return separator.join(_shown(part) for part in value if part is not None) or "none"
    if value is None:
        return "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
