"""What ran, and on what: the sections with the conditions of a run."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from edgesim.options import MountMethod, ProtocolName, ScenarioName
from edgesim.results.sections.base import Section
from edgesim.units import with_mode

# `edgesim.profiles.cores.HOST`, which results do not import.
HOST_CORE = "host"


class ProfileSection(Section):
    """The profile of the board, with the power mode that the run used.

    Attributes:
        core: the core that models run on; ``host`` for a profile that is as fast as whatever host runs it.
        architecture: of the board's instructions, as images name it: ``arm64`` or ``amd64``.
        accelerator: what the board has beside its CPU, and what is not simulated; None if it has nothing.
    """

    name: str
    sha256: str
    title: str
    mode: str | None = None
    core: str | None = None
    architecture: str | None = None
    accelerator: str | None = None

    @property
    def title_and_mode(self) -> str:
        """The board and its power mode, as every heading has them."""
        return with_mode(self.title, self.mode)

    @property
    def has_core_of_host(self) -> bool:
        """Whether the profile claims no speed of its own, so that the host's time is its time."""
        return self.core == HOST_CORE


class ConfigurationSection(Section):
    """The configuration beside the model, by which the server loaded and ran it.

    Attributes:
        files: names in the model's directory.
        sha256: digest of these files, hex.
        settings: the fields that differ from the defaults.
    """

    files: tuple[str, ...]
    sha256: str
    settings: Mapping[str, bool | int | str]


class ModelSection(Section):
    """The model.

    Attributes:
        signature: names, types and shapes of inputs and outputs.
        configuration: None if there is none, or if another image's server ran the model.
        origin: where a side of a paired run is from: a git revision with its commit, a file, a directory or a name.
    """

    name: str
    sha256: str
    version: str
    size_bytes: int
    parameters: int
    opset: int
    signature: str | None = None
    configuration: ConfigurationSection | None = None
    origin: str | None = None

    @property
    def identity(self) -> str:
        """The model in words that tell it from another of the same name: ``net of main (8882064a1b2c), sha256 1a2b…``.

        The digest has twelve digits.
        """
        origin = f" of {self.origin}" if self.origin not in (None, self.name) else ""
        return f"{self.name}{origin}, sha256 {self.sha256[:12]}"


class InvocationSection(Section):
    """What a run was called with, so that `edgesim bundle` and `edgesim replay` can repeat the run.

    Attributes:
        profile: all facts of the board as they were loaded, power mode included.
        model, models: the model and the model repository as the caller named them; relative to the caller's directory.
        options: every option of the run, with the fields of `edgesim.options.RunOptions`.
        calibrations: what the predictions of the run were corrected by, by target, with the fields of
            `edgesim.predictions.calibration.Calibration`; None in files of an edgesim that did not keep them.
    """

    profile: dict[str, Any]
    model: str
    models: str | None = None
    options: dict[str, Any]
    calibrations: dict[str, dict[str, Any]] | None = None


class ImageSection(Section):
    """The serving image; all None in a run without a container.

    Attributes:
        server_id: id of the image with the server alone, if the models are packed into this image.
        base: the base image.
        cached: whether the image existed before the run.
    """

    reference: str | None = None
    id: str | None = None
    server_id: str | None = None
    base: str | None = None
    cached: bool | None = None


class ComparedSection(Section):
    """One property of the host beside that of the board, each in words; None where one is not known.

    Attributes:
        name: ``core``, ``cores``, ``clock``, ``board`` (its name in the device tree), ``processor`` (x86: its name in
            CPUID) or ``other cores``.
        agrees: None if one of both is not known.
    """

    name: str
    host: str | None
    profile: str | None
    agrees: bool | None

    @property
    def stands_against(self) -> bool:
        """Whether this keeps the host from being the board, as `edgesim.host.identity` decides."""
        return self.agrees is False or (self.agrees is None and self.name in ("core", "cores", "board", "processor"))


