"""A model mounted, in a volume, and inside the image: what each way takes, and what it leaves, in one run.

On a board of this host's architecture, so that the figures are not an emulator's.
"""

import shutil
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from edgesim import board, run
from edgesim.delivery import contents, volumes
from edgesim.engine import docker_engine
from edgesim.engine.mounts import Mount
from edgesim.host.emulator import host_architecture
from edgesim.images import serving_image
from edgesim.models import samples
from edgesim.options import MountMethod
from edgesim.profiles import load
from edgesim.progress import Stages

MODEL = "mobilenet_v2"
BOARD = "x86-gateway" if host_architecture() == "amd64" else "raspberry-pi-5"
WAYS: tuple[MountMethod, ...] = ("bind", "volume", "image")
REQUESTS = 300
STARTS = 5
ROUNDS = 3


@dataclass
class Row:
    """What one way took; seconds and bytes."""

    first_s: float
    start_s: float
    change_s: float
    handed_bytes: int
    left: str


def there() -> set[str]:
    """The packed images and the volumes of edgesim's on this engine."""
    listed = ["docker", "images", "--filter", "label=edgesim", "--format", "image {{.Repository}}:{{.Tag}}"]
    images = subprocess.check_output([*listed, "edgesim/packed"], text=True).splitlines()
    return {*images, *(f"volume {name}" for name in docker_engine.Engine().volumes.names())}


def start_s(repository: Path, way: MountMethod) -> float:
    """From the order until the server is ready."""
    begun = time.monotonic()
    with board(BOARD, models=repository, mount=way):
        return time.monotonic() - begun


def has_second_version(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/models/{MODEL}/versions/2/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def change_s(repository: Path, way: MountMethod) -> float:
    """From a new version on the host until the board answers for it."""
    version = repository / MODEL / "2"
    ready = repository.parent / "2"
    shutil.copytree(repository / MODEL / "1", ready)
    try:
        with board(BOARD, models=repository, mount=way, watch=way != "image") as started:
            begun = time.monotonic()
            ready.rename(version)
            if way == "volume":
                assert started.volume is not None
                held = contents.of([Mount(repository, "/models")], "/models")
                volumes.fill(docker_engine.Engine(), started.volume, held)
            if way != "image":
                while not has_second_version(started.url):
                    time.sleep(0.01)
                return time.monotonic() - begun
        # The old container has ended; a new one starts from a new image.
        begun = time.monotonic()
        with board(BOARD, models=repository, mount=way) as started:
            assert has_second_version(started.url)
            return time.monotonic() - begun
    finally:
        shutil.rmtree(version, ignore_errors=True)


def rates_qps(repository: Path) -> dict[MountMethod, float]:
    """Requests a second, medians: the ways take turns, so that what else this host does is no way's alone."""
    found: dict[MountMethod, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            result = run(BOARD, MODEL, models=repository, mount=way, requests=REQUESTS)
            assert result.throughput_qps is not None
            found[way].append(result.throughput_qps)
    return {way: sorted(rates)[ROUNDS // 2] for way, rates in found.items()}


def forget(names: set[str]) -> None:
    """Remove images and volumes."""
    engine = docker_engine.Engine()
    for name in names:
        kind, _, reference = name.partition(" ")
        if kind == "volume":
            volumes.remove(engine, reference)
        else:
            subprocess.run(["docker", "image", "rm", reference], capture_output=True, check=True)


def measure(repository: Path, way: MountMethod) -> Row:
    before = there()
    first = start_s(repository, way)
    starts = sorted(start_s(repository, way) for _ in range(STARTS))
    left = sorted(there() - before)
    engine = docker_engine.Engine()
    model_bytes = contents.of([Mount(repository, "/models")], "/models").size_bytes
    image_bytes = sum(engine.images.facts(name.removeprefix("image "))["Size"] for name in left if "image" in name)
    row = Row(
        first_s=first,
        start_s=starts[STARTS // 2],
        change_s=change_s(repository, way),
        handed_bytes=image_bytes or model_bytes,
        left={"bind": "nothing", "volume": "a volume", "image": "an image"}[way] if left or way == "bind" else "?",
    )
    forget(there() - before)
    if way == "bind":
        assert not left, f"a bind mount left {left}"
    return row


def main() -> None:
    serving_image.build(docker_engine.Engine(), load(BOARD), Stages())
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        repository = Path(scratch) / "models"
        samples.ensure(MODEL, repository)
        rows = {way: measure(repository, way) for way in WAYS}
        before = there()
        rates = rates_qps(repository)
        forget(there() - before)
    print(
        f"{MODEL} on {BOARD}, natively; starts are the median of {STARTS},"
        f" requests a second that of {ROUNDS} runs in turn"
    )
    print(f"{'':<34}" + "".join(f"{way:>12}" for way in WAYS))
    lines = {
        "handed over, MiB": [f"{rows[way].handed_bytes / 2**20:.1f}" for way in WAYS],
        "first start, s": [f"{rows[way].first_s:.2f}" for way in WAYS],
        "start, s": [f"{rows[way].start_s:.2f}" for way in WAYS],
        "a changed model answers after, s": [f"{rows[way].change_s:.2f}" for way in WAYS],
        "requests a second": [f"{rates[way]:.1f}" for way in WAYS],
        "left in the engine afterwards": [rows[way].left for way in WAYS],
    }
    for name, values in lines.items():
        print(f"{name:<34}" + "".join(f"{value:>12}" for value in values))


if __name__ == "__main__":
    main()
