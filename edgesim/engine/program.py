"""A Python program that runs to its end on an engine's machine, and may read the whole machine."""

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import docker.types

from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine, remove_container
from edgesim.engine.labels import run_labels
from edgesim.engine.mounts import Mount, engine_mounts
from edgesim.errors import DeviceError

# Where the container has the machine's root directory, read-only, and a new volume on the disk of the engine.
MACHINE, SCRATCH = "/machine", "/scratch"
_POLL_S = 0.2
_LOG_LINES = 20


def run_on_machine(engine: Engine, image: str, program: str, arguments: Sequence[str], *, timeout_s: float) -> str:
    """Run a program in a container of its own, without network and capabilities; return what it printed.

    Args:
        image: has `python3`, as the serving image does.
        program: text of the program.

    Raises:
        DeviceError: the program failed, or did not end in time.
        HostError: the engine does not answer any more.
    """
    session = secrets.token_hex(4)
    mounts = engine_mounts([Mount(Path("/"), MACHINE)], relabel=False)
    mounts["mounts"].append(docker.types.Mount(SCRATCH, None, type="volume"))
    try:
        with engine_call():
            container = engine.client.containers.create(
                image,
                [program, *arguments],
                entrypoint=["python3", "-uc"],
                name=f"edgesim-{session}",
                labels=run_labels(session),
                network_mode="none",
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
                read_only=True,
                user="0:0",  # owns the volume
                **mounts,
            )
    except KeyboardInterrupt:
        engine.remove_session(session)
        raise
    try:
        with engine_call():
            container.start()
        deadline = time.monotonic() + timeout_s
        while True:
            with engine_call():
                container.reload()
            if container.status == "exited":
                break
            if time.monotonic() > deadline:
                raise DeviceError(f"the program on {engine.context} did not end within {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        with engine_call():
            code = container.attrs["State"]["ExitCode"]
            if code != 0:
                log = container.logs(tail=_LOG_LINES).decode(errors="replace")
                raise DeviceError(f"the program on {engine.context} ended with exit code {code}", log=log)
            return str(container.logs(stderr=False).decode(errors="replace"))
    finally:
        with engine_call():
            remove_container(container)
