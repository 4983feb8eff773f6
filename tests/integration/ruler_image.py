"""A container that runs a given script: an image of this host's architecture with Python and nothing else."""

import subprocess
import time
from pathlib import Path

from edgesim.engine.container import Container, DockerDevice
from edgesim.host.emulator import host_architecture
from edgesim.images import rootfs
from tests.support import built_images as images

DOCKERFILE = Path(__file__).parents[1] / "data" / "ruler" / "Dockerfile"
# The script waits for SIGUSR1, does its work, prints that it is done, and keeps running.
FRAME = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print("waiting")
signal.sigwait([signal.SIGUSR1])
{work}
print("done")
time.sleep(600)
"""


def image() -> str:
    """Return the image's name; the image is built unless the engine has it."""
    return images.ensure(
        "ruler",
        host_architecture(),
        DOCKERFILE,
        lambda: {"root": rootfs.make(host_architecture())},
        identity=(rootfs.SUITE, rootfs.PACKAGES, rootfs.LAYOUT),
    )


def container(script: str, *, memory_bytes: int = 512 << 20) -> Container:
    """Return a container that runs a script on one core."""
    return Container(
        image=image(),
        platform=f"linux/{host_architecture()}",
        arguments=[script],
        mounts=[],
        memory_bytes=memory_bytes,
        cpus=1,
    )


def wait_for(device: DockerDevice, word: str) -> None:
    until = time.monotonic() + 60
    while word not in device.log():
        assert time.monotonic() < until, device.log()
        time.sleep(0.05)


def work(started: Container, device: DockerDevice) -> None:
    """Have the container do its work, and wait for the end of it."""
    subprocess.run(
        ["docker", "kill", "--signal", "USR1", f"edgesim-{started.session}"], capture_output=True, check=True
    )
    wait_for(device, "done")
