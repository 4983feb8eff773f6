"""The emulator: whether this host runs programs of the board's architecture, and by which QEMU."""

import os
import platform
import re
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edgesim import paths
from edgesim.errors import EmulatorLacksCore, EmulatorMissing, EmulatorStale, EmulatorTooOld, HostError
from edgesim.host import binfmt
from edgesim.host.architecture import architecture_of
from edgesim.host.binfmt import Registration
from edgesim.host.scratch import scratch_directory

# QEMU 7.2 dies of SIGSEGV in `import onnxruntime`; 10.0 works; 8 and 9 have not been tried.
OLDEST_MAJOR = 8
_INSTALLED = (Path("/usr/bin/qemu-aarch64-static"), Path("/usr/bin/qemu-aarch64"))
_START = "sudo {script} start"
_INSTALL = "sudo {script} install && sudo {script} start"
# The image leaves a registration of the same name as it is, so the old one goes first.
REGISTER_BY_IMAGE = (
    "docker run --privileged --rm tonistiigi/binfmt --uninstall {name} && "
    "docker run --privileged --rm tonistiigi/binfmt --install arm64; "
    "with docker/setup-qemu-action: image: tonistiigi/binfmt:latest"
)
_DELETED = " (deleted)"  # how the kernel shows a file that another has replaced
_LOAD_ADDRESS = 0x400000
_PT_INTERP = 3  # elf(5)
# sub sp, sp, #16; read(0, sp, 1); exit(0)
_READ_ONE_BYTE_AND_EXIT = (
    0xD10043FF,
    0xD2800000,
    0x910003E1,
    0xD2800022,
    0xD28007E8,
    0xD4000001,
    0xD2800000,
    0xD2800BA8,
    0xD4000001,
)


@dataclass(frozen=True)
class Emulator:
    """QEMU as the kernel runs it.

    Attributes:
        version: of the running program.
        interpreter: path of the program.
        cores: the processor cores that QEMU can emulate.
        origin: ``file``: the file at that path; ``replaced``: a file that was there, before another took its place;
            ``image``: a file of a container image that registered it; ``unknown``: the engine's machine does not say.
    """

    version: str
    interpreter: str
    cores: tuple[str, ...] = ()
    origin: Literal["file", "replaced", "image", "unknown"] = "file"

    def __str__(self) -> str:
        return f"QEMU {self.version}"


def host_architecture() -> str:
    """Return this host's architecture as profiles name it: ``amd64`` or ``arm64``."""
    return architecture_of(platform.machine().lower())


def require(architecture: str, core: str | None = None, *, native: str | None = None) -> Emulator | None:
    """Return the emulator that runs programs of `architecture`; None if the machine runs them natively.

    Args:
        core: the core that the emulator must be able to emulate.
        native: the architecture of the machine that the engine runs on; None means this host's.

    Raises:
        EmulatorLacksCore: the emulator does not have the `core`.
        HostError: no reliable emulator runs them, see `judge`.
    """
    if architecture == (native if native is not None else host_architecture()):
        return None
    running, refusal = probe()
    emulator = judge(
        architecture,
        running=running,
        refusal=refusal,
        installed=installed_version(),
        registration=binfmt.registration(architecture),
    )
    return having(emulator, core)


def having(emulator: Emulator, core: str | None) -> Emulator:
    """Return `emulator` if it can emulate `core`; None means any core.

    Raises:
        EmulatorLacksCore: it cannot.
    """
    if core is not None and core not in emulator.cores:
        raise EmulatorLacksCore(
            f"{emulator} has no core {core!r}; it has {', '.join(emulator.cores)}",
            fix="set emulation.qemu_cpu in the profile to the nearest of these, or install a newer QEMU",
        )
    return emulator


