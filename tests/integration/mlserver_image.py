"""The image of examples/mlserver, built without a registry: base and packages are handed in."""

from pathlib import Path

from edgesim.host.emulator import host_architecture
from edgesim.images import python_packages, rootfs
from tests.support import built_images as images

EXAMPLE = Path(__file__).parents[2] / "examples" / "mlserver"


def image(architecture: str) -> str:
    """The image's name; built where the engine has not got it."""
    contents = [path.read_bytes() for path in sorted(EXAMPLE.iterdir()) if path.is_file()]
    return images.ensure(
        "mlserver",
        architecture,
        EXAMPLE / "Dockerfile",
        lambda: {
            "base": rootfs.make(architecture),
            "tools": rootfs.make(host_architecture()),
            "packages": python_packages.fetch(architecture, (EXAMPLE / "requirements.txt").read_text()),
        },
        identity=contents,
    )
