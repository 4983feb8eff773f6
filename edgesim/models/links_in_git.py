"""Symbolic links that a git repository contains: they come with a pull request, and may lead anywhere on this host.

A model file may be a symbolic link to where `edgesim.models.links` would not let its weights lead: a cache of Hugging
Face, Bazel's trees. Whoever uses these made the links here. A link that is in git, and leads out of the git
repository, was made by the author of a change: followed, it would carry a file of this host off in a packed image.
"""

from pathlib import Path

from edgesim.errors import ModelError
from edgesim.git import git
from edgesim.models.links import follow

_LINK = b"120000 "  # the mode of a symbolic link in git's index


def require_none_out(path: Path) -> None:
    """Raise where a part of a path is a symbolic link that is in git and leads out of its git repository.

    Without git, or where git fails, a link in a git repository counts as one that is in git.

    Raises:
        ModelError: there is such a link.
    """
    absolute = path.absolute()  # with the links in it
    for link in (*reversed(absolute.parents), absolute):
        if not link.is_symlink():
            continue
        top = _top(link.parent)
        if top is not None and not follow(link).is_relative_to(top) and _is_in_git(link):
            raise ModelError(
                f"{path}: {link} is a symbolic link in a git repository that leads out of the repository, to "
                f"{follow(link)}; edgesim does not read it",
                fix=f"name the file itself, {follow(absolute)}, if you trust the link",
            )


def _top(directory: Path) -> Path | None:
    """Return the top directory of the git repository that a directory is in, all links followed; None without one."""
    real = follow(directory)
    return next((parent for parent in (real, *real.parents) if (parent / ".git").exists()), None)


def _is_in_git(link: Path) -> bool:
    # The repository may be another user's, which git refuses, and its settings could name programs to run.
    trusting = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
    try:
        succeeded, entries = git(follow(link.parent), *trusting, "ls-files", "--stage", "-z", "--", link.name)
    except OSError:
        return True
    return not succeeded or any(entry.startswith(_LINK) for entry in entries.split(b"\0"))