def require_static(core: str | None = None) -> Emulator:
    """Return a statically linked emulator on this host, for a container in which it stands before the command.

    Args:
        core: the core that the emulator must be able to emulate.

    Raises:
        EmulatorMissing: there is none; EmulatorTooOld: it is a QEMU that is known to crash.
        EmulatorLacksCore: it does not have the `core`.
    """
    path = next((path for path in _INSTALLED if path.is_file() and is_static(path)), None)
    version = _version(path) if path is not None else None
    if path is None or version is None:
        raise EmulatorMissing(
            "no statically linked qemu-aarch64 on this host, which runs arm64 programs itself",
            fix="sudo apt-get install qemu-user-static, or omit `execution`",
        )
    if not new_enough(version):
        raise EmulatorTooOld(
            f"QEMU {version} crashes in onnxruntime; {OLDEST_MAJOR} or newer is needed",
            fix="on Debian 12: sudo apt-get install -t bookworm-backports qemu-user-static",
        )
    emulator = reported(_output(str(path), "--version"), _output(str(path), "-cpu", "help"))
    assert emulator is not None, "its version is known"
    return having(replace(emulator, interpreter=str(path.resolve()), origin="file"), core)


def is_static(program: Path) -> bool:
    """Return whether a 64-bit ELF program needs no dynamic linker, which a container may not have (no PT_INTERP)."""
    with program.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:5] != b"\x7fELF\x02":
            return False
        (offset,), (size, count) = struct.unpack_from("<Q", header, 32), struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        segments = file.read(size * count)
    kinds = [struct.unpack_from("<I", segments, at)[0] for at in range(0, len(segments) - 3, max(size, 4))]
    return _PT_INTERP not in kinds


def judge(
    architecture: str,
    *,
    running: Emulator | None,
    installed: str | None,
    registration: Registration | None,
    refusal: OSError | None = None,
) -> Emulator:
    """Return the emulator that runs programs of `architecture`, if it is reliable.

    Args:
        running: the emulator that has just run such a program, see `probe`; None if the program did not run.
        installed: version of the QEMU on disk; None without one.
        registration: the kernel's registration for such programs; None if there is none, or if it cannot be seen.
        refusal: why the program did not run.

    Raises:
        EmulatorMissing: no emulator runs them, at least not in containers.
        EmulatorTooOld: the emulator is a QEMU that is known to crash.
        EmulatorStale: the kernel's registration leads to an emulator that is gone, or that a newer one has replaced.
        HostError: edgesim does not emulate this architecture, or this host lets no program of edgesim's run.
    """
    if architecture != "arm64":
        raise HostError(
            f"edgesim emulates arm64 boards; this host cannot run {architecture} programs",
            fix=f"run this profile on a host of architecture {architecture}",
        )
    if running is None:
        raise _not_running(architecture, installed, registration, refusal)
    if registration is not None and not registration.reaches_containers:
        raise EmulatorMissing(
            f"{running} runs {architecture} programs of this host, and none in containers: "
            f"its registration ({registration}) lacks flag F",
            fix=_fix(running, registration),
        )
    if not new_enough(running.version):
        if running.origin != "image" and installed is not None and new_enough(installed):
            raise EmulatorStale(
                f"the kernel's registration is stale: it still runs QEMU {running.version}, "
                f"although QEMU {installed} is installed",
                fix=_START.format(script=paths.engine_script()),
            )
        whose = f", which a container image registered as {running.interpreter}," if running.origin == "image" else ""
        raise EmulatorTooOld(
            f"QEMU {running.version}{whose} crashes in onnxruntime; {OLDEST_MAJOR} or newer is needed",
            fix=_fix(running, registration),
        )
    return running


def _not_running(
    architecture: str, installed: str | None, registration: Registration | None, refusal: OSError | None
) -> HostError:
    """Return the error for a host on which no program of `architecture` runs."""
    script = paths.engine_script()
    if isinstance(refusal, PermissionError):
        return HostError(
            f"this host does not let edgesim run its own programs: {refusal.strerror}: {refusal.filename}",
            fix="set TMPDIR to a directory on a file system that is not mounted noexec",
        )
    if registration is not None and not registration.enabled:
        return EmulatorStale(
            f"the emulator for {architecture} programs is switched off ({registration})",
            fix=f"echo 1 | sudo tee {binfmt.DIRECTORY / registration.name}",
        )
    if registration is not None and installed is not None:
        return EmulatorStale(
            f"QEMU {installed} is installed, but the kernel's registration for {architecture} programs is stale: "
            f"it does not point to this QEMU ({registration})",
            fix=_START.format(script=script),
        )
    if registration is not None:
        return EmulatorStale(
            f"the kernel's registration for {architecture} programs points to no working QEMU ({registration})",
            fix=REGISTER_BY_IMAGE.format(name=registration.name),
        )
    return EmulatorMissing(f"this host has no emulator for {architecture} programs", fix=_INSTALL.format(script=script))


