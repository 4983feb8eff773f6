"""Which machine an engine runs on: read on this host, or through a container of the engine."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from edgesim.engine.api_errors import engine_call
from edgesim.engine.docker_engine import Engine, remove_container
from edgesim.engine.labels import run_labels
from edgesim.engine.mounts import Mount, engine_mounts
from edgesim.errors import DeviceError, HostError
from edgesim.host import identity
from edgesim.host.identity import MachineIdentity

# The engine hides /sys/firmware, and the device tree with it, from containers: it is mounted under another name.
_FIRMWARE, _VISIBLE_FIRMWARE = "/sys/firmware", "/run/edgesim-firmware"
_DEVICE_TREE = "/proc/device-tree"  # a link to devicetree/base of the firmware
_MARK = "edgesim-file "
_TIMEOUT_S = 60
# A machine does not change while edgesim runs.
_known: dict[tuple[str, str, str], MachineIdentity] = {}


def identity_of(engine: Engine, image: Callable[[], str | None]) -> MachineIdentity:
    """Return the identity of an engine's machine; what cannot be read is left out.

    Args:
        image: returns an image for the machine's architecture that has Python or a shell; called only if the
            engine is not on this host itself. None leaves everything out but the architecture.

    Raises:
        HostError: the engine does not answer any more; or as `image`.
    """
    if engine.context.machine is None and engine.facts.on_this_host:
        return identity.of_this_host()
    key = (engine.context.url, engine.facts.name, engine.facts.kernel)
    if key not in _known:
        reference = image()
        if reference is None:
            return MachineIdentity(architecture=engine.facts.architecture)
        files = _files(_read(engine, reference))
        _known[key] = identity.of_files(files, architecture=engine.facts.architecture)
    return _known[key]


def _read(engine: Engine, image: str) -> str:
    """Return what the machine's files contain, each after a line with its path; empty if the image cannot read them."""
    patterns = [pattern.replace(_DEVICE_TREE, f"{_VISIBLE_FIRMWARE}/devicetree/base") for pattern in identity.FILES]
    # A rootless engine may not mount the directory.
    for mounts in ([Mount(Path(_FIRMWARE), _VISIBLE_FIRMWARE)], []):
        for command in (_by_python(patterns), _by_shell(patterns)):
            try:
                return _output(engine, image, command, mounts)
            except (DeviceError, HostError):
                continue
    return ""


def _by_python(patterns: Sequence[str]) -> list[str]:
    """Return a command for edgesim's own image, which may have no shell."""
    code = (
        "import glob\n"
        f"for path in [path for pattern in {list(patterns)} for path in glob.glob(pattern)]:\n"
        f"    print({_MARK!r} + path, open(path, errors='replace').read(), sep='\\n')\n"
    )
    return ["/usr/bin/python3", "-c", code]


def _by_shell(patterns: Sequence[str]) -> list[str]:
    """Return a command for another server's image."""
    code = f"for f in {' '.join(patterns)}; do [ -r $f ] && echo '{_MARK}'$f && cat $f && echo; done; true"
    return ["/bin/sh", "-c", code]


def _output(engine: Engine, image: str, command: Sequence[str], mounts: Sequence[Mount]) -> str:
    session = secrets.token_hex(4)
    with engine_call():
        container = engine.client.containers.create(
            image,
            list(command[1:]),
            entrypoint=[command[0]],
            name=f"edgesim-{session}",
            labels=run_labels(session),
            network_mode="none",
            cap_drop=["ALL"],
            read_only=True,
            **engine_mounts(mounts, relabel=False),
        )
        try:
            container.start()
            container.wait(timeout=_TIMEOUT_S)
            return str(container.logs(stderr=False).decode(errors="replace"))
        finally:
            remove_container(container)


def _files(output: str) -> dict[str, str]:
    files = {}
    for part in output.split(_MARK)[1:]:
        path, _, text = part.partition("\n")
        files[path.replace(f"{_VISIBLE_FIRMWARE}/devicetree/base", _DEVICE_TREE)] = text
    return files
