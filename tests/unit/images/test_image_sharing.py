"""Serving images that machines share through a registry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgesim.errors import ImageUnavailable
from edgesim.images import image_sharing
from edgesim.images.image_sharing import Registry
from edgesim.progress import Stages

REFERENCE = "edgesim/jetson:arm64-1"
NAME = "registry:5000/edge/edgesim/jetson:arm64-1"


class Engine:
    """An engine whose images come from a set of names in a registry."""

    def __init__(self, registry: set[str]) -> None:
        self.images, self.registry = self, registry
        self.calls: list[str] = []

    def pull(self, name: str, *, platform: str) -> None:
        self.calls.append(f"pull {platform}")
        if name not in self.registry:
            raise ImageUnavailable("no such image")

    def tag(self, image: str, reference: str) -> None:
        self.calls.append(f"tag {reference}")

    def push(self, image: str, name: str) -> None:
        self.calls.append("push")
        self.registry.add(name)


def share(engine: Any, **facts: Any) -> bool:
    """Return whether this machine built the image."""
    with (
        image_sharing.shared_by(Registry(prefix="registry:5000/edge/", **facts)),
        image_sharing.to_build(engine, REFERENCE, "arm64", Stages()) as needed,
    ):
        return needed


def test_first_machine_builds_and_pushes_and_the_second_pulls() -> None:
    registry = set[str]()
    first, second = Engine(registry), Engine(registry)
    assert share(first)
    assert registry == {NAME}
    assert first.calls[-1] == "push"
    assert not share(second)
    assert second.calls == ["pull linux/arm64", f"tag {REFERENCE}"]


def test_image_that_another_machine_has_built_meanwhile_is_not_built_again() -> None:
    registry = set[str]()
    engine = Engine(registry)

    @contextmanager
    def alone(name: str) -> Iterator[None]:
        registry.add(name)  # by the machine that was waited for
        yield

    assert not share(engine, alone=alone)
    assert engine.calls == ["pull linux/arm64", "pull linux/arm64", f"tag {REFERENCE}"]


def test_build_that_fails_pushes_nothing() -> None:
    registry = set[str]()
    engine: Any = Engine(registry)
    with (
        pytest.raises(ZeroDivisionError),
        image_sharing.shared_by(Registry(prefix="registry:5000")),
        image_sharing.to_build(engine, REFERENCE, "arm64", Stages()),
    ):
        raise ZeroDivisionError
    assert registry == set()


def test_without_a_registry_each_machine_builds_its_own() -> None:
    engine: Any = Engine({NAME})
    with image_sharing.to_build(engine, REFERENCE, "arm64", Stages()) as needed:
        assert needed
    assert engine.calls == []
