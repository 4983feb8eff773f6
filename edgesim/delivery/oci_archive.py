"""An image as one file: an OCI archive that old and new engines load, the same bytes for the same image.

The layout is the OCI's (image-layout 1.0.0, https://github.com/opencontainers/image-spec). The file ``manifest.json``
is in addition: ``docker load`` of old engines reads only that.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from edgesim.delivery.contents import header, padded

_EPOCH = "1970-01-01T00:00:00Z"  # the time of all images: with their own, no two would be the same
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_CHUNK_BYTES = 1 << 20
_END = bytes(1024)


@dataclass(frozen=True)
class Layer:
    """A tar archive on disk; `sha256` is in hex, `origin` says what made the layer."""

    path: Path
    sha256: str
    size_bytes: int
    origin: str


def write_layer(path: Path, chunks: Iterable[bytes], origin: str) -> Layer:
    """Write a layer's tar archive to `path`."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += file.write(chunk)
    return Layer(path, digest.hexdigest(), size, origin)


@dataclass(frozen=True)
class Archive:
    """An image as an archive.

    Attributes:
        platform: the keys ``os``, ``architecture`` and, if there is one, ``variant``.
        run: how the image is started, with the keys of an image's configuration: ``Env``, ``Entrypoint``, ``Labels``.
        layers: the lowest layer first.
        annotations: of the manifest, by the OCI's names.
    """

    reference: str
    platform: Mapping[str, str]
    run: Mapping[str, Any]
    layers: Sequence[Layer]
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def config(self) -> bytes:
        """The image's configuration, whose digest is the image's id."""
        return _document(
            {
                **self.platform,
                "created": _EPOCH,
                "config": self.run,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in self.layers]},
                "history": [{"created": _EPOCH, "created_by": layer.origin} for layer in self.layers],
            }
        )

    @property
    def manifest(self) -> bytes:
        """The image's manifest, by whose digest a registry knows the image."""
        return _document(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, self.config),
                "layers": [
                    {"mediaType": _LAYER, "digest": f"sha256:{layer.sha256}", "size": layer.size_bytes}
                    for layer in self.layers
                ],
                **({"annotations": dict(self.annotations)} if self.annotations else {}),
            }
        )

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return f"sha256:{_sha256(self.manifest)}"

    def write(self, file: IO[bytes]) -> None:
        """Write the archive to a file."""
        for chunk in self._chunks():
            file.write(chunk)

    def _chunks(self) -> Iterator[bytes]:
        config, manifest = self.config, self.manifest
        index = {
            "schemaVersion": 2,
            "manifests": [
                {
                    **_descriptor(_MANIFEST, manifest),
                    "platform": self.platform,
                    "annotations": {
                        # An engine whose images are in containerd finds an image by its full name only.
                        "io.containerd.image.name": full_name(self.reference),
                        "org.opencontainers.image.ref.name": full_name(self.reference).rpartition(":")[2],
                    },
                }
            ],
        }
        for_docker = [
            {
                "Config": f"blobs/sha256/{_sha256(config)}",
                "RepoTags": [self.reference],
                "Layers": [f"blobs/sha256/{layer.sha256}" for layer in self.layers],
            }
        ]
        yield from (header("blobs/"), header("blobs/sha256/"))
        for blob in (config, manifest):
            yield header(f"blobs/sha256/{_sha256(blob)}", len(blob)) + padded(blob)
        for layer in {layer.sha256: layer for layer in self.layers}.values():
            yield header(f"blobs/sha256/{layer.sha256}", layer.size_bytes)
            with layer.path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
            yield bytes(-layer.size_bytes % 512)
        documents: dict[str, Any] = {
            "oci-layout": {"imageLayoutVersion": "1.0.0"},
            "index.json": index,
            "manifest.json": for_docker,
        }
        for name, document in documents.items():
            data = _document(document)
            yield header(name, len(data)) + padded(data)
        yield _END


def full_name(reference: str) -> str:
    """Return an image's name with the registry and the tag that Docker leaves out: ``docker.io/library/a:latest``."""
    first, slash, _ = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif "." not in first and ":" not in first and first != "localhost":
        reference = f"docker.io/{reference}"
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{_sha256(data)}", "size": len(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _document(facts: Any) -> bytes:
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
