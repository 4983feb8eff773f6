"""A bundle in a registry: an artifact with the archive, and the result as another artifact that refers to the bundle.

By the OCI's image-spec 1.1 ("Guidelines for Artifact Usage"). The bundle itself refers to the packed image that was
run, where that is in the same repository: whoever looks at the image finds its benchmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from edgesim.bundles.manifest import RESULT, File
from edgesim.errors import NotPublished
from edgesim.registry import documents
from edgesim.registry.documents import LICENSES, REVISION, SOURCE, TITLE, Descriptor
from edgesim.registry.reference import Reference
from edgesim.registry.repository import Repository

BUNDLE_TYPE = "application/vnd.edgesim.bundle.v1"
RESULT_TYPE = "application/vnd.edgesim.result.v1"
_ARCHIVE_TYPE = f"{BUNDLE_TYPE}+tar"
_JSON_TYPE = f"{RESULT_TYPE}+json"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A bundle in a registry, and its result: ``REGISTRY/NAME@sha256:…``.

    Attributes:
        annotations: of both.
    """

    bundle: str
    result: str
    annotations: Mapping[str, str]


def push(
    repository: Repository,
    target: Reference,
    archive: Path,
    described: File,
    result: Path,
    *,
    annotations: Mapping[str, str],
    image: str | None,
) -> Published:
    """Push a bundle, and its result as its referrer.

    Args:
        described: digest and size of the archive.
        annotations: where they are from; what they lack is taken from the image that was run.
        image: digest of the image that was run, if it is in the same repository.

    Raises:
        RegistryError: the registry refuses them, breaks off, or does not answer.
    """
    subject = None
    if image is not None:
        about_image, subject = repository.manifest(image)
        annotations = {**_origin(about_image), **annotations}
    repository.push_bytes(documents.EMPTY)
    digest = f"sha256:{described.sha256}"
    repository.push_file(archive, digest)
    layer = Descriptor(
        media_type=_ARCHIVE_TYPE, digest=digest, size_bytes=described.size_bytes, annotations={TITLE: archive.name}
    )
    manifest = documents.artifact(BUNDLE_TYPE, [layer], annotations=annotations, subject=subject)
    bundle = repository.push_manifest(manifest, tag=target.tag, subject=subject)
    data = result.read_bytes()
    repository.push_bytes(data)
    file = Descriptor(
        media_type=_JSON_TYPE,
        digest=documents.digest_of(data),
        size_bytes=len(data),
        annotations={TITLE: RESULT},
    )
    about = documents.artifact(RESULT_TYPE, [file], annotations=annotations, subject=bundle)
    referrer = repository.push_manifest(about, subject=bundle)
    return Published(
        bundle=str(target.at(bundle.digest)), result=str(target.at(referrer.digest)), annotations=annotations
    )


def _origin(manifest: bytes) -> dict[str, str]:
    """Return what the annotations of a manifest say of source, revision and licence."""
    try:
        noted = orjson.loads(manifest).get("annotations") or {}
        return {name: str(noted[name]) for name in (SOURCE, REVISION, LICENSES) if name in noted}
    except (ValueError, AttributeError, TypeError):
        return {}


def fetch(repository: Repository, source: Reference, target: Path) -> None:
    """Write the archive of a published bundle to `target`.

    Raises:
        NotPublished: the repository does not have it, or what has the name is no bundle.
        RegistryError: the registry refuses, breaks off, does not answer, or sends other content.
        OSError: the file cannot be written.
    """
    data, _ = repository.manifest(source.digest if source.digest is not None else source.tag or "latest")
    try:
        facts = orjson.loads(data)
        (layer,) = [each for each in facts["layers"] if each["mediaType"] == _ARCHIVE_TYPE]
        archive = Descriptor(media_type=_ARCHIVE_TYPE, digest=str(layer["digest"]), size_bytes=int(layer["size"]))
    except (ValueError, KeyError, TypeError) as error:
        raise NotPublished(
            f"{source}: is not a bundle", fix="edgesim bundle RESULT.json -o FILE --push NAME pushes one"
        ) from error
    repository.fetch(archive, target)
