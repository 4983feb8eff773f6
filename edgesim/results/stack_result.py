"""A stack's result: what its entry answered, and what each service and the whole board took meanwhile.

What a run of one model has in its result, too, has the same name and meaning here: see `edgesim.results.run_result`.
"""

from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

import edgesim
from edgesim.options import Execution
from edgesim.recording import Phase, Reading, Sample
from edgesim.results import run_result
from edgesim.results.run_result import (
    Distribution,
    GeneratorSection,
    HostLoadSection,
    HostSection,
    ImageSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    Restart,
    RunResult,
    ScenarioSection,
    StacksResult,
    ValiditySection,
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StackSection(_Section):
    """`entry` is the service that was addressed, `request` in a few words what was sent; None in a stack of steps."""

    name: str
    sha256: str
    entry: str | None = None
    request: str | None = None


class BudgetSection(_Section):
    """What all services have together: asked for, and as the kernel holds it (None where this host does not tell).

    `overcommit` says in a sentence by how much the services' own limits exceed the board's memory.
    """

    parent: str
    memory_bytes: int
    cpus: float
    processes: int
    applied: dict[str, int | float | None] = {}
    overcommit: str | None = None
    shortfalls: tuple[str, ...] = ()


class ServiceSection(_Section):
    """One service: what it is, what became of it, and what it took.

    `memory_limit_bytes` and `cpu_limit` are its own limits, None where it has the board's alone. `killed` is how often
    the kernel ended something of it for want of memory, `restarts` how often the engine started it again. `ran_s` is
    from its last start to its end, or to the end of the run. `resources` counts CPU over the load, of a step over all
    of its run; `cpu_percent_of_board` is its share of what the board has.
    """

    kind: Literal["service", "step"]
    image: ImageSection
    models: tuple[str, ...] = ()
    state: str
    health: str | None = None
    exit_code: int | None = None
    ran_s: float
    restarts: int
    killed: int
    memory_limit_bytes: int | None = None
    cpu_limit: float | None = None
    resources: ResourcesSection


class StackResult(_Section):
    """Everything that one run of a stack gave; `resources` is the whole board's.

    `first_request_s` is apart from `samples`. Without an entry there is no load: `scenario` is None, and the steps'
    own figures are all.
    """

    schema_version: Literal[1] = 1
    kind: Literal["stack"] = "stack"
    created: str
    edgesim_version: str
    execution: Execution
    stack: StackSection
    profile: ProfileSection
    host: HostSection
    budget: BudgetSection
    scenario: ScenarioSection | None
    stages_s: dict[str, float]
    first_request_s: float | None
    requests: RequestsSection
    latency_ms: Distribution
    service_time_ms: Distribution
    lag_ms: Distribution
    throughput_qps: float | None
    generator: GeneratorSection | None
    resources: ResourcesSection
    services: dict[str, ServiceSection]
    host_load: HostLoadSection | None
    validity: ValiditySection
    complete: bool = True
    phases: tuple[Phase, ...] = ()
    timeline: tuple[Reading, ...] = ()
    timelines: dict[str, tuple[Reading, ...]] = {}
    samples: tuple[Sample, ...] = ()

    @property
    def restarts(self) -> tuple[Restart, ...]:
        """None: a stack is started once in a run."""
        return ()

    def __repr__(self) -> str:
        """Return one line: what ran, what the entry answered, and whether the run can be trusted."""
        mode = f" ({self.profile.mode})" if self.profile.mode else ""
        ran = f"{self.stack.name} on {self.profile.title}{mode}, {self.execution}, {len(self.services)} services"
        requests = f"{self.requests.ok} requests answered, {self.requests.failed} failed"
        return f"<StackResult: {ran}; {requests}; {self.validity.words}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the services and the times as tables."""
        return edgesim.notebook_html(self)

    def write(self, path: Path) -> None:
        """Write the result file: whole, or not at all.

        Raises:
            ResultError: it cannot be written.
        """
        run_result.write_text(path, self.as_json())

    def as_json(self, *, indented: bool = True) -> str:
        """The result file's text; samples and readings are objects with named fields."""
        document: dict[str, Any] = self.model_dump(mode="json")
        for name in ("phases", "timeline", "samples"):
            document[name] = [row._asdict() for row in getattr(self, name)]
        document["timelines"] = {name: [row._asdict() for row in rows] for name, rows in self.timelines.items()}
        option = orjson.OPT_INDENT_2 if indented else 0
        return orjson.dumps(document, option=option).decode() + "\n"


Recorded = RunResult | StackResult


def read(path: Path) -> Recorded:
    """A result file of either kind.

    Raises:
        ResultError: there is none, or it is neither.
    """
    try:
        return RunResult.read(path)
    except StacksResult:
        return run_result.read_as(StackResult, path)
