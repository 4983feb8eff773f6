"""One repository of a registry: files, manifests, and their referrers."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from edgesim.errors import RegistryError
from edgesim.registry import documents
from edgesim.registry.access import Access
from edgesim.registry.documents import DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor
from edgesim.registry.session import Body, Session

_ACCEPTED = ", ".join((MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX))
_CHUNK_BYTES = 1 << 20


class Repository:
    """One repository of a registry. Use it in a ``with`` block."""

    def __init__(self, access: Access, name: str) -> None:
        self._session, self._registry = Session(access, name), access.registry

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def require_writable(self) -> None:
        """Begin an upload and cancel the upload, so that a refusal comes before long work.

        Raises:
            RegistryError: the registry refuses uploads, breaks off, or does not answer.
        """
        # Any answer will do: a registry that cannot cancel an upload forgets the upload later.
        self._session.send("DELETE", self._begin_upload(), expected=range(200, 600))

    def push_file(self, path: Path, digest: str) -> bool:
        """Push a file unless the repository has it; return whether it was sent.

        Raises:
            RegistryError: the registry refuses the file, breaks off, or does not answer.
        """
        return self._push(lambda: path.open("rb"), digest, path.stat().st_size)

    def push_bytes(self, data: bytes) -> str:
        """Push a small file, as `push_file` does; return its digest."""
        digest = documents.digest_of(data)
        self._push(lambda: data, digest, len(data))
        return digest

    def push_manifest(self, data: bytes, *, tag: str | None = None, subject: Descriptor | None = None) -> Descriptor:
        """Push an image's or an artifact's manifest under a tag, or by its digest alone; return its descriptor.

        Args:
            subject: the subject that the manifest names. A registry that does not know referrers gets the list of the
                subject's referrers under a tag, as the specification says.
        """
        described = Descriptor.of(data, MANIFEST)
        answer = self._session.send(
            "PUT",
            f"manifests/{tag if tag is not None else described.digest}",
            body=lambda: data,
            headers={"Content-Type": MANIFEST},
            expected=(200, 201, 202),
        )
        if subject is not None and "OCI-Subject" not in answer.headers:
            self._list_under_tag(subject.digest, _as_referrer(data, described))
        return described

    def manifest(self, reference: str) -> tuple[bytes, Descriptor]:
        """Return a manifest by tag or digest, and check its content by the digest.

        Raises:
            NotPublished: the repository lacks the manifest; RegistryError: the registry sent another document.
        """
        answer = self._session.send(
            "GET", f"manifests/{reference}", headers={"Accept": _ACCEPTED}, expected=(200,), stream=True
        )
        data = self._session.document(answer)
        described = Descriptor.of(data, answer.headers.get("Content-Type", MANIFEST).partition(";")[0])
        if reference.startswith("sha256:") and described.digest != reference:
            raise self._other_content(reference)
        return data, described

    def fetch(self, described: Descriptor, target: Path) -> None:
        """Write a file of the repository to `target`, and check its content by digest and size.

        Raises:
            NotPublished: the repository lacks the file; RegistryError: the registry sent another file.
            OSError: the file cannot be written.
        """
        answer = self._session.send("GET", f"blobs/{described.digest}", expected=(200,), stream=True)
        digest, size = hashlib.sha256(), 0
        with target.open("wb") as file:
            for chunk in self._session.chunks(answer, _CHUNK_BYTES):
                size += len(chunk)
                if size > described.size_bytes:
                    break
                digest.update(chunk)
                file.write(chunk)
        if size != described.size_bytes or f"sha256:{digest.hexdigest()}" != described.digest:
            raise self._other_content(described.digest)

    def referrers(self, digest: str, artifact_type: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the descriptors of a manifest's referrers, in the form of the OCI's documents."""
        answer = self._session.send("GET", f"referrers/{digest}", expected=(200, 404, 405), stream=True)
        data = self._session.document(answer)
        listed = _manifests(data) if answer.status_code == 200 else self._listed_under_tag(digest)
        return [each for each in listed if artifact_type in (None, each.get("artifactType"))]

    def _push(self, body: Body, digest: str, size: int) -> bool:
        if self._session.send("HEAD", f"blobs/{digest}", expected=(200, 404)).status_code == 200:
            return False
        place = self._begin_upload()
        self._session.send(
            "PUT",
            f"{place}{'&' if '?' in place else '?'}digest={digest}",
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
            body=body,
            expected=(201, 204),
        )
        return True

    def _begin_upload(self) -> str:
        """Return the URL to which the content of a file is sent."""
        begun = self._session.send(
            "POST", "blobs/uploads/", headers={"Content-Length": "0"}, body=lambda: b"", expected=(202,)
        )
        place = begun.headers.get("Location", "")
        if not place:
            raise RegistryError(f"registry {self._registry}: does not say where to send a file")
        return place

    def _list_under_tag(self, digest: str, referrer: Mapping[str, Any]) -> None:
        """Add a referrer to the list under the tag that the specification names ("Referrers Tag Schema").

        A client that adds another referrer in the same moment may replace this list: such registries have no lock.
        """
        others = [each for each in self._listed_under_tag(digest) if each.get("digest") != referrer["digest"]]
        self._session.send(
            "PUT",
            f"manifests/{_tag_of(digest)}",
            body=lambda: documents.index([*others, referrer]),
            headers={"Content-Type": INDEX},
            expected=(200, 201, 202),
        )

    def _listed_under_tag(self, digest: str) -> Sequence[Mapping[str, Any]]:
        answer = self._session.send(
            "GET", f"manifests/{_tag_of(digest)}", headers={"Accept": INDEX}, expected=(200, 404), stream=True
        )
        data = self._session.document(answer)
        return _manifests(data) if answer.status_code == 200 else []

    def _other_content(self, digest: str) -> RegistryError:
        return RegistryError(
            f"registry {self._registry}: sends other content than that of {digest[:19]}…",
            fix="run the command again; if it stays so, do not trust the registry",
        )


def _as_referrer(data: bytes, described: Descriptor) -> Mapping[str, Any]:
    facts = orjson.loads(data)
    return described.as_json() | {key: facts[key] for key in ("artifactType", "annotations") if key in facts}


def _manifests(data: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        listed = orjson.loads(data).get("manifests")
    except (ValueError, AttributeError):
        return []
    return [each for each in listed or () if isinstance(each, dict)]


def _tag_of(digest: str) -> str:
    """Return the tag for the list of referrers on a registry that does not know referrers."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"
