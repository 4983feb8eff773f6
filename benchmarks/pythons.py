"""The Pythons that empty environments are made of: this machine's, and those in roots of Debian's packages."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Debian's suites with a Python that older ones lack.
_SUITES = {"3.13": "trixie", "3.14": "sid"}
_PACKAGES = "ca-certificates,coreutils,bash,libgomp1,libstdc++6"
_CONFIGURATION = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
_TIMEOUT_S = 900
# What of this process reaches an environment: how packages are fetched, and nothing of the environment it runs in.
_PASSED = ("PIP_", "UV_", "SSL_", "REQUESTS_", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Python:
    """A Python that environments are made of.

    Attributes:
        version: as it says itself, `3.14.10`.
        source: where it is from, in words.
        prefix: the command that runs a program where this Python is, such as chroot's; empty on this machine.
    """

    version: str
    program: str
    source: str
    prefix: tuple[str, ...] = ()

    def run(
        self, command: Sequence[str | Path], *, directory: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where this Python is, with `directory` as home and working directory, and its output caught."""
        passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED) or "proxy" in name}
        return subprocess.run(
            [*self.prefix, *map(str, command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            cwd=directory,
            env={
                **passed,
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(directory),
                **(environment or {}),
            },
        )


def here(version: str) -> Python | None:
    """Return a Python of this machine, pyenv's or on the PATH, such as 3.12; None if there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for program in (*sorted(pyenv.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")):
        answer = (
            subprocess.run([program, "--version"], capture_output=True, text=True, check=False) if program else None
        )
        if answer is not None and answer.returncode == 0:
            return Python(answer.stdout.split()[1], str(program), "this machine")
    return None


@contextmanager
def from_debian(version: str) -> Iterator[Python | None]:
    """Make a root of Debian's packages with a Python for the time of the block.

    Yields:
        The Python, or None where there is none to be had: not root, no mmdebstrap, or no suite with that Python.
    """
    if (suite := _SUITES.get(version)) is None or os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        yield None
        return
    root = Path(tempfile.mkdtemp(prefix="edgesim-python-"))
    try:
        # A mirror's snapshot of a moving suite may be past its date; its signature is checked all the same.
        made = subprocess.run(
            (
                *("mmdebstrap", "--quiet", "--variant=extract", '--aptopt=Acquire::Check-Valid-Until "false"'),
                *(f"--include=python{version},python{version}-venv,{_PACKAGES}", suite, str(root)),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            print(made.stderr, file=sys.stderr)
            yield None
            return
        for file in filter(Path.exists, map(Path, _CONFIGURATION)):
            copy = root / file.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        # The root has this machine's temporary files under their own names; the mounts end with the command.
        mounts = "".join(
            f'mkdir -p "$0/{place}"; mount --rbind /{place} "$0/{place}"; ' for place in ("tmp", "proc", "dev")
        )
        enter = f'here=$PWD; {mounts}exec chroot "$0" /usr/bin/bash -c \'cd "$0" && exec "$@"\' "$here" "$@"'
        prefix = ("unshare", "--mount", "sh", "-c", enter, str(root))
        program = f"/usr/bin/python{version}"
        found = Python(version, program, f"Debian {suite}", prefix)
        answer = found.run([program, "--version"], directory=Path(tempfile.gettempdir()))
        yield Python(answer.stdout.split()[1], program, found.source, prefix) if answer.returncode == 0 else None
    finally:
        shutil.rmtree(root, ignore_errors=True)
