"""The images of a bundle as one OCI layout (image-layout 1.0.0), which ``docker load`` takes as a tar archive.

What ``docker save`` writes depends on the engine's release and store; the layout is the same for the same image.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from edgesim.delivery.contents import header
from edgesim.delivery.oci_archive import full_name
from edgesim.delivery.sbom import Components
from edgesim.errors import DeviceError

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"


@dataclass
class Layout:
    """An OCI layout in a directory, to which images are added."""

    directory: Path
    _manifests: list[Mapping[str, Any]] = field(default_factory=list)
    _for_docker: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, saved: Path, reference: str, components: Components) -> str:
        """Add the image of an archive of ``docker save``, and what is in it to `components`; return its new name.

        Args:
            reference: the image's name in the engine, for errors.

        Raises:
            DeviceError: the engine wrote another archive than Docker's.
        """
        try:
            with tarfile.open(saved, "r:") as tar:
                (image,) = json.loads(_member(tar, "manifest.json").read())
                config_data = _member(tar, image["Config"]).read()
                layers = [self._blob(_member(tar, name)) for name in image["Layers"]]
        except (KeyError, ValueError, TypeError, tarfile.TarError) as error:
            raise DeviceError(f"the engine's archive of {reference} cannot be read: {error}") from error
        for digest, _ in layers:
            _add_components(self._path(digest), components)
        facts = json.loads(config_data)
        config = self._add(config_data)
        name = name_of(config[0])
        platform = {key: facts[key] for key in ("os", "architecture", "variant") if facts.get(key)}
        manifest = _document(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, *config),
                "layers": [_descriptor(self._layer_type(digest), digest, size) for digest, size in layers],
            }
        )
        annotations = {
            "io.containerd.image.name": full_name(name),
            "org.opencontainers.image.ref.name": full_name(name).rpartition(":")[2],
        }
        described = _descriptor(_MANIFEST, *self._add(manifest))
        self._manifests.append({**described, "platform": platform, "annotations": annotations})
        self._for_docker.append(
            {
                "Config": f"blobs/sha256/{config[0]}",
                "RepoTags": [name],
                "Layers": [f"blobs/sha256/{digest}" for digest, _ in layers],
            }
        )
        return name

    def finish(self) -> dict[str, Path]:
        """Write the layout's index; return all files by their path in the layout."""
        documents: dict[str, Any] = {
            "oci-layout": {"imageLayoutVersion": "1.0.0"},
            "index.json": {"schemaVersion": 2, "manifests": self._manifests},
            "manifest.json": self._for_docker,
        }
        for name, document in documents.items():
            (self.directory / name).write_bytes(_document(document))
        return {
            path.relative_to(self.directory).as_posix(): path
            for path in self.directory.rglob("*")
            if path.is_file() and not path.is_symlink()
        }

    def _path(self, digest: str) -> Path:
        return self.directory / "blobs" / "sha256" / digest

    def _add(self, data: bytes) -> tuple[str, int]:
        digest = hashlib.sha256(data).hexdigest()
        self._path(digest).parent.mkdir(parents=True, exist_ok=True)
        self._path(digest).write_bytes(data)
        return digest, len(data)

    def _blob(self, stream: IO[bytes]) -> tuple[str, int]:
        scratch = self._path("unfinished")
        scratch.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with scratch.open("wb") as file:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += file.write(chunk)
        scratch.replace(self._path(digest.hexdigest()))
        return digest.hexdigest(), size

    def _layer_type(self, digest: str) -> str:
        with self._path(digest).open("rb") as file:
            return f"{_LAYER}+gzip" if file.read(2) == _GZIP else _LAYER


def name_of(config: str) -> str:
    """Return the name of an image in bundles, by the digest of its configuration, hex."""
    return f"edgesim/bundled:{config[:12]}"


def require_own_names(directory: Path) -> None:
    """Refuse a layout that would give an image another name in the engine than that of its content.

    Raises:
        ValueError: an image has such a name, or the layout's index is wrong.
    """
    try:
        for_docker = json.loads((directory / "manifest.json").read_bytes())
        index = json.loads((directory / "index.json").read_bytes())
        names = {name_of(image["Config"].removeprefix("blobs/sha256/")) for image in for_docker}
        tags = [tag for image in for_docker for tag in image["RepoTags"]]
        in_index = [note for one in index["manifests"] for note in one["annotations"].values()]
    except (OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the index of {directory.name}/ is wrong") from error
    own = {*names, *map(full_name, names), *(name.rpartition(":")[2] for name in names)}
    if stranger := [str(each)[:80] for each in (*tags, *in_index) if each not in own]:
        raise ValueError(f"{directory.name}/ has an image under the name {stranger[0]!r}, not that of its content")


def load_chunks(directory: Path, files: Sequence[str]) -> Iterator[bytes]:
    """Yield the layout as the archive that ``docker load`` takes."""
    for name in sorted(files):
        path = directory / name
        size = path.stat().st_size
        yield header(name, size)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = tar.extractfile(name)
    if stream is None:
        raise ValueError(f"{name} is no file")
    return stream


def _add_components(layer: Path, components: Components) -> None:
    with tarfile.open(layer, "r:*") as tar:
        for member in tar:
            if member.isreg() and (stream := tar.extractfile(member)) is not None:
                components.add_file(member.name.removeprefix("./"), stream.read())


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _document(facts: Any) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
