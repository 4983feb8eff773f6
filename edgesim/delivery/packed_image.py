"""A packed image: a serving image with models inside, which runs anywhere without mounts.

The same files give the same image, byte for byte, whenever and wherever it is packed: the image contains no time, no
user, and no order of work. The layers of the serving image contain the time of its build by buildx; a packed image
therefore has all files of the serving image, without their times, in one layer, and the models in another.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from edgesim.delivery import oci_archive, sbom
from edgesim.delivery.contents import Contents, header, padded
from edgesim.delivery.oci_archive import Archive
from edgesim.engine.docker_engine import Engine
from edgesim.engine.labels import LABEL
from edgesim.errors import HostError
from edgesim.host.scratch import full_disk_is_told, scratch_directory
from edgesim.images.image import Image
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages
from edgesim.version import __version__

PROFILE_LABEL = "edgesim.profile"
MODELS_LABEL = "edgesim.models"  # JSON: the SHA-256 of each model by name
SBOM = "/usr/share/edgesim/sbom.cdx.json"
_SBOM_LABEL = "edgesim.sbom"
_LAYOUT = 2  # version of the packed images' layout: raised when the layout changes
# The engine adds these files to every container.
_ADDED_BY_ENGINE = {".dockerenv"}


@dataclass(frozen=True, kw_only=True)
class Package:
    """The contents of a packed image.

    Attributes:
        base: the serving image.
        contents: the models' files.
        command: arguments of the server; None keeps the image's own.
        annotations: of the image's manifest, which a registry shows; no part of the image itself.
    """

    base: Image
    profile: DeviceProfile
    models: Sequence[Model]
    contents: Contents
    command: Sequence[str] | None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def mount_point(self) -> str:
        """The directory in which the server looks for its models."""
        return self.profile.image.mount_point

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the image."""
        digests = {model.name: model.sha256 for model in self.models}
        return {
            LABEL: __version__,
            PROFILE_LABEL: self.profile.reference,
            f"{PROFILE_LABEL}.sha256": self.profile.sha256,
            MODELS_LABEL: json.dumps(digests, sort_keys=True),
            _SBOM_LABEL: SBOM,
        }

    @property
    def reference(self) -> str:
        """The image's name, which changes with everything in the image."""
        facts = (_LAYOUT, self.base.id, self.contents.digest, self.labels, self.command, self.mount_point)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
        return f"edgesim/packed:{self.profile.name}-{digest}"


def build(engine: Engine, package: Package, stages: Stages) -> Image:
    """Return the packed image, made unless the engine has it.

    Raises:
        HostError: no space is left for the image; DeviceError: the engine cannot load the image.
    """
    reference = package.reference
    if (image_id := engine.images.id(reference)) is not None:
        return Image(reference=reference, id=image_id, base=package.base.base, cached=True)
    with stages.stage("pack", f"packing {reference}"), written(engine, package, reference) as (path, _):
        image_id = engine.images.load(path, reference)
    return Image(reference=reference, id=image_id, base=package.base.base, cached=False)


@contextmanager
def written(
    engine: Engine, package: Package, reference: str, *, keep_layers: bool = False
) -> Iterator[tuple[Path, Archive]]:
    """Write the packed image as an OCI archive; yield its path, which exists within the block, and the archive.

    Args:
        keep_layers: keep the files of the layers within the block, too, which takes the space once more.

    Raises:
        DiskFull: no space is left for the archive.
    """
    with scratch_directory() as scratch:
        try:
            with full_disk_is_told("the packed image"):
                packed = _pack(engine, package, reference, Path(scratch))
                path = Path(scratch) / "image.tar"
                with path.open("wb") as file:
                    packed.write(file)
            for layer in packed.layers if not keep_layers else ():
                layer.path.unlink(missing_ok=True)
        except OSError as error:
            where = f" ({error.filename})" if error.filename is not None else ""
            raise HostError(f"cannot pack the image: {error.strerror}{where}") from error
        yield path, packed


def _pack(engine: Engine, package: Package, reference: str, scratch: Path) -> Archive:
    facts = engine.images.facts(package.base.id)
    components = sbom.Components()
    with engine.file_transfer(image=package.base.id) as transfer:
        files = _without_times(transfer.get_everything(), components)
        runtime = oci_archive.write_layer(scratch / "runtime.tar", files, "edgesim: the serving image")
    listing = sbom.document(components, package.models, package.profile)
    models = oci_archive.write_layer(scratch / "models.tar", _models(package, listing), "edgesim pack")
    layers = (runtime, models)
    return Archive(reference, _platform(facts), _run_config(facts, package), layers, package.annotations)


def _platform(facts: Mapping[str, Any]) -> dict[str, str]:
    platform = {"os": facts["Os"], "architecture": facts["Architecture"], "variant": facts.get("Variant")}
    return {key: value for key, value in platform.items() if value}


def _run_config(facts: Mapping[str, Any], package: Package) -> dict[str, Any]:
    """Return how the serving image is started, with the command, the labels and the environment of this board."""
    base = facts["Config"]
    config = {key: base[key] for key in ("User", "ExposedPorts", "Entrypoint", "Cmd", "WorkingDir") if base.get(key)}
    environment = dict(word.split("=", 1) for word in base.get("Env") or ())
    environment |= package.profile.image.environment
    config["Env"] = [f"{name}={value}" for name, value in sorted(environment.items())]
    if package.command is not None:
        config["Cmd"] = list(package.command)
    return config | {"Labels": package.labels}


def _models(package: Package, listing: bytes) -> Iterator[bytes]:
    directory, _, _ = SBOM.removeprefix("/").rpartition("/")
    yield header(f"{directory}/")
    yield header(SBOM.removeprefix("/"), len(listing)) + padded(listing)
    yield from package.contents.tar(package.mount_point.removeprefix("/"))


def _without_times(stream: IO[bytes], components: sbom.Components) -> Iterator[bytes]:
    """Yield a root file system's archive without times and owners' names; add each of its files to `components`."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.name in _ADDED_BY_ENGINE:
                continue
            data = _content(tar, member)
            components.add_file(member.name, data)
            member.mtime = 0
            member.uname = member.gname = ""
            member.pax_headers = {
                key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")
            }
            yield member.tobuf(tarfile.PAX_FORMAT)
            yield padded(data)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file is not None else b""
