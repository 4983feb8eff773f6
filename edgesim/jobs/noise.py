"""Measure this host's noise: a model against itself, as a paired run of the gate would measure two models."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgesim import untrusted
from edgesim.boards.launch import Launch
from edgesim.errors import HostError, NoMeasurement, UsageError
from edgesim.file_names import part_of
from edgesim.gates import Rules, paired_statistics
from edgesim.gates.comparable import unfit
from edgesim.gates.metric_change import metric_change
from edgesim.gates.result_metrics import HIGHER_IS_BETTER, NAMES, is_time, measured_as
from edgesim.host import host_facts, whole_file
from edgesim.host.cache import explain
from edgesim.jobs.paired import default_execution, run_pair
from edgesim.models.repository import Model
from edgesim.options import BoardOptions, EngineName, Execution
from edgesim.paths import cache_directory
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages

ROUNDS = 12


class Noise(BaseModel):
    """A noise probe: for each metric, the standard deviation of the logarithms of the rounds' ratios."""

    model_config = ConfigDict(frozen=True)

    created: str
    cpu: str
    cores: int
    kernel: str
    engine: EngineName
    execution: Execution
    profile: str
    model: str
    rounds: int
    scatter: dict[str, float]

    def visible(self, metric: str, max_rounds: int = paired_statistics.MOST_ROUNDS, rules: int = 1) -> float | None:
        """Return the smallest change that a gate can detect, as a fraction of the base's value.

        The change is upwards for a metric that gets worse as it grows, else downwards. None if the metric was not
        probed.

        Args:
            max_rounds: the most rounds of the gate.
            rules: number of rules of change that share the gate's error probability.
        """
        scatter = self.scatter.get(measured_as(self.execution, metric))
        if scatter is None:
            return None
        up = paired_statistics.smallest_visible(scatter, self.rounds, max_rounds, rules)
        return up / (1 + up) if metric in HIGHER_IS_BETTER else up


def probe(
    profile: DeviceProfile,
    model: Model,
    *,
    engine: EngineName = "docker",
    context: str | None = None,
    execution: Execution | None = None,
    rounds: int = ROUNDS,
    listener: Listener | None = None,
) -> Noise:
    """Run a model against itself, and keep its scatter for this host, engine, execution and model.

    Raises:
        UsageError, HostError, DeviceError: as `edgesim.jobs.paired.run_pair`.
        NoMeasurement: a side was INVALID; an earlier probe is kept.
    """
    if execution == "emulated":
        raise UsageError(
            "`execution=emulated`: an emulator's times are not a board's times, so their noise has no meaning",
            fix="omit `execution`",
        )
    cache_directory()  # refused before the probe, which takes minutes
    every_round = Rules.of(["latency_ms.p50: +5 %"])
    pair = run_pair(
        profile,
        model,
        model,
        every_round,
        engine=engine,
        context=context,
        execution=execution,
        max_rounds=rounds,
        all_rounds=True,
        listener=listener,
    )
    if why := unfit(pair.base) or unfit(pair.candidate):
        raise NoMeasurement(f"the probe is INVALID and is not kept: {why}", fix="run it again on a quieter host")
    tail = paired_statistics.tail(1)
    scatter = {
        name: apart.pairs.scatter
        for name in NAMES
        if is_time(name)
        and name.partition(".")[2] not in ("p99", "p99_9", "max")
        and (apart := metric_change(pair.base, pair.candidate, name, tail=tail)).pairs is not None
        # A metric without scatter was measured too coarsely, such as a plain process's CPU time in ticks.
        and apart.pairs.scatter > 0
    }
    host = host_facts.describe(engine=None, emulator=None)
    noise = Noise(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=host.cpu,
        cores=host.cores,
        kernel=host.kernel,
        engine=engine,
        execution=pair.base.execution,
        profile=profile.reference,
        model=model.name,
        rounds=len(pair.base.restarts),
        scatter=scatter,
    )
    path = kept_in(engine, pair.base.execution, context, model=model.name)
    try:
        whole_file.write(path, f"{noise.model_dump_json(indent=1)}\n".encode())
    except OSError as error:
        raise explain(error, path) from error
    return noise


def known(
    profile: DeviceProfile,
    engine: EngineName,
    execution: Execution | None,
    context: str | None = None,
    *,
    model: str | None = None,
) -> Sequence[Noise]:
    """Return the probe of a model on this host, engine and execution, or the probes of all other models.

    Empty if there is no readable probe.
    """
    if execution is None:
        launch = Launch.of(profile, [], BoardOptions(engine=engine, context=context))
        execution = default_execution(launch, Stages(), build=False)
    try:
        directory, key = cache_directory() / "noise", _key(engine, execution, context)
    except HostError:  # a user without a home directory has kept none
        return []
    if model is not None and (noise := _read(kept_in(engine, execution, context, model=model))) is not None:
        return [noise]
    return [noise for path in sorted(directory.glob(f"{key}-*.json")) if (noise := _read(path)) is not None]


def _read(path: Path) -> Noise | None:
    try:
        return Noise.model_validate(untrusted.read_json(path, untrusted.MIB))
    except (OSError, ValueError):
        return None


def kept_in(engine: EngineName, execution: Execution, context: str | None = None, *, model: str) -> Path:
    """Return the file of a probe in the user's cache, named by processor, cores, kernel, engine and execution."""
    return cache_directory() / "noise" / f"{_key(engine, execution, context)}-{part_of(model)}.json"


def _key(engine: EngineName, execution: Execution, context: str | None) -> str:
    host = host_facts.describe(engine=None, emulator=None)
    fingerprint = json.dumps([host.cpu, host.cores, host.kernel, engine, execution, context])
    return hashlib.sha256(fingerprint.encode()).hexdigest()[:12]
