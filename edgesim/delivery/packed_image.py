"""A packed image: a serving image with models inside, which runs anywhere with nothing mounted.

The same files give the same image, byte for byte, whenever and wherever it is packed: no time, no user and no order of
work is in it. The serving image itself is built by buildx, whose layers hold the time of the build; its files are
therefore taken as they are, without their times, as one layer, on which the models are another.
"""

import errno
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgesim import __version__
from edgesim.delivery import oci_archive, sbom
from edgesim.delivery.contents import Contents, header, padded
from edgesim.delivery.oci_archive import Archive
from edgesim.engine.docker_engine import LABEL, Engine
from edgesim.errors import DiskFull, HostError
from edgesim.images.serving_image import Image
from edgesim.models.repository import Model
from edgesim.profiles import DeviceProfile
from edgesim.progress import Stages

PROFILE_LABEL = "edgesim.profile"
MODELS_LABEL = "edgesim.models"  # JSON: the SHA-256 of each model by its name
SBOM = "/usr/share/edgesim/sbom.cdx.json"
_SBOM_LABEL = "edgesim.sbom"
_LAYOUT = 2  # of what is made here: raised when that changes
# The engine puts these into every container.
_ENGINE_S_OWN = {".dockerenv"}


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is to be packed.

    Attributes:
        mount_point: where the server looks for its models.
        command: the arguments that it is started with; None leaves the image's own.
    """

    base: Image
    profile: DeviceProfile
    models: Sequence[Model]
    contents: Contents
    command: Sequence[str] | None

    @property
    def mount_point(self) -> str:
        return self.profile.image.mount_point

    @property
    def labels(self) -> dict[str, str]:
        """What the image says of itself."""
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
        """A name that changes with everything that goes into it."""
        facts = (_LAYOUT, self.base.id, self.contents.digest, self.labels, self.command, self.mount_point)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:12]
        return f"edgesim/packed:{self.profile.name}-{digest}"


def ensure(engine: Engine, package: Package, stages: Stages) -> Image:
    """The packed image, made unless the engine has it.

    Raises:
        HostError: no space is left for it; DeviceError: the engine cannot load it.
    """
    reference = package.reference
    if (found := engine.image_id(reference)) is not None:
        return Image(reference=reference, id=found, base=package.base.base, cached=True)
    with stages.stage("pack", f"packing {reference}"), written(engine, package, reference) as (path, _):
        loaded = engine.load(path, reference)
    return Image(reference=reference, id=loaded, base=package.base.base, cached=False)


@contextmanager
def written(engine: Engine, package: Package, reference: str) -> Iterator[tuple[Path, Archive]]:
    """The packed image as an OCI archive, there for the length of the block, and what is in it.

    Raises:
        DiskFull: no space is left for it.
    """
    with tempfile.TemporaryDirectory(prefix="edgesim-") as scratch:
        try:
            packed = _pack(engine, package, reference, Path(scratch))
            path = Path(scratch) / "image.tar"
            with path.open("wb") as file:
                packed.write(file)
            for layer in packed.layers:
                layer.path.unlink(missing_ok=True)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    f"no space left for the packed image in {scratch}", fix="free some, or set TMPDIR to another disk"
                ) from error
            raise HostError(f"cannot pack the image: {error.strerror} ({error.filename})") from error
        yield path, packed


def _pack(engine: Engine, package: Package, reference: str, scratch: Path) -> Archive:
    facts = engine.image_config(package.base.id)
    found = sbom.Found()
    with engine.carrier(image=package.base.id) as carrier:
        files = _timeless(carrier.everything(), found)
        runtime = oci_archive.write_layer(scratch / "runtime.tar", files, "edgesim: the serving image")
    listing = sbom.document(found, package.models, package.profile)
    models = oci_archive.write_layer(scratch / "models.tar", _models(package, listing), "edgesim pack")
    return Archive(reference, _platform(facts), _run(facts, package), (runtime, models))


def _platform(facts: Mapping[str, Any]) -> dict[str, str]:
    given = {"os": facts["Os"], "architecture": facts["Architecture"], "variant": facts.get("Variant")}
    return {key: value for key, value in given.items() if value}


def _run(facts: Mapping[str, Any], package: Package) -> dict[str, Any]:
    """How the base image is started, with the command, the labels and the environment of this board."""
    base = facts["Config"]
    kept = {key: base[key] for key in ("User", "ExposedPorts", "Entrypoint", "Cmd", "WorkingDir") if base.get(key)}
    environment = dict(word.split("=", 1) for word in base.get("Env") or ())
    environment |= package.profile.image.environment
    kept["Env"] = [f"{name}={value}" for name, value in sorted(environment.items())]
    if package.command is not None:
        kept["Cmd"] = list(package.command)
    return kept | {"Labels": package.labels}


def _models(package: Package, listing: bytes) -> Iterator[bytes]:
    directory, _, _ = SBOM.removeprefix("/").rpartition("/")
    yield header(f"{directory}/")
    yield header(SBOM.removeprefix("/"), len(listing)) + padded(listing)
    yield from package.contents.tar(package.mount_point.removeprefix("/"))


def _timeless(stream: IO[bytes], found: sbom.Found) -> Iterator[bytes]:
    """A root file system's archive without what depends on when and where it was made; `found` sees what is in it."""
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.name in _ENGINE_S_OWN:
                continue
            data = _content(tar, member)
            found.look(member.name, data)
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
