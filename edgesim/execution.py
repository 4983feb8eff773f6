"""The closed sets of words that say how a board is run."""

from typing import Literal

# What a run is the truth about follows from its execution: see docs/architecture.md.
Execution = Literal["emulated", "scaled", "native", "host"]

# What runs the server: a container of the Docker Engine, or a plain process of this host.
EngineName = Literal["docker", "local"]

# How models get into the container.
MountMethod = Literal["bind", "volume", "image"]
