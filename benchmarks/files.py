"""What each mount method costs, and what it leaves in the engine: bind, volume and image, in one run.

The board has this host's architecture, so that no emulator is in the figures.
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
METHODS: tuple[MountMethod, ...] = ("bind", "volume", "image")
REQUESTS = 300
STARTS = 5
ROUNDS = 3


@dataclass
class Row:
    """The figures of one mount method.

    Attributes:
        first_s: first start of a board, in seconds, in which the model is delivered.
        start_s: a later start, in seconds.
        change_s: seconds until a changed model answers.
        delivered_bytes: size of the model, or of the packed image.
        left: what the method leaves in the engine, in words.
    """

    first_s: float
    start_s: float
    change_s: float
    delivered_bytes: int
    left: str


def on_engine() -> set[str]:
    """Return edgesim's packed images and volumes on this engine, as ``image REFERENCE`` and ``volume NAME``."""
    listed = ["docker", "images", "--filter", "label=edgesim", "--format", "image {{.Repository}}:{{.Tag}}"]
    images = subprocess.check_output([*listed, "edgesim/packed"], text=True).splitlines()
    return {*images, *(f"volume {name}" for name in docker_engine.Engine().volumes.names())}


def start_s(repository: Path, method: MountMethod) -> float:
    """Return the seconds from the call until the server is ready."""
    begun = time.monotonic()
    with board(BOARD, models=repository, mount=method):
        return time.monotonic() - begun


def has_second_version(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/models/{MODEL}/versions/2/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def change_s(repository: Path, method: MountMethod) -> float:
    """Return the seconds from a new version on the host until the board serves that version."""
    version = repository / MODEL / "2"
    ready = repository.parent / "2"
    shutil.copytree(repository / MODEL / "1", ready)
    try:
        with board(BOARD, models=repository, mount=method, watch=method != "image") as started:
            begun = time.monotonic()
            ready.rename(version)
            if method == "volume":
                assert started.volume is not None
                files = contents.of([Mount(repository, "/models")], "/models")
                volumes.fill(docker_engine.Engine(), started.volume, files)
            if method != "image":
                while not has_second_version(started.url):
                    time.sleep(0.01)
                return time.monotonic() - begun
        # The old container has ended; a new container starts from a new image.
        begun = time.monotonic()
        with board(BOARD, models=repository, mount=method) as started:
            assert has_second_version(started.url)
            return time.monotonic() - begun
    finally:
        shutil.rmtree(version, ignore_errors=True)


def rates_qps(repository: Path) -> dict[MountMethod, float]:
    """Return the median of requests per second with each method; the methods take turns to share the host's load."""
    rates: dict[MountMethod, list[float]] = {method: [] for method in METHODS}
    for _ in range(ROUNDS):
        for method in METHODS:
            result = run(BOARD, MODEL, models=repository, mount=method, requests=REQUESTS)
            assert result.throughput_qps is not None
            rates[method].append(result.throughput_qps)
    return {method: sorted(own)[ROUNDS // 2] for method, own in rates.items()}


def remove(names: set[str]) -> None:
    """Remove images and volumes, named as `on_engine` names them."""
    engine = docker_engine.Engine()
    for name in names:
        kind, _, reference = name.partition(" ")
        if kind == "volume":
            volumes.remove(engine, reference)
        else:
            subprocess.run(["docker", "image", "rm", reference], capture_output=True, check=True)


def measure(repository: Path, method: MountMethod) -> Row:
    """Measure one mount method, and remove what it leaves in the engine."""
    before = on_engine()
    first = start_s(repository, method)
    starts = sorted(start_s(repository, method) for _ in range(STARTS))
    left = sorted(on_engine() - before)
    engine = docker_engine.Engine()
    model_bytes = contents.of([Mount(repository, "/models")], "/models").size_bytes
    image_bytes = sum(engine.images.facts(name.removeprefix("image "))["Size"] for name in left if "image" in name)
    row = Row(
        first_s=first,
        start_s=starts[STARTS // 2],
        change_s=change_s(repository, method),
        delivered_bytes=image_bytes or model_bytes,
        left={"bind": "nothing", "volume": "a volume", "image": "an image"}[method]
        if left or method == "bind"
        else "?",
    )
    remove(on_engine() - before)
    if method == "bind":
        assert not left, f"a bind mount left {left}"
    return row


def main() -> None:
    serving_image.build(docker_engine.Engine(), load(BOARD), Stages())
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        repository = Path(scratch) / "models"
        samples.ensure(MODEL, repository)
        rows = {method: measure(repository, method) for method in METHODS}
        before = on_engine()
        rates = rates_qps(repository)
        remove(on_engine() - before)
    print(
        f"{MODEL} on {BOARD}, natively; starts are the median of {STARTS},"
        f" requests a second that of {ROUNDS} runs in turn"
    )
    print(f"{'':<34}" + "".join(f"{method:>12}" for method in METHODS))
    lines = {
        "handed over, MiB": [f"{rows[method].delivered_bytes / 2**20:.1f}" for method in METHODS],
        "first start, s": [f"{rows[method].first_s:.2f}" for method in METHODS],
        "start, s": [f"{rows[method].start_s:.2f}" for method in METHODS],
        "a changed model answers after, s": [f"{rows[method].change_s:.2f}" for method in METHODS],
        "requests a second": [f"{rates[method]:.1f}" for method in METHODS],
        "left in the engine afterwards": [rows[method].left for method in METHODS],
    }
    for name, values in lines.items():
        print(f"{name:<34}" + "".join(f"{value:>12}" for value in values))


if __name__ == "__main__":
    main()
