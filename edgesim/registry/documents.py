"""The OCI's documents of an artifact, its referrers, and the names of annotations.

Source: image-spec 1.1, manifest.md ("Guidelines for Artifact Usage"), image-index.md and annotations.md in
https://github.com/opencontainers/image-spec.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"

CREATED = "org.opencontainers.image.created"
LICENSES = "org.opencontainers.image.licenses"
REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """The entry of a document for another document or a file: type, digest and size."""

    media_type: str
    digest: str
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    artifact_type: str | None = None

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "Descriptor":
        """Return the descriptor of a document."""
        return cls(media_type=media_type, digest=digest_of(data), size_bytes=len(data))

    def as_json(self) -> dict[str, Any]:
        """Return the descriptor in the form of the OCI's documents."""
        facts: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}
        if self.artifact_type is not None:
            facts["artifactType"] = self.artifact_type
        return facts | ({"annotations": dict(self.annotations)} if self.annotations else {})


def artifact(
    artifact_type: str,
    layers: Sequence[Descriptor],
    *,
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
) -> bytes:
    """Return the manifest of an artifact, the same bytes for the same facts.

    Args:
        subject: the manifest that the artifact refers to; a registry lists the artifact among the subject's referrers.
    """
    return document(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": Descriptor.of(EMPTY, EMPTY_TYPE).as_json(),
            "layers": [layer.as_json() for layer in layers],
            **({"subject": subject.as_json()} if subject is not None else {}),
            **({"annotations": dict(annotations)} if annotations else {}),
        }
    )


def index(manifests: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the index that lists referrers."""
    return document({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)})


def document(facts: Any) -> bytes:
    """Return a document's bytes, the same for the same facts."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    """Return the digest by which a registry knows a document."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
