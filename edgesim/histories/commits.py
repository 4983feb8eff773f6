"""The commits of a git repository that the results of a history are of."""

from datetime import datetime
from pathlib import Path

from edgesim.errors import HostError, UsageError
from edgesim.git import git, is_installed
from edgesim.histories.entry import Revision

_MOST_LETTERS = 100


def revision(name: str | None, repository: Path) -> Revision | None:
    """Return the commit that a name stands for; None means the one that is checked out.

    Outside of a git repository any name is taken as it is, and without a name there is no revision.

    Raises:
        UsageError: the repository has no such revision, or the name is no name.
    """
    if not _is_repository(repository):
        if name is not None and not 0 < len(name) <= _MOST_LETTERS:
            raise UsageError(f"{name}: not the name of a revision", fix=f"1 to {_MOST_LETTERS} letters")
        return Revision(name=name) if name is not None else None
    if name is None and not git(repository, "rev-parse", "--verify", "--quiet", "HEAD")[0]:
        return None  # a repository without a commit
    name = name if name is not None else "HEAD"
    shown = ("log", "-1", "--no-show-signature", "--format=%H%n%cI%n%s", f"{name}^{{commit}}", "--")
    known, facts = git(repository, *shown) if not name.startswith("-") else (False, b"")
    if not known:
        raise UsageError(
            f"{name}: not a revision of {repository.resolve()}",
            fix=f"git -C {repository} log --oneline lists the revisions",
        )
    commit, date, subject = facts.decode(errors="replace").rstrip("\n").split("\n", 2)
    return Revision(name=commit, date=datetime.fromisoformat(date), subject=subject[:200])


def first_parents(commits: str, repository: Path) -> list[str]:
    """Return the hashes of the commits of a range such as ``v1.0..main``, the oldest first, by first parents only.

    What was merged counts as the commit that merged it, as in asv.

    Raises:
        UsageError: there is no repository, or it has no such range.
        HostError: git is not installed.
    """
    if not is_installed():
        raise HostError(f"{commits}: git is not installed, and a range of commits needs it", fix="apt-get install git")
    listed, hashes = (
        git(repository, "rev-list", "--first-parent", "--reverse", commits, "--")
        if not commits.startswith("-")
        else (False, b"")
    )
    if not listed:
        raise UsageError(
            f"{commits}: not a range of commits of {repository.resolve()}",
            fix="for example `commits=v1.0..HEAD`; git log --oneline lists commits",
        )
    return hashes.decode().split()


def between(before: Revision | None, after: Revision | None, repository: Path) -> int | None:
    """Return how many commits lead from one revision to another, by first parents; None if git does not know."""
    if before is None or after is None or not _is_repository(repository):
        return None
    known, count = git(repository, "rev-list", "--first-parent", "--count", f"{before.name}..{after.name}", "--")
    return int(count) if known else None


def _is_repository(directory: Path) -> bool:
    return is_installed() and git(directory, "rev-parse", "--git-dir")[0]
