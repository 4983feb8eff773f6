"""The device profile: the facts of a board, and which facts must agree with each other."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from edgesim import stated_facts
from edgesim.errors import ProfileError, did_you_mean, field_problem
from edgesim.options import CPU
from edgesim.profiles import accelerator, bits, cores
from edgesim.profiles.accelerator import Accelerator
from edgesim.profiles.cpu import Cpu
from edgesim.profiles.emulation import Emulation
from edgesim.profiles.extension import Dropped
from edgesim.profiles.image import Image
from edgesim.profiles.memory import Memory
from edgesim.profiles.mode import MODE_NAME, Mode
from edgesim.profiles.part import Part
from edgesim.profiles.source import Source
from edgesim.profiles.surroundings import Limits, Network, Power, Price, Storage, System, Thermal
from edgesim.units import with_mode

# What a board calls itself, in full or its beginning; one or two letters would be the beginning of many names.
# Devicetree Specification v0.4, 2.2.4: a string is of printable characters.
BoardName = Annotated[str, Field(pattern=r"^[!-~][ -~]+[!-~]$")]

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]*$"

# Facts by which a machine is recognised as the board.
IDENTITY = ("device_tree", "cpu.brand")

# The optional facts that were part of `DeviceProfile.sha256` before facts at their default were left out. A fact that
# is not here, such as any new one, is part of the digest of the profiles alone that state it.
_ALWAYS_IN_DIGEST = {
    "Accelerator": {
        *("architecture", "cache_bytes", "clock_hz", "compute_capability", "context_bytes", "flops_per_cycle"),
        *("precisions", "runtime", "tensor_flops_per_cycle", "units"),
    },
    "AcceleratorMode": {"clock_hz", "units"},
    "Bandwidth": {"copy_bytes_per_s", "fill_bytes_per_s", "read_bytes_per_s"},
    "Caches": {"l1d_bytes", "l1i_bytes", "l2_bytes", "l2_cores", "l3_bytes"},
    "Cluster": {"bandwidth", "caches", "features", "fp32_flops_per_cycle"},
    "Cpu": {"bandwidth", "caches", "features", "fp32_flops_per_cycle", "others"},
    "DeviceProfile": {
        *("accelerators", "default_mode", "emulation", "limits", "mode", "modes", "network", "power", "sources"),
        *("storage", "system", "thermal"),
    },
    "Emulation": {"others", "wrong"},
    "Image": {"dockerfile", "environment", "gpus", "health_path", "mount_point", "port", "reference"},
    "Limits": {"open_files", "processes"},
    "Memory": {"bandwidth_bytes_per_s", "kind", "usable_bytes"},
    "Mode": {"accelerators", "core", "memory_bandwidth_bytes_per_s"},
    "Network": {"delay_ms", "rate_bytes_per_s"},
    "Power": {"budgets_w", "idle_w", "load_w"},
    "Runtime": {"version"},
    "Source": {"confidence"},
    "Storage": {"read_bytes_per_s", "write_bytes_per_s"},
    "System": {"glibc", "kernel", "python", "runtime", "vendor_runtime"},
}


class DeviceProfile(Part):
    """The description of a board.

    After `edgesim.profiles.load`, `mode` is the chosen power mode; `cpu` has the cores and the clock of that mode, and
    `accelerators` and the memory's bandwidth are those of that mode, too.

    Attributes:
        device_tree: what the board calls itself in /proc/device-tree/model: the full text or its beginning, one entry
            for each name. A machine that calls itself otherwise is not the board, whatever its core is.
    """

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: str
    soc: str
    architecture: Annotated[cores.Architecture, BeforeValidator(bits.require_64)]
    device_tree: tuple[BoardName, ...] = ()
    cpu: Cpu
    memory: Memory
    storage: tuple[Storage, ...] = ()
    system: System | None = None
    accelerators: tuple[Accelerator, ...] = ()
    power: Power | None = None
    thermal: Thermal | None = None
    limits: Limits = Limits()
    network: Network | None = None
    price: Price | None = None
    default_mode: str | None = None
    modes: dict[str, Mode] = Field(default_factory=dict)
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
        In a power mode, what the mode sets has the origin of that mode: `cpu.cores`, `cpu.clock_hz` and so on.
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
    def title_and_mode(self) -> str:
        """The board and its power mode, as every heading has them."""
        return with_mode(self.title, self.mode)

    @property
    def targets(self) -> tuple[str, ...]:
        """What runs models on the board: ``cpu``, then each accelerator with its runtime and precisions."""
        return (CPU, *(target for each in self.accelerators for target in each.targets))

    @property
    def accelerator(self) -> str | None:
        """All accelerators in one text, by their titles: ``Volta GPU, 384 cores; two NVDLA``; None without one."""
        return "; ".join(each.title for each in self.accelerators) or None

    @property
    def has_core_of_host(self) -> bool:
        """Whether the profile states limits alone: its core is that of whatever host runs it (`cores.HOST`)."""
        return cores.same(self.cpu.core, cores.HOST)

    @property
    def sha256(self) -> str:
        """Digest of every fact that a run depends on, power mode included, in hex.

        Facts by which the board is recognised (`IDENTITY`), its price, and their sources change no run, and are left
        out: baselines and calibrations stay comparable when a profile gains such a fact. They stay comparable, too,
        when edgesim gains an optional fact that the profile does not state.
        """
        facts = stated_facts.stated(self, _ALWAYS_IN_DIGEST)
        left_out = {*IDENTITY, "price"}
        for fact in ("device_tree", "price"):
            facts.pop(fact, None)
        facts["cpu"].pop("brand", None)
        facts["sources"] = [source for source in facts["sources"] if not set(source["facts"]) <= left_out]
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @model_validator(mode="after")
    def _facts_agree(self) -> "DeviceProfile":
        contradictions = [
            *self.memory.contradictions(),
            *accelerator.contradictions(self.accelerators),
            *self._contradictions_beside_modes(),
            # A profile in a mode, as a bundle has it, has that mode's cores and clocks; its modes were checked before.
            *(self._contradictions_of_modes() if self.mode is None else ()),
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
            own = cores.find(self.cpu.core)
            emulated = isinstance(own, cores.ArmCore) and own.emulated
            value = own.name if own is not None and emulated else "the most similar of QEMU's cores"
            yield f"emulation: missing; an arm64 board needs emulation.qemu_cpu: {value}"
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
            if not MODE_NAME.fullmatch(name):
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
                yield f"modes.{name}: differs from mode {other!r} only in upper and lower case"
            yield from self._contradictions_of_accelerators_in(name, mode)

    def _contradictions_of_accelerators_in(self, name: str, mode: Mode) -> Iterator[str]:
        by_name = {each.name: each for each in self.accelerators}
        for key, settings in mode.accelerators.items():
            fact = f"modes.{name}.accelerators.{key}"
            if key not in by_name:
                yield f"{fact}: the board has no accelerator {key!r}{did_you_mean(key, by_name)}"
                continue
            units = by_name[key].units
            if settings.units is not None and units is not None and settings.units > units:
                yield f"{fact}.units: {settings.units} is more than the accelerator's {units}"

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
            text = (
                str(detail["ctx"]["error"]) if detail["type"] == "value_error" else f"{where}: {field_problem(detail)}"
            )
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
        memory = self.memory
        if chosen_mode.memory_bandwidth_bytes_per_s is not None:
            memory = memory.model_copy(update={"bandwidth_bytes_per_s": chosen_mode.memory_bandwidth_bytes_per_s})
        accelerators = tuple(
            each.in_mode(chosen_mode.accelerators[each.name]) if each.name in chosen_mode.accelerators else each
            for each in self.accelerators
        )
        profile = self.model_copy(
            update={"cpu": cpu, "emulation": emulation, "memory": memory, "accelerators": accelerators, "mode": name}
        )
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
        if mode.memory_bandwidth_bytes_per_s is not None:
            origins["memory.bandwidth_bytes_per_s"] = self._origins[f"modes.{name}.memory_bandwidth_bytes_per_s"]
        if mode.accelerators:
            # `accelerators` is one fact, and a mode sets a part of it.
            of_mode = [by for fact, by in self._origins.items() if fact.startswith(f"modes.{name}.accelerators.")]
            origins["accelerators"] = ", ".join(dict.fromkeys([origins["accelerators"], *of_mode]))
        return origins


def _dotted(facts: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in facts.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")