class HostSection(Section):
    """The machine that ran the board.

    Attributes:
        context: docker context and machine name, if the machine is another one than the one that measured.
        same_architecture: whether the machine runs the board's programs itself; None in files of an edgesim that did
            not compare.
        is_the_board: whether the machine has proven to be the board: only then its times are the board's.
        compared: what the proof rests on, or what it lacks; empty if the architectures differ.
    """

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    engine: str | None = None
    emulator: str | None = None
    context: str | None = None
    same_architecture: bool | None = None
    is_the_board: bool | None = None
    compared: tuple[ComparedSection, ...] = ()


class LimitSection(Section):
    """One limit of the board.

    Attributes:
        requested: what the profile asks for.
        applied: the limit as read back from the kernel; None if the kernel does not limit it.
        proven: whether a probe on this host has shown that the limit holds (``edgesim doctor --probe``); None if no
            probe has run.
    """

    name: str
    requested: float | None
    applied: float | None
    proven: bool | None = None


class RuntimeSection(Section):
    """The library that ran the model.

    Attributes:
        version: None if the server names no version.
    """

    name: str
    version: str | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _read_words(cls, facts: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read ``onnxruntime 1.31.1``, too: as the server says it, and as files of older versions have it."""
        if isinstance(facts, str):
            name, _, version = facts.partition(" ")
            facts = {"name": name, "version": version or None}
        return read(facts)

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version is not None else self.name


class DeviceSection(Section):
    """The device as seen from inside the running container, or from the server's process without a container.

    Attributes:
        cpu_limit: in cores.
        features_missing: CPU features that the board's core has and this one does not; without the features that the
            kernel adds by itself.
        features_extra: CPU features that this core has and the board's does not; without the kernel's own. Without an
            emulator, only those by which ONNX Runtime chooses its kernels.
        runtime: the library that ran the model, as the server reports it.
        runtime_reason: why it is this release; None where edgesim did not choose it.
        providers: what of the runtime ran operations, in the order of preference; empty where the server does not say.
        shortfalls: what the board has and this host cannot give, in sentences.
        mount: how the model came into the container; None without a container.
        volume: name of the volume with the model.
        proxies: the proxies in the container's environment by variable, from its image or the user, without passwords.
    """

    architecture: str
    cpu_model: str | None
    cores: int
    memory_limit_bytes: int | None
    cpu_limit: float | None
    cpu_features: tuple[str, ...] = ()
    features_missing: tuple[str, ...] = ()
    features_extra: tuple[str, ...] = ()
    qemu_cpu: str | None = None
    swap_limit_bytes: int | None = None
    user_id: int | None = None
    capabilities: str | None = None
    no_new_privileges: bool | None = None
    read_only_root: bool | None = None
    runtime: RuntimeSection | None = None
    runtime_reason: str | None = None
    providers: tuple[str, ...] = ()
    intra_op_threads: int | None = None
    limits: tuple[LimitSection, ...] = ()
    shortfalls: tuple[str, ...] = ()
    mount: MountMethod | None = None
    volume: str | None = None
    proxies: dict[str, str] = Field(default_factory=dict)


class WarmUpSection(Section):
    """The requests before the measured ones, and the rule that ended them.

    Attributes:
        found: False if the rule gave up before the level was steady.
    """

    requests: int
    rule: str
    found: bool = True


class ScenarioSection(Section):
    """The traffic that was asked for. The run ends when `requests`, `duration_s` and `precision` are all reached.

    Attributes:
        inputs: where the inputs come from.
        qps: requests per second of the server scenario.
        samples: requests in one query of the multi-stream scenario.
        clients: closed loops, or concurrent requests in the offline scenario.
        precision: such as ``p99 within 5 %``.
        protocol: how the requests were sent, ``http`` or ``grpc``.
    """

    name: ScenarioName
    requests: int
    duration_s: float
    warmup: int
    seed: int
    inputs: str
    qps: float | None = None
    samples: int = 1
    clients: int = 1
    precision: str | None = None
    protocol: ProtocolName = "http"
    warm_up: WarmUpSection | None = None
