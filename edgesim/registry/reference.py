"""References: names of images and artifacts in a registry, ``REGISTRY/NAME:TAG`` and ``REGISTRY/NAME@sha256:…``.

The grammar is that of github.com/distribution/reference, which Docker's names have.
"""

import re
from dataclasses import dataclass, replace

from edgesim.errors import UsageError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::\d+)?"
_REFERENCE = re.compile(
    rf"(?:(?P<registry>{_HOST})/)?(?P<repository>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_BY_DIGEST = re.compile(r".+@sha256:.*", re.DOTALL)
_MOST_LETTERS = 255
DOCKER_HUB = "docker.io"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A name in a registry.

    Attributes:
        registry: the host, with its port if it has one.
        digest: ``sha256:`` and 64 hexadecimal digits.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """The repository with its registry, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, digest: str) -> "Reference":
        """Return the reference to a digest in the same repository."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest is not None else ''}"


def parse(text: str, option: str) -> Reference:
    """Parse a reference; a reference without a registry names Docker Hub, as for the docker command.

    Args:
        option: the option's field that contains the text, for the message.

    Raises:
        UsageError: the text is no reference.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None or len(text) > _MOST_LETTERS:
        scheme = text.partition("://")
        fix = f"`{option}={scheme[2]}`, without {scheme[0]}://" if scheme[1] else "REGISTRY/NAME:TAG in small letters"
        raise UsageError(f"`{option}={text[:200]}`: not a name in a registry", fix=fix)
    registry, repository = match["registry"], match["repository"]
    if registry is not None and not _is_host(registry):
        registry, repository = None, f"{registry}/{repository}"
    if registry is None or registry == DOCKER_HUB:
        registry, repository = DOCKER_HUB, repository if "/" in repository else f"library/{repository}"
    return Reference(registry=registry, repository=repository, tag=match["tag"], digest=match["digest"])


def parse_tagged(text: str, option: str) -> Reference:
    """Parse the reference to publish under; the default tag is ``latest``.

    Raises:
        UsageError: the text is no reference, or has a digest: only the content decides the digest.
    """
    reference = parse(text, option)
    if reference.digest is not None:
        raise UsageError(
            f"`{option}={text}`: has a digest, which only the content can determine",
            fix=f"`{option}={reference.name}:TAG`",
        )
    return reference if reference.tag is not None else replace(reference, tag="latest")


def parse_pinned(text: str, option: str) -> Reference:
    """Parse a reference with a digest, which always names the same content.

    Raises:
        UsageError: the text is no reference, or has no digest.
    """
    if not _BY_DIGEST.fullmatch(text):
        reference = parse(text, option)
        raise UsageError(
            f"`{option}={text}`: has no digest, and a tag may mean another image tomorrow",
            fix=f"`{option}={reference.name}@sha256:…`, as it was printed when the image was pushed; docker buildx"
            f" imagetools inspect {text} also shows the digest",
        )
    reference = parse(text, option)
    return replace(reference, tag=None)


def is_pinned(text: str) -> bool:
    """Return whether a text looks like a reference with a digest."""
    return _BY_DIGEST.fullmatch(text) is not None


def names_a_registry(text: str) -> bool:
    """Return whether a text is a reference with a registry in it, and with a tag or a digest."""
    match = _REFERENCE.fullmatch(text)
    has_version = match is not None and (match["tag"] or match["digest"])
    return bool(match is not None and has_version and match["registry"] and _is_host(match["registry"]))


def _is_host(word: str) -> bool:
    """Return whether the first part of a name is a registry: a registry has a dot or a port, or is ``localhost``."""
    return "." in word or ":" in word or word == "localhost" or word != word.lower()
