"""Power modes of a board."""

import re
from typing import Annotated

from pydantic import Field

from edgesim.profiles.accelerator import AcceleratorMode
from edgesim.profiles.cpu import CoreName
from edgesim.profiles.part import Part, Size

# A mode's name is part of references (NAME:MODE) and of file names (`edgesim.predictions.calibration`).
MODE_NAME = re.compile(r"\w[\w .+-]{0,40}")


class Mode(Part):
    """A power mode: the number of cores that are on, and their clock.

    Attributes:
        core: names a cluster; None is the main one.
        memory_bandwidth_bytes_per_s: the memory's bandwidth at this mode's clock; None is that of `memory`.
        accelerators: clock and units of the board's accelerators, by their names.
    """

    cores: Annotated[int, Field(ge=1)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]
    core: CoreName | None = None
    memory_bandwidth_bytes_per_s: Size | None = None
    accelerators: dict[str, AcceleratorMode] = Field(default_factory=dict)
