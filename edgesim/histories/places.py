"""Where the files of a history are: a directory, or a branch of a git repository."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from edgesim import untrusted
from edgesim.errors import HostError, ResultError, UsageError
from edgesim.git import git, is_installed
from edgesim.histories.entry import MOST_BYTES
from edgesim.results.result_file import write_text

DIRECTORY = Path("history")
_MAKE = "edgesim history add RESULT.json makes it"


class Place(Protocol):
    """Where the files of a history are. `str` names the place."""

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file that is not hidden, by name, with its content.

        Raises:
            ResultError: there is no history, or a file cannot be read.
        """
        ...

    def add(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Add files, all or none of them on a branch; return the names of those that were not there before.

        Raises:
            ResultError: a file cannot be written.
            DiskFull: no space is left.
        """
        ...


class Directory:
    """A directory with a file for each entry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files, see `Place`; of a directory or a device inside, no content."""
        if not self._path.is_dir():
            raise ResultError(f"{self._path}: no such directory", fix=_MAKE)
        for path in sorted(self._path.glob("[!.]*")):
            try:
                yield path.name, untrusted.read_bytes(path, MOST_BYTES) if path.suffix == ".json" else b""
            except OSError as error:
                raise ResultError(
                    f"{path}: {error.strerror}", fix=untrusted.fix_of(error, "remove it, or another `dir`")
                ) from error

    def add(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Add files, see `Place`."""
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultError(
                f"{self._path}: cannot make the directory: {error.strerror}", fix="choose another directory"
            ) from error
        new = tuple(name for name in files if not (self._path / name).exists())
        for name in new:
            fix = "choose a directory on a disk that has space"
            write_text(self._path / name, files[name].decode(), what="the entry", fix=fix)
        return new


class Branch:
    """A branch of a git repository that holds nothing but entries; the working tree is left as it is.

    A branch that this repository has only from its remote (``origin/NAME``) is read there, and added to from there.
    """

    # How often an addition begins anew because another one was quicker.
    _TRIES = 20

    def __init__(self, name: str, repository: Path) -> None:
        self._name, self._repository = name, repository
        if not is_installed():
            raise HostError(f"{name}: git is not installed, and a branch needs it", fix="apt-get install git")
        if not git(repository, "rev-parse", "--git-dir")[0]:
            raise UsageError(f"{repository}: not in a git repository", fix="cd into one, or `dir` in place of `branch`")
        if not git(repository, "check-ref-format", "--branch", name)[0]:
            raise UsageError(f"{name}: not the name of a branch", fix="for example `branch=edgesim-history`")

    def __str__(self) -> str:
        return f"branch {self._name}"

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the files, see `Place`."""
        tip = self._tip()
        if tip is None:
            raise ResultError(f"{self}: no such branch", fix=f"{_MAKE}; of a remote: git fetch origin {self._name}")
        listed = self._called("ls-tree", "-z", "--full-tree", tip)
        blobs = [line.split("\t", 1) for line in listed.decode(errors="replace").split("\0") if line]
        wanted = [(name, facts.split()[2]) for facts, name in blobs if facts.split()[1] == "blob"]
        contents = self._called("cat-file", "--batch", stdin="".join(f"{blob}\n" for _, blob in wanted).encode())
        begin = 0
        for name, _ in wanted:
            head_end = contents.index(b"\n", begin) + 1
            size = int(contents[begin:head_end].split()[2])
            if not name.startswith("."):
                yield name, contents[head_end : head_end + size]
            begin = head_end + size + 1

    def add(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Add files in one commit, see `Place`."""
        for _ in range(self._TRIES):
            local = self._commit(f"refs/heads/{self._name}")
            tip = local or self._tip()
            tree = self._called("ls-tree", "-z", "--full-tree", tip) if tip is not None else b""
            names = {line.partition(b"\t")[2].decode(errors="replace") for line in tree.split(b"\0")}
            new = tuple(name for name in files if name not in names)
            if not new:
                return ()
            blobs = {name: self._called("hash-object", "-w", "--stdin", stdin=files[name]) for name in new}
            rows = b"".join(f"100644 blob {blob.decode().strip()}\t{name}\0".encode() for name, blob in blobs.items())
            made = self._called("mktree", "-z", stdin=tree + rows).decode().strip()
            parent = ("-p", tip) if tip is not None else ()
            words = f"history: add {len(new)} result{'s' if len(new) > 1 else ''}\n"
            commit = self._called("commit-tree", made, *parent, stdin=words.encode(), environment=self._author())
            # Only if the branch is as it was: another addition may have come first.
            reference = (f"refs/heads/{self._name}", commit.decode().strip(), local or "0" * len(made))
            if git(self._repository, "update-ref", *reference)[0]:
                return new
        raise ResultError(f"{self}: other programs keep changing it", fix="try again")

    def _tip(self) -> str | None:
        return self._commit(f"refs/heads/{self._name}") or self._commit(f"refs/remotes/origin/{self._name}")

    def _commit(self, reference: str) -> str | None:
        known, commit = git(self._repository, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
        return commit.decode().strip() if known else None

    def _author(self) -> dict[str, str]:
        """Return variables that name an author where git knows none, as on a machine of CI."""
        if git(self._repository, "var", "GIT_COMMITTER_IDENT")[0]:
            return {}
        roles = ("AUTHOR", "COMMITTER")
        return {
            f"GIT_{role}_{part}": word
            for role in roles
            for part, word in (("NAME", "edgesim"), ("EMAIL", "edgesim@localhost"))
        }

    def _called(self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
        succeeded, output = git(self._repository, *arguments, stdin=stdin, environment=environment)
        if not succeeded:
            words = output.decode(errors="replace").strip()
            raise ResultError(f"{self}: git {arguments[0]}: {words}", fix=f"git -C {self._repository} fsck")
        return output
