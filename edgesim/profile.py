"""A device profile: the description of a board, read from YAML, validated, frozen."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from edgesim import resources
from edgesim.errors import ProfileError

_PAGE_BYTES = 4096

# What `qemu-aarch64 -cpu help` of QEMU 10.0 lists among the 64-bit cores.
QemuCpu = Literal[
    "a64fx", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a710", "cortex-a72", "cortex-a76",
    "max", "neoverse-n1", "neoverse-n2", "neoverse-v1",
]  # fmt: skip


def _whole_pages(size: ByteSize) -> ByteSize:
    """The kernel keeps memory limits in whole pages: rounded down here, a limit reads back as it was set."""
    return ByteSize(size // _PAGE_BYTES * _PAGE_BYTES)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cpu(_Part):
    """The board's processor: `cores` of one kind at `clock_hz`; `features` as /proc/cpuinfo names them."""

    core: str
    cores: Annotated[int, Field(ge=1, le=1024)]
    clock_hz: Annotated[int, Field(ge=1_000_000, le=10_000_000_000)]
    features: tuple[str, ...] = ()


class Memory(_Part):
    """`marketed_bytes` is what the box says, `visible_bytes` what Linux on the board reports in total."""

    marketed_bytes: Annotated[ByteSize, Field(ge=1)]
    visible_bytes: Annotated[ByteSize, Field(ge=_PAGE_BYTES), AfterValidator(_whole_pages)]


class Mode(_Part):
    """A power mode: how many cores are on, at which clock."""

    cores: Annotated[int, Field(ge=1)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]


class Emulation(_Part):
    """`qemu_cpu` is the core that QEMU is asked to be (its QEMU_CPU)."""

    qemu_cpu: QemuCpu


class Image(_Part):
    """What serves the models: edgesim's own server, built from a Dockerfile, or any image that speaks the protocol.

    `dockerfile` is a file name beside edgesim's own, or a path relative to the profile; `reference` an image that the
    engine has or can pull, which listens on `port`, answers 200 at `health_path` when it is ready, and finds a model
    repository at `mount_point`. `environment` is set in the container.
    """

    dockerfile: str | None = None
    reference: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$")] | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
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
                raise ValueError(f"image.{own[0]}: is for image.reference; edgesim's own server has its own")
        return self


class Source(_Part):
    """Where the named facts (dotted keys of this file) come from."""

    facts: Annotated[tuple[str, ...], Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]


