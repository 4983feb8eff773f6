"""What was measured on one board, and the figures that its samples give."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesim.boards.time_scaling import ScalingRecord
from edgesim.counting.counts import InstructionCount
from edgesim.host.host_load import HostLoad
from edgesim.jobs.load_session import GeneratorUse
from edgesim.loadgen.scenario import Scenario
from edgesim.measure import statistics, steady_state
from edgesim.measure.reference import Comparison
from edgesim.measure.steady_state import WarmUp
from edgesim.recording import Phase, Reading, Sample
from edgesim.results.sections import Distribution, Level, SearchSection, section


@dataclass
class Measurement:
    """What was measured on one board so far; complete, or cut short by an error or an interrupt.

    Attributes:
        scenario: the plan's; after several levels, the one of the level that the result stands for.
        description: what the server reports from inside its container.
        samples: of the load; after several levels, of the level that the result stands for.
        heated_ns: when a scaled board was throttled to its hot clock, on `time.monotonic_ns`; None if it was not.
        paused_s: seconds in which another program paused the board.
        stopped_s: how much longer requests of the load took because a signal stopped edgesim meanwhile.
        instructions: what the board has executed; None for a board that is not counted.
        is_generation: whether the samples are steps of generations, of which the later ones take longer.
    """

    scenario: Scenario
    is_generation: bool = False
    description: dict[str, Any] = field(default_factory=dict)
    first_inference_s: float | None = None
    warm_up: WarmUp | None = None
    steady_at_s: float | None = None
    samples: list[Sample] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    search: SearchSection | None = None
    readings: list[Reading] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    generator: GeneratorUse = field(default_factory=GeneratorUse)
    host_loads: list[HostLoad] = field(default_factory=list)
    agreement: Comparison | None = None
    interrupted: bool = False
    alive: bool = True
    paused_s: float = 0.0
    stopped_s: float = 0.0
    scaling: ScalingRecord | None = None
    heated_ns: int | None = None
    instructions: InstructionCount | None = None

    @property
    def load(self) -> list[Phase]:
        """The phases in which the load ran."""
        return [phase for phase in self.phases if phase.name == "load"]

    def drift(self) -> steady_state.Drift | None:
        """Return whether latency changed during the load (offline: service time, since latency grows by definition)."""
        if self.heated_ns is not None:
            return None  # a throttled board slows down by definition
        offline = self.scenario.name == "offline"
        ordered = sorted(self.samples, key=lambda sample: sample.sent_ns if offline else sample.scheduled_ns)
        if self.is_generation:  # a cache that fills is no drift: the prompts alone are alike
            ordered = [sample for sample in ordered if sample.step == 1]
        return steady_state.drift([s.service_time_ms if offline else s.latency_ms for s in ordered if s.ok])

    @property
    def throughput_qps(self) -> float | None:
        """Answered requests per second of the load; None if none was answered.

        What the client takes to make a request of the answer before counts for no request.
        """
        if not self.samples or self.samples[0].step is None:
            return throughput_qps(self.samples)
        busy_s = sum(sample.latency_ms for sample in self.samples) / 1e3 / self.scenario.clients
        ok = sum(sample.ok for sample in self.samples)
        return ok / busy_s if ok and busy_s else None


def distribution(samples: Sequence[Sample], time_ms: Callable[[Sample], float]) -> Distribution:
    """Summarise a time of all samples, in milliseconds; a failed request took infinitely long."""
    times_ms = [time_ms(sample) if sample.ok else math.inf for sample in samples]
    return section(Distribution, statistics.summarise(times_ms))


def lag(samples: Sequence[Sample]) -> Distribution:
    """Summarise the lag of all samples, in milliseconds, whatever their outcome: lag is the load generator's doing."""
    lags_ms = [(sample.sent_ns - sample.scheduled_ns) / 1e6 for sample in samples]
    return section(Distribution, statistics.summarise(lags_ms))


def throughput_qps(samples: Sequence[Sample]) -> float | None:
    """Return answered requests per second, from the first scheduled request to the last one done; None if none was."""
    ok = sum(sample.ok for sample in samples)
    if not ok:
        return None
    first, last = min(sample.scheduled_ns for sample in samples), max(sample.done_ns for sample in samples)
    return ok * 1e9 / (last - first)
