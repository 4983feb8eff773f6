"""Power modes of a board."""

import re
from typing import Annotated

from pydantic import Field

from edgesim.profiles.cpu import CoreName
from edgesim.profiles.part import Part

# A mode's name is part of references (NAME:MODE) and of file names (`edgesim.predictions.calibration`).
MODE_NAME = re.compile(r"\w[\w .+-]{0,40}")


class Mode(Part):
    """A power mode: the number of cores that are on, and their clock. `core` names a cluster; None is the main one."""

    cores: Annotated[int, Field(ge=1)]
    clock_hz: Annotated[int, Field(ge=1_000_000)]
    core: CoreName | None = None
