"""What this host's noise leaves to be seen: one model against itself, as the gate would run it."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edgesim.board import EngineName, where
from edgesim.cache import explain
from edgesim.device import host
from edgesim.gate import Rules, paired
from edgesim.gate.difference import difference
from edgesim.gate.metrics import NAMES, is_time
from edgesim.interleaved.job import default_execution, interleave
from edgesim.model import Model
from edgesim.profile import DeviceProfile
from edgesim.resources import cache_directory
from edgesim.result import Execution
from edgesim.stages import Listener

ROUNDS = 12


class Noise(BaseModel):
    """A probe: of each metric the standard deviation of the logarithms of the rounds' ratios."""

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

    def visible(self, metric: str, most_rounds: int = paired.MOST_ROUNDS) -> float | None:
        """The smallest change that a gate of so many rounds can see, as a part; None of what was not probed."""
        scatter = self.scatter.get(metric)
        return paired.smallest_visible(scatter, self.rounds, most_rounds) if scatter is not None else None


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
    """Run a model against itself, and keep what it scattered by for this host, engine and execution.

    Raises:
        UsageError, HostError, DeviceError: as `edgesim.interleaved.interleave`.
    """
    every_round = Rules.of(["latency_ms.p50: +5 %"])
    pair = interleave(
        profile, model, model, every_round, engine=engine, context=context, execution=execution, most_rounds=rounds,
        all_rounds=True, listener=listener,
    )  # fmt: skip
    tail = paired.tail(1)
    found = {
        name: apart.pairs.scatter
        for name in NAMES
        if is_time(name)
        and name.partition(".")[2] not in ("p99", "p99_9", "max")
        and (apart := difference(pair.base, pair.candidate, name, tail=tail)).pairs is not None
    }
    here = host.describe(engine=None, emulator=None)
    noise = Noise(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        cpu=here.cpu,
        cores=here.cores,
        kernel=here.kernel,
        engine=engine,
        execution=pair.base.execution,
        profile=profile.reference,
        model=model.name,
        rounds=len(pair.base.restarts),
        scatter=found,
    )
    path = kept_in(engine, pair.base.execution, context)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(noise.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise explain(error, path) from error
    return noise


def known(
    profile: DeviceProfile, engine: EngineName, execution: Execution | None, context: str | None = None
) -> Noise | None:
    """The last probe of this host with this engine and execution; None without one that can be read."""
    if execution is None:
        execution = default_execution(profile, where(engine, context))
    try:
        return Noise.model_validate_json(kept_in(engine, execution, context).read_bytes())
    except (OSError, ValidationError):
        return None


def kept_in(engine: EngineName, execution: Execution, context: str | None = None) -> Path:
    """The file of a probe, in the user's cache: of this processor, its cores, the kernel, engine and execution."""
    here = host.describe(engine=None, emulator=None)
    fingerprint = json.dumps([here.cpu, here.cores, here.kernel, engine, execution, context])
    return cache_directory() / "noise" / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:12]}.json"
