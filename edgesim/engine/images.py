"""The images of an engine."""

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.utils

from edgesim.engine.api_errors import engine_call
from edgesim.engine.labels import LABEL, run_labels
from edgesim.errors import EdgesimError, HostError, ImageUnavailable, UsageError
from edgesim.version import __version__

_EMPTY = "edgesim/empty:1"
_NO_NAME = "<none>:<none>"
_SERVICE_DIGEST = re.compile(r"(?<=edgesim/stack:)([\w.-]+)-[0-9a-f]{12}$")
_NAME = re.compile(
    r"(?:[a-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::\w[\w.-]{0,127})?"
)
_A_DAY_S = 24 * 3600.0
# For an image of gigabytes on the card of a board; 200 MB took four minutes on an emulated machine.
_IMAGE_TIMEOUT_S = 3600


def require_valid_name(name: str) -> None:
    """Raise UsageError unless an engine takes a text, of the field `tag`, as an image's name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`tag={name}`: not a valid image name", fix="use NAME:TAG in lower-case letters, digits, '-', '_' and '.'"
        )


class Images:
    """The images of one engine, by reference (``NAME:TAG``) or id."""

    def __init__(self, client: docker.DockerClient, *, in_containerd: bool = False) -> None:
        """Make the images of an engine.

        Args:
            in_containerd: whether containerd stores them: a name may then stand for images of several architectures.
        """
        self._client = client
        self._in_containerd = in_containerd

    def id(self, reference: str) -> str | None:
        """Return the id of an image; None if the engine does not have the image."""
        with engine_call():
            try:
                return str(self._client.images.get(reference).id)
            except docker.errors.ImageNotFound:
                return None

    def architecture(self, reference: str) -> str:
        """Return the architecture of an image that the engine has: ``arm64``, ``amd64``."""
        return str(self.facts(reference)["Architecture"])

    def provides(self, reference: str, architecture: str) -> bool:
        """Return whether an image that the engine has is for `architecture`, or is for several and for that one, too.

        The engine reports one architecture, its own if it has the choice. What else is there shows in whether a
        container can be made.
        """
        if self.architecture(reference) == architecture:
            return True
        if not self._in_containerd:
            return False
        with engine_call():
            try:
                created = self._client.api.create_container(
                    reference, ["-"], platform=f"linux/{architecture}", labels=run_labels(), use_config_proxy=False
                )
            except docker.errors.APIError:  # "does not provide the specified platform", in many words
                return False
            self._client.api.remove_container(created["Id"], force=True, v=True)
            return True

    def label(self, reference: str, label: str) -> str | None:
        """Return the value of a label of an image that the engine has; None if the image has no such label."""
        with engine_call():
            value = self._client.images.get(reference).labels.get(label)
            return str(value) if value is not None else None

    def facts(self, reference: str) -> Mapping[str, Any]:
        """Return the facts of an image that the engine has, with the keys of ``docker image inspect``."""
        with engine_call():
            return dict(self._client.images.get(reference).attrs)

    def pull(self, reference: str, *, platform: str) -> None:
        """Fetch an image from its registry.

        Raises:
            ImageUnavailable: no registry has the image, or none answers.
        """
        try:
            with engine_call():
                self._client.images.pull(reference, platform=platform)
        except EdgesimError as error:
            raise ImageUnavailable(
                f"the engine has no image {reference!r}, and cannot pull the image: {error.problem}",
                fix=f"docker images lists the images; docker pull --platform {platform} {reference}",
            ) from error

    def tag(self, image: str, name: str) -> None:
        """Give an image that the engine has another name, ``NAME`` or ``NAME:TAG``."""
        with engine_call():
            # Apart, since Podman appends ":latest" to a name without a tag of its own.
            repository, tag = docker.utils.parse_repository_tag(name)
            self._client.images.get(image).tag(repository, tag)

    def push(self, image: str, name: str) -> None:
        """Send an image to the registry of `name`.

        Raises:
            HostError: the registry does not answer, or does not take the image.
        """
        self.tag(image, name)
        try:
            with engine_call():
                lines = list(self._client.images.push(name, stream=True, decode=True))
        except EdgesimError as error:
            raise _not_pushed(name, error.problem) from error
        # The engine answers 200 before it knows whether the registry takes the image.
        if refusals := [line["error"] for line in lines if "error" in line]:
            raise _not_pushed(name, str(refusals[0]))

    def load(self, archive: Path, reference: str) -> str:
        """Load an image from an archive; return its id.

        Raises:
            DeviceError: the engine cannot load the archive.
        """
        with engine_call(), self._patience(), archive.open("rb") as file:
            self._client.images.load(file)
            return str(self._client.images.get(reference).id)

    def save(self, image: str, target: Path) -> None:
        """Write an image that the engine has to a file, as ``docker save`` does.

        Raises:
            OSError: the file cannot be written.
        """
        with engine_call(), self._patience():
            stream = self._client.api.get_image(image)
            with target.open("wb") as file:
                for chunk in stream:
                    file.write(chunk)

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        """Wait longer for the engine in the block: the engine answers after the whole image is unpacked or packed."""
        api = self._client.api
        usual, api.timeout = api.timeout, _IMAGE_TIMEOUT_S
        try:
            yield
        finally:
            api.timeout = usual

    def remove_old(self) -> list[str]:
        """Remove edgesim's images that nothing will use again, and that no container uses; return their names.

        These are images that have lost their name to a newer one, images of a stack's service that was built anew since
        with other contents, and, after a day, those of another version of edgesim. Packed images stay: they are made to
        be kept.
        """
        with engine_call():
            images = self._client.api.images(filters={"label": LABEL})
            used = {container["ImageID"] for container in self._client.api.containers(all=True)}
        removed = []
        for id_, name in sorted(old_images([image for image in images if image["Id"] not in used], time.time())):
            with engine_call(), contextlib.suppress(docker.errors.APIError):  # somebody uses or removes it meanwhile
                self._client.api.remove_image(name or id_)
                removed.append(f"image {name or id_.removeprefix('sha256:')[:12]}")
        return removed

    def make_empty(self) -> str:
        """Make an image without files unless the engine has it; return its reference."""
        if self.id(_EMPTY) is None:
            self.import_files(bytes(10240), _EMPTY)
        return _EMPTY

    def import_files(self, archive: bytes, reference: str) -> None:
        """Make an image of edgesim's from a tar archive of its files.

        Podman 4.3 ignores the tag with which an image is imported (github.com/containers/podman, issue 18597).
        """
        with engine_call():
            answer = self._client.api.import_image_from_data(archive, changes=[f"LABEL {LABEL}={__version__}"])
        self.tag(_imported(answer), reference)


def _imported(answer: str) -> str:
    """Return the id of the image that an engine has imported: the status of the last line of its answer."""
    lines = [json.loads(line) for line in answer.splitlines() if line.strip()]
    return str(lines[-1]["status"])


def _not_pushed(name: str, problem: str) -> HostError:
    registry = name.partition("/")[0]
    return HostError(
        f"cannot push {name}: {problem}",
        fix=f"docker login {registry}; for a registry without TLS, add it to the engine's insecure-registries",
    )


def old_images(images: Sequence[Mapping[str, Any]], now_s: float) -> list[tuple[str, str]]:
    """Return the id and the name (empty without one) of each image that nothing will use again.

    Args:
        images: with the keys of ``GET /images/json``; all of edgesim's.
        now_s: the time, in seconds since 1970.
    """
    named = [(image, name) for image in images for name in image["RepoTags"] or () if name != _NO_NAME]
    old = [(image["Id"], "") for image in images if not set(image["RepoTags"] or ()) - {_NO_NAME}]
    newest: dict[str, int] = {}
    for image, name in named:
        service = _SERVICE_DIGEST.sub(r"\1", name)
        newest[service] = max(newest.get(service, 0), image["Created"])
    for image, name in named:
        if not name.startswith("edgesim/") or name.startswith("edgesim/packed:"):
            continue
        built_anew = bool(_SERVICE_DIGEST.search(name)) and image["Created"] < newest[_SERVICE_DIGEST.sub(r"\1", name)]
        of_another_version = image["Labels"][LABEL] != __version__ and now_s - image["Created"] > _A_DAY_S
        if built_anew or of_another_version:
            old.append((image["Id"], name))
    return old
