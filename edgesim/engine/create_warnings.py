"""What an engine warns of when it makes a container, such as a limit that it discards: the docker package drops it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker


@contextmanager
def collected(client: docker.DockerClient) -> Iterator[list[str]]:
    """Yield a list, to which the engine's warnings about the containers that are made in the block are added."""
    warnings: list[str] = []

    def read(response: Any, *_: object, **__: object) -> None:
        if response.status_code == 201 and response.url.partition("?")[0].endswith("/containers/create"):
            warnings.extend(of_answer(response.content))

    hooks = client.api.hooks["response"]
    hooks.append(read)
    try:
        yield warnings
    finally:
        hooks.remove(read)


def of_answer(answer: bytes) -> list[str]:
    """Return the warnings in the answer to ``POST /containers/create``, each in one line."""
    return [" ".join(str(warning).split()) for warning in json.loads(answer).get("Warnings") or () if warning]
