"""A stack that is up: its services, their addresses, logs and readings."""

import math
import time
from collections.abc import Mapping, Sequence

from edgesim.engine.compose_project import Project, ServiceState
from edgesim.engine.docker_engine import Engine
from edgesim.errors import DeviceError, StackError
from edgesim.host.emulator import Emulator
from edgesim.stacks.compose_file import Naming
from edgesim.stacks.failure import Evidence, failed_service, failure
from edgesim.stacks.monitor import Monitor
from edgesim.stacks.resolve import Resolved


class RunningStack:
    """A stack whose services are ready, and whose steps have ended with 0.

    Attributes:
        resolved: the stack with all that its file names.
        monitor: reads the state and the resources of the services.
    """

    def __init__(
        self, resolved: Resolved, engine: Engine, project: Project, naming: Naming, *, emulator: Emulator | None
    ) -> None:
        self.resolved, self.engine, self.project, self.naming, self.emulator = (
            resolved,
            engine,
            project,
            naming,
            emulator,
        )
        self.monitor = Monitor(project, naming.parent, beside=resolved.beside)

    @property
    def name(self) -> str:
        """The name of the stack."""
        return self.resolved.name

    @property
    def url(self) -> str:
        """The address of the entry service.

        Raises:
            StackError: the stack has no entry.
        """
        if self.resolved.stack.entry is None:
            raise StackError(
                f"stack {self.name}: has no entry", fix="name the service that receives the requests: entry: NAME"
            )
        return self.urls[self.resolved.stack.entry.service]

    @property
    def urls(self) -> Mapping[str, str]:
        """The addresses on this host of the services that publish a port, by service name."""
        urls = {}
        for name, service in self.resolved.services.items():
            state, port = self.monitor.states.get(name), service.spec.inner_port
            if state is not None and port is not None and port in state.ports:
                urls[name] = f"http://127.0.0.1:{state.ports[port]}"
        return urls

    @property
    def addresses(self) -> Mapping[str, str]:
        """The addresses as a browser opens them, with the token of each service that has one, by service name."""
        states = self.monitor.states
        return {
            name: f"{url}/?token={states[name].token}" if states[name].token else url for name, url in self.urls.items()
        }

    @property
    def shortfalls(self) -> Sequence[str]:
        """Sentences that say what the board has and the stack has not, and where a proxy stands between services."""
        states = self.monitor.states
        behind = [(name, states[name].proxies) for name in self.resolved.on_board if name in states]
        behind = [(name, proxies) for name, proxies in behind if proxies]
        return [*self.resolved.shortfalls, *(_proxied(name, proxies) for name, proxies in behind)]

    def states(self) -> Mapping[str, ServiceState]:
        """Read the states of all services."""
        return self.monitor.look()

    def log(self, service: str, lines: int | None = 20) -> str:
        """Return the last lines that a service printed; all lines if `lines` is None."""
        return self.project.log(service, lines)

    def killed(self) -> Mapping[str, int]:
        """Return how often the kernel killed a process of a service for lack of memory, by service name."""
        kills = dict(self.project.killed())
        for name, readings in self.monitor.readings.items():
            counted = max((reading.oom_kills or 0 for reading in readings), default=0)
            kills[name] = max(kills.get(name, 0), counted)
        return {name: count for name, count in kills.items() if count}

    def has_failed(self) -> bool:
        """Return whether a service has failed, be it the entry or one that the entry may need."""
        return failed_service(self.resolved, self.states()) is not None

    def check(self) -> None:
        """Raise the error of a service that has failed.

        Raises:
            DeviceError: a service has ended by itself.
        """
        name = failed_service(self.resolved, self.states())
        if name is not None:
            raise self.failure(name)

    def wait(self, seconds: float = math.inf) -> None:
        """Wait for `seconds`, or until a service fails.

        Raises:
            DeviceError: a service has ended by itself.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, 0.5))

    def failure(self, name: str, *, not_started: Sequence[str] = ()) -> DeviceError:
        """Return the error for a service that has failed; `not_started` are the services that waited for it."""
        state, once = self.monitor.states[name], self.resolved.services[name].spec.once
        killed = name in self.killed()
        if killed:
            self.monitor.take()  # the board's control group still knows the peak
        evidence = Evidence(
            log=self.log(name),
            killed=killed,
            board_memory_peak_bytes=max((reading.memory_peak_bytes or 0 for reading in self.monitor.board), default=0),
            volumes=self.project.volumes() if state.ended and once and not self.naming.temporary else (),
            not_started=not_started,
        )
        return failure(self.resolved, state, evidence)


def _proxied(service: str, proxies: Mapping[str, str]) -> str:
    variables = ", ".join(f"{name}={url}" for name, url in proxies.items())
    return (
        f"proxies: {service}'s image or environment sets {variables}, and the board has none; its requests to other "
        "services, and those of its `healthy` command, go there unless its NO_PROXY names them"
    )
