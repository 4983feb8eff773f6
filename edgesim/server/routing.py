"""Finds what answers a request: by its method and the parts of its path."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

Handler = TypeVar("Handler")

# A part of a path that stands for any word: a model's name, a version.
_NAME = "{}"


class _Route(NamedTuple):
    """A path: its fixed words and the places of its names, by index."""

    words: tuple[tuple[int, str], ...]
    names: tuple[int, ...]


class Router(Generic[Handler]):
    """The handlers by method and path."""

    def __init__(self, handlers: Iterable[tuple[str, str, Handler]]) -> None:
        """Describe the routes.

        Args:
            handlers: method, path and handler. ``{}`` in a path is a name. Of two paths that fit, the first counts.
        """
        self._routes: dict[tuple[str, int], list[tuple[_Route, Handler]]] = {}
        for method, path, handler in handlers:
            parts = path.split("/")
            route = _Route(
                words=tuple((i, part) for i, part in enumerate(parts) if part != _NAME),
                names=tuple(i for i, part in enumerate(parts) if part == _NAME),
            )
            self._routes.setdefault((method, len(parts)), []).append((route, handler))

    def find(self, method: str, parts: Sequence[str]) -> tuple[Handler, list[str]] | None:
        """Return the handler of a path and the names in the path; None if there is no such route."""
        for route, handler in self._routes.get((method, len(parts)), ()):
            if all(parts[i] == word for i, word in route.words):
                return handler, [parts[i] for i in route.names]
        return None
