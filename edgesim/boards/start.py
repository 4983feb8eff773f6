"""The start of a board: placement -> limits -> image -> delivered models -> container -> a board that is ready."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgesim.boards import local_device, readiness, time_scaling
from edgesim.boards.board import Board
from edgesim.boards.device import ScalableDevice
from edgesim.boards.launch import Launch
from edgesim.boards.limits import Limits, cores_shortfall, limits_of
from edgesim.boards.placement import Placement, compare, local_execution, place
from edgesim.boards.server_command import counting_mounts, emulated_entrypoint, emulator_mount, server_environment
from edgesim.counting import emulator as counting_emulator
from edgesim.counting.counter import Counter
from edgesim.delivery import symlinks
from edgesim.delivery.deliver import Delivered, check_files, deliver
from edgesim.engine import emulation, gpus, machine, own_container
from edgesim.engine.container import Container, DockerDevice
from edgesim.engine.delegation import DELEGATE, remedy
from edgesim.engine.docker_engine import Engine
from edgesim.engine.engine_facts import EngineFacts
from edgesim.engine.gpu_access import GpuAccess
from edgesim.engine.mounts import Mount
from edgesim.errors import HostError, HostTooSlow, LimitsDenied, NotReady, ScaleFailed
from edgesim.host import cores, disks, emulator, host_facts, limit_values
from edgesim.host.host_facts import HostFacts
from edgesim.host.identity import Comparison
from edgesim.host.scratch import scratch_directory
from edgesim.images import serving_image
from edgesim.images.image import Image
from edgesim.options import CPU, MountMethod
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.recording import Reading


@contextmanager
def start(launch: Launch, stages: Stages) -> Iterator[Board]:
    """Start a board; take it down when the block ends, however the block ends.

    Raises:
        UsageError: the options exclude each other, or the board runs in another execution than requested.
        HostError: this host cannot run the board; DeviceError: the image, the container or the server failed.
    """
    launch.check()
    with ExitStack() as stack:
        if launch.options.engine == "local":
            yield _start_process(launch, stages, stack)
            return
        launch = _seen_by_engine(launch)
        if launch.is_slowed_down:
            yield _start_scaled(launch, stages, stack)
        else:
            prepared = _prepare(launch, stages)
            threads = launch.options.count_threads if launch.options.count else prepared.limits.intra_op_threads
            board, _ = _start_container(launch, prepared, threads, stages, stack)
            yield board


def require_engine(launch: Launch) -> None:
    """Ask the engine of a launch whether it could start the board, before other work that takes long.

    Raises:
        HostError: no engine answers; or the run needs a CPU limit, and the engine cannot set one.
    """
    if launch.options.engine == "local":
        return
    facts = Engine(launch.context).facts
    if launch.options.execution == "scaled":
        require_cpu_limit(facts, launch.profile)


def compare_machine(launch: Launch, stages: Stages, *, build: bool = True) -> Comparison:
    """Compare the machine that would run a board with the board, without starting the board.

    Args:
        build: build the serving image if the engine is not on this host itself and has no image to read its machine
            with; otherwise such a machine stays unknown, and is taken for another one than the board.

    Raises:
        HostError: no engine answers; DeviceError: the image cannot be built.
    """
    if launch.context is None:
        return local_execution(launch.profile)[1]
    engine = Engine(launch.context)

    def image() -> str | None:
        if build:
            return _server_image(launch, engine, launch.profile.architecture, stages).reference
        reference = serving_image.reference_of(launch.profile) if launch.own_server else launch.profile.image.reference
        return reference if reference is not None and engine.images.id(reference) is not None else None

    return compare(
        launch.profile,
        lambda: machine.identity_of(engine, image),
        engine_architecture=engine.facts.architecture,
    )


# --- a plain process --------------------------------------------------------------------------------------------------


def _start_process(launch: Launch, stages: Stages, stack: ExitStack) -> Board:
    for mount in launch.mounts:
        if mount.source.is_dir():
            symlinks.require_allowed(mount.source)
    usable = cores.usable()
    count = min(len(launch.cores), usable.count) if launch.cores else usable.count
    threads = min(launch.profile.cpu.cores, count)
    shortfalls = ["limits: a plain process has none of the board's limits, only its number of threads"]
    if threads < launch.profile.cpu.cores:
        shortfalls.append(cores_shortfall(launch.profile.cpu.cores, threads, f"the process has {usable.among(count)}"))
    environment = launch.profile.image.environment
    if names := local_device.variables_left_out(environment):
        shortfalls.append(
            f"environment: {', '.join(names)} not set: a process of this host gets only the profile's variables for "
            "threads, since others can load code with your rights"
        )
    begin_s = time.monotonic()
    with stages.stage("create", "starting the server as a process of this host"):
        device = stack.enter_context(
            local_device.start(
                launch.mounts,
                launch.model_names,
                intra_op_threads=threads,
                board_cores=launch.profile.cpu.cores,
                watch=launch.options.watch,
                port=launch.options.port,
                grpc_port=launch.options.grpc_port or 0 if launch.grpc_port is not None else None,
                environment=environment,
                cores=launch.cores,
                high_priority=launch.high_priority,
            )
        )
    execution, comparison = local_execution(launch.profile)
    board = Board(
        device=device,
        execution="host" if launch.options.execution == "host" else execution,
        host=host_facts.describe(engine=None, emulator=None).beside(comparison),
        cpus=count,
        intra_op_threads=threads,
        shortfalls=tuple(shortfalls),
        models=launch.models,
        create_s=time.monotonic() - begin_s,
        protocol=launch.options.protocol,
    )
    return _until_ready(board, launch, stages)


def _seen_by_engine(launch: Launch) -> Launch:
    """Return the launch as the engine can carry it out, which may not see the files of edgesim's own container."""
    if own_container.is_in_container() and Engine(launch.context).facts.own is not None:
        return launch.beside_the_board()
    return launch


