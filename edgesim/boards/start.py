"""A simulated board, up and running: image, container, readiness, and what it says of itself."""

import math
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import psutil

from edgesim import profiles
from edgesim.boards import hang, local_device, readiness, time_scaling
from edgesim.boards import limits as budget
from edgesim.boards.device import Device
from edgesim.boards.server_command import packed_command, server_arguments
from edgesim.delivery.deliver import Delivery, deliver
from edgesim.engine import context, docker_engine
from edgesim.engine.container import Container, DockerDevice, State
from edgesim.engine.context import Context
from edgesim.engine.mounts import Mount
from edgesim.errors import DeviceError, HostError, HostTooSlow, ModelError, ProfileError, ScaleFailed, UsageError
from edgesim.host import disks, emulator, host_facts
from edgesim.host.host_facts import HostFacts
from edgesim.images import serving_image
from edgesim.loadgen import inputs
from edgesim.models import repository as model
from edgesim.models.repository import Model
from edgesim.options import (
    READY_TIMEOUT_S,
    EngineName,
    Execution,
    InputOptions,
    MountMethod,
    RunKeywords,
    RunOptions,
)
from edgesim.predictions import Declined
from edgesim.profiles import DeviceProfile
from edgesim.progress import Listener, Stages
from edgesim.recording import Reading
from edgesim.results.sections import ImageSection, ScalingSection

