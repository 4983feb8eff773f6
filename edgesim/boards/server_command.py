"""The command line and the environment of the server in a container."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesim.counting.counter import Counter
from edgesim.counting.emulator import MOUNT_POINT, SAME_ENVIRONMENT, SOCKET_DIRECTORY, CountingEmulator
from edgesim.engine.mounts import RESULTS, Mount
from edgesim.host.emulator import Emulator
from edgesim.options import Execution
from edgesim.profiles import DeviceProfile


def server_arguments(
    model_names: Sequence[str],
    *,
    repository: str,
    intra_op_threads: int,
    board_cores: int,
    host: str,
    port: int,
    grpc_port: int | None = None,
    watch: bool = False,
    paced: bool = False,
    results: bool = False,
    gpus: str | None = None,
    marks: bool = False,
) -> list[str]:
    """Return the command line of edgesim's own server.

    Args:
        model_names: the models to load, all of which must load; none means all models of the repository that load.
        intra_op_threads: threads of one inference on this host.
        board_cores: the most threads that a model's configuration may ask for.
        grpc_port: answer gRPC, too; None means HTTP alone.
        watch: reload models when the repository changes.
        paced: accept a pace, as time scaling sets it.
        results: write statistics into the directory for results.
        gpus: the precision in which a GPU runs models; None means the CPU alone.
        marks: mark loads and inferences for an emulator that counts instructions.
    """
    arguments = [
        "--models",
        repository,
        "--host",
        host,
        "--port",
        str(port),
        "--intra-op-threads",
        str(intra_op_threads),
        "--board-cores",
        str(board_cores),
    ]
    if grpc_port is not None:
        arguments += ["--grpc-port", str(grpc_port)]
    if watch:
        arguments.append("--watch")
    if paced:
        arguments.append("--paced")
    if results:
        arguments += ["--results", RESULTS]
    if gpus is not None:
        arguments += ["--gpus", gpus]
    if marks:
        arguments.append("--marks")
    for name in model_names:
        arguments.append(f"--model={name}")  # in one word, because a name may begin with a hyphen
    return arguments


def engine_precision(profile: DeviceProfile, target: str) -> str:
    """Return the precision in which edgesim's own server runs models on a GPU.

    It is that of the target; for another target, the lowest float that the GPU is fast in.
    """
    if target.startswith("gpu:tensorrt-"):
        return target.rpartition("-")[2]
    fast = {precision for accelerator in profile.accelerators for precision in accelerator.precisions}
    return "fp16" if "fp16" in fast else "fp32"


def packed_command(profile: DeviceProfile, model_names: Sequence[str]) -> list[str] | None:
    """Return the arguments of the server in a packed image, with a thread for each of the board's cores.

    None for another image's server, which keeps its own command.
    """
    if profile.image.reference is not None:
        return None
    return server_arguments(
        model_names,
        repository=profile.image.mount_point,
        intra_op_threads=profile.cpu.cores,
        board_cores=profile.cpu.cores,
        host="0.0.0.0",  # noqa: S104 (in the container)
        port=profile.image.port,
    )


# Where a container has the emulator that is started explicitly.
_EMULATOR = "/run/edgesim-qemu-aarch64"
# The entrypoint of the serving image (Dockerfile.jetson). An emulator looks for no program on the PATH.
_SERVER = ("/usr/bin/python3", "-m", "edgesim_server")


def emulated_entrypoint(counting: CountingEmulator | None = None) -> tuple[str, ...]:
    """Return the entrypoint of edgesim's own server behind an emulator.

    `emulator_mount` brings the emulator along, and `counting_mounts` one that counts.

    A kernel of the board's architecture runs the server's program itself, and no registration stands before it. The
    server starts no other program, which would run without the emulator.
    """
    return counting.command(_SERVER) if counting is not None else (_EMULATOR, *_SERVER)


def counting_mounts(counting: CountingEmulator, counter: Counter) -> list[Mount]:
    """Return the mounts of an emulator that counts, and of the directory in which it answers."""
    return [
        Mount(counting.directory, MOUNT_POINT),
        Mount(counter.directory, SOCKET_DIRECTORY, writable=True),
    ]


def emulator_mount(emulator: Emulator) -> Mount:
    """Return the mount of a statically linked emulator of this host."""
    return Mount(Path(emulator.interpreter), _EMULATOR)


def server_environment(
    profile: DeviceProfile,
    execution: Execution,
    *,
    own_server: bool,
    threads: int,
    variables: Mapping[str, str],
    counted: bool = False,
) -> dict[str, str]:
    """Return the environment of a container: the emulated core, the number of threads, and the user's `variables`.

    Args:
        counted: an emulator counts the instructions, and what differs from start to start has to be fixed.
    """
    environment = dict(SAME_ENVIRONMENT) if counted else {}
    if execution == "emulated" and profile.emulation is not None:
        environment["QEMU_CPU"] = profile.emulation.qemu_cpu
    if not own_server:
        # Most runtimes read OMP_NUM_THREADS; without it they count the host's cores.
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment | dict(variables)