# --- a container ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What a container is started from.

    Attributes:
        server_image: the image with the server; `delivered.image` is another one if the models are inside the image.
        mount: how the models get into the container.
        image_s: seconds to build or find the image, and to pack the models if they are inside.
    """

    engine: Engine
    gpus: GpuAccess | None
    placement: Placement
    limits: Limits
    server_image: Image
    delivered: Delivered
    mount: MountMethod
    image_s: float


def require_cpu_limit(facts: EngineFacts, profile: DeviceProfile) -> None:
    """Check that an engine can slow a server down.

    Raises:
        LimitsDenied: it says that it cannot limit CPU time.
    """
    if "CPU" not in facts.unlimited:
        return
    fix = remedy(facts)
    if profile.emulation is not None and "memory" not in facts.unlimited:
        fix += "; for answers and memory alone, `execution=emulated` works without"
    raise LimitsDenied(f"`execution=scaled`: {facts.title} cannot limit CPU time", fix=fix)


def _prepare(launch: Launch, stages: Stages) -> _Prepared:
    with stages.stage("preflight", "looking at the engine"):
        engine = Engine(launch.context)
        if launch.options.execution == "scaled":
            require_cpu_limit(engine.facts, launch.profile)
        access = gpus.require(engine) if launch.gpus else None
    checked = check_files(engine, launch.delivery)
    images: list[Image] = []
    image_s = 0.0

    def server_image_for(architecture: str) -> Image:
        """Build the server's image once: a machine that only a container can read needs the image before it is time."""
        nonlocal image_s
        if not images:
            begin_s = time.monotonic()
            images.append(_server_image(launch, engine, architecture, stages))
            image_s = time.monotonic() - begin_s
        return images[0]

    placement = _place(launch, engine, lambda: server_image_for(launch.profile.architecture).reference)
    if access is not None and placement.execution not in ("native", "same-architecture"):
        raise HostError(
            f"`gpus=all`: this is a run of execution {placement.execution}, and a GPU runs no emulated programs",
            fix="on the board, or with its `context`; here, `gpus=none`",
        )
    if placement.comparison.remedy:
        stages.note(f"not taken for the board: {placement.comparison.remedy}")
    limits = _limits(launch, engine, placement)
    server_image = server_image_for(placement.architecture)
    begin_s = time.monotonic()
    inside = placement.architecture in launch.models_inside
    delivered = Delivered(image=server_image, mounts=()) if inside else deliver(engine, checked, server_image, stages)
    if delivered.image != server_image:
        image_s += time.monotonic() - begin_s
    if delivered.image.cached and launch.own_server:
        stages.note(f"serving image {delivered.image.reference}: unchanged, nothing to build")
    return _Prepared(
        engine=engine,
        gpus=access,
        placement=placement,
        limits=limits,
        server_image=server_image,
        delivered=delivered,
        mount="image" if inside else launch.delivery.method,
        image_s=image_s,
    )


