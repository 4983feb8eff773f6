"""What is to be started: a board, its models, and the user's options."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from edgesim.boards import servable
from edgesim.boards.dial import Target
from edgesim.boards.placement import check_execution, local_execution
from edgesim.boards.server_command import engine_precision, packed_command, server_arguments
from edgesim.boards.time_scaling import ScalingRecord
from edgesim.delivery.deliver import Delivery, model_mounts
from edgesim.engine import context
from edgesim.engine.context import Context
from edgesim.engine.mounts import Mount
from edgesim.errors import HostError, ReleaseTooOld, UsageError
from edgesim.host import ports
from edgesim.host.emulator import host_architecture
from edgesim.images import runtime_releases
from edgesim.models import custom_libraries, runtime_support
from edgesim.models.repository import Model
from edgesim.options import CPU, BoardOptions, EngineName, Execution
from edgesim.predictions import require_target
from edgesim.profiles import DeviceProfile


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A board to start.

    Attributes:
        models: the models in the repository.
        mounts: the model repository, or its files, below the image's mount point.
        options: the user's options.
        context: the engine's, see `resolve_context`; None for a plain process.
        load_all: the server leaves out models that do not load; else it ends if one of `models` does not load.
        cores: cores of the host that the board may use; None means all.
        is_slowed_down: whether the server is slowed down to the times of `targets`.
        targets: the models of a board that is slowed down, each with the time that it is to take.
        previous_scaling: tuning of an earlier board, used as the starting point.
        high_priority: run a plain process at nice -20, if this user may.
        serving_images: images of edgesim's server that the engine has, by architecture, in place of those to build.
        models_inside: the architectures whose images in `serving_images` have the models inside.
    """

    profile: DeviceProfile
    models: Sequence[Model]
    mounts: Sequence[Mount]
    options: BoardOptions = field(default_factory=BoardOptions)
    context: Context | None = None
    load_all: bool = False
    cores: Sequence[int] | None = None
    is_slowed_down: bool = False
    targets: Sequence[Target] = ()
    previous_scaling: ScalingRecord | None = None
    high_priority: bool = False
    serving_images: Mapping[str, str] = field(default_factory=dict)
    models_inside: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        profile: DeviceProfile,
        models: Sequence[Model],
        options: BoardOptions,
        *,
        mounts: Sequence[Mount] | None = None,
        load_all: bool = False,
        cores: Sequence[int] | None = None,
        high_priority: bool = False,
        context: Context | None = None,
    ) -> Self:
        """Return the launch of a board that serves `models`.

        Args:
            mounts: None means the files of `models`.
            context: the engine's, if the caller has resolved it already.

        Raises:
            UsageError: there is no such context.
        """
        for model in models:
            _ = model.sha256  # of what is about to be served, whatever happens to the files meanwhile
        mount_point = profile.image.mount_point
        return cls(
            profile=profile,
            models=models,
            mounts=mounts if mounts is not None else [mount for m in models for mount in model_mounts(m, mount_point)],
            options=options,
            context=context if context is not None else resolve_context(options.engine, options.context),
            load_all=load_all,
            cores=cores,
            high_priority=high_priority,
        )

    def scaled_to(self, targets: Sequence[Target], execution: Execution = "scaled") -> Self:
        """Return the launch of the same board, slowed down to the times of `targets`.

        Args:
            execution: ``scaled`` in an image for the host's architecture, or ``same-architecture`` in the board's own.
        """
        options = self.options.model_copy(update={"execution": execution})
        return replace(self, options=options, targets=targets, is_slowed_down=True)

    def beside_the_board(self) -> Self:
        """Return the launch for edgesim in a container of the board's engine, which does not see edgesim's files.

        Raises:
            HostError: the options mount files of this container.
        """
        options = self.options
        if options.mount == "bind" or options.results is not None:
            option = "`results`" if options.results is not None else "`mount=bind`"
            raise HostError(
                f"{option}: edgesim runs in a container of this engine, and the engine mounts only files of"
                f" its own host",
                fix="`mount=volume` or `mount=image`, without `results`",
            )
        mount = options.mount if options.mount is not None else "volume"
        return replace(self, options=options.model_copy(update={"mount": mount}))

    @property
    def machine(self) -> str | None:
        """The machine that the engine runs on, if another one than this host."""
        return self.context.machine if self.context is not None else None

    @property
    def target(self) -> str:
        """What runs the models on the board: ``cpu``, ``gpu:tensorrt-fp16``."""
        return self.options.target if self.options.target is not None else CPU

    @property
    def architecture(self) -> str:
        """The architecture of the board's server: this host's for a plain process."""
        return host_architecture() if self.options.engine == "local" else self.profile.architecture

    @property
    def own_server(self) -> bool:
        """Whether edgesim's own server serves, and not the server of another image."""
        return self.profile.image.reference is None

    @property
    def gpus(self) -> bool:
        """Whether the container is to have the GPUs of the engine's machine."""
        chosen = self.options.gpus if self.options.gpus is not None else self.profile.image.gpus
        return chosen == "all"

    @property
    def model_names(self) -> list[str]:
        """Names of the models that the server must load; none means all models that load."""
        return [] if self.load_all else [model.name for model in self.models]

    @property
    def grpc_port(self) -> int | None:
        """The port inside the container where the server answers gRPC; None without gRPC."""
        by_grpc = self.options.grpc_port is not None or self.options.protocol == "grpc"
        return self.profile.image.grpc_port if by_grpc else None

    @property
    def ready_by_grpc(self) -> bool:
        """Whether the server says over gRPC that it is ready: another image's may have no HTTP."""
        return not self.own_server and self.options.protocol == "grpc"

    @property
    def delivery(self) -> Delivery:
        """How the models get into the container."""
        options = self.options
        cannot_bind = options.volume is not None or self.machine is not None
        return Delivery(
            method=options.mount if options.mount is not None else "volume" if cannot_bind else "bind",
            profile=self.profile,
            models=self.models,
            mounts=self.mounts,
            volume=options.volume,
            results=options.results,
            command=packed_command(self.profile, self.model_names),
            machine=self.machine,
        )

    def server_arguments(self, *, intra_op_threads: int) -> list[str] | None:
        """Return the command line of the container; None keeps another image's own."""
        if not self.own_server:
            return None
        return server_arguments(
            self.model_names,
            repository=self.profile.image.mount_point,
            intra_op_threads=intra_op_threads,
            board_cores=self.profile.cpu.cores,
            host="0.0.0.0",  # noqa: S104 (in the container; the engine publishes the port on 127.0.0.1)
            port=self.profile.image.port,
            grpc_port=self.grpc_port,
            watch=self.options.watch,
            paced=self.is_slowed_down,
            results=self.options.results is not None,
            gpus=engine_precision(self.profile, self.target) if self.gpus else None,
            marks=self.options.count,
        )

    @property
    def runtime(self) -> runtime_releases.Choice | None:
        """The release of ONNX Runtime that serves, and why; None for another image and for a plain process.

        Raises:
            UsageError: no image can be made for the requested release.
        """
        if not self.own_server or self.options.engine == "local":
            return None
        choice = runtime_releases.of_board(self.profile, self.options.runtime)
        packages = {name for model in self.models for name in custom_libraries.packages(model)}
        if self.grpc_port is not None:
            packages.update(runtime_releases.GRPC)
        return replace(choice, release=runtime_releases.with_extras(choice.release, packages))

    @property
    def runtime_reason(self) -> str | None:
        """Why the release serves that serves, and whether the board's own would load the models, by their files."""
        if self.runtime is None:
            return None
        own = runtime_releases.usual(self.profile)
        if own is None or self.runtime.release.version == own.release.version:
            return self.runtime.reason
        refusals = {model.name: runtime_support.refusal(model, own.release.version) for model in self.models}
        words = [f"{own.release.version} does not load {name}: {why}" for name, why in refusals.items() if why]
        return "; ".join([self.runtime.reason, *words])

    def require_loadable(self) -> None:
        """Check that a release of ONNX Runtime other than edgesim's own loads the models, by their files.

        Without this check the image of that release is built and the board started, before the server says the same.

        Raises:
            ReleaseTooOld: it does not.
        """
        release = self.runtime.release.version if self.runtime is not None else None
        if release is None or release == runtime_releases.default().version or self.load_all:
            return
        for model in self.models:
            if (why := runtime_support.refusal(model, release)) is None:
                continue
            first = runtime_support.first(model)
            other = f"choose `runtime={first}` or newer" if first is not None else "choose no `runtime`"
            raise ReleaseTooOld(
                f"ONNX Runtime {release} does not load {model.name}: {why}",
                fix=f"{other}, or export the model for {release}",
            )

    def check(self) -> None:
        """Check the options before any work.

        Raises:
            UsageError: the board has no such target, the options exclude each other, a plain process cannot run in the
                requested execution, or the port is taken.
            ModelError: edgesim's own server refuses a model's configuration.
        """
        options, image = self.options, self.profile.image.reference
        require_target(self.profile, self.target)
        if options.watch and not self.own_server:
            raise UsageError(f"`watch`: needs edgesim's own server; image {image} has its own")
        if self.machine is None and (reason := ports.why_taken(options.port)) is not None:
            raise UsageError(f"port {options.port} of 127.0.0.1: {reason}", fix="give another `port`, or none")
        if self.grpc_port is not None:
            self._check_grpc(options.grpc_port or 0)
        if options.engine == "local" and (options.mount, options.volume, options.results) != (None, None, None):
            raise UsageError("`mount`, `volume` and `results` need a container, which `engine=local` does not have")
        if options.engine == "local" and options.gpus == "all":
            raise UsageError("`gpus=all`: needs a container, which `engine=local` does not have", fix="`engine=docker`")
        if options.watch and self.delivery.method == "image":
            raise UsageError(
                "`watch`: the files inside an image cannot change", fix="use `mount=bind` or `mount=volume`"
            )
        self.delivery.check()
        if options.runtime is not None and self.runtime is None:
            server = f"image {image} has its own" if image is not None else "`engine=local` has this host's"
            fix = "`engine=docker`, or no `runtime`" if image is None else "no `runtime`"
            raise UsageError(f"`runtime={options.runtime}`: for edgesim's serving image; {server}", fix=fix)
        if self.own_server:
            self._check_configurations()
        if options.count:
            self._check_count()
        if options.execution == "scaled":
            if (problem := self.why_not_slowed_down) is not None:
                raise UsageError(f"`execution=scaled`: {problem[0]}", fix=problem[1])
        elif options.engine == "local":
            if not self.own_server:
                raise UsageError(f"`engine=local`: runs edgesim's own server only; image {image} needs `engine=docker`")
            if options.execution != "host":
                execution, comparison = local_execution(self.profile)
                check_execution(options.execution, execution, "`engine=local`", comparison)

    def _check_grpc(self, port: int) -> None:
        """Check that the server can answer gRPC on a port of this host.

        Raises:
            UsageError: another image serves on a port that edgesim publishes, or the port is taken.
            HostError: this Python has no grpcio for a plain process or for requests.
        """
        image, by_grpc = self.profile.image.reference, self.options.protocol == "grpc"
        asked = "`protocol=grpc`" if by_grpc else "`grpc_port`" if port else "`grpc_port=0`"
        if image is not None and not by_grpc:
            raise UsageError(f"{asked}: needs edgesim's own server; image {image} has its own")
        if (self.options.engine == "local" or by_grpc) and importlib.util.find_spec("grpc") is None:
            what = "requests need" if by_grpc else "a plain process needs"
            raise HostError(f"{asked}: {what} grpcio, which is not installed", fix="pip install 'edgesim[grpc]'")
        if port and port == self.options.port:
            raise UsageError(
                f"port {port} cannot be used for both HTTP and gRPC", fix="give another `grpc_port`, or none"
            )
        if self.machine is None and (reason := ports.why_taken(port)) is not None:
            raise UsageError(f"port {port} of 127.0.0.1: {reason}", fix="give another `grpc_port`, or none")

    def _check_count(self) -> None:
        """Check that the instructions of this board can be counted.

        Raises:
            UsageError: they cannot, as far as the options say.
        """
        profile, options = self.profile, self.options
        problem = fix = None
        if profile.architecture != "arm64":
            problem, fix = f"counts arm64 instructions, and {profile.name} is {profile.architecture}", "an arm64 board"
        elif options.engine == "local":
            problem, fix = "counts what a container executes, and `engine=local` has none", "`engine=docker`"
        elif options.execution not in (None, "emulated"):
            problem, fix = f"counts in an emulator, and not with `execution={options.execution}`", "no `execution`"
        elif not self.own_server:
            problem = f"image {profile.image.reference} starts a server of its own, which the emulator that counts"
            problem, fix = f"{problem} cannot stand before", "edgesim's own server, with `base_image` if need be"
        elif self.machine is not None:
            problem, fix = (
                f"the emulator that counts is a file of this machine, not of {self.machine}",
                "an engine on this machine",
            )
        if problem is not None:
            raise UsageError(f"count: {problem}", fix=f"use {fix}")

    def _check_configurations(self) -> None:
        """Check what the server would refuse once it runs. A server that loads all models leaves such a model out.

        It would load their libraries all the same: on this host, only those that the user has named.
        """
        if self.options.engine == "local":
            for model in self.models:
                custom_libraries.require_named(model, self.architecture, self.options.host_libraries)
        for model in self.models if not self.load_all else ():
            servable.require(model, architecture=self.architecture, board_cores=self.profile.cpu.cores)

    @property
    def why_not_slowed_down(self) -> tuple[str, str] | None:
        """Why this board cannot be slowed down to a time, and the fix; None if it can, as far as the options say."""
        if self.options.engine == "local":
            return "the CPU share of a plain process cannot be limited", "`engine=docker`"
        if self.machine is not None:
            return f"each request's time would include the network to {self.machine}", "use an engine on this machine"
        if not self.own_server:
            return (
                f"image {self.profile.image.reference} has a server of its own, for the board's architecture only",
                "omit `execution`, or use edgesim's own server",
            )
        for model in self.models if not self.load_all else ():
            for file in custom_libraries.files(model, host_architecture()):
                if file.problem:
                    return f"library {file.name}: {file.problem}", f"name a build for {host_architecture()}, too"
        return None


def resolve_context(engine: EngineName, name: str | None) -> Context | None:
    """Return the engine of a docker context or URL; None for a plain process, which has no engine.

    Raises:
        UsageError: there is no such context, or a context is given for a plain process.
    """
    if engine == "local":
        if name is not None:
            raise UsageError(f"`engine=local`: uses no Docker Engine, and `context={name}` names one")
        return None
    return context.resolve(name)
