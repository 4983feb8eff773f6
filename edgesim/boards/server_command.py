"""The command line of edgesim's own server."""

from collections.abc import Sequence

from edgesim.engine.mounts import RESULTS
from edgesim.profiles import DeviceProfile


def server_arguments(
    model_names: Sequence[str],
    *,
    repository: str,
    intra_op_threads: int,
    host: str,
    port: int,
    watch: bool = False,
    paced: bool = False,
    results: bool = False,
) -> list[str]:
    """The command line of edgesim's own server; no model named is all that are there."""
    arguments = [
        "--models",
        repository,
        "--host",
        host,
        "--port",
        str(port),
        "--intra-op-threads",
        str(intra_op_threads),
    ]
    if watch:
        arguments.append("--watch")
    if paced:
        arguments.append("--paced")
    if results:
        arguments += ["--results", RESULTS]
    for name in model_names:
        arguments += ["--model", name]
    return arguments


def packed_command(simulated: DeviceProfile, model_names: Sequence[str]) -> list[str] | None:
    """What a packed image starts its server with, with a thread for each of the board's cores."""
    if simulated.image.reference is not None:
        return None
    return server_arguments(
        model_names,
        repository=simulated.image.mount_point,
        intra_op_threads=simulated.cpu.cores,
        host="0.0.0.0",  # noqa: S104 (of the container)
        port=simulated.image.port,
    )
