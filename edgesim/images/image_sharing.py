"""Serving images that several machines share: built by one of them, pushed to a registry, pulled by the others.

A serving image is named by its content, so an image of the same name in the registry is the same image. Who may push to
the registry decides what its users run: it has to be one's own.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass

from edgesim.engine.docker_engine import Engine
from edgesim.errors import ImageUnavailable
from edgesim.progress import Stages


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry of images.

    Attributes:
        prefix: host, port, and a path if there is one: ``registry.local:5000/edge``.
        alone: lets one machine at a time build the image of a name.
    """

    prefix: str
    alone: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()

    def name(self, reference: str) -> str:
        """Return the name of an image in the registry."""
        return f"{self.prefix.rstrip('/')}/{reference}"


_registry: ContextVar[Registry | None] = ContextVar("registry of serving images", default=None)


@contextmanager
def shared_by(registry: Registry | None) -> Iterator[None]:
    """Within the block, take serving images from a registry, and give it those that this machine builds."""
    token = _registry.set(registry)
    try:
        yield
    finally:
        _registry.reset(token)


@contextmanager
def to_build(engine: Engine, reference: str, architecture: str, stages: Stages) -> Iterator[bool]:
    """Yield whether the block has to build an image: another machine may have done so. The block's image is pushed.

    Raises:
        HostError: the registry does not take the image.
    """
    registry = _registry.get()
    if registry is None:
        yield True
        return
    name, platform = registry.name(reference), f"linux/{architecture}"

    def pulled() -> bool:
        with stages.stage("pull", f"looking for {name}"):
            try:
                engine.images.pull(name, platform=platform)
            except ImageUnavailable:
                return False
        engine.images.tag(name, reference)
        return True

    if pulled():
        yield False
        return
    with registry.alone(name):
        if pulled():
            yield False
            return
        yield True
        with stages.stage("push", f"pushing {name}"):
            engine.images.push(reference, name)
