"""A packed image in a registry: pushed as it was packed, so that the registry knows the image by the same digest."""

from edgesim.delivery.oci_archive import Archive
from edgesim.registry.repository import Repository


def push(repository: Repository, archive: Archive, tag: str | None) -> str:
    """Push an image whose layers are on disk; return the digest by which the registry knows the image.

    Args:
        tag: None pushes by the digest alone.

    Raises:
        RegistryError: the registry refuses the image, breaks off, or does not answer.
    """
    for layer in archive.layers:
        repository.push_file(layer.path, f"sha256:{layer.sha256}")
    repository.push_bytes(archive.config)
    return repository.push_manifest(archive.manifest, tag=tag).digest
