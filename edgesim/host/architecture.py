"""Names of an architecture: Docker, Debian and profiles say ``arm64``, the kernel and wheels ``aarch64``."""

_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
_ARCHITECTURES = {machine: architecture for architecture, machine in _MACHINES.items()}


def machine_of(architecture: str) -> str:
    """Return an architecture as `platform.machine` names it; a name that edgesim does not know stays as it is."""
    return _MACHINES.get(architecture, architecture)


def architecture_of(machine: str) -> str:
    """Return a machine's architecture as profiles name it; a name that edgesim does not know stays as it is."""
    return _ARCHITECTURES.get(machine, machine)
