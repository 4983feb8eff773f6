"""The emulator on the machine of an engine: this host's, asked of the kernel, or another's, asked in a container."""

import io
import tarfile

from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import run_labels
from edgesim.errors import DeviceError, EmulatorMissing
from edgesim.host import emulator
from edgesim.host.emulator import Emulator

_IMAGE = "edgesim/arm64-program:1"
_PROGRAM = "/program"
_PATIENCE_S = 60


def require(engine: Engine, architecture: str, core: str | None = None) -> Emulator | None:
    """Return the emulator that runs programs of `architecture` in an engine's containers; None if none is needed.

    An engine on this host runs them by this host's kernel. On any other machine, which may be this one seen from a
    container or from outside of a virtual machine, a container that tries is the only proof.

    Raises:
        EmulatorLacksCore: the emulator does not have the `core`.
        HostError: no reliable emulator runs them.
    """
    if engine.facts.on_this_host or architecture == engine.facts.architecture:
        return emulator.require(architecture, core, native=engine.facts.architecture)
    running = probe(engine) if architecture == "arm64" else None
    if running is None and architecture == "arm64":
        raise EmulatorMissing(
            f"the engine's machine {engine.facts.name} is {engine.facts.architecture}, and no emulator there runs "
            f"{architecture} programs in containers",
            fix=f"on that machine: {emulator.REGISTER_BY_IMAGE.format(name='qemu-aarch64')}",
        )
    judged = emulator.judge(architecture, running=running, installed=None, registration=None)
    return emulator.having(judged, core)


def probe(engine: Engine) -> Emulator | None:
    """Run an arm64 program in a container of the engine; return the emulator that runs it, None if it does not run.

    QEMU's user-mode emulator takes its options from the environment, too: QEMU_VERSION and ``QEMU_CPU=help`` make it
    print what the program's path would not tell, and end (linux-user/main.c).
    """
    _make_image(engine)
    try:
        version = _output(engine, {"QEMU_VERSION": "1"})
        return emulator.reported(version, _output(engine, {"QEMU_CPU": "help"}))
    except DeviceError:  # "exec format error"
        return None


def _make_image(engine: Engine) -> None:
    if engine.images.id(_IMAGE) is not None:
        return
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry, program = tarfile.TarInfo(_PROGRAM.lstrip("/")), emulator.arm64_program()
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    engine.images.import_files(archive.getvalue(), _IMAGE)


def _output(engine: Engine, environment: dict[str, str]) -> str:
    """Return what the emulator prints for these variables.

    Raises:
        DeviceError: the engine cannot start the program.
    """
    with engine_call():
        container = engine.client.containers.create(
            _IMAGE,
            [_PROGRAM],
            environment=environment,
            labels=run_labels(),
            network_mode="none",
            use_config_proxy=False,
        )
        try:
            container.start()
            container.wait(timeout=_PATIENCE_S)
            return str(container.logs().decode(errors="replace"))
        finally:
            container.remove(force=True, v=True)