class DeviceProfile(_Part):
    """A board as edgesim simulates it.

    After `load`, `cpu` is that of the chosen power mode, and `mode` names it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    soc: str
    architecture: Literal["arm64", "amd64"]
    cpu: Cpu
    memory: Memory
    default_mode: str | None = None
    modes: dict[str, Mode] = {}
    emulation: Emulation | None = None
    image: Image
    sources: tuple[Source, ...] = ()
    mode: str | None = None

    @property
    def reference(self) -> str:
        """How the command line names this board: ``jetson-nano:5w``, or the bare name in the default mode."""
        return self.name if self.mode == self.default_mode else f"{self.name}:{self.mode}"

    @property
    def sha256(self) -> str:
        """Digest of every fact, power mode included; hex."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @model_validator(mode="after")
    def _modes_fit_the_board(self) -> "DeviceProfile":
        if self.default_mode is not None and self.default_mode not in self.modes:
            raise ValueError(
                f"default_mode: {self.default_mode!r} is not among modes{_nearest(self.default_mode, self.modes)}"
            )
        for name, mode in self.modes.items():
            if mode.cores > self.cpu.cores:
                raise ValueError(f"modes.{name}.cores: {mode.cores} is more than the board's {self.cpu.cores}")
        if self.architecture == "arm64" and self.emulation is None:
            raise ValueError("emulation: missing; an arm64 board needs emulation.qemu_cpu")
        return self

    @model_validator(mode="after")
    def _sources_name_facts(self) -> "DeviceProfile":
        known = set(_dotted(self.model_dump(mode="json", exclude={"sources", "mode"})))
        for source in self.sources:
            for fact in source.facts:
                if fact not in known:
                    raise ValueError(f"sources: {fact!r} is no fact of this profile{_nearest(fact, known)}")
        return self

    def served_by(self, **image: Any) -> "DeviceProfile":
        """This board with another image; the keywords are those of `Image`, and None leaves one as it is.

        Raises:
            ProfileError: they do not hold.
        """
        given = {key: value for key, value in image.items() if value is not None}
        if not given:
            return self
        facts = self.image.model_dump(exclude_unset=True, exclude_none=True) | given
        if "reference" in given:
            facts.pop("dockerfile", None)
        try:
            return self.model_copy(update={"image": Image.model_validate(facts)})
        except ValidationError as error:
            detail = error.errors()[0]
            where = ".".join(str(part) for part in ("image", *detail["loc"]))
            text = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else f"{where}: {detail['msg']}"
            raise ProfileError(f"{text} (given: {', '.join(f'{k}={v}' for k, v in given.items())})") from error

    def in_mode(self, mode: str | None) -> "DeviceProfile":
        """This board in a power mode; None is the default one.

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
                f"profile {self.name}: no power mode {chosen!r}; {have}{_nearest(chosen, self.modes)}",
                fix=f"edgesim profiles show {self.name}",
            )
        limits = self.modes[name]
        cpu = self.cpu.model_copy(update={"cores": limits.cores, "clock_hz": limits.clock_hz})
        return self.model_copy(update={"cpu": cpu, "mode": name})


def _dotted(facts: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in facts.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{key}.")


def _nearest(word: str, words: Iterable[str]) -> str:
    match = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def names() -> list[str]:
    """The profiles that come with edgesim."""
    return sorted(path.stem for path in resources.profiles_directory().glob("*.yaml"))


def load(reference: str) -> DeviceProfile:
    """The board that `reference` names: ``name``, ``name:mode``, ``path.yaml`` or ``path.yaml:mode``.

    Raises:
        ProfileError: no such profile or mode, or the file is not a valid profile.
    """
    base, mode = _split_mode(reference)
    return read(_find(base)).in_mode(mode)


def _split_mode(reference: str) -> tuple[str, str | None]:
    if Path(reference).is_file():
        return reference, None
    base, separator, mode = reference.rpartition(":")
    return (base, mode) if separator and base and "/" not in mode else (reference, None)


def _find(base: str) -> Path:
    if base.endswith((".yaml", ".yml")) or "/" in base:
        path = Path(base)
        if not path.is_file():
            raise ProfileError(f"{base}: no such profile file", fix="edgesim profiles list")
        return path
    path = resources.profiles_directory() / f"{base}.yaml"
    if not path.is_file():
        raise ProfileError(f"unknown profile {base!r}{_nearest(base, names())}", fix="edgesim profiles list")
    return path


def read(path: Path) -> DeviceProfile:
    """Read and validate one profile file.

    Raises:
        ProfileError: names the file, the line, the key and the nearest right one.
    """
    try:
        document = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: not UTF-8 text", fix="a profile is a YAML file") from error
    except YAMLError as error:
        raise ProfileError(f"{path}: not valid YAML: {_yaml_problem(error)}") from error
    if not isinstance(document, CommentedMap):
        raise ProfileError(f"{path}: a profile is a mapping of keys", fix="edgesim profiles show jetson-nano --yaml")
    if "mode" in document:
        raise ProfileError(f"{path}: unknown key 'mode'{_nearest('mode', ['modes', 'default_mode'])}")
    try:
        return DeviceProfile.model_validate(document)
    except ValidationError as error:
        # A mistyped key is also a missing one: the typo explains both.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        problems = [_explain(document, detail) for detail in details]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ProfileError(
            f"{path}{problems[0]}{more}", fix=f"edit {path}, then: edgesim profiles validate {path}"
        ) from error


def _yaml_problem(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _explain(document: CommentedMap, detail: Any) -> str:
    """One line for one pydantic error: ``:LINE: KEY: what is wrong; did you mean …``."""
    location: Sequence[str | int] = detail["loc"]
    key = ".".join(str(part) for part in location)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        text = f"unknown key {key!r}{_nearest(str(location[-1]), _keys_at(location[:-1]))}"
    elif kind == "missing":
        text = f"key {key!r} is missing"
    elif kind == "literal_error":
        allowed = re.findall(r"'([^']+)'", str(context.get("expected", "")))
        text = f"{key}: {detail['input']!r} is not one of {', '.join(allowed)}{_nearest(str(detail['input']), allowed)}"
    elif kind == "value_error":
        text = str(context["error"])
        location = text.partition(":")[0].split(".")
    else:
        text = f"{key}: {detail['msg']} (given: {detail['input']!r})"
    line = _line_of(document, location)
    return f":{line}: {text}" if line else f": {text}"


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that belong at a place in the profile, from the schema itself."""
    schema: Any = DeviceProfile
    for part in location:
        if isinstance(schema, type) and issubclass(schema, BaseModel) and part in schema.model_fields:
            annotation = schema.model_fields[str(part)].annotation
            # The profile's parts stand alone, or in an optional, a tuple or a dictionary of them.
            candidates = [annotation, *get_args(annotation)]
            schema = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), annotation)
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return [name for name in schema.model_fields if name != "mode"]
    return []


def _line_of(document: CommentedMap, location: Sequence[str | int]) -> int | None:
    node: Any = document
    line: int | None = None
    for part in location:
        try:
            position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
            line, node = position[0] + 1, node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