def _place(launch: Launch, engine: Engine, image: Callable[[], str]) -> Placement:
    profile, architecture = launch.profile, engine.facts.architecture
    # An emulator that counts stands before the command on any machine, whatever else would run the board.
    placement = place(
        profile,
        launch.options.execution if not launch.options.count else None,
        engine_architecture=architecture,
        context=engine.context,
        machine=lambda: machine.identity_of(engine, image),
    )
    if launch.options.count:
        return placement.counted_by(counting_emulator.find())
    if placement.execution != "emulated":
        return placement
    core = profile.emulation.qemu_cpu if profile.emulation is not None else None
    if placement.emulator_in_command:
        return replace(placement, emulator=emulator.require_static(core))
    return replace(placement, emulator=emulation.require(engine, placement.architecture, core))


def _limits(launch: Launch, engine: Engine, placement: Placement) -> Limits:
    unlimited = [name for name in engine.facts.unlimited if name != "cores" or launch.cores is not None]
    limits = limits_of(
        launch.profile,
        host_cores=len(launch.cores) if launch.cores is not None else engine.facts.cores,
        host_memory_bytes=engine.facts.memory_bytes,
        files=_files_read(launch, engine),
    ).without(unlimited)
    # The time of a board that is slowed down includes all of the board's cores, however many this host has.
    return limits.without_shortfall("cores") if launch.is_slowed_down else limits


def _files_read(launch: Launch, engine: Engine) -> list[Path]:
    """Return the files that the container reads from a disk of this host, as far as this host can see them."""
    if not launch.own_server or launch.machine is not None:
        return []
    return _model_files(launch) if launch.delivery.method == "bind" else [engine.facts.storage]


def _model_files(launch: Launch) -> list[Path]:
    return [path for model in launch.models for path in (model.path, *model.data_paths)]


def _server_image(launch: Launch, engine: Engine, architecture: str, stages: Stages) -> Image:
    if (reference := launch.serving_images.get(architecture)) is not None:
        return serving_image.existing(engine, reference)
    if not launch.own_server:
        return serving_image.pull(engine, launch.profile, stages)
    return serving_image.build(
        engine,
        launch.profile,
        stages,
        base_image=launch.options.base_image,
        runtime=launch.runtime.release if launch.runtime is not None else None,
        architecture=architecture,
    )


def _start_container(
    launch: Launch, prepared: _Prepared, threads: int, stages: Stages, stack: ExitStack
) -> tuple[Board, ScalableDevice]:
    """Start a container and wait until its server is ready."""
    if prepared.limits.read_bytes_per_s is not None:
        for path in _model_files(launch):
            disks.forget(path)
    reference = prepared.delivered.image.reference
    counter = _counter(stack) if prepared.placement.counting is not None else None
    begin_s = time.monotonic()
    with stages.stage("create", f"starting {reference} within {launch.profile.reference}'s limits"):
        device = stack.enter_context(prepared.engine.start(_container(launch, prepared, threads, counter)))
    create_s = time.monotonic() - begin_s - (device.start_s or 0.0)
    board = replace(_board(launch, prepared, device, threads, create_s), counter=counter)
    return _until_ready(board, launch, stages), device


