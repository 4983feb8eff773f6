"""The result of a stack: the answers of its entry service, and the resources of each service and the whole board.

A field that the result of a run has, too, has the same name and meaning here: see `edgesim.results.run_result`.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

import edgesim
from edgesim.options import Execution
from edgesim.recording import Phase, Reading, as_row
from edgesim.results import result_file
from edgesim.results.proof import TimeOrigin, time_origin, without_false_proof
from edgesim.results.samples import Samples
from edgesim.results.sections import (
    Distribution,
    GeneratorSection,
    HostLoadSection,
    HostSection,
    ImageSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    Restart,
    ScenarioSection,
    Section,
    ValiditySection,
)
from edgesim.units import counted


class StackSection(Section):
    """The stack.

    Attributes:
        sha256: of the stack file's content and the models that it names.
        entry: the service that got the requests; None in a stack of steps.
        request: the requests, in a few words; None in a stack of steps.
    """

    name: str
    sha256: str
    entry: str | None = None
    request: str | None = None


class BudgetSection(Section):
    """The limits of all services together.

    Attributes:
        parent: the control group that has the limits.
        memory_bytes, cpus, processes: the limits as requested.
        applied: the limits as read back from the kernel; None for a limit that this host does not report.
        overcommit: by how much the services' own limits exceed the board's memory, in a sentence.
        shortfalls: what the board has and this host cannot give, in sentences.
    """

    parent: str
    memory_bytes: int
    cpus: float
    processes: int
    applied: dict[str, int | float | None] = Field(default={})
    overcommit: str | None = None
    shortfalls: tuple[str, ...] = ()


class ServiceSection(Section):
    """One service of the stack.

    Attributes:
        beside: whether it was beside the board: of the host's architecture, and outside of the board's limits.
        ran_s: seconds from its last start to its end, or to the end of the run.
        restarts: how often the engine started it again.
        killed: how often the kernel killed one of its processes for lack of memory.
        memory_limit_bytes, cpu_limit: its own limits; None if only the board's limits apply.
        gpus: how the engine gave its container GPUs; None for a container without.
        proxies: the proxies in its environment by variable, from its image or the stack file, without passwords.
        resources: of the load, or of a step's whole run; `cpu_percent_of_board` is its share of the board, and None
            beside the board.
    """

    kind: Literal["service", "step"]
    beside: bool = False
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
    gpus: str | None = None
    proxies: dict[str, str] = Field(default={})
    resources: ResourcesSection


class StackResult(Section):
    """Everything that one run of a stack gave.

    Attributes:
        scenario: None for a stack of steps, which has no entry service and no load; `services` has its figures.
        first_request_s: time of the first request, which is not one of the samples.
        resources: of the whole board.
        timeline: readings of the whole board.
        timelines: readings of each service.
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
    timelines: dict[str, tuple[Reading, ...]] = Field(default={})
    samples: Samples = ()

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_false_proof(cls, facts: Any) -> Any:
        return without_false_proof(facts) if isinstance(facts, dict) else facts

    @property
    def time_origin(self) -> TimeOrigin:
        """What the times of the requests are: the board's, a host's, or an emulator's."""
        return time_origin(self.execution, slowed_down=False, has_core_of_host=self.profile.has_core_of_host)

    @property
    def restarts(self) -> tuple[Restart, ...]:
        """The containers of a repeated run; empty, since a run starts a stack once."""
        return ()

    @property
    def on_board(self) -> dict[str, ServiceSection]:
        """The services on the board."""
        return {name: service for name, service in self.services.items() if not service.beside}

    @property
    def beside(self) -> dict[str, ServiceSection]:
        """The services beside the board."""
        return {name: service for name, service in self.services.items() if service.beside}

    def __repr__(self) -> str:
        """Return one line: what ran, what the entry answered, and whether the run can be trusted."""
        ran = f"{self.stack.name} on {self.profile.title_and_mode}, {self.execution}, {len(self.on_board)} services"
        requests = f"{counted(self.requests.ok, 'request')} answered, {self.requests.failed} failed"
        return f"<StackResult: {ran}; {requests}; {self.validity.words}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the services and the times as tables."""
        return edgesim.notebook_html(self)

    def write(self, path: Path | str) -> None:
        """Write the result file: whole, or not at all.

        Raises:
            ResultError: the file cannot be written.
        """
        result_file.write_text(path, self.as_json())

    def as_json(self, *, indented: bool = True) -> str:
        """Return the text of the result file; samples and readings are objects with named fields."""
        document: dict[str, Any] = self.model_dump(mode="json")
        for name in ("phases", "timeline", "samples"):
            document[name] = [as_row(row) for row in getattr(self, name)]
        document["timelines"] = {name: [as_row(row) for row in rows] for name, rows in self.timelines.items()}
        return result_file.json_text(document, indented=indented)
