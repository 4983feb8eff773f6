"""An image's base made from Debian's packages, for any architecture, without running any of its programs.

For hosts where no container registry answers. `mmdebstrap --variant=extract` resolves and unpacks the packages and
runs none of their scripts: ten seconds where an emulated installation takes five minutes.
"""

import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from edgesim import paths
from edgesim.errors import BaseUnavailable, DiskFull, PackageUnknown
from edgesim.host.cache import new_entry

SUITE = "bookworm"
PACKAGES = ("python3", "libstdc++6")
LAYOUT = 2  # of what is made from the packages: raised when that changes
_NEEDED_BYTES = 500 << 20  # package lists, packages, the tree, its archive, and the tree unpacked again
_UNWANTED = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/", "var/cache/")


def ensure(architecture: str, *, suite: str = SUITE, packages: Sequence[str] = PACKAGES) -> Path:
    """The directory of a root file system of `architecture` (``arm64``, ``amd64``) with Python in it; cached.

    Args:
        suite, packages: other ones than the base image's, and what they need.

    Raises:
        BaseUnavailable: mmdebstrap is missing, or the packages cannot be had.
        PackageUnknown: Debian has no such package.
        DiskFull: no space is left for it.
    """
    name = f"{suite}-{architecture}" if packages == PACKAGES else f"{suite}-{architecture}-{'-'.join(packages)}"
    directory = paths.cache_directory() / f"base-{LAYOUT}" / name
    if directory.is_dir():
        return directory
    if shutil.which("mmdebstrap") is None:
        raise BaseUnavailable(
            "mmdebstrap, which makes root file systems from Debian packages, is not installed",
            fix=f"sudo {paths.engine_script()} install",
        )
    with new_entry(directory, needed_bytes=_NEEDED_BYTES) as entry:
        archive = entry.with_suffix(".tar")
        _make(architecture, suite, packages, archive)
        _unpack(archive, entry)
        archive.unlink()
    return directory


def _make(architecture: str, suite: str, packages: Sequence[str], archive: Path) -> None:
    # Packages that are only unpacked need no namespace and no user ids of others. As root the tool takes its own way:
    # it refuses this one there, since with other variants it would touch the host.
    mode = "auto" if os.getuid() == 0 else "chrootless"
    command = [
        "mmdebstrap",
        f"--mode={mode}",
        "--variant=extract",
        f"--architectures={architecture}",
        f"--include={','.join(packages)}",
        suite,
        str(archive),
        *mirrors(suite),
    ]
    code, log = _run_apart(command, scratch=archive.parent)
    if code != 0:
        if "No space left" in log:
            raise DiskFull(
                f"no space left for the image's base in {archive.parent}",
                fix=f"free some space: df -h {archive.parent}",
            )
        if found := re.search(r"Unable to locate package (\S+)", log):
            raise PackageUnknown(f"Debian {suite} has no package {found[1]!r}", fix=f"apt-cache search {found[1]}")
        raise BaseUnavailable(
            f"mmdebstrap could not make the {architecture} root file system from Debian packages",
            fix="check that apt-get update works on this host, then try again",
            log="\n".join(log.splitlines()[-8:]),
        )


def _run_apart(command: Sequence[str], *, scratch: Path) -> tuple[int, str]:
    """Run a command in a session of its own; return its exit code and what it said.

    mmdebstrap sends a hang-up to its whole process group when it fails, which would be ours. Ctrl-C therefore does not
    reach it by itself either. What it leaves behind, it leaves in `scratch`.
    """
    environment = os.environ | {"TMPDIR": str(scratch)}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        _, log = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    return process.returncode, log


def mirrors(suite: str = SUITE) -> Sequence[str]:
    """The mirrors of a suite, as lines of a sources.list, that this host's apt is set up with.

    A suite that it does not name is looked for where its main Debian suite is; none at all leaves the choice to
    mmdebstrap.
    """
    form = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)"
    try:
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", form, "Identifier: Packages"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return ()
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    lines, elsewhere = [], []
    for line in sorted(set(listed.splitlines())):
        origin, label, codename, uri, component = line.split("|")
        if origin == "Debian" and component == "main":
            if codename in wanted:
                lines.append(f"deb {uri} {codename} main")
            elif label == "Debian" and "-" not in codename:
                elsewhere.append(f"deb {uri} {suite} main")
    return lines or elsewhere[:1]


def _unpack(archive: Path, directory: Path) -> None:
    """Unpack as whoever we are: no owners, no device nodes, and without what no server reads."""

    def wanted(member: tarfile.TarInfo) -> bool:
        return not member.isdev() and not member.name.removeprefix("./").startswith(_UNWANTED)

    with tarfile.open(archive) as tar:
        # Filters came with Python 3.11.4, and Debian 12 has 3.11.2; from 3.14 on the default one refuses the absolute
        # links that a root file system is full of.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(directory, members=filter(wanted, tar))  # noqa: S202 (Debian's own packages)
    # The filter takes the right to write from everyone, and what is mounted on /tmp in a container gets its mode.
    (directory / "tmp").mkdir(exist_ok=True)
    (directory / "tmp").chmod(0o1777)
