"""Root file systems made from Debian packages, for any architecture, without running any of their programs.

For hosts where no container registry answers. `mmdebstrap --variant=extract` resolves and unpacks the packages and
runs none of their scripts: ten seconds, where an emulated installation takes five minutes.
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
from edgesim.errors import BaseUnavailable, PackageUnknown, of_limit_in
from edgesim.host import cache, proxies
from edgesim.host.parent_death import end_with_parent
from edgesim.host.scratch import full_disk

SUITE = "bookworm"
# libc-bin, which no package depends on and every Debian has, contains the locale C.UTF-8.
PACKAGES = ("python3", "libstdc++6", "libc-bin")
LAYOUT = 2  # version of the root file systems' layout: raised when the layout changes
_NEEDED_BYTES = 500 << 20  # package lists, packages, the tree, its archive, and the tree unpacked again
_LEFT_OUT = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/", "var/cache/")


def make(architecture: str, *, suite: str = SUITE, packages: Sequence[str] = PACKAGES) -> Path:
    """Return the directory of a root file system for `architecture` (``arm64``, ``amd64``); cached.

    Args:
        packages: the packages to unpack, together with their dependencies; by default Python.

    Raises:
        BaseUnavailable: mmdebstrap is missing, or the packages cannot be fetched.
        PackageUnknown: Debian has no such package.
        DiskFull: no space is left for the root file system.
    """
    name = f"{suite}-{architecture}-{'-'.join(packages)}"
    directory = paths.cache_directory() / f"base-{LAYOUT}" / name
    if cache.has(directory):
        return directory
    if shutil.which("mmdebstrap") is None:
        raise BaseUnavailable(
            "mmdebstrap, which makes root file systems from Debian packages, is not installed",
            fix=f"sudo {paths.engine_script()} install",
        )
    with cache.new_entry(directory, needed_bytes=_NEEDED_BYTES) as entry:
        archive = entry.with_suffix(".tar")
        _make(architecture, suite, packages, archive)
        _unpack(archive, entry)
        archive.unlink()
        entry.chmod(0o755)  # the root directory, whatever the umask
    return directory


def _make(architecture: str, suite: str, packages: Sequence[str], archive: Path) -> None:
    # To unpack packages, mmdebstrap needs no namespace and no other user ids: chrootless. As root it refuses that mode,
    # which would touch the host in other variants; there it chooses a mode itself.
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
    code, log = _run_in_own_session(command, scratch=archive.parent)
    if code != 0:
        if "No space left" in log:
            raise full_disk("the base image", archive.parent)
        if (limited := of_limit_in(log, "mmdebstrap cannot write the base image")) is not None:
            raise limited
        if match := re.search(r"Unable to locate package (\S+)", log):
            raise PackageUnknown(f"Debian {suite} has no package {match[1]!r}", fix=f"apt-cache search {match[1]}")
        if (proxy := proxies.named_in(log)) is not None:
            raise BaseUnavailable(
                f"apt cannot get Debian packages through the proxy {proxy}",
                fix="start the proxy, or correct or unset the variable; sudo -E apt-get update tries it",
                log="\n".join(log.splitlines()[-8:]),
            )
        raise BaseUnavailable(
            f"mmdebstrap could not make the {architecture} root file system from Debian packages",
            fix="check that apt-get update works on this host, then try again",
            log="\n".join(log.splitlines()[-8:]),
        )


def _run_in_own_session(command: Sequence[str], *, scratch: Path) -> tuple[int, str]:
    """Run mmdebstrap in a session of its own; return its exit code and its standard error.

    When mmdebstrap fails, it sends a hang-up to its whole process group, which would be edgesim's. In its own session
    Ctrl-C does not reach mmdebstrap: edgesim ends it. Its temporary files are in `scratch`.
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
        preexec_fn=lambda: end_with_parent(signal.SIGTERM),
    )
    try:
        _, log = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    return process.returncode, log


def mirrors(suite: str = SUITE) -> Sequence[str]:
    """Return the mirrors of a suite in this host's apt configuration, as lines of a sources.list.

    A suite that apt does not name is taken from the mirror of apt's main Debian suite. Without any mirror, mmdebstrap
    chooses one.
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
    codenames = (suite, f"{suite}-updates", f"{suite}-security")
    lines, of_main_suite = [], []
    for line in sorted(set(listed.splitlines())):
        origin, label, codename, uri, component = line.split("|")
        if origin == "Debian" and component == "main":
            if codename in codenames:
                lines.append(f"deb {uri} {codename} main")
            elif label == "Debian" and "-" not in codename:
                of_main_suite.append(f"deb {uri} {suite} main")
    return lines or of_main_suite[:1]


def _unpack(archive: Path, directory: Path) -> None:
    """Unpack an archive as this user: without owners, device nodes, and directories that no server reads."""

    def is_needed(member: tarfile.TarInfo) -> bool:
        return not member.isdev() and not member.name.removeprefix("./").startswith(_LEFT_OUT)

    with tarfile.open(archive) as tar:
        # Python has extraction filters since 3.11.4, and Debian 12 has 3.11.2. Since 3.14 the default filter refuses
        # the absolute links that a root file system is full of.
        tar.extraction_filter = getattr(tarfile, "tar_filter", None)
        tar.extractall(directory, members=filter(is_needed, tar))  # noqa: S202 (Debian's own packages)
    # The filter removes everyone's right to write, and a file system mounted on /tmp in a container gets /tmp's mode.
    (directory / "tmp").mkdir(exist_ok=True)
    (directory / "tmp").chmod(0o1777)
