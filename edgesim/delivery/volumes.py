"""Named volumes: models in the engine's own keeping, which outlive a container and are shared between several."""

import io
import json
import os
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesim.delivery.contents import MANIFEST, Contents, covers, header, padded
from edgesim.engine.docker_engine import LABEL, STACK_LABEL, Engine
from edgesim.errors import UsageError
from edgesim.host import cache
from edgesim.progress import Stages

TARGET = "/models"
_NOTHING = b"{}\n"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A volume of edgesim's.

    `manifest` is what it was filled with; empty where that was cut short. `users` are the containers that mount it.
    `stack` is whose services write to it; None of one that was filled with models.
    """

    name: str
    manifest: Mapping[str, Any]
    users: tuple[str, ...]
    stack: str | None = None

    @property
    def models(self) -> list[str]:
        """The names of the models in it."""
        return sorted({name.partition("/")[0] for name in self.manifest.get("files", {}) if "/" in name})


def find(engine: Engine, name: str) -> Volume | None:
    """The volume of that name; None where there is none.

    Raises:
        UsageError: there is one, and it is not edgesim's.
    """
    labels = engine.volume_labels(name)
    if labels is None:
        return None
    if LABEL not in labels:
        raise UsageError(
            f"volume {name}: is not one of edgesim's, and is left alone", fix="edgesim volumes list, or another name"
        )
    users = tuple(engine.users_of_volume(name))
    stack = labels.get(STACK_LABEL)
    return Volume(name=name, manifest=_manifest(engine, name) if stack is None else {}, users=users, stack=stack)


def existing(engine: Engine, name: str) -> Volume:
    """The volume of that name.

    Raises:
        UsageError: there is none, or it is not edgesim's.
    """
    if (found := find(engine, name)) is None:
        raise UsageError(f"volume {name}: there is none", fix="edgesim volumes list")
    return found


def fill(engine: Engine, name: str, contents: Contents) -> bool:
    """Have the volume hold exactly this; whether anything had to be done.

    One that containers use is changed under them, file by file; else it is made anew. Filling that is cut short leaves
    no volume behind, or one that is known to be incomplete.

    Raises:
        UsageError: it is not edgesim's; or containers use it, and files would have to go from it.
    """
    found = find(engine, name)
    if found is not None and found.stack is not None:
        raise UsageError(f"volume {name}: holds stack {found.stack}'s data", fix="fill another volume")
    if found is not None and found.manifest.get("digest") == contents.digest:
        return False
    if found is not None and found.users:
        if gone := sorted(set(found.manifest.get("files", {})) - set(contents.files)):
            raise UsageError(
                f"volume {name}: {gone[0]} would have to go from it while {found.users[0]} uses it",
                fix="end that container first, or fill another volume",
            )
        # Until all is there, the manifest is of nothing.
        with engine.carrier({name: TARGET}) as carrier:
            carrier.put(TARGET, [header(MANIFEST, len(_NOTHING)) + padded(_NOTHING)])
        _put(engine, name, contents)
        return True
    if found is not None:
        engine.remove_volume(name)
    engine.create_volume(name)
    try:
        _put(engine, name, contents)
    except BaseException:
        engine.remove_volume(name)
        raise
    return True


def provide(engine: Engine, name: str | None, contents: Contents, stages: Stages) -> str:
    """The name of a volume that holds this, and maybe more.

    Without a name it is one named after its contents, filled unless it is there. One that was named is filled where it
    is not there, and never changed: others may count on it.

    Raises:
        UsageError: the volume of that name holds other files, or is not edgesim's.
    """
    with stages.stage("volume", "filling the volume"):
        if name is None:
            name = f"edgesim-{contents.digest[:12]}"
            if not fill(engine, name, contents):
                stages.note(f"volume {name}: holds it already")
            return name
        if (found := find(engine, name)) is None:
            fill(engine, name, contents)
        elif (other := covers(found.manifest, contents)) is not None:
            raise UsageError(
                f"volume {name}: {other} is not in it, or is another", fix=f"edgesim volumes fill {name} --models DIR"
            )
    return name


def remove(engine: Engine, name: str) -> None:
    """Remove it.

    Raises:
        UsageError: there is none, it is not edgesim's, or a container uses it.
    """
    if users := existing(engine, name).users:
        raise UsageError(f"volume {name}: {users[0]} uses it", fix="end that container first")
    engine.remove_volume(name)


def export(engine: Engine, name: str, directory: Path) -> None:
    """Write the files of a volume into a new directory of this user's own: a model repository, or what a stack wrote.

    Raises:
        UsageError: there is no such volume, it is incomplete, or there is something at `directory` already.
    """
    found = existing(engine, name)
    if not found.manifest and found.stack is None:
        raise UsageError(f"volume {name}: is incomplete", fix=f"edgesim volumes fill {name} --models DIR")
    if directory.exists():
        raise UsageError(f"{directory}: is there already", fix="give a directory that is not")
    if not directory.absolute().parent.is_dir():
        raise UsageError(f"{directory}: its parent is no directory", fix=f"mkdir -p {directory.parent}")
    if not os.access(directory.absolute().parent, os.W_OK):
        raise UsageError(f"{directory}: cannot be written", fix="give a directory where you can write")
    with (
        engine.carrier({name: TARGET}) as carrier,
        cache.new_entry(directory) as entry,
        tarfile.open(fileobj=carrier.get(f"{TARGET}/."), mode="r|") as archive,
    ):
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(entry)  # noqa: S202 (files that edgesim put there)
        (entry / MANIFEST).unlink(missing_ok=True)


def _put(engine: Engine, name: str, contents: Contents) -> None:
    with engine.carrier({name: TARGET}) as carrier:
        carrier.put(TARGET, contents.tar(changed_s=int(time.time())))


def _manifest(engine: Engine, name: str) -> Mapping[str, Any]:
    with engine.carrier({name: TARGET}) as carrier:
        data = carrier.file(f"{TARGET}/{MANIFEST}")
    if data is None:
        return {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile(MANIFEST)
        found = json.load(file) if file is not None else {}
    return found if isinstance(found, dict) else {}
