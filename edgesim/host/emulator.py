"""The emulator: whether this host runs programs of the board's architecture, and by which QEMU."""

import platform
import re
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from edgesim import paths
from edgesim.errors import EmulatorLacksCore, EmulatorMissing, EmulatorStale, EmulatorTooOld, HostError
from edgesim.host.architecture import architecture_of
from edgesim.host.scratch import scratch_directory

# QEMU 7.2 dies of SIGSEGV in `import onnxruntime`; 10.0 works; 8 and 9 have not been tried.
OLDEST_MAJOR = 8
_INSTALLED = (Path("/usr/bin/qemu-aarch64-static"), Path("/usr/bin/qemu-aarch64"))
_REGISTRATION = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
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
    """

    version: str
    interpreter: str
    cores: tuple[str, ...] = ()

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
    emulator = judge(architecture, running=probe(), installed=installed_version(), registered=_REGISTRATION.exists())
    _check_core(emulator, core)
    return emulator


def _check_core(emulator: Emulator, core: str | None) -> None:
    if core is not None and core not in emulator.cores:
        raise EmulatorLacksCore(
            f"{emulator} has no core {core!r}; it has {', '.join(emulator.cores)}",
            fix="set emulation.qemu_cpu in the profile to the nearest of these, or install a newer QEMU",
        )


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
            fix="sudo apt-get install qemu-user-static, or leave `execution` out",
        )
    if not new_enough(version):
        raise EmulatorTooOld(
            f"QEMU {version} crashes in onnxruntime; {OLDEST_MAJOR} or newer is needed",
            fix="on Debian 12: sudo apt-get install -t bookworm-backports qemu-user-static",
        )
    emulator = Emulator(version, str(path.resolve()), _cores(_output(str(path), "-cpu", "help")))
    _check_core(emulator, core)
    return emulator


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


def judge(architecture: str, *, running: Emulator | None, installed: str | None, registered: bool) -> Emulator:
    """Return the emulator that runs programs of `architecture`, if it is reliable.

    Args:
        running: the emulator that has just run such a program, see `probe`; None if the program did not run.
        installed: version of the QEMU on disk; None without one.
        registered: whether the kernel has a registration for such programs.

    Raises:
        EmulatorMissing: no emulator runs them.
        EmulatorTooOld: the emulator is a QEMU that is known to crash.
        EmulatorStale: the kernel's registration leads to an emulator that is gone, or that a newer one has replaced.
        HostError: edgesim does not emulate this architecture.
    """
    if architecture != "arm64":
        raise HostError(
            f"edgesim emulates arm64 boards; this host cannot run {architecture} programs",
            fix=f"run this profile on a host of architecture {architecture}",
        )
    script = paths.engine_script()
    if running is None:
        if registered and installed is not None:
            raise EmulatorStale(
                f"QEMU {installed} is installed, but the kernel's registration for {architecture} programs is stale: "
                "it does not lead to this QEMU",
                fix=f"sudo {script} start",
            )
        raise EmulatorMissing(
            f"this host has no emulator for {architecture} programs",
            fix=f"sudo {script} install && sudo {script} start",
        )
    if not new_enough(running.version):
        if installed is not None and new_enough(installed):
            raise EmulatorStale(
                f"the kernel's registration is stale: it still runs QEMU {running.version}, "
                f"although QEMU {installed} is installed",
                fix=f"sudo {script} start",
            )
        raise EmulatorTooOld(
            f"QEMU {running.version} crashes in onnxruntime; {OLDEST_MAJOR} or newer is needed",
            fix=f"sudo {script} install && sudo {script} start",
        )
    return running


def new_enough(version: str) -> bool:
    """Return whether this version of QEMU is newer than those that are known to crash."""
    return int(version.split(".")[0]) >= OLDEST_MAJOR


def probe() -> Emulator | None:
    """Run an arm64 program, and return the emulator that runs it; None if the program does not run.

    Only a running program shows its emulator: a registration may name a file that is gone, and after an upgrade it
    still holds the old file open. /proc/PID/exe of the running process is the program that the kernel chose; it reports
    its version.
    """
    with scratch_directory() as directory:
        program = Path(directory) / "arm64-program"
        program.write_bytes(arm64_program())
        program.chmod(0o700)
        try:
            process = subprocess.Popen(
                [program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError:  # "exec format error"
            return None
        with process:
            try:
                return _emulator_of(process)
            finally:
                process.kill()


def _emulator_of(process: "subprocess.Popen[bytes]") -> Emulator | None:
    link = f"/proc/{process.pid}/exe"
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and process.poll() is None:
        try:
            version, cores = _output(link, "--version"), _output(link, "-cpu", "help")
            interpreter = str(Path(link).readlink())
        except (OSError, subprocess.TimeoutExpired):
            return None
        if match := re.search(r"version (\d+(?:\.\d+)*)", version):
            return Emulator(match[1], interpreter.removesuffix(" (deleted)"), _cores(cores))
        time.sleep(0.01)
    return None


def _cores(help_text: str) -> tuple[str, ...]:
    """Return the cores that ``qemu-aarch64 -cpu help`` lists."""
    return tuple(line.split()[0] for line in help_text.splitlines() if line.startswith(" "))


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
