"""What a machine that runs cells of a sweep has, by name, and how a worker is started there.

The names are resources of Dask: a worker declares what its machine has, a cell names what it needs. To Dask they are
nothing but names; `edgesim doctor` finds out which of them a machine has.
"""

import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from edgesim.counting import emulator as counting_emulator
from edgesim.engine import docker_engine, emulation, gpus
from edgesim.engine.api_errors import engine_call
from edgesim.engine.context import Context
from edgesim.errors import EdgesimError
from edgesim.host.emulator import host_architecture

# One board at a time: a second one would take the cores that the first one is measured on.
BOARD = "board"
ENGINE = "engine"
COUNTING = "counting"
GPU = "gpu"
# The engine's containers run programs of an architecture by the name of that architecture, natively or emulated.
_ARCHITECTURES = ("arm64", "amd64")
ANY_SCHEDULER = "tcp://SCHEDULER:8786"


def native(architecture: str) -> str:
    """Return the resource of a machine whose own architecture this is."""
    return f"native-{architecture}"


def of_host(context: Context, boards: Iterable[str] = ()) -> dict[str, int]:
    """Return the resources of this machine, each of which it has once.

    Args:
        boards: names of the profiles whose board this machine has proven to be.
    """
    found, own = {BOARD, *boards}, host_architecture()
    with suppress(EdgesimError):  # without an engine, boards still run as plain processes
        engine = docker_engine.Engine(context)
        own = engine.facts.architecture
        found |= {ENGINE, own}
        found |= {name for name in _ARCHITECTURES if _succeeds(partial(emulation.require, engine, name))}
        with engine_call():
            if gpus.reported(engine.client.info()) is not None:
                found.add(GPU)
        if _succeeds(counting_emulator.find):
            found.add(COUNTING)
    return dict.fromkeys(sorted({*found, native(own)}), 1)


def command_line(resources: dict[str, int], scheduler: str = ANY_SCHEDULER) -> str:
    """Return the command that starts a worker on this machine, in this environment of Python.

    It has no word that a shell changes, so that ``$(edgesim doctor --worker ADDRESS)`` runs it.
    """
    declared = ",".join(f"{name}={count}" for name, count in resources.items())
    return f"{shlex.quote(sys.executable)} -m dask worker {scheduler} --nthreads 1 --resources {declared}"


def _succeeds(check: Callable[[], object]) -> bool:
    try:
        check()
    except EdgesimError:
        return False
    return True