def _counter(stack: ExitStack) -> Counter:
    """Return a counter with a directory for its socket, which the container writes to and nobody else sees."""
    private = Path(stack.enter_context(scratch_directory(ignore_cleanup_errors=True)))
    directory = private / "counts"
    directory.mkdir()
    directory.chmod(0o777)
    return Counter(directory)


def _container(launch: Launch, prepared: _Prepared, threads: int, counter: Counter | None) -> Container:
    profile, placement, limits, delivered = launch.profile, prepared.placement, prepared.limits, prepared.delivered
    return Container(
        image=delivered.image.id,
        platform=f"linux/{placement.architecture}",
        arguments=launch.server_arguments(intra_op_threads=threads),
        entrypoint=emulated_entrypoint(placement.counting) if placement.emulator_in_command else None,
        mounts=[*delivered.mounts, *_emulator_mounts(placement, counter)],
        user=delivered.user,
        gpus=prepared.gpus,
        memory_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        environment=server_environment(
            profile,
            placement.execution,
            own_server=launch.own_server,
            threads=threads,
            variables=profile.image.environment,
            counted=counter is not None,
        ),
        port=profile.image.port,
        host_port=launch.options.port,
        grpc_port=launch.grpc_port,
        grpc_host_port=launch.options.grpc_port or 0,
        # Another image's server may write into its own image.
        read_only=launch.own_server,
        cores=launch.cores,
        processes=limits.processes,
        open_files=limits.open_files,
        storage_device=limits.storage_device,
        read_bytes_per_s=limits.read_bytes_per_s,
        write_bytes_per_s=limits.write_bytes_per_s,
        network=limits.network,
    )


def _emulator_mounts(placement: Placement, counter: Counter | None) -> list[Mount]:
    if placement.counting is not None and counter is not None:
        return counting_mounts(placement.counting, counter)
    if placement.emulator_in_command and placement.emulator is not None:
        return [emulator_mount(placement.emulator)]
    return []


def _board(launch: Launch, prepared: _Prepared, device: DockerDevice, threads: int, create_s: float) -> Board:
    limits, delivered = prepared.limits, prepared.delivered
    return Board(
        device=device,
        execution=prepared.placement.execution,
        image=delivered.image,
        server_image=prepared.server_image.id,
        host=_host(launch, prepared),
        memory_limit_bytes=limits.memory_bytes,
        cpus=limits.cpus,
        limits=limits,
        intra_op_threads=threads,
        shortfalls=tuple(_shortfalls(launch, limits, device, threads)),
        models=launch.models,
        image_s=prepared.image_s,
        create_s=create_s,
        mount=prepared.mount,
        volume=delivered.volume,
        gpus=prepared.gpus.method if prepared.gpus is not None else None,
        target=launch.target,
        runtime_reason=launch.runtime_reason,
        protocol=launch.options.protocol,
    )


def _host(launch: Launch, prepared: _Prepared) -> HostFacts:
    if launch.machine is not None:
        return prepared.engine.host_facts().beside(prepared.placement.comparison)
    runs_through = prepared.placement.emulator
    return host_facts.describe(
        engine=prepared.engine.facts.title,
        emulator=str(runs_through) if runs_through is not None else None,
        cores=prepared.engine.facts.cores,
    ).beside(prepared.placement.comparison)


