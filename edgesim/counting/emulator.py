"""The emulator that counts instructions, as ``scripts/counting-emulator`` has made it."""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from edgesim import paths
from edgesim.errors import EmulatorMissing

PLUGIN = Path(__file__).with_name("plugin.c")

# Where a container has the emulator, and the directory of the plugin's socket.
MOUNT_POINT = "/run/edgesim-counting-emulator"
SOCKET_DIRECTORY = "/run/edgesim-counts"
SOCKET = "socket"

# What else would differ from one start to the next: where memory lies (the emulator reserves addresses for the program,
# half a TiB of them, and no memory), and the kernel's random bytes for the C library.
_SAME_IN_EVERY_START = ("-R", hex(1 << 39), "-seed", "1")
# The same of the program: Python's hashes of texts; and glibc's allocator merges and splits freed blocks by what the
# server's timers and its clients did before, unless its threads keep their small blocks (65535 is the most of a size).
# Without that, the medians of a tiny model differ by 0.3 % between two containers. With no such blocks at all
# (`tcache_count=0`) most medians of digits are within 0.13 %, but one container in twenty is 0.75 % off; with a single
# arena as well, inferences scatter by 1 %.
SAME_ENVIRONMENT = {"PYTHONHASHSEED": "0", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535"}


@dataclass(frozen=True)
class CountingEmulator:
    """QEMU's user-mode emulator with the plugin that counts.

    Attributes:
        directory: has the emulator, its loader and libraries, and the plugin.
        version: of QEMU.
    """

    directory: Path
    version: str

    def __str__(self) -> str:
        return f"QEMU {self.version}, counting"

    def command(self, program: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs a program of a container under the emulator.

        The container's own C library is another one, or of another architecture, so that the emulator's loader comes
        first. An emulator looks for no program on the PATH: `program` begins with a path.
        """
        return (
            f"{MOUNT_POINT}/loader",
            "--library-path",
            f"{MOUNT_POINT}/lib",
            f"{MOUNT_POINT}/qemu-aarch64",
            *_SAME_IN_EVERY_START,
            "-plugin",
            f"{MOUNT_POINT}/count.so,socket={SOCKET_DIRECTORY}/{SOCKET}",
            *program,
        )


def find() -> CountingEmulator:
    """Return the emulator that counts with this edgesim's plugin.

    Raises:
        EmulatorMissing: it has not been made.
    """
    recipe = PLUGIN.read_bytes() + paths.counting_emulator_script().read_bytes()
    digest = hashlib.sha256(recipe).hexdigest()[:12]
    directory = paths.cache_directory() / "counting-emulator" / f"{platform.machine()}-{digest}"
    try:
        return CountingEmulator(directory, (directory / "VERSION").read_text().strip())
    except OSError:
        raise EmulatorMissing(
            "the counting emulator is not built: distributions build QEMU's user mode without plugins",
            fix=f"{paths.counting_emulator_script()} build (about 4 minutes)",
        ) from None