def _fix(running: Emulator, registration: Registration | None) -> str:
    """Return how a better emulator is registered: by those who registered this one."""
    if running.origin == "image":
        return REGISTER_BY_IMAGE.format(name=registration.name if registration is not None else "qemu-aarch64")
    return _INSTALL.format(script=paths.engine_script())


def new_enough(version: str) -> bool:
    """Return whether this version of QEMU is newer than those that are known to crash."""
    return int(version.split(".")[0]) >= OLDEST_MAJOR


def probe() -> tuple[Emulator | None, OSError | None]:
    """Run an arm64 program; return the emulator that runs it, or why the program does not run.

    Only a running program shows its emulator: a registration may name a file that is gone, and after an upgrade it
    still holds the old file open. /proc/PID/exe of the running process is the program that the kernel chose; it reports
    its version.
    """
    refusal: OSError | None = None
    for program in (_program_in_memory, _program_in_a_file):
        try:
            with program() as (path, descriptors), _started(path, descriptors) as process:
                return _emulator_of(process), None
        except OSError as error:  # "exec format error", or a file system whose programs must not run
            refusal = error
            if not isinstance(error, PermissionError):
                break
    return None, refusal


@contextmanager
def _program_in_memory() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the path of the arm64 program, in no file system: that of TMPDIR may be mounted noexec."""
    descriptor = os.memfd_create("edgesim-arm64-program")
    try:
        os.write(descriptor, arm64_program())
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


@contextmanager
def _program_in_a_file() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the path of the arm64 program in a file, for a kernel that runs no program in memory (vm.memfd_noexec)."""
    with scratch_directory() as directory:
        program = Path(directory) / "arm64-program"
        program.write_bytes(arm64_program())
        program.chmod(0o700)
        yield str(program), ()


@contextmanager
def _started(path: str, descriptors: tuple[int, ...]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=descriptors
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _emulator_of(process: "subprocess.Popen[bytes]") -> Emulator | None:
    link = f"/proc/{process.pid}/exe"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and process.poll() is None:
        try:
            version, cores = _output(link, "--version"), _output(link, "-cpu", "help")
            interpreter = str(Path(link).readlink())
            origin = _origin(Path(link), interpreter)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if (emulator := reported(version, cores)) is not None:
            return replace(emulator, interpreter=interpreter.removesuffix(_DELETED), origin=origin)
        time.sleep(0.01)
    return None


def _origin(link: Path, interpreter: str) -> Literal["file", "replaced", "image"]:
    """Return where a running program comes from: the file at the path that the kernel shows, or another."""
    if interpreter.endswith(_DELETED):
        return "replaced"
    path = Path(interpreter)
    return "file" if path.exists() and path.samefile(link) else "image"


def reported(version: str, cores: str) -> Emulator | None:
    """Return the emulator that prints these texts for its version and for its cores; None if they are not QEMU's."""
    match = re.search(r"version (\d+(?:\.\d+)*)", version)
    if match is None:
        return None
    names = tuple(line.split()[0] for line in cores.splitlines() if line.startswith(" ") and line.strip())
    return Emulator(match[1], "", names, "unknown")


def _output(program: str, *arguments: str) -> str:
    command = [program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout


def installed_version() -> str | None:
    """Return the version of the QEMU on disk; None without one. After an upgrade, another version may still run."""
    return next((version for path in _INSTALLED if (version := _version(path)) is not None), None)


def _version(path: Path) -> str | None:
    try:
        output = _output(str(path), "--version")
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"version (\d+(?:\.\d+)*)", output)
    return match[1] if match else None


def arm64_program() -> bytes:
    """Return a static arm64 ELF program of 156 bytes: it waits for one byte of input, then exits with 0."""
    code = struct.pack(f"<{len(_READ_ONE_BYTE_AND_EXIT)}I", *_READ_ONE_BYTE_AND_EXIT)
    headers_bytes = 64 + 56
    size = headers_bytes + len(code)
    identification = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, _LOAD_ADDRESS + headers_bytes, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return identification + header + segment + code
