"""Libraries of custom operations beside a model: their files, and whether these are for a processor."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgesim.errors import ModelError
from edgesim.models.repository import Model
from edgesim.server.config import ConfigError

# The field e_machine of an ELF header, by Docker's name of the architecture. Source: elf.h of the GNU C library.
_MACHINES = {0xB7: "arm64", 0x3E: "amd64", 0x28: "arm", 0x03: "386", 0xF3: "riscv64"}
_HEADER = struct.Struct("<4sBB10xHH")  # magic, class, byte order; type and e_machine
_ELF, _64_BIT, _LITTLE, _SHARED = b"\x7fELF", 2, 1, 3


@dataclass(frozen=True, kw_only=True)
class LibraryFile:
    """A library as it is for one architecture.

    Attributes:
        name: as the configuration has it: a path in the model's directory, or the name of a Python package.
        path: None for a package, which the serving image installs.
        problem: why the library does not load on a processor of the architecture; empty if nothing speaks against it.
    """

    name: str
    path: Path | None = None
    problem: str = ""


def files(model: Model, architecture: str) -> Iterator[LibraryFile]:
    """Yield the libraries that a model's configuration names, for ``arm64`` or ``amd64``.

    Raises:
        ModelError: the configuration has an error.
    """
    configuration = model.configuration
    for library in configuration.served().libraries if configuration is not None else ():
        if library.package is not None:
            yield LibraryFile(name=library.package)
            continue
        assert configuration is not None, "the library is in it"
        name = library.file(architecture)
        if name is None:
            yield LibraryFile(name=str(library), problem=f"no build for {architecture}")
            continue
        path = configuration.directory / name
        yield LibraryFile(name=name, path=path, problem=_problem(path, architecture))


def require(model: Model, architecture: str) -> None:
    """Refuse a model whose libraries cannot load on a processor of this architecture.

    Raises:
        ModelError: names the library, and what is wrong with it.
    """
    for file in files(model, architecture):
        if file.problem:
            raise ModelError(
                f"model {model.name}: library {file.name}: {file.problem}",
                fix=f"build it for {architecture}, and name it under `libraries` in config.yaml: {architecture}: PATH",
            )


def not_named(model: Model, architecture: str, named: Collection[str]) -> str | None:
    """Return the first library of a model that the user has not named for this host; None if there is none.

    Args:
        architecture: of this host.
        named: see `edgesim.options.BoardOptions.host_libraries`.
    """
    configuration = model.configuration
    if configuration is None or isinstance(configuration.config, ConfigError):
        return None
    allowed = {str(Path(name).resolve()) for name in named} | set(named)
    for file in files(model, architecture):
        path = str(file.path) if file.path is not None else file.name
        if path not in allowed and str(Path(path).resolve()) not in allowed:
            return path
    return None


def require_named(model: Model, architecture: str, named: Collection[str]) -> None:
    """Refuse to run a model's libraries on this host unless the user has named them: they are code.

    Raises:
        ModelError: names the library, and the option.
    """
    if (library := not_named(model, architecture, named)) is not None:
        raise ModelError(
            f"model {model.name}: library {library} would be loaded on this host, with your rights",
            fix=f"if you trust it: `host_libraries={library}`; a container needs no such trust",
        )


def packages(model: Model) -> list[str]:
    """Return the Python packages that a model's libraries come from; none where its configuration has an error."""
    configuration = model.configuration
    if configuration is None or isinstance(configuration.config, ConfigError):
        return []
    return [library.package for library in configuration.config.libraries if library.package is not None]


def _problem(path: Path, architecture: str) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
    except FileNotFoundError:
        return "no such file in the model's directory"
    if len(head) < _HEADER.size or not head.startswith(_ELF):
        return "no ELF file, so no library of Linux"
    _, bits, order, kind, machine = _HEADER.unpack(head)
    if kind != _SHARED:
        return "an ELF file, but no shared library"
    built_for = _MACHINES.get(machine, f"machine {machine:#x}")
    if built_for != architecture or (bits, order) != (_64_BIT, _LITTLE):
        return f"built for {built_for}, and the board's server is {architecture}"
    return ""
