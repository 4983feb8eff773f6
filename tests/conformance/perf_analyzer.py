"""Run perf_analyzer, the C++ load generator of this protocol, in a container with the libc that it needs."""

import csv
import io
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgesim import paths
from edgesim.engine.labels import LABEL
from edgesim.host.cache import new_entry
from edgesim.images import rootfs
from tests.support import built_images as images
from tests.support.serving import Server

VERSION = "2.60.0"  # on an older libc pip installs an empty 0.1.0 and reports no error
SUITE = "trixie"  # the Debian release with that libc
LIBRARIES = ("base-files", "libstdc++6", "libssl3t64", "zlib1g")
DOCKERFILE = Path(__file__).parents[1] / "data" / "perf-analyzer" / "Dockerfile"


@dataclass(frozen=True)
class Report:
    """The output of perf_analyzer, and its table with one row for each level of load."""

    code: int
    text: str
    rows: list[dict[str, str]]

    @property
    def throughputs(self) -> list[float]:
        return [float(row["Inferences/Second"]) for row in self.rows]


def image() -> str:
    """Return the name of the image, which is built if the engine does not have it."""
    return images.ensure(
        "perf-analyzer",
        "amd64",
        DOCKERFILE,
        lambda: {"root": rootfs.make("amd64", suite=SUITE, packages=LIBRARIES), "wheel": _wheel()},
        identity=(VERSION, SUITE, LIBRARIES),
    )


def _wheel() -> Path:
    directory = paths.cache_directory() / "packages" / f"perf-analyzer-{VERSION}"
    if directory.is_dir():
        return directory
    with new_entry(directory, needed_bytes=50 << 20) as entry, tempfile.TemporaryDirectory() as download:
        platforms = ["--platform", "manylinux_2_38_x86_64", "--only-binary=:all:", "--python-version", "3.12"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, *platforms, "--dest", download, f"perf-analyzer=={VERSION}"], check=True)
        (wheel,) = Path(download).glob("*.whl")
        with zipfile.ZipFile(wheel) as file:
            file.extractall(entry)
        (entry / "perf_analyzer" / "bin" / "perf_analyzer").chmod(0o755)
    return directory


def run(server: Server, model: str, *options: str) -> Report:
    """Measure a model for a short time: the tests check that perf_analyzer completes, not what it measures."""
    brief = ["--measurement-mode", "count_windows", "--measurement-request-count", "50", "--max-trials", "3"]
    lenient = ["--stability-percentage", "999"]
    table = "/tmp/table.csv"
    create = ["docker", "create", "--network", "host", "--label", LABEL, image()]
    address = server.grpc_address if "grpc" in options else server.address
    command = ["-m", model, "-u", address, *brief, *lenient, "-f", table, *options]
    container = subprocess.check_output([*create, *command], text=True).strip()
    try:
        process = subprocess.run(
            ["docker", "start", "--attach", container], capture_output=True, text=True, check=False, timeout=120
        )
        archive = subprocess.run(["docker", "cp", f"{container}:{table}", "-"], capture_output=True, check=False).stdout
    finally:
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, check=True)
    return Report(process.returncode, process.stdout + process.stderr, _rows(archive))


def _rows(archive: bytes) -> list[dict[str, str]]:
    import tarfile

    if not archive:
        return []
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(tar.getmembers()[0])
        assert file is not None
        return list(csv.DictReader(io.StringIO(file.read().decode())))
