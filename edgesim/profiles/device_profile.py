"""The device profile: the facts of a board, their types, and which facts must agree with each other."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from edgesim.errors import ProfileError, did_you_mean
from edgesim.profiles import cores
from edgesim.profiles.cores import QemuCpu
from edgesim.profiles.extension import Dropped
from edgesim.units import format_bytes

_PAGE_BYTES = 4096


def _whole_pages(size: ByteSize) -> ByteSize:
    """Round down to whole pages, as the kernel does with memory limits, so that a limit reads back as it was set."""
    return ByteSize(size // _PAGE_BYTES * _PAGE_BYTES)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# "3.9 GiB", "104 MB" or a number of bytes.
Size = Annotated[
    ByteSize, Field(ge=1, le=2**60), WithJsonSchema({"type": ["string", "integer"], "examples": ["3.9 GiB"]})
]


# A mode's name is part of references (NAME:MODE) and of file names (`edgesim.predictions.calibration`).
_MODE_NAME = re.compile(r"\w[\w .+-]{0,40}")

# A core in any case, read as the vendor spells it; a name that is not in the table of cores stays as it is.
CoreName = Annotated[str, AfterValidator(cores.title)]


class Caches(_Part):
    """Caches of one core; `l2_cores` cores share `l2_bytes`, and all cores share `l3_bytes`."""

    l1i_bytes: Size | None = None
    l1d_bytes: Size | None = None
    l2_bytes: Size | None = None
    l2_cores: Annotated[int, Field(ge=1)] | None = None
    l3_bytes: Size | None = None


class Bandwidth(_Part):
    """Bytes per second that one core copies, fills and reads, as measured with tinymembench."""

    copy_bytes_per_s: Size | None = None
    fill_bytes_per_s: Size | None = None
    read_bytes_per_s: Size | None = None


class Cluster(_Part):
    """Cores of one design at one clock.

    Attributes:
        core: name of the core, see `edgesim.profiles.cores`: ``Cortex-A57``; a file may write it in any case.
        cores: how many there are.
        features: instruction-set features, as /proc/cpuinfo names them.
        fp32_flops_per_cycle: the peak of one core, a multiply-add counting as two.
    """

    core: CoreName
    cores: Annotated[int, Field(ge=1, le=1024)]
    clock_hz: Annotated[int, Field(ge=1_000_000, le=10_000_000_000)]
    features: tuple[str, ...] = ()
    caches: Caches = Caches()
    fp32_flops_per_cycle: Annotated[int, Field(ge=1)] | None = None
    bandwidth: Bandwidth = Bandwidth()


class Cpu(Cluster):
    """The board's processor: the cluster that models run on, and its `others`.

    Attributes:
        brand: on x86, the processor's name in its brand string (CPUID): ``N100`` in ``Intel(R) N100``. A machine is
            taken for the board only if its processor has this name.
    """

    brand: Annotated[str, Field(pattern=r"^\S[^\x00-\x1f]+\S$", max_length=200)] | None = None
    others: tuple[Cluster, ...] = ()

    def on(self, core: str | None) -> "Cpu":
        """Return the processor with models on the cluster of another core; None changes nothing."""
        if core is None or cores.same(core, self.core):
            return self
        (chosen,) = (cluster for cluster in self.others if cores.same(cluster.core, core))
        main = Cluster.model_validate(self.model_dump(exclude={"others", "brand"}))
        rest = tuple(cluster for cluster in self.others if cluster is not chosen)
        facts = chosen.model_dump() | {"features": chosen.features or self.features}
        return Cpu.model_validate({**facts, "brand": self.brand, "others": (main, *rest)})


class Memory(_Part):
    """The board's memory.

    Attributes:
        marketed_bytes: as the vendor sells it.
        visible_bytes: total memory that Linux on the board reports; at most what is marketed.
        usable_bytes: memory that the operating system leaves to programs; at most what is visible.
        bandwidth_bytes_per_s: by specification.
    """

    marketed_bytes: Size
    visible_bytes: Annotated[Size, Field(ge=_PAGE_BYTES), AfterValidator(_whole_pages)]
    usable_bytes: Size | None = None
    kind: str | None = None
    bandwidth_bytes_per_s: Size | None = None

    def contradictions(self) -> Iterator[str]:
        """Yield what is wrong, in the form ``KEY: …``."""
        most = _most_visible(self.marketed_bytes)
        if self.visible_bytes > most:
            yield (
                f"memory.visible_bytes: {_exact(self.visible_bytes)} is more than memory.marketed_bytes, {_exact(most)}"
            )
        if self.usable_bytes is not None and _whole_pages(self.usable_bytes) > self.visible_bytes:
            yield (
                f"memory.usable_bytes: {_exact(self.usable_bytes)} is more than memory.visible_bytes, "
                f"{_exact(self.visible_bytes)}"
            )


def _most_visible(marketed: int) -> int:
    """Return the bytes of a marketed memory. Vendors write GB and MB of memory where they mean GiB and MiB."""
    for decimal, binary in ((10**9, 2**30), (10**6, 2**20)):
        if marketed % decimal == 0:
            return marketed // decimal * binary
    return marketed


def _exact(size: int) -> str:
    return f"{format_bytes(size)} ({size:,} bytes)"


class Storage(_Part):
    """A storage device that the board starts from, and its highest rates; None where no source states a rate."""

    kind: str
    read_bytes_per_s: Size | None = None
    write_bytes_per_s: Size | None = None


class System(_Part):
    """The vendor's operating system.

    Attributes:
        glibc, kernel: the versions of its C library and of its kernel.
        python: the version of its Python, such as ``3.6``, which wheels outside of a container have to be built for.
        runtime: the release of ONNX Runtime that the system comes with, such as ``1.21.0``.
    """

    name: str
    glibc: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    kernel: str | None = None
    python: Annotated[str, Field(pattern=r"^3\.\d+$")] | None = None
    runtime: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None


class Power(_Part):
    """Watts of the whole board, idle and with all cores busy; `budgets_w` are the limits that it can be set to."""

    idle_w: Annotated[float, Field(gt=0)] | None = None
    load_w: Annotated[float, Field(gt=0)] | None = None
    budgets_w: tuple[float, ...] = ()


class Thermal(_Part):
    """Throttling of the board under load: its full clock for `full_speed_s` seconds, then `clock_hz`."""

    full_speed_s: Annotated[float, Field(gt=0)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]


class Limits(_Part):
    """Limits of the board's operating system for one service: `processes` (threads included) and `open_files`."""

    processes: Annotated[int, Field(ge=16)] = 4096
    open_files: Annotated[int, Field(ge=64)] = 1024


