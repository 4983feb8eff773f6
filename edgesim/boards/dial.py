"""What time scaling turns on a server: its CPU limit and its pace. And what it reads: the times of requests."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from edgesim.boards.device import ScalableDevice
from edgesim.host.cpu_quota import CpuQuota
from edgesim.host.priority import real_time_priority
from edgesim.inputs import Arrays
from edgesim.loadgen import client, generator
from edgesim.loadgen.scenario import closed_loop
from edgesim.loadgen.transport import HttpTransport
from edgesim.models.repository import Model
from edgesim.recording import Sample

_TIMEOUT_S = 120.0
_PACE = "/edgesim/pace"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A model, the inputs of a request, and the board's time for the request.

    Attributes:
        heated_ms: the time at the clock that heat leaves the board; None if the board has no `thermal` section.
        step: the step of a sequence that the request is, from 0 on; None for a request that stands for itself. Several
            targets of one model are several steps of one sequence.
        about: which step that is, in words.
    """

    model: Model
    arrays: Arrays
    time_ms: float
    heated_ms: float | None = None
    step: int | None = None
    about: str = ""

    @property
    def name(self) -> str:
        return f"{self.model.name}, {self.about}" if self.about else self.model.name


class Dial(Protocol):
    """A server's CPU limit and pace, and the times that result from them."""

    def limit_cpu(self, quota: CpuQuota) -> None:
        """Set the CPU limit of the server."""

    def set_pace(self, least_ms: Mapping[str, float]) -> None:
        """Set the shortest time in which the server answers, by model.

        Raises:
            OSError: the server does not answer.
        """

    def ask(self, target: Target, requests: int) -> list[float]:
        """Return the times of requests, sent one after the other, in milliseconds at the client.

        Raises:
            OSError: a request was not answered.
        """

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of the server since its start; None if the host does not report it."""


class DeviceDial:
    """The dial of a running container with edgesim's own server, which serves `model` among others."""

    def __init__(self, device: ScalableDevice, model: Model) -> None:
        self._device, self._model = device, model
        self._url = device.direct_url

    def limit_cpu(self, quota: CpuQuota) -> None:
        self._device.limit_cpu(quota)

    def set_pace(self, least_ms: Mapping[str, float]) -> None:
        with closing(client.Client(self._url, self._model, timeout_s=_TIMEOUT_S)) as peer:
            if not peer.post_json(_PACE, {"least_ms": dict(least_ms)}):
                raise ConnectionError("the server does not accept a pace")

    def ask(self, target: Target, requests: int) -> list[float]:
        with closing(client.Client(self._url, target.model, timeout_s=_TIMEOUT_S)) as peer:
            request = peer.on_the_wire(peer.encode(target.arrays))
        samples: list[Sample] = []
        with HttpTransport(self._url, connections=1, timeout_s=_TIMEOUT_S) as transport, real_time_priority():
            generator.drive(closed_loop(requests), transport, [request], into=samples, still_alive=lambda: False)
        if failed := next((sample for sample in samples if not sample.ok), None):
            raise ConnectionError(failed.outcome)
        return [sample.service_time_ms for sample in samples]

    def cpu_seconds(self) -> float | None:
        return self._device.read().cpu_seconds
