"""One service of a stack as the file describes it: what it is made from, its mounts, and what it may have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgesim.profiles.image import SERVER_PORT
from edgesim.profiles.part import Size

Condition = Literal["started", "healthy", "completed"]

_ABSOLUTE = r"^/\S*[^/\s]$"
_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"


class Element(BaseModel):
    """A part of a stack file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StackMount(Element):
    """A mount: a file or directory of the host (`bind`) or a `volume`, `at` a path in the container.

    A mount is read-only unless it is `writable`. A volume belongs to the stack, and the first `up` creates it empty;
    an `external` volume exists already.
    """

    bind: Path | None = None
    volume: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][\w.-]*$")] | None = None
    at: Annotated[str, Field(pattern=_ABSOLUTE)]
    writable: bool = False
    external: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> "StackMount":
        if (self.bind is None) == (self.volume is None):
            raise ValueError(f"mounts: at {self.at}: give either bind or volume")
        if self.external and self.volume is None:
            raise ValueError(f"mounts: at {self.at}: external is for a volume")
        return self


class Build(Element):
    """An image that is built from a Dockerfile.

    `base` names Debian packages; a root file system of these packages takes the place of the Dockerfile's stage `base`,
    for hosts that reach no registry. Without `base` the Dockerfile's own ``FROM`` counts.
    """

    context: Path
    dockerfile: Path = Path("Dockerfile")
    args: dict[str, str] = {}
    base: tuple[Annotated[str, Field(pattern=_PACKAGE)], ...] = ()


class Service(Element):
    """One container, from one of `models`, `packages`, `build` and `image`.

    Attributes:
        models: edgesim's own server with these models of `repository`; `mount` is the mount method.
        runtime: the release of ONNX Runtime in edgesim's serving image; None means the board's own, else the default.
        packages: Debian packages for an image that runs `command` as user 65532.
        build: a Dockerfile's directory, or a mapping with more.
        image: an image that the engine has or can pull.
        port: port of the service in the container; `publish` is the port of 127.0.0.1 on this host.
        healthy: a command in the container that ends with 0 when the service is ready.
        once: the service is a step, which is expected to end with 0.
        after: services that must be started, healthy or completed before this one starts. A list of names means:
            completed for a step, healthy for a service with `healthy`, else started.
        memory, cpus: the service's own limits, within the board's.
        gpus: ``all`` gives the container the GPUs of the machine, ``none`` does not; None means what the profile says
            (`image.gpus`) for a service with `models`, and else ``none``.
        target: what is to run the models of edgesim's own server: ``cpu``, ``gpu:tensorrt-fp16``.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    repository: Path | None = None
    mount: Literal["bind", "volume"] = "bind"
    runtime: str | None = None
    packages: Annotated[tuple[Annotated[str, Field(pattern=_PACKAGE)], ...], Field(min_length=1)] | None = None
    build: Build | None = None
    image: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$")] | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    user: Annotated[str, Field(pattern=r"^\d+(:\d+)?$")] | None = None
    mounts: tuple[StackMount, ...] = ()
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    publish: Annotated[int, Field(ge=0, le=65535)] | None = None
    healthy: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    once: bool = False
    after: dict[str, Condition | None] = {}
    restart: Annotated[str, Field(pattern=r"^(no|always|on-failure(:\d+)?)$")] = "no"
    memory: Size | None = None
    cpus: Annotated[float, Field(ge=0.01)] | None = None
    gpus: Literal["all", "none"] | None = None
    target: str | None = None

    @field_validator("after", mode="before")
    @classmethod
    def _after_list(cls, value: Any) -> Any:
        is_list = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
        return dict.fromkeys(value) if is_list else value

    @field_validator("build", mode="before")
    @classmethod
    def _build_directory(cls, value: Any) -> Any:
        return {"context": value} if isinstance(value, str) else value

    @field_validator("restart", mode="before")
    @classmethod
    def _restart_no(cls, value: Any) -> Any:
        return "no" if value is False else value  # as YAML 1.1 has it

    @field_validator("environment", mode="before")
    @classmethod
    def _environment_words(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: str(word) if isinstance(word, int | float) else word for key, word in value.items()}

    @property
    def serves(self) -> bool:
        """Whether the service is edgesim's own server, and not another program in its image."""
        return self.models is not None and self.entrypoint is None

    @property
    def checked(self) -> bool:
        """Whether the service has a health check."""
        return self.healthy is not None or self.serves

    @property
    def inner_port(self) -> int | None:
        """The port of the service in the container; None if it has none."""
        return SERVER_PORT if self.serves else self.port

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield each contradiction: the key, and what is wrong."""
        made_from = [key for key in ("models", "packages", "build", "image") if getattr(self, key) is not None]
        if len(made_from) != 1:
            yield (
                "",
                "give one of models, packages, build and image"
                + (f", not {' and '.join(made_from)}" if made_from else ""),
            )
        if self.repository is not None and self.models is None:
            yield "repository", "is for models"
        if self.runtime is not None and self.models is None:
            yield "runtime", "is for models: the release of ONNX Runtime in edgesim's serving image"
        if self.serves and (self.command is not None or self.port is not None):
            key = "command" if self.command is not None else "port"
            yield key, "edgesim's own server has its own; give entrypoint to run another program in its image"
        if self.target is not None and not self.serves:
            yield "target", "is for edgesim's own server, which has models and no entrypoint"
        if self.publish is not None and self.inner_port is None:
            yield "publish", "needs the port in the container: give port, too"
        if self.once and self.restart == "always":
            yield "restart", "a step that has ended with 0 is not started again; give on-failure or no"
        if len({mount.at for mount in self.mounts}) < len(self.mounts):
            yield "mounts", "two mounts at the same path"
