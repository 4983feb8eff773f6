"""What surrounds the processor of a board: storage, operating system, power, heat, limits and network."""

from typing import Annotated

from pydantic import Field

from edgesim.profiles.part import Part, Size


class Storage(Part):
    """A storage device that the board starts from, and its highest rates; None where no source states a rate."""

    kind: str
    read_bytes_per_s: Size | None = None
    write_bytes_per_s: Size | None = None


class System(Part):
    """The vendor's operating system.

    Attributes:
        glibc, kernel: the versions of its C library and of its kernel.
        python: the version of its Python, such as ``3.6``, which wheels outside of a container have to be built for.
        runtime: the release of ONNX Runtime that the system comes with, such as ``1.21.0``; boards are served with it.
        vendor_runtime: the newest release that the vendor publishes for the system, which comes with none.
    """

    name: str
    glibc: Annotated[str, Field(pattern=r"^\d+\.\d+$")] | None = None
    kernel: str | None = None
    python: Annotated[str, Field(pattern=r"^3\.\d+$")] | None = None
    runtime: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None
    vendor_runtime: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")] | None = None


class Power(Part):
    """Watts of the whole board, idle and with all cores busy; `budgets_w` are the limits that it can be set to."""

    idle_w: Annotated[float, Field(gt=0)] | None = None
    load_w: Annotated[float, Field(gt=0)] | None = None
    budgets_w: tuple[float, ...] = ()


class Thermal(Part):
    """Throttling of the board under load: its full clock for `full_speed_s` seconds, then `clock_hz`."""

    full_speed_s: Annotated[float, Field(gt=0)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]


class Price(Part):
    """What one board costs, for a choice between boards: `amount` in `currency`, an ISO 4217 code such as ``EUR``."""

    amount: Annotated[float, Field(gt=0)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Limits(Part):
    """Limits of the board's operating system for one service: `processes` (threads included) and `open_files`."""

    processes: Annotated[int, Field(ge=16)] = 4096
    open_files: Annotated[int, Field(ge=64)] = 1024


class Network(Part):
    """The network between the board and its clients: at most `rate_bytes_per_s`, and `delay_ms` besides this host's."""

    rate_bytes_per_s: Size | None = None
    delay_ms: Annotated[float, Field(gt=0)] | None = None
