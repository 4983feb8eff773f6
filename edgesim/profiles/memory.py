"""The board's memory, and how its sizes have to agree."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, ByteSize, Field

from edgesim.profiles.part import Part, Size
from edgesim.units import format_bytes

PAGE_BYTES = 4096


def whole_pages(size: ByteSize) -> ByteSize:
    """Round down to whole pages, as the kernel does with memory limits, so that a limit reads back as it was set."""
    return ByteSize(size // PAGE_BYTES * PAGE_BYTES)


class Memory(Part):
    """The board's memory.

    Attributes:
        marketed_bytes: as the vendor sells it.
        visible_bytes: total memory that Linux on the board reports; at most what is marketed.
        usable_bytes: memory that the operating system leaves to programs; at most what is visible.
        bandwidth_bytes_per_s: by specification.
    """

    marketed_bytes: Size
    visible_bytes: Annotated[Size, Field(ge=PAGE_BYTES), AfterValidator(whole_pages)]
    usable_bytes: Size | None = None
    kind: str | None = None
    bandwidth_bytes_per_s: Size | None = None

    def contradictions(self) -> Iterator[str]:
        """Yield what is wrong, in the form ``KEY: …``."""
        most = _most_visible(self.marketed_bytes)
        if self.visible_bytes > most:
            yield (
                f"memory.visible_bytes: {_exact(self.visible_bytes)} is more than memory.marketed_bytes, {_exact(most)}"
            )
        if self.usable_bytes is not None and whole_pages(self.usable_bytes) > self.visible_bytes:
            yield (
                f"memory.usable_bytes: {_exact(self.usable_bytes)} is more than memory.visible_bytes, "
                f"{_exact(self.visible_bytes)}"
            )


def _most_visible(marketed: int) -> int:
    """Return the bytes of a marketed memory. Vendors write GB and MB of memory where they mean GiB and MiB."""
    for decimal, binary in ((10**9, 2**30), (10**6, 2**20)):
        if marketed % decimal == 0:
            return marketed // decimal * binary
    return marketed


def _exact(size: int) -> str:
    return f"{format_bytes(size)} ({size:,} bytes)"
