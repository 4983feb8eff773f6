"""One service of a stack as the file describes it: what it is made from, its mounts, and what it may have."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from edgesim.profiles.image import SERVER_PORT
from edgesim.profiles.part import Size

Condition = Literal["started", "healthy", "completed"]

_ABSOLUTE = r"^/\S*[^/\s]$"
_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
ME = "me"
_MADE_FROM = ("models", "watch", "packages", "build", "image")


class Element(BaseModel):
    """A part of a stack file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Files(Element):
    """Files for a container: a file or directory of the host (`bind`), or a `volume`.

    A volume belongs to the stack, and the first `up` creates it empty; an `external` volume exists already.
    """

    bind: Path | None = None
    volume: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][\w.-]*$")] | None = None
    external: bool = False

    @property
    def where(self) -> str:
        """The place in the stack file, for an error."""
        return "watch"

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.bind is None) == (self.volume is None):
            raise ValueError(f"{self.where}: give either bind or volume")
        if self.external and self.volume is None:
            raise ValueError(f"{self.where}: external is for a volume")
        return self


class StackMount(Files):
    """A mount: files `at` a path in the container, read-only unless the mount is `writable`."""

    at: Annotated[str, Field(pattern=_ABSOLUTE)]
    writable: bool = False

    @property
    def where(self) -> str:
        return f"mounts: at {self.at}"


class Build(Element):
    """An image that is built from a Dockerfile.

    `base` names Debian packages; a root file system of these packages takes the place of the Dockerfile's stage `base`,
    for hosts that reach no registry. Without `base` the Dockerfile's own ``FROM`` counts.

    Attributes:
        edgesim: extras of edgesim; the Dockerfile's argument ``EDGESIM`` is the name of edgesim's own image with them.
        requirements: a file in `context` that pins Python packages. This host's pip fetches them, with no package that
            the file does not name, and they take the place of the Dockerfile's stage ``packages``.
    """

    context: Path
    dockerfile: Path = Path("Dockerfile")
    args: dict[str, str] = {}
    base: tuple[Annotated[str, Field(pattern=_PACKAGE)], ...] = ()
    edgesim: tuple[str, ...] | None = None
    requirements: Path | None = None


class Service(Element):
    """One container, from one of `models`, `watch`, `packages`, `build` and `image`.

    Attributes:
        models: edgesim's own server with these models of `repository`; `mount` is the mount method.
        watch: edgesim's own server with all models of a model repository, which loads what changes there; a path means
            a directory of the host.
        beside: the service is not on the board: it has the architecture of the host, and no part in the board's limits.
        runtime: the release of ONNX Runtime in edgesim's serving image; None means the board's own, else the default.
        packages: Debian packages for an image that runs `command` as user 65532.
        build: a Dockerfile's directory, or a mapping with more.
        image: an image that the engine has or can pull.
        user: ``UID`` or ``UID:GID``, or `ME`, the user who runs edgesim, whose the files in a bind mount then are.
        engine: the container has the engine's socket, so that edgesim in it runs boards. Who reaches the container may
            then do on this host what root may.
        port: port of the service in the container; `publish` is the port of 127.0.0.1 on this host.
        token: the variable of the container's environment that gets a secret at each start. The address that `up`
            prints has the secret as its ``token``.
        healthy: a command in the container that ends with 0 when the service is ready.
        once: the service is a step, which is expected to end with 0.
        after: services that must be started, healthy or completed before this one starts. A list of names means:
            completed for a step, healthy for a service with `healthy`, else started.
        memory, cpus: the service's own limits, within the board's; within the host's for a service beside the board.
        gpus: ``all`` gives the container the GPUs of the machine, ``none`` does not; None means what the profile says
            (`image.gpus`) for a service with `models`, and else ``none``.
        target: what is to run the models of edgesim's own server: ``cpu``, ``gpu:tensorrt-fp16``.
    """

    # Keys of a Compose file, each with the key that says the same here.
    other_names: ClassVar[dict[str, str]] = {
        "depends_on": "after",
        "env_file": "environment",
        "expose": "port",
        "healthcheck": "healthy",
        "mem_limit": "memory",
        "needs": "after",
        "ports": "publish",
        "volumes": "mounts",
    }

    models: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    watch: Files | None = None
    beside: bool = False
    repository: Path | None = None
    mount: Literal["bind", "volume"] = "bind"
    runtime: str | None = None
    packages: Annotated[tuple[Annotated[str, Field(pattern=_PACKAGE)], ...], Field(min_length=1)] | None = None
    build: Build | None = None
    image: Annotated[str, Field(pattern=r"^[a-z0-9][\w.:/@-]*$")] | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: dict[str, str] = {}
    user: Annotated[str, Field(pattern=rf"^(\d+(:\d+)?|{ME})$")] | None = None
    engine: bool = False
    mounts: tuple[StackMount, ...] = ()
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    publish: Annotated[int, Field(ge=0, le=65535)] | None = None
    token: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
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

    @field_validator("watch", mode="before")
    @classmethod
    def _watch_directory(cls, value: Any) -> Any:
        return {"bind": value} if isinstance(value, str) else value

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
        return self.has_server_image and self.entrypoint is None

    @property
    def has_server_image(self) -> bool:
        """Whether the service's image is edgesim's serving image."""
        return self.models is not None or self.watch is not None

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
        made_from = [key for key in _MADE_FROM if getattr(self, key) is not None]
        if len(made_from) != 1:
            choice = f"give one of {', '.join(_MADE_FROM[:-1])} and {_MADE_FROM[-1]}"
            yield "", choice + (f", not {' and '.join(made_from)}" if made_from else "")
        if self.watch is not None and self.entrypoint is not None:
            yield "watch", "is for edgesim's own server; mount the files for another program"
        if self.repository is not None and self.models is None:
            yield "repository", "is for models"
        if self.mount == "volume" and self.models is None:
            yield "mount", "is for models"
        if self.runtime is not None and not self.has_server_image:
            yield "runtime", "is for models: the release of ONNX Runtime in edgesim's serving image"
        if self.serves and (self.command is not None or self.port is not None):
            key = "command" if self.command is not None else "port"
            yield key, "edgesim's own server has its own; give entrypoint to run another program in its image"
        if self.target is not None and not self.serves:
            yield "target", "is for edgesim's own server, which has models and no entrypoint"
        if self.publish is not None and self.inner_port is None:
            yield "publish", "needs the port in the container: give port, too"
        if self.token is not None and self.publish is None:
            yield "token", "is part of the address of a published port: give publish, too"
        if self.token is not None and self.token in self.environment:
            yield "token", f"{self.token} is in environment, too; a token is made anew at each start"
        if self.engine and not self.beside:
            yield "engine", "is for a service beside the board; a board does not have this host's engine"
        if self.build is not None and self.build.edgesim is not None and not self.beside:
            yield "build.edgesim", "edgesim's own image is for this host: give beside, too"
        if self.beside and self.target is not None:
            yield "target", "is for a service on the board, and this one is beside the board"
        if self.beside and self.serves and self.gpus == "all":
            yield "gpus", "edgesim's own server beside the board runs models on the host's processor"
        if self.once and self.restart == "always":
            yield "restart", "a step that has ended with 0 is not started again; give on-failure or no"
        if len({mount.at for mount in self.mounts}) < len(self.mounts):
            yield "mounts", "two mounts at the same path"
