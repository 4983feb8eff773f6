"""Registrations of emulators in the kernel (binfmt_misc): which program runs programs of another architecture.

The format of a registration is that of the kernel's Documentation/admin-guide/binfmt-misc.rst.
"""

from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path("/proc/sys/fs/binfmt_misc")
# An ELF header of a 64-bit little-endian program (its first 20 bytes end with the machine: 183 is AArch64).
_HEADERS = {"arm64": bytes.fromhex("7f454c460201010000000000000000000200b700")}


@dataclass(frozen=True, kw_only=True)
class Registration:
    """One registration.

    Attributes:
        name: of its file, such as ``qemu-aarch64``.
        interpreter: path of the program, as it was when the program was registered.
        flags: ``F``: the kernel holds the program open, so that containers run it, too, which do not see its path.
    """

    name: str
    interpreter: str
    flags: str
    enabled: bool = True

    @property
    def reaches_containers(self) -> bool:
        """Whether programs in containers run through it."""
        return "F" in self.flags

    def __str__(self) -> str:
        return f"{self.name}: {self.interpreter}, {f'flags {self.flags}' if self.flags else 'no flags'}"


def registration(architecture: str, directory: Path = DIRECTORY) -> Registration | None:
    """Return the registration that runs programs of `architecture`; an enabled one if there are several.

    None if there is none, and where the kernel's file system is not mounted, as in a container.
    """
    header = _HEADERS.get(architecture)
    if header is None or not directory.is_dir():
        return None
    read = (_read(path) for path in sorted(directory.iterdir()) if path.name not in ("register", "status"))
    matching = [each for each, magic, mask in filter(None, read) if _matches(header, magic, mask)]
    return next((each for each in matching if each.enabled), matching[0] if matching else None)


def _read(path: Path) -> tuple[Registration, bytes, bytes] | None:
    """Return a registration with its magic and its mask; None for one by the suffix of a file's name."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    values = {key.rstrip(":"): value for key, _, value in (line.partition(" ") for line in lines)}
    if "magic" not in values or values.get("offset", "0") != "0":
        return None
    magic = bytes.fromhex(values["magic"])
    mask = bytes.fromhex(values["mask"]) if "mask" in values else b"\xff" * len(magic)
    found = Registration(
        name=path.name,
        interpreter=values.get("interpreter", ""),
        flags=values.get("flags", "").strip(),
        enabled=lines[0] == "enabled",
    )
    return found, magic, mask


def _matches(header: bytes, magic: bytes, mask: bytes) -> bool:
    return len(magic) <= len(header) and all(
        (byte & bits) == (expected & bits) for byte, expected, bits in zip(header, magic, mask, strict=False)
    )