DESCRIPTION = "/edgesim/board"


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a board is to be started.

    Attributes:
        mounts: the model repository, or its files, below the image's mount point.
        models: those that are there, for what is said of them.
        named: the server loads exactly these models, and ends when one does not load; else all that there are.
        watch: the server notices by itself what changes in the repository.
        port: of 127.0.0.1, or of another machine, where the server answers; 0 is any that is free.
        context: the engine's, see `where`; None is the current one.
        base: the image to build on, see `edgesim.images.serving_image.ensure`.
        cores: those of this host that the device may use; None is all.
        targets: of a scaled board, each model with the time that it is to take.
        held: how one like it was held to these times before; without, that is searched for from the beginning.
        way: how the models come into the container; None is by mounts.
        volume: the name of the volume, where it is one; without, one is named after what it holds.
        results: the one directory of this host that the container may write to.
        first: a plain process goes before this host's other programs, where this user may have that.
    """

    profile: DeviceProfile
    mounts: Sequence[Mount]
    models: Sequence[Model]
    named: bool = True
    watch: bool = False
    port: int = 0
    engine: EngineName = "docker"
    context: Context | None = None
    execution: Execution | None = None
    base: str | None = None
    ready_timeout_s: float = READY_TIMEOUT_S
    cores: Sequence[int] | None = None
    targets: Sequence[time_scaling.Target] = ()
    held: ScalingSection | None = None
    way: MountMethod | None = None
    volume: str | None = None
    results: Path | None = None
    first: bool = False

    @property
    def delivery(self) -> Delivery:
        """How the models come into the container."""
        mounts_nothing = self.volume is not None or self.machine is not None
        return Delivery(
            method=self.way if self.way is not None else "volume" if mounts_nothing else "bind",
            profile=self.profile,
            models=self.models,
            mounts=self.mounts,
            volume=self.volume,
            results=self.results,
            command=packed_command(self.profile, self.model_names),
            machine=self.machine,
        )

    @property
    def machine(self) -> str | None:
        """Another machine that the engine runs on; None for this one."""
        return self.context.machine if self.context is not None else None

    @property
    def own_server(self) -> bool:
        """Whether edgesim's own server serves, and not another image's."""
        return self.profile.image.reference is None

    def server_arguments(self, *, intra_op_threads: int) -> list[str] | None:
        """The command line of the container; None leaves another image its own."""
        if not self.own_server:
            return None
        return server_arguments(
            self.model_names,
            repository=self.profile.image.mount_point,
            intra_op_threads=intra_op_threads,
            host="0.0.0.0",  # noqa: S104 (of the container; the engine publishes it on 127.0.0.1)
            port=self.profile.image.port,
            watch=self.watch,
            paced=self.execution == "scaled",
            results=self.results is not None,
        )

    @property
    def model_names(self) -> list[str]:
        """What the server is told to load; none is everything."""
        return [model.name for model in self.models] if self.named else []


@dataclass(kw_only=True)
class Board:
    """A board whose server is ready.

    Attributes:
        models: what there is to serve.
        memory_limit_bytes: the board's memory; None where nothing limits the server.
        cpus: what it may use of this host, in cores.
        intra_op_threads: threads of one inference.
        limits: those that it was started with; None for a plain process.
        shortfalls: what the board has and this host could not give.
        image_s, create_s, ready_s: seconds for the image (None without one), for making the device, and from its start
            until it was ready.
        scale: of a scaled board, what makes it as slow as the real one.
        full_speed_s: for so long under load it keeps its clock; None is for ever.
        mount: how the models came into the container, and `volume` the volume's name; None for a plain process.
        server_image: the id of the image that the server is in; where the models are inside, `image` was made from it.
    """

    device: Device
    execution: Execution
    image: ImageSection
    host: HostFacts
    memory_limit_bytes: int | None
    cpus: float
    intra_op_threads: int
    shortfalls: tuple[str, ...]
    limits: budget.Budget | None = None
    models: Sequence[Model]
    image_s: float | None
    create_s: float
    ready_s: float = 0.0
    scale: time_scaling.Scale | None = None
    full_speed_s: float | None = None
    mount: MountMethod | None = None
    volume: str | None = None
    server_image: str | None = None

    @property
    def url(self) -> str:
        """Where the server answers."""
        return self.device.url

    def death(self, state: State, while_doing: str) -> DeviceError:
        """The error for this board's end."""
        return readiness.death(
            state,
            self.device.log(),
            model=max(self.models, key=lambda model: model.size_bytes),
            memory_limit_bytes=self.memory_limit_bytes,
            while_doing=while_doing,
        )

    def hangs(self, readings: Sequence[Reading]) -> bool:
        """Whether the emulator under it stands still, by what was read while somebody waited for an answer."""
        return self.execution == "emulated" and hang.stands_still(readings)

    def wait(self, seconds: float = math.inf) -> None:
        """Wait for so long, or for as long as the server runs.

        Raises:
            DeviceError: it has ended by itself.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            state = self.device.state()
            if not state.running:
                raise self.death(state, "serving")
            time.sleep(min(left, 0.5))


@contextmanager
def board(
    profile: str | Path | DeviceProfile,
    options: RunOptions | None = None,
    *,
    listener: Listener | None = None,
    **keywords: Unpack[RunKeywords],
) -> Iterator[Board]:
    """Start a simulated board that serves a model repository, for the length of a ``with`` block.

    Args:
        profile: a profile's name, ``name:mode``, a path to a YAML file, or a profile.
        options: `models` (None means ``models/``) and the section `board` apply. All models of the repository are
            loaded; a broken one is left out. ``scaled`` answers in the board's predicted time; without `execution`
            the board is emulated or native.
        keywords: single options by name.

    Raises:
        UsageError: no such profile, no model in the repository, or the port is taken.
        HostError: this host cannot run the board; DeviceError: the image, the container or the server failed.
    """
    options = RunOptions.of(options, **keywords)
    repository = options.models if options.models is not None else Path("models")
    board_profile, wanted = profiles.load(profile), options.board
    stages = Stages(listener)
    launch = Launch(
        profile=board_profile,
        mounts=[Mount(repository.resolve(), board_profile.image.mount_point)],
        models=_served(repository, stages),
        named=False,
        watch=wanted.watch,
        port=wanted.port,
        engine=wanted.engine,
        context=where(wanted.engine, wanted.context),
        execution=wanted.execution,
        base=wanted.base_image,
        way=wanted.mount,
        volume=wanted.volume,
        results=wanted.results,
        ready_timeout_s=wanted.ready_timeout_s,
    )
    if wanted.execution == "scaled":
        launch = replace(launch, targets=_targets(board_profile, launch.models, stages))
    with start(launch, stages) as started:
        yield started


def _served(repository: Path, stages: Stages) -> list[Model]:
    """The models of a repository. One that is broken is said, and takes nothing away from the others."""
    served = []
    for name in model.names(repository):
        try:
            served.append(model.find(name, repository))
        except ModelError as error:
            stages.note(f"model {name} is left out: {error.problem}")
    if not served:
        raise UsageError(
            f"{repository}: no model in it", fix=f"edgesim models build --models {repository} makes the samples there"
        )
    return served


def _targets(board_profile: DeviceProfile, models: Sequence[Model], stages: Stages) -> list[time_scaling.Target]:
    """Of all models whose time is predicted; the others answer as quickly as the share of the CPU lets them."""
    targets, declined = [], None
    for served in models:
        try:
            arrays = inputs.choose(served, InputOptions()).requests[0]
            prediction = time_scaling.predicted(board_profile, served, arrays)
            if isinstance(prediction, Declined):
                raise prediction.as_error()
        except (ModelError, ProfileError) as error:
            declined = error
            stages.note(f"model {served.name} is not held to a time: {error.problem}")
            continue
        targets.append(time_scaling.target(board_profile, served, arrays, prediction))
    if declined is not None and not targets:
        raise declined
    return targets


@contextmanager
def start(launch: Launch, stages: Stages) -> Iterator[Board]:
    """A running board, taken down when the block ends, however it ends.

    Raises:
        UsageError: the execution asked for is not the one that this engine and host give.
        HostError: this host cannot; DeviceError: the image, the container or the server failed.
    """
    if launch.watch and not launch.own_server:
        raise UsageError(f"--watch: is for edgesim's own server; {launch.profile.image.reference} has its own ways")
    if launch.machine is None:
        _check_port(launch.port)
    _check_handover(launch)
    with ExitStack() as stack:
        if launch.execution == "scaled":
            yield _start_scaled(launch, stages, stack)
            return
        start_it = _start_local if launch.engine == "local" else _start_docker
        started = start_it(launch, stages, stack)
        _wait(started, launch, stages)
        yield started


def _wait(started: Board, launch: Launch, stages: Stages) -> None:
    with stages.stage("ready", "waiting for the server to load the model"):
        started.ready_s = readiness.wait(
            started.device,
            launch.profile.image.health_path,
            explain_death=lambda state: started.death(state, "loading the model"),
            timeout_s=launch.ready_timeout_s,
            emulated=started.execution == "emulated",
        )


def _start_scaled(launch: Launch, stages: Stages, stack: ExitStack) -> Board:
    """With one thread, which the kernel's shares suit best; with all of this host's cores where that is too slow."""
    if launch.engine == "local":
        raise UsageError("--execution scaled: a plain process has no share of the CPU", fix="--engine docker")
    if launch.machine is not None:
        raise UsageError(
            f"--execution scaled: the way to {launch.machine} would be in every request's time",
            fix="an engine on this machine",
        )
    if not launch.own_server:
        raise UsageError(
            f"--execution scaled: image {launch.profile.image.reference} is the board's alone",
            fix="--execution emulated, or edgesim's own server",
        )
    one_thread_does = launch.held is None or launch.held.threads == 1
    for last in (False, True) if one_thread_does else (True,):
        attempt = stack.enter_context(ExitStack())
        started = _start_docker(launch, stages, attempt, all_cores=last)
        assert isinstance(started.device, DockerDevice), "it is a container"
        assert started.limits is not None
        _wait(started, launch, stages)
        try:
            with stages.stage("calibration", "finding the share of this host that makes the board's time"):
                started.scale = time_scaling.calibrate(
                    started.device,
                    launch.targets,
                    threads=started.intra_op_threads,
                    cores=started.limits.cpus,
                    held=launch.held,
                )
        except HostTooSlow:
            if last or started.limits.cpus == 1:
                raise
            stages.note("one thread of this host is too slow; once more with all its cores")
            attempt.close()
            continue
        except OSError as error:
            state = started.device.state()
            if not state.running:
                raise started.death(state, "calibrating") from error
            raise ScaleFailed(
                f"a request failed while the board's time was searched for: {error}", log=started.device.log()
            ) from error
        started.full_speed_s = launch.profile.thermal.full_speed_s if launch.profile.thermal is not None else None
        share = started.scale.quota.share
        started.cpus, started.limits = share, replace(started.limits, cpus=share)
        return started
    raise AssertionError("the last attempt returns or raises")


def where(engine: EngineName, name: str | None) -> Context | None:
    """The engine that a docker context, or a URL, names; None where there is none to be.

    Raises:
        UsageError: there is no such context, or a plain process is to have one.
    """
    if engine == "local":
        if name is not None:
            raise UsageError(f"--engine local: has no container; --context {name} is for one")
        return None
    return context.resolve(name)


def _check_port(port: int) -> None:
    """Before the work: the engine would find out last of all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageError(
                f"port {port} of 127.0.0.1: {error.strerror}", fix="give another --port, or none"
            ) from error


