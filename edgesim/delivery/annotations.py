"""Annotations of what is published: where it is from, by the names of the OCI's image-spec, annotations.md."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from edgesim.errors import UsageError
from edgesim.git import git, is_installed
from edgesim.models.repository import Model
from edgesim.registry.documents import CREATED, LICENSES, REVISION, SOURCE

# In which ONNX keeps a model's licence (IR.md, "Optional Metadata").
_MODEL_LICENSE = "model_license"
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*(?:/[A-Za-z0-9._-]+)?")
_MOST_LETTERS = 4096


def parse(words: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that a user gives.

    Raises:
        UsageError: a name is none of an annotation, or a value is not printable.
    """
    for name, value in words.items():
        if not _NAME.fullmatch(name):
            raise UsageError(f"`annotations`: {name[:80]!r} is not a name of an annotation", fix=f"such as {LICENSES}")
        if not value.isprintable() or len(value) > _MOST_LETTERS:
            raise UsageError(f"`annotations`: {name}: the value is not one line of at most {_MOST_LETTERS} letters")
    return dict(words)


def of_model(model: Model, words: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations of what is made of a model, the same for the same revision.

    They are the source and the revision of the git repository that the model is in, if git knows its directory as it
    is, with the time of the commit; and the licence that the model states.

    Args:
        words: the user's own, which replace those.

    Raises:
        UsageError: see `parse`.
    """
    license_ = model.metadata.get(_MODEL_LICENSE, "").strip()
    facts = {LICENSES: license_} if license_ and license_.isprintable() and len(license_) <= _MOST_LETTERS else {}
    return {**facts, **_of_git(model), **parse(words)}


def _of_git(model: Model) -> dict[str, str]:
    directory = model.path.parent
    if not is_installed():
        return {}
    clean, changes = git(directory, "status", "--porcelain", "--", ".")
    shown, facts = git(directory, "log", "-1", "--no-show-signature", "--format=%H %cI")
    if not clean or changes.strip() or not shown or not facts.strip():
        return {}
    revision, _, created = facts.decode(errors="replace").strip().partition(" ")
    known, url = git(directory, "remote", "get-url", "origin")
    source = _public(url.decode(errors="replace").strip()) if known else None
    return {REVISION: revision, CREATED: created} | ({SOURCE: source} if source is not None else {})


def _public(url: str) -> str | None:
    """Return the address of a git repository without an account; None for a path of this host."""
    if "://" not in url:
        host, colon, path = url.partition(":")  # git's short form for ssh
        return f"ssh://{host.rpartition('@')[2]}/{path.lstrip('/')}" if colon and "/" not in host else None
    address = urlsplit(url)
    if address.scheme not in ("http", "https", "ssh", "git") or not url.isprintable():
        return None
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))
