"""The contents of a stack file: services on one board, and their order."""

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from edgesim.errors import did_you_mean
from edgesim.stacks.service import Condition, Element, Files, Service

_NAME = r"^[a-z0-9][a-z0-9_-]{0,40}$"
# Of one board; and a chain of so many is no more than Python's recursion takes.
_MOST_SERVICES = 100


class Request(Element):
    """The request to a service that does not speak the inference protocol; the answer must be 200.

    `body` is a file.
    """

    method: Annotated[str, Field(pattern=r"^[A-Z]+$")] = "POST"
    path: Annotated[str, Field(pattern=r"^/\S*$")] = "/"
    body: Path | None = None
    headers: dict[str, str] = Field(default={})


class Entry(Element):
    """The service that gets a benchmark's requests: a model's inputs by the inference protocol, or `request`.

    `model` is a name in `models` of a service of this stack, or a path; a server of one model needs none.
    """

    service: str
    model: str | None = None
    request: Request | None = None


class Stack(Element):
    """Several services on one board, and those beside the board.

    `profile` is the board's profile: a name, ``name:mode``, or a file.
    """

    name: Annotated[str, Field(pattern=_NAME)]
    profile: str
    services: Annotated[dict[str, Service], Field(min_length=1, max_length=_MOST_SERVICES)]
    entry: Entry | None = None

    @field_validator("entry", mode="before")
    @classmethod
    def _entry_service(cls, value: Any) -> Any:
        return {"service": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> "Stack":
        for name, service in self.services.items():
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"services.{name}: a name has only lower-case letters, digits, '-' and '_'")
            for key, problem in service.problems():
                raise ValueError(f"services.{name}{f'.{key}' if key else ''}: {problem}")
        if all(service.beside for service in self.services.values()) and not self.only_steps:
            raise ValueError("services: all are beside the board; a stack needs at least one service on the board")
        self._check_order()
        self._check_ports()
        self._check_entry()
        return self

    def waits(self, name: str) -> Mapping[str, Condition]:
        """Return the services that a service waits for, with the condition of each."""
        return {
            other: condition or self._default_condition(other) for other, condition in self.services[name].after.items()
        }

    def _default_condition(self, name: str) -> Condition:
        service = self.services[name]
        return "completed" if service.once else "healthy" if service.checked else "started"

    @property
    def order(self) -> Sequence[str]:
        """The names of the services, each after all services that it waits for."""
        ordered: dict[str, None] = {}

        def visit(name: str) -> None:
            if name not in ordered:
                for other in self.services[name].after:
                    visit(other)
                ordered[name] = None

        for name in self.services:
            visit(name)
        return list(ordered)

    @property
    def only_steps(self) -> bool:
        """Whether all services are steps, so that the stack ends by itself and answers no requests."""
        return all(service.once for service in self.services.values())

    @property
    def volumes(self) -> Mapping[str, bool]:
        """The names of all mounted volumes, and whether each is external."""
        mounts: list[Files] = [mount for service in self.services.values() for mount in service.mounts]
        mounts += [service.watch for service in self.services.values() if service.watch is not None]
        return {mount.volume: mount.external for mount in mounts if mount.volume is not None}

    def _check_order(self) -> None:
        for name, service in self.services.items():
            for other, condition in service.after.items():
                where = f"services.{name}.after.{other}"
                if other not in self.services:
                    raise ValueError(f"{where}: no such service{did_you_mean(other, self.services)}")
                if condition == "completed" and not self.services[other].once:
                    raise ValueError(f"{where}: {other} is not expected to end; a step has `once: true`")
                if condition == "healthy" and not self.services[other].checked:
                    raise ValueError(f"{where}: {other} has no `healthy` command")
                if self.services[other].once and condition == "healthy":
                    raise ValueError(f"{where}: {other} is a step; wait for it to be completed")
        try:
            TopologicalSorter({name: service.after for name, service in self.services.items()}).prepare()
        except CycleError as error:
            circle = error.args[1][:0:-1]  # from a service to one that it waits for
            first = min(range(len(circle)), key=lambda i: list(self.services).index(circle[i]))
            circle = [*circle[first:], *circle[: first + 1]]
            raise ValueError(
                f"services.{circle[0]}.after: services wait for each other in a circle: {' after '.join(circle)}"
            ) from error

    def _check_ports(self) -> None:
        taken: dict[int, str] = {}
        for name, service in self.services.items():
            if not service.publish:
                continue
            if service.publish in taken:
                raise ValueError(
                    f"services.{name}.publish: {service.publish} is already taken by {taken[service.publish]}"
                )
            taken[service.publish] = name

    def _check_entry(self) -> None:
        if self.entry is None:
            return
        service = self.services.get(self.entry.service)
        if service is None:
            raise ValueError(
                f"entry.service: no service {self.entry.service!r}{did_you_mean(self.entry.service, self.services)}"
            )
        if service.once:
            raise ValueError(f"entry.service: {self.entry.service} is a step, which answers no requests")
        if service.beside:
            raise ValueError(
                f"entry.service: {self.entry.service} is beside the board; a benchmark addresses a service on the board"
            )
        if service.inner_port is None:
            raise ValueError(f"entry.service: {self.entry.service} has no port")
        if self.entry.model is not None and self.entry.request is not None:
            raise ValueError("entry: give either entry.model or entry.request")
        if self.entry.model is None and self.entry.request is None:
            if not service.serves:
                raise ValueError("entry: nothing to send: give entry.request, or entry.model, whose inputs are sent")
            if service.watch is not None:
                raise ValueError("entry.model: is missing: the models in a watched repository may change")
            if len(service.models or ()) != 1:
                raise ValueError(f"entry.model: which of {', '.join(service.models or ())}?")