class Network(_Part):
    """The network between the board and its clients: at most `rate_bytes_per_s`, and `delay_ms` besides this host's."""

    rate_bytes_per_s: Size | None = None
    delay_ms: Annotated[float, Field(gt=0)] | None = None


class Mode(_Part):
    """A power mode: the number of cores that are on, and their clock. `core` names a cluster; None is the main one."""

    cores: Annotated[int, Field(ge=1)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]
    core: CoreName | None = None


class Emulation(_Part):
    """How QEMU emulates the board.

    Attributes:
        qemu_cpu: the core that QEMU emulates (its QEMU_CPU).
        others: the same for the other clusters, by the names of their cores.
        wrong: in what the emulated core differs from the board's.
    """

    qemu_cpu: QemuCpu
    others: dict[CoreName, QemuCpu] = {}
    wrong: tuple[str, ...] = ()

    @field_validator("others", mode="before")
    @classmethod
    def _each_core_once(cls, others: Any) -> Any:
        """Refuse two names of one core, of which a mapping would keep the last alone."""
        by_lower: dict[str, str] = {}
        for name in others if isinstance(others, Mapping) else ():
            other = by_lower.setdefault(str(name).lower(), name)
            if other != name:
                raise ValueError(f"emulation.others.{name}: differs from core {other!r} in case alone")
        return others

    def of(self, core: str) -> QemuCpu:
        """Return the core that QEMU emulates for a cluster."""
        return next((emulated for name, emulated in self.others.items() if cores.same(name, core)), self.qemu_cpu)


