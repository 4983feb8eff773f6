"""Images that only the tests need: built once, named after what goes into them."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from edgesim.engine import buildx
from edgesim.engine.labels import LABEL
from edgesim.version import __version__


def ensure(
    name: str, architecture: str, dockerfile: Path, contexts: Callable[[], dict[str, Path]], *, identity: object
) -> str:
    """The image's name; built where the engine has not got it, for `contexts` may take long to make."""
    digest = hashlib.sha256(repr((dockerfile.read_bytes(), identity)).encode()).hexdigest()
    tag = f"edgesim/{name}:{architecture}-{digest[:12]}"
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False).returncode == 0:
        return tag
    buildx.build(
        context=dockerfile.parent,
        dockerfile=dockerfile,
        tag=tag,
        platform=f"linux/{architecture}",
        build_contexts=contexts(),
        build_args={},
        labels={LABEL: __version__},
    )
    return tag
