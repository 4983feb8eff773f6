"""The image of examples/mlserver, built without a registry: base and packages are handed in."""

import hashlib
import subprocess
from pathlib import Path

from edgesim.device import buildx, packages, rootfs
from edgesim.device.docker import LABEL
from edgesim.device.emulator import host_architecture
from edgesim.version import __version__

EXAMPLE = Path(__file__).parents[2] / "examples" / "mlserver"


def image(architecture: str) -> str:
    """The image's name; built where the engine has not got it."""
    digest = hashlib.sha256()
    for path in sorted(EXAMPLE.iterdir()):
        if path.is_file():
            digest.update(path.read_bytes())
    tag = f"edgesim/mlserver:{architecture}-{digest.hexdigest()[:12]}"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0:
        return tag
    buildx.build(
        context=EXAMPLE,
        dockerfile=EXAMPLE / "Dockerfile",
        tag=tag,
        platform=f"linux/{architecture}",
        build_contexts={
            "base": rootfs.ensure(architecture),
            "tools": rootfs.ensure(host_architecture()),
            "packages": packages.ensure(architecture, EXAMPLE / "requirements.txt"),
        },
        build_args={},
        labels={LABEL: __version__},
    )
    return tag
