"""An image is built by one process: a second one that needs it at the same time waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from edgesim.engine import docker_command
from edgesim.engine.docker_engine import Engine
from edgesim.errors import HostError
from edgesim.host.lock import exclusive
from edgesim.progress import Stages


@contextmanager
def to_build(engine: Engine, reference: str, stages: Stages, *, rebuild: bool = False) -> Iterator[bool]:
    """Yield whether the block has to build the image of a name; False if another process has built it meanwhile.

    Two builds of one name would leave an image without a name: the one that is built first, and that its own process
    still uses.

    Args:
        rebuild: build it in any case.

    Raises:
        HostError: the engine is not Docker's, or the docker command cannot read edgesim's files.
    """
    if engine.facts.product != "Docker":
        raise HostError(
            f"the engine is {engine.facts.title}, which has no BuildKit for edgesim to build {reference} with",
            fix=f"build it with Docker, on any machine, and bring it: docker save {reference} | podman load; "
            "or `engine=local`",
        )
    docker_command.require_scratch_seen()
    words = f"image {reference}: another edgesim builds it; waiting"
    with exclusive(reference, waiting=lambda: stages.note(words)):
        yield rebuild or engine.images.id(reference) is None
