"""Named volumes with models: volumes of the engine that outlive a container, and that several containers share."""

import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.delivery.contents import MANIFEST, Contents, first_difference, header, padded
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL, STACK_LABEL
from edgesim.errors import UsageError
from edgesim.host import cache
from edgesim.progress import Stages

TARGET = "/models"
_EMPTY_MANIFEST = b"{}\n"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume that edgesim made.

    Attributes:
        manifest: the files in the volume; empty if filling it was cut short.
        users: names of the containers that mount the volume.
        stack: the stack whose services write to the volume; None for a volume of models.
    """

    name: str
    manifest: Mapping[str, Any]
    users: tuple[str, ...]
    stack: str | None = None

    @property
    def models(self) -> list[str]:
        """The names of the models in the volume."""
        return sorted({name.partition("/")[0] for name in self.manifest.get("files", {}) if "/" in name})


def find(engine: Engine, name: str) -> Volume | None:
    """Return the volume of a name; None if there is none.

    Raises:
        UsageError: edgesim did not make the volume.
    """
    labels = engine.volumes.labels(name)
    if labels is None:
        return None
    if LABEL not in labels:
        raise UsageError(
            f"volume {name}: was not made by edgesim, so edgesim does not change it",
            fix="edgesim volumes list shows the volumes that edgesim made; or use another name",
        )
    users = tuple(engine.volumes.users(name))
    stack = labels.get(STACK_LABEL)
    return Volume(name=name, manifest=_manifest(engine, name) if stack is None else {}, users=users, stack=stack)


def existing(engine: Engine, name: str) -> Volume:
    """Return the volume of a name.

    Raises:
        UsageError: there is none, or edgesim did not make it.
    """
    if (volume := find(engine, name)) is None:
        raise UsageError(f"volume {name}: no such volume", fix="edgesim volumes list")
    return volume


def fill(engine: Engine, name: str, contents: Contents) -> bool:
    """Fill a volume with exactly these contents; return whether that changed anything.

    A volume that containers mount is changed file by file while they run; any other is made anew. If filling is cut
    short, no volume is left behind, or one without a manifest, which is known to be incomplete.

    Raises:
        UsageError: edgesim did not make the volume, or a stack writes to it; or containers mount the volume, and files
            would have to be removed from it.
    """
    volume = find(engine, name)
    if volume is not None and volume.stack is not None:
        raise UsageError(f"volume {name}: contains data of stack {volume.stack}", fix="fill another volume")
    if volume is not None and volume.manifest.get("digest") == contents.digest:
        return False
    if volume is not None and volume.users:
        if surplus := sorted(set(volume.manifest.get("files", {})) - set(contents.files)):
            raise UsageError(
                f"volume {name}: {surplus[0]} must be removed, but {volume.users[0]} uses the volume",
                fix="end that container first, or fill another volume",
            )
        # The manifest is empty until all files are written.
        with engine.file_transfer({name: TARGET}) as transfer:
            transfer.put(TARGET, [header(MANIFEST, len(_EMPTY_MANIFEST)) + padded(_EMPTY_MANIFEST)])
        _put(engine, name, contents)
        return True
    if volume is not None:
        engine.volumes.remove(name)
    engine.volumes.create(name)
    try:
        _put(engine, name, contents)
    except BaseException:
        engine.volumes.remove(name)
        raise
    return True


def provide(engine: Engine, name: str | None, contents: Contents, stages: Stages) -> str:
    """Return the name of a volume that has these contents, and maybe more.

    Without a name, the volume is named after its contents, and filled unless it exists. A volume of a given name is
    filled if it does not exist, and never changed: others may depend on it.

    Raises:
        UsageError: the volume of that name has other files, or edgesim did not make it.
    """
    with stages.stage("volume", "filling the volume"):
        if name is None:
            name = f"edgesim-{contents.digest[:12]}"
            if not fill(engine, name, contents):
                stages.note(f"volume {name}: has the models already")
            return name
        if (volume := find(engine, name)) is None:
            fill(engine, name, contents)
        elif (path := first_difference(volume.manifest, contents)) is not None:
            raise UsageError(
                f"volume {name}: {path} is missing or different", fix=f"edgesim volumes fill {name} --models DIR"
            )
    return name


def remove(engine: Engine, name: str) -> None:
    """Remove a volume.

    Raises:
        UsageError: there is no such volume, edgesim did not make it, or a container uses it.
    """
    if users := existing(engine, name).users:
        raise UsageError(f"volume {name}: {users[0]} uses it", fix="end that container first")
    engine.volumes.remove(name)


def export(engine: Engine, name: str, directory: Path) -> None:
    """Write the files of a volume, models or a stack's data, into a new directory that belongs to this user.

    Raises:
        UsageError: there is no such volume, the volume is incomplete, or `directory` exists or cannot be made.
    """
    volume = existing(engine, name)
    if not volume.manifest and volume.stack is None:
        raise UsageError(f"volume {name}: is incomplete", fix=f"edgesim volumes fill {name} --models DIR")
    if directory.exists():
        raise UsageError(f"{directory}: already exists", fix="give a directory that does not exist")
    if not directory.absolute().parent.is_dir():
        raise UsageError(f"{directory}: the parent directory does not exist", fix=f"mkdir -p {directory.parent}")
    if not os.access(directory.absolute().parent, os.W_OK):
        raise UsageError(f"{directory}: cannot be written", fix="give a directory that you can write to")
    with (
        engine.file_transfer({name: TARGET}) as transfer,
        cache.new_entry(directory) as entry,
        tarfile.open(fileobj=transfer.get(f"{TARGET}/."), mode="r|") as archive,
    ):
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(entry)  # noqa: S202 (files that edgesim put there)
        (entry / MANIFEST).unlink(missing_ok=True)


def _put(engine: Engine, name: str, contents: Contents) -> None:
    with engine.file_transfer({name: TARGET}) as transfer:
        transfer.put(TARGET, contents.tar(changed_s=int(time.time())))


def _manifest(engine: Engine, name: str) -> Mapping[str, Any]:
    with engine.file_transfer({name: TARGET}) as transfer:
        data = transfer.get_small(f"{TARGET}/{MANIFEST}")
    if data is None:
        return {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(MANIFEST)
        manifest = json.load(file) if file is not None else {}
    return manifest if isinstance(manifest, dict) else {}