def _check_handover(launch: Launch) -> None:
    wanted = launch.delivery
    if launch.engine == "local" and (launch.way, launch.volume, launch.results) != (None, None, None):
        raise UsageError("--engine local: has no container; --mount, --volume and --results are for one")
    if launch.watch and wanted.method == "image":
        raise UsageError("--watch: nothing changes inside an image", fix="--mount bind or volume")
    wanted.check()


def _start_local(launch: Launch, stages: Stages, stack: ExitStack) -> Board:
    _check_execution(launch.execution, "host", "--engine local")
    if not launch.own_server:
        raise UsageError(
            f"--engine local: runs edgesim's own server; image {launch.profile.image.reference} needs docker"
        )
    threads = min(launch.profile.cpu.cores, len(launch.cores or ()) or psutil.cpu_count() or 1)
    begun = time.monotonic()
    with stages.stage("create", "starting the server as a process of this host"):
        device = stack.enter_context(
            local_device.start(
                launch.mounts,
                launch.model_names,
                intra_op_threads=threads,
                watch=launch.watch,
                port=launch.port,
                environment=launch.profile.image.environment,
                cores=launch.cores,
                first=launch.first,
            )
        )
    return Board(
        device=device,
        execution="host",
        image=ImageSection(),
        host=host_facts.describe(engine=None, emulator=None),
        memory_limit_bytes=None,
        cpus=len(launch.cores) if launch.cores is not None else psutil.cpu_count() or 1,
        intra_op_threads=threads,
        shortfalls=("limits: a plain process has none of the board's but its thread count",),
        models=launch.models,
        image_s=None,
        create_s=time.monotonic() - begun - (device.start_s or 0.0),
    )