SERVER_PORT = 8000  # edgesim's own server listens on this port inside its container


class Image(_Part):
    """The serving image: edgesim's own server, built from a Dockerfile, or any image that speaks the protocol.

    Attributes:
        dockerfile: name of a Dockerfile that comes with edgesim, or a path relative to the profile.
        reference: an image that the engine has or can pull.
        port: where the server of `reference` listens.
        health_path: answers 200 when the server of `reference` is ready.
        mount_point: where the server of `reference` looks for the model repository.
        environment: variables that are set in the container.
    """

    dockerfile: str | None = None
    reference: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = SERVER_PORT
    health_path: Annotated[str, Field(pattern=r"^/\S*$")] = "/v2/health/ready"
    mount_point: Annotated[str, Field(pattern=r"^/\S*[^/\s]$")] = "/models"
    environment: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_of_two(self) -> "Image":
        if (self.dockerfile is None) == (self.reference is None):
            raise ValueError("image: give either image.dockerfile or image.reference")
        if self.reference is None:
            own = [name for name in ("port", "health_path", "mount_point") if name in self.model_fields_set]
            if own:
                raise ValueError(f"image.{own[0]}: is for image.reference; edgesim's own server has a fixed one")
        return self


# What a board calls itself, in full or its beginning; one or two letters would be the beginning of many names.
# Devicetree Specification v0.4, 2.2.4: a string is of printable characters.
BoardName = Annotated[str, Field(pattern=r"^[!-~][ -~]+[!-~]$")]


def _in_vendors_spelling(fact: str) -> str:
    """Return a dotted key with the core in it, which is a key of `emulation.others`, as `CoreName` reads the core."""
    section, separator, core = fact.partition("emulation.others.")
    return fact if section or not separator else separator + cores.title(core)


