"""What a git repository says of files outside of itself: it comes with a pull request, and may name any file of a host.

A link in git that leads out of its git repository was made by the author of a change, and so was a profile in a
repository that extends a file outside. Followed, they would carry a file of this host off: in a packed image, or in the
log of a pipeline. A link that is not in git was made by whoever uses this host: a cache of Hugging Face, Bazel's trees.
"""

import os
from pathlib import Path

from edgesim.errors import UsageError
from edgesim.git import git

_LINK = b"120000 "  # the mode of a symbolic link in git's index


def require_none_out(path: Path, error: type[UsageError]) -> None:
    """Raise where a part of a path is a symbolic link that is in git and leads out of its git repository.

    Without git, or where git fails, a link in a git repository counts as one that is in git.

    Raises:
        UsageError: of the class `error`: there is such a link.
    """
    absolute = path.absolute()  # with the links in it
    for link in (*reversed(absolute.parents), absolute):
        if not link.is_symlink():
            continue
        top = _top(link.parent)
        if top is not None and not _follow(link).is_relative_to(top) and _is_in_git(link):
            raise error(
                f"{path}: {link} is a symbolic link in a git repository that leads out of the repository, to "
                f"{_follow(link)}; edgesim does not read it",
                fix=f"name the file itself, {_follow(absolute)}, if you trust the link",
            )


def lead_out(source: Path, target: Path) -> bool:
    """Return whether a file in a git repository, `source`, names a file outside of the repository; links are followed.

    A file outside of any repository names what it likes.
    """
    top = _top(source.parent)
    return top is not None and not _follow(target).is_relative_to(top)


def _follow(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _top(directory: Path) -> Path | None:
    """Return the top directory of the git repository that a directory is in, all links followed; None without one."""
    real = _follow(directory)
    return next((parent for parent in (real, *real.parents) if (parent / ".git").exists()), None)


def _is_in_git(link: Path) -> bool:
    # The repository may be another user's, which git refuses, and its settings could name programs to run.
    trusting = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
    try:
        succeeded, entries = git(_follow(link.parent), *trusting, "ls-files", "--stage", "-z", "--", link.name)
    except OSError:
        return True
    return not succeeded or any(entry.startswith(_LINK) for entry in entries.split(b"\0"))