def _start_docker(launch: Launch, stages: Stages, stack: ExitStack, *, all_cores: bool = True) -> Board:
    simulated = launch.profile
    scaled = launch.execution == "scaled"
    with stages.stage("preflight", "looking at the engine and the emulator"):
        engine = docker_engine.Engine(launch.context)
        here = engine.facts.architecture
        architecture = here if scaled else simulated.architecture
        execution: Execution = "scaled" if scaled else "native" if architecture == here else "emulated"
        there = f"this {here} host" if launch.machine is None else f"{launch.context}, which is {here},"
        _check_execution(launch.execution, execution, f"an {simulated.architecture} board on {there}")
        if execution == "emulated" and launch.machine is not None:
            raise HostError(
                f"context {launch.context}: is {here}, the board is {simulated.architecture}; edgesim looks after an"
                " emulator on this machine alone",
                fix=f"a context of an {simulated.architecture} machine, or none",
            )
        core = simulated.emulation.qemu_cpu if simulated.emulation is not None else None
        runs_through = emulator.require(architecture, core, native=here)
    cores = len(launch.cores) if launch.cores is not None else engine.facts.cores
    wanted = launch.delivery
    files = [path for served in launch.models for path in (served.path, *served.data_paths)]
    limits = budget.plan(
        simulated,
        host_cores=cores,
        host_memory_bytes=engine.facts.memory_bytes,
        # What is not mounted lies where the engine keeps all that it has; on another machine that is nobody's to see.
        files=()
        if not launch.own_server or launch.machine is not None
        else files
        if wanted.method == "bind"
        else [engine.facts.storage],
    )
    threads = limits.intra_op_threads if all_cores else 1
    if scaled:  # its cores are in its time
        limits = replace(limits, shortfalls=tuple(s for s in limits.shortfalls if not s.startswith("cores:")))
    if limits.read_bytes_per_s is not None:
        for path in files:
            disks.forget(path)

    begun = time.monotonic()
    if launch.own_server:
        built = serving_image.build(engine, simulated, stages, base_image=launch.base, architecture=architecture)
    else:
        built = serving_image.pull(engine, simulated, stages)
    image_s, server_image = time.monotonic() - begun, built.id
    delivered = deliver(engine, wanted, built, stages)
    if wanted.method == "image":
        image_s, built = time.monotonic() - begun, delivered.image
    if built.cached and launch.own_server:
        stages.note(f"image {built.reference}: unchanged, nothing to build")

    begun = time.monotonic()
    with stages.stage("create", f"starting {built.reference} within {simulated.reference}'s limits"):
        container = Container(
            image=built.id,
            platform=f"linux/{architecture}",
            arguments=launch.server_arguments(intra_op_threads=threads),
            mounts=delivered.mounts,
            user=delivered.user,
            memory_bytes=limits.memory_bytes,
            cpus=limits.cpus,
            environment=_environment(launch, execution, threads),
            port=simulated.image.port,
            host_port=launch.port,
            # Another image may have been made to write where it lives.
            read_only=launch.own_server,
            cores=launch.cores,
            processes=limits.processes,
            open_files=limits.open_files,
            storage_device=limits.storage_device,
            read_bytes_per_s=limits.read_bytes_per_s,
            write_bytes_per_s=limits.write_bytes_per_s,
            network=simulated.network,
        )
        device = stack.enter_context(engine.start(container))
    return Board(
        device=device,
        execution=execution,
        image=ImageSection(
            reference=built.reference,
            id=built.id,
            base=built.base,
            cached=built.cached,
            server_id=server_image if server_image != built.id else None,
        ),
        host=engine.host_facts()
        if launch.machine is not None
        else host_facts.describe(
            engine=f"Docker {engine.facts.version}", emulator=str(runs_through) if runs_through is not None else None
        ),
        memory_limit_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        limits=limits,
        intra_op_threads=threads,
        shortfalls=tuple(_shortfalls(launch, limits, device)),
        models=launch.models,
        image_s=image_s,
        create_s=time.monotonic() - begun - (device.start_s or 0.0),
        mount=wanted.method,
        volume=delivered.volume,
        server_image=server_image,
    )


def _shortfalls(launch: Launch, limits: budget.Budget, device: DockerDevice) -> Iterator[str]:
    yield from limits.shortfalls
    yield from device.network.shortfalls
    if not launch.own_server:
        yield _UNSEEN
    if launch.machine is not None:
        yield f"latency: has the way to {launch.machine} and back in it"


_UNSEEN = "what is inside: this image does not tell; architecture and limits are as this host's kernel has them"


def _environment(launch: Launch, execution: Execution, threads: int) -> dict[str, str]:
    environment: dict[str, str] = {}
    if execution == "emulated" and launch.profile.emulation:
        environment["QEMU_CPU"] = launch.profile.emulation.qemu_cpu
    if not launch.own_server:
        environment["OMP_NUM_THREADS"] = str(threads)  # what most runtimes heed; else they count the host's cores
    return environment | launch.profile.image.environment


def _check_execution(asked: Execution | None, given: Execution, where: str) -> None:
    if asked is not None and asked != given:
        raise UsageError(f"--execution {asked}: {where} runs as {given}", fix=f"leave --execution out, or say {given}")