def _shortfalls(launch: Launch, limits: Limits, device: DockerDevice, threads: int) -> Iterator[str]:
    yield from limits.shortfalls
    if launch.options.execution == "same-architecture" and threads < limits.intra_op_threads:
        yield (
            f"threads: the board runs {limits.intra_op_threads}, this server {threads}, which suits its CPU share; the "
            "memory of the others' stacks and buffers is not in the peak"
        )
    yield from device.network.shortfalls
    yield from _lost_limits(limits, device)
    if not launch.own_server:
        yield "inside the container: this image does not report it; architecture and limits are the host kernel's"
    if device.proxies:
        variables = ", ".join(f"{name}={url}" for name, url in device.proxies.items())
        yield f"proxies: the container's image or environment sets {variables}, and the board has none"
    if launch.machine is not None:
        yield f"latency: includes the network to {launch.machine} and back"


def _lost_limits(limits: Limits, device: DockerDevice) -> Iterator[str]:
    """Yield what the engine warns of, and which limits the kernel does not hold although they were set."""
    for warning in device.warnings:
        yield f"engine: it warns: {warning}"
    outside = device.from_outside()
    for reading in limit_values.lost(limits.requested, outside.limits) if outside.limits_known else ():
        if not any(shortfall.startswith(f"{reading.title}:") for shortfall in limits.shortfalls):
            yield f"{reading.title}: does not hold: {reading.finding}"


def _until_ready(board: Board, launch: Launch, stages: Stages) -> Board:
    with stages.stage("ready", "waiting for the server to load the model"):
        readings: list[Reading] = []
        try:
            ready_s = readiness.wait(
                board.device,
                launch.profile.image.health_path,
                explain_death=lambda state: board.death(state, "loading the model"),
                timeout_s=launch.options.ready_timeout_s,
                emulated=board.execution == "emulated",
                readings=readings,
                ask=readiness.over_grpc(board.device) if launch.ready_by_grpc else None,
            )
        except NotReady as error:
            if not launch.own_server and not launch.ready_by_grpc:
                error.fix += ", or `protocol=grpc` for a server that has no HTTP"
            raise
    return replace(board, ready_s=ready_s, start_readings=tuple(readings))


# --- a scaled container -----------------------------------------------------------------------------------------------


def _start_scaled(launch: Launch, stages: Stages, stack: ExitStack) -> Board:
    """Start a board with one thread, which suits CPU shares best; with all cores if one thread is too slow."""
    prepared = _prepare(launch, stages)
    threads, previous = prepared.limits.intra_op_threads, launch.previous_scaling
    if threads > 1 and (previous is None or previous.threads == 1):
        with ExitStack() as attempt:
            try:
                board = _start_tuned(launch, prepared, 1, stages, attempt)
            except HostTooSlow:
                stages.note("one thread of this host is too slow; trying all of its cores")
            else:
                stack.enter_context(attempt.pop_all())
                return board
    return _start_tuned(launch, prepared, threads, stages, stack)


def _start_tuned(launch: Launch, prepared: _Prepared, threads: int, stages: Stages, stack: ExitStack) -> Board:
    """Start a container, and find the CPU share and paces that make its server as slow as the board.

    Raises:
        HostTooSlow: the server is slower than the board.
        DeviceError: the server died, or a request failed.
    """
    board, device = _start_container(launch, prepared, threads, stages, stack)
    outside = device.from_outside()
    if outside.limits_known and outside.limits.cpus is None:
        raise LimitsDenied(
            "`execution=scaled`: CPU time is not limited: the engine accepted the limit, and the kernel has none",
            fix=DELEGATE,
        )
    try:
        with stages.stage("calibration", "finding the share of this host that makes the board's time"):
            scale = time_scaling.tune(
                device,
                launch.targets,
                threads=threads,
                cores=prepared.limits.cpus,
                by_pace=launch.target != CPU,
                previous=launch.previous_scaling,
            )
    except OSError as error:
        state = device.state()
        if not state.running:
            raise board.death(state, "tuning the time scaling") from error
        raise ScaleFailed(f"a request failed while the time scaling was tuned: {error}", log=device.log()) from error
    thermal = launch.profile.thermal if launch.target == CPU else None
    return board.scaled_by(scale, thermal.full_speed_s if thermal is not None else None)
