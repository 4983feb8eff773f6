"""The result of a run: the sections of the result file in their order, and its JSON form."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

import edgesim
from edgesim.options import Execution
from edgesim.recording import Phase, Reading, as_row
from edgesim.results import result_file
from edgesim.results.proof import TimeOrigin, time_origin, without_false_proof
from edgesim.results.samples import Samples
from edgesim.results.sections import (
    AgreementSection,
    DeviceSection,
    DeviceTimeSection,
    Distribution,
    EmulatorSection,
    EnergySection,
    GenerationSection,
    GeneratorSection,
    HostLoadSection,
    HostSection,
    ImageSection,
    InstructionsSection,
    InterleavedSection,
    InvocationSection,
    Level,
    LifecycleSection,
    ModelSection,
    ProfileSection,
    RequestsSection,
    ResourcesSection,
    Restart,
    ScaledSection,
    ScalingSection,
    ScenarioSection,
    SearchSection,
    Section,
    Spread,
    TargetSection,
    ValiditySection,
)
from edgesim.units import format_ms

# Of a run that is scaled and emulated, these figures of `resources` are the emulated half's, which has the board's
# instructions; the others, such as CPU time, are the scaled half's, which has the user's traffic.
_OF_THE_BOARD = frozenset(
    {name for name in ResourcesSection.model_fields if name.startswith("memory_")} | {"oom_kills"}
)


class RunResult(Section):
    """Everything that one run gave.

    A run that is scaled and emulated has the times of the scaled half, and the memory and answers of the emulated half:
    `resources.memory_*`, `resources.oom_kills`, `emulator_memory` and `agreement`. The whole result of the emulated
    half is in `emulated`; what the scaled half shows in place of these figures is in `scaled`.

    Attributes:
        stages_s: seconds of each stage of the run. A run that is scaled and emulated has those of the work before both
            and of the scaled half here, and those of the emulated half in `emulated`.
        targets: the predicted device time on each target of the board, by its name: ``cpu``, ``gpu:tensorrt-fp16``.
        instructions: counted by `edgesim count`; None in other runs.
        emulator_failures: how often the emulator crashed by itself, and the run started again.
        not_scaled: why a run that should be scaled is not.
        complete: False if the run was cut short, or is under way.
        invocation: what the run was called with; None in results of before, of paired runs and of runs cut short.
    """

    schema_version: Literal[1] = 1
    created: str
    edgesim_version: str
    execution: Execution
    profile: ProfileSection
    model: ModelSection
    image: ImageSection
    host: HostSection
    device: DeviceSection
    scenario: ScenarioSection
    lifecycle_s: LifecycleSection
    stages_s: dict[str, float]
    requests: RequestsSection
    latency_ms: Distribution
    service_time_ms: Distribution
    lag_ms: Distribution = Distribution()
    query_latency_ms: Distribution | None = None
    throughput_qps: float | None
    generation: GenerationSection | None = None
    generator: GeneratorSection | None = None
    resources: ResourcesSection
    emulator_memory: EmulatorSection | None = None
    emulator_failures: int = 0
    instructions: InstructionsSection | None = None
    host_load: HostLoadSection | None = None
    device_time_ms: DeviceTimeSection
    targets: dict[str, TargetSection] = Field(default={})
    energy_j: EnergySection | None = None
    scaling: ScalingSection | None = None
    not_scaled: str | None = None
    agreement: AgreementSection | None
    search: SearchSection | None = None
    levels: tuple[Level, ...] = ()
    restarts: tuple[Restart, ...] = ()
    spread: dict[str, Spread] = Field(default={})
    interleaved: InterleavedSection | None = None
    validity: ValiditySection
    complete: bool = True
    invocation: InvocationSection | None = None
    scaled: ScaledSection | None = None
    emulated: "RunResult | None" = None
    phases: tuple[Phase, ...] = ()
    timeline: tuple[Reading, ...]
    samples: Samples

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_stack(cls, facts: Any) -> Any:
        if isinstance(facts, dict) and facts.get("kind") == "stack":
            raise result_file.other_kind()
        return facts

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_false_proof(cls, facts: Any, info: ValidationInfo) -> Any:
        as_written = info.context is not None and info.context.get("as_written")
        return without_false_proof(facts) if isinstance(facts, dict) and not as_written else facts

    @property
    def time_origin(self) -> TimeOrigin:
        """What the times of the requests are: the board's, a host's, or an emulator's."""
        return time_origin(
            self.execution,
            slowed_down=self.scaling is not None,
            has_core_of_host=self.profile.has_core_of_host,
        )

    @property
    def time_label(self) -> str:
        """What `device_time_ms` is called: the device time, or this host's for a profile with its host's core.

        A plain process has times of this host, and no board's: there the device time is what is not known.
        """
        has_time_of_host = self.device_time_ms.p50 is not None or self.execution == "native"
        return "this host's time" if self.profile.has_core_of_host and has_time_of_host else "device time"

    @model_validator(mode="wrap")
    @classmethod
    def _read_older_halves(cls, facts: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read a file of an older version, in which memory and answers of both halves were the scaled half's."""
        result = read(facts)
        return result if result.emulated is None or result.scaled is not None else result.with_emulated(result.emulated)

    def with_emulated(self, emulated: "RunResult") -> Self:
        """Return this result of a scaled run with the emulated half inside, whose memory and answers are the board's.

        Containers that were scaled keep their times and lose their memory, which is in `scaled` for all together.
        """
        memory = {name: getattr(emulated.resources, name) for name in _OF_THE_BOARD}
        no_memory = dict.fromkeys(name for name in Restart.model_fields if name.startswith("memory_"))
        return self.model_copy(
            update={
                "scaled": ScaledSection(resources=self.resources, agreement=self.agreement),
                "emulated": emulated,
                "resources": self.resources.model_copy(update=memory),
                "emulator_memory": emulated.emulator_memory,
                "agreement": emulated.agreement,
                "restarts": tuple(restart.model_copy(update=no_memory) for restart in self.restarts),
            }
        )

    def write(self, path: Path | str) -> None:
        """Write the result file: whole, or not at all.

        Raises:
            ResultError: the file cannot be written.
        """
        result_file.write_text(path, self.as_json())

    def as_json(self, *, indented: bool = True) -> str:
        """Return the text of the result file; samples and readings are objects with named fields."""
        return result_file.json_text(self._document(), indented=indented)

    def __repr__(self) -> str:
        """Return one line: what ran, the device time with its band, and whether the run can be trusted."""
        time = self.device_time_ms
        device_time = "not known"
        if time.p50 is not None and time.low is not None and time.high is not None:
            device_time = f"{format_ms(time.p50)} ms ({format_ms(time.low)} to {format_ms(time.high)} ms)"
        ran = f"{self.model.name} on {self.profile.title_and_mode}, {self.execution}"
        return f"<RunResult: {ran}; {self.time_label} {device_time}; {self.validity.words}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return what a notebook shows: tables and a plot."""
        return edgesim.notebook_html(self)

    def _document(self) -> dict[str, Any]:
        document = self.model_dump(mode="json")
        if self.emulated is not None:
            document["emulated"] = self.emulated._document()
        for name in ("phases", "timeline", "samples"):
            document[name] = [as_row(row) for row in getattr(self, name)]
        return document

    @classmethod
    def read(cls, path: Path | str) -> "RunResult":
        """Read a result file.

        Raises:
            OtherKindOfResult: the file is the result of a stack.
            ResultError: the file cannot be read, or is not a result file.
        """
        return result_file.read(cls, path)