class Source(_Part):
    """The source of facts (dotted keys of the profile, with all keys below them), and the confidence in them."""

    facts: Annotated[tuple[Annotated[str, AfterValidator(_in_vendors_spelling)], ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    confidence: Literal["strong", "medium", "weak"] | None = None


NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"

# Facts by which a machine is recognised as the board.
IDENTITY = ("device_tree", "cpu.brand")


class DeviceProfile(_Part):
    """The description of a board.

    After `edgesim.profiles.load`, `mode` is the chosen power mode, and `cpu` has the cores and the clock of that mode.

    Attributes:
        device_tree: what the board calls itself in /proc/device-tree/model: the full text or its beginning, one entry
            for each name. A machine that calls itself otherwise is not the board, whatever its core is.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: str
    soc: str
    architecture: cores.Architecture
    device_tree: tuple[BoardName, ...] = ()
    cpu: Cpu
    memory: Memory
    storage: tuple[Storage, ...] = ()
    system: System | None = None
    accelerator: str | None = None
    power: Power | None = None
    thermal: Thermal | None = None
    limits: Limits = Limits()
    network: Network | None = None
    default_mode: str | None = None
    modes: dict[str, Mode] = {}
    emulation: Emulation | None = None
    image: Image
    sources: tuple[Source, ...] = ()
    mode: str | None = None

    # Where the profile and its facts come from: no facts of the board, so no part of `sha256`.
    _file: Path | None = PrivateAttr(default=None)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _dropped: tuple[Dropped, ...] = PrivateAttr(default=())

    @property
    def file(self) -> Path | None:
        """The file of a user's own profile; None for a profile that comes with edgesim."""
        return self._file

    @property
    def origins(self) -> Mapping[str, str]:
        """The profile that states each fact, by dotted key; empty for a profile that extends none.

        A fact of the profile's own file has ``yours``, any other the name or file that ``extends`` has for its profile.
        In a power mode, `cpu.cores` and `cpu.clock_hz` have the origin of that mode.
        """
        return self._origins

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        """The facts that this profile does not inherit, because they held only with another that it overrides."""
        return self._dropped

    def source_of(self, fact: str) -> Source | None:
        """Return the source that names a fact, or else the nearest key above that fact; None without one."""
        while fact:
            for source in self.sources:
                if fact in source.facts:
                    return source
            fact = fact.rpartition(".")[0]
        return None

    @property
    def reference(self) -> str:
        """The name of the profile with its power mode: ``jetson-nano:5w``; without the mode in the default mode."""
        return self.name if self.mode == self.default_mode else f"{self.name}:{self.mode}"

    @property
    def has_core_of_host(self) -> bool:
        """Whether the profile states limits alone: its core is that of whatever host runs it (`cores.HOST`)."""
        return cores.same(self.cpu.core, cores.HOST)

    @property
    def sha256(self) -> str:
        """Digest of every fact that a run depends on, power mode included, in hex.

        Facts by which the board is recognised (`IDENTITY`) and their sources change no run, and are left out: baselines
        and calibrations stay comparable when a profile gains such a fact.
        """
        facts = self.model_dump(mode="json", exclude={"device_tree": True, "cpu": {"brand"}})
        facts["sources"] = [source for source in facts["sources"] if not set(source["facts"]) <= set(IDENTITY)]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @model_validator(mode="after")
    def _facts_agree(self) -> "DeviceProfile":
        contradictions = [
            *self.memory.contradictions(),
            *self._contradictions_beside_modes(),
            *self._contradictions_of_modes(),
            *self._sources_without_facts(),
        ]
        if contradictions:
            raise ValueError(*contradictions)
        return self

    def _contradictions_beside_modes(self) -> Iterator[str]:
        for key, cluster in (("cpu", self.cpu), *((f"cpu.others.{i}", each) for i, each in enumerate(self.cpu.others))):
            core = cores.find(cluster.core)
            if core is not None and core.architecture != self.architecture:
                yield f"{key}.core: {core.title} is a core of {core.architecture}, and the board is {self.architecture}"
        before = [self.cpu.core]
        for index, cluster in enumerate(self.cpu.others):
            if any(cores.same(cluster.core, core) for core in before):
                yield f"cpu.others.{index}.core: {cluster.core!r} is another cluster's; one name is for one cluster"
            before.append(cluster.core)
        if self.thermal is not None and self.thermal.clock_hz > self.cpu.clock_hz:
            yield f"thermal.clock_hz: {self.thermal.clock_hz} is above the board's {self.cpu.clock_hz}"
        if self.architecture == "arm64" and self.emulation is None:
            yield "emulation: missing; an arm64 board needs emulation.qemu_cpu"
        if self.architecture != "arm64" and self.device_tree:
            yield f"device_tree: is for arm64 boards; a board with {self.architecture} has no device tree"
        power = self.power
        if power is not None and power.idle_w and power.load_w and power.idle_w > power.load_w:
            yield f"power.idle_w: {power.idle_w:g} is more than power.load_w, {power.load_w:g}"

    def _contradictions_of_modes(self) -> Iterator[str]:
        if self.default_mode is not None and self.default_mode not in self.modes:
            nearest = did_you_mean(self.default_mode, self.modes)
            yield f"default_mode: {self.default_mode!r} is not among modes{nearest}"
        clusters = (self.cpu, *self.cpu.others)
        by_lower: dict[str, str] = {}
        for name, mode in self.modes.items():
            if not _MODE_NAME.fullmatch(name):
                yield f"modes: {name!r}: a mode's name has letters, digits, blanks, '.', '_', '+' and '-', at most 41"
            core = mode.core if mode.core is not None else self.cpu.core
            cluster = next((cluster for cluster in clusters if cores.same(cluster.core, core)), None)
            if cluster is None:
                nearest = did_you_mean(core, [cluster.core for cluster in clusters])
                yield f"modes.{name}.core: the board has no {core!r}{nearest}"
            elif mode.cores > cluster.cores:
                yield f"modes.{name}.cores: {mode.cores} is more than the board's {cluster.cores}"
            other = by_lower.setdefault(name.lower(), name)
            if other != name:
                yield f"modes.{name}: differs from mode {other!r} in case alone"

    def _sources_without_facts(self) -> Iterator[str]:
        known = set(_dotted(self.model_dump(mode="json", exclude={"sources", "mode"})))
        for source in self.sources:
            for fact in source.facts:
                if fact not in known:
                    yield f"sources: {fact!r} is not a fact of this profile{did_you_mean(fact, known)}"

    def heated(self) -> "DeviceProfile":
        """Return the board after `thermal.full_speed_s` seconds under load; the same board without that section."""
        if self.thermal is None:
            return self
        clock_hz = min(self.thermal.clock_hz, self.cpu.clock_hz)
        return self.model_copy(update={"cpu": self.cpu.model_copy(update={"clock_hz": clock_hz})})

    def served_by(self, **image: Any) -> "DeviceProfile":
        """Return the board with another serving image.

        Args:
            image: fields of `Image`; None leaves a field as it is.

        Raises:
            ProfileError: a value is wrong, or the fields contradict each other.
        """
        changes = {key: value for key, value in image.items() if value is not None}
        if not changes:
            return self
        facts = self.image.model_dump(exclude_unset=True, exclude_none=True) | changes
        if "reference" in changes:
            facts.pop("dockerfile", None)
        try:
            return self.model_copy(update={"image": Image.model_validate(facts)})
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(str(part) for part in ("image", *detail["loc"]))
            text = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else f"{where}: {detail['msg']}"
            raise ProfileError(f"{text} (given: {', '.join(f'{k}={v}' for k, v in changes.items())})") from error

    def in_mode(self, mode: str | None) -> "DeviceProfile":
        """Return the board in a power mode; None means the default mode.

        Raises:
            ProfileError: the board has no such mode.
        """
        chosen = mode if mode is not None else self.default_mode
        if chosen is None:
            return self
        by_lower = {name.lower(): name for name in self.modes}
        name = by_lower.get(chosen.lower())
        if name is None:
            have = f"it has {', '.join(self.modes)}" if self.modes else "it has none"
            raise ProfileError(
                f"profile {self.name}: no power mode {chosen!r}; {have}{did_you_mean(chosen, self.modes)}",
                fix=f"edgesim profiles show {self.file or self.name}",
            )
        chosen_mode = self.modes[name]
        clocks = {"cores": chosen_mode.cores, "clock_hz": chosen_mode.clock_hz}
        cpu = self.cpu.on(chosen_mode.core).model_copy(update=clocks)
        emulation = self.emulation
        if emulation is not None:
            emulation = emulation.model_copy(update={"qemu_cpu": emulation.of(cpu.core)})
        profile = self.model_copy(update={"cpu": cpu, "emulation": emulation, "mode": name})
        profile._origins = self._origins_in_mode(name, chosen_mode)
        return profile

    def _origins_in_mode(self, name: str, mode: Mode) -> dict[str, str]:
        if not self._origins:
            return {}
        origins = dict(self._origins)
        if mode.core is not None and not cores.same(mode.core, self.cpu.core):
            # `Cpu.on` exchanges the main cluster and another one, and `cpu.others` is one fact.
            main = {fact: origin for fact, origin in origins.items() if fact.startswith("cpu.")}
            chosen = main.pop("cpu.others")
            for fact in main:
                origins[fact] = chosen
            origins["cpu.others"] = ", ".join(dict.fromkeys(main.values()))
        for key in ("cores", "clock_hz"):
            origins[f"cpu.{key}"] = self._origins[f"modes.{name}.{key}"]
        return origins


def _dotted(facts: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in facts.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
