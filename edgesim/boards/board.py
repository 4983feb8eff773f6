"""A simulated board whose server is ready."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgesim.boards import hang, readiness
from edgesim.boards.device import Device
from edgesim.boards.limits import Limits
from edgesim.boards.time_scaling import Scale
from edgesim.counting.counter import Counter
from edgesim.engine.container import State
from edgesim.errors import DeviceError
from edgesim.host.host_facts import HostFacts
from edgesim.images.image import Image
from edgesim.loadgen.endpoint import Endpoint
from edgesim.models.repository import Model
from edgesim.options import CPU, REQUEST_DEFAULTS, Execution, MountMethod, ProtocolName, RequestDefaults
from edgesim.recording import Reading

# The path under which edgesim's own server describes what it finds inside its container.
DESCRIPTION = "/edgesim/board"
_POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Board:
    """A simulated board whose server is ready.

    Attributes:
        image: the image of the container; None for a plain process.
        server_image: id of the image with the server alone; another than `image` if the models are inside `image`.
        host: the machine that runs the board.
        memory_limit_bytes: the board's memory; None if nothing limits the server.
        cpus: CPU that the server may use, in cores of the host.
        intra_op_threads: threads of one inference.
        shortfalls: sentences: what the board has and this host cannot give.
        limits: limits that the container was started with; None for a plain process.
        models: the models in the repository that the board serves.
        image_s: seconds to build or find the image; None for a plain process.
        create_s: seconds to create the device.
        ready_s: seconds from the device's start until the server was ready.
        start_readings: readings of the device until then, when the model was loaded.
        scale: slows the server down to the board's time; None for a server at its own speed.
        full_speed_s: seconds of load after which a board that is slowed down is throttled; None if it never is.
        mount: how the models got into the container; None for a plain process.
        volume: name of the volume with the models; None without one.
        gpus: how the engine gave the container the GPUs of its machine; None means that it has none.
        target: what is to run the models: ``cpu``, ``gpu:tensorrt-fp16``.
        runtime_reason: why the image has the release of ONNX Runtime that it has; None for another image's server and
            for a plain process.
        protocol: how requests go to the server: ``http`` or ``grpc``.
        counter: reads the instructions that the server has executed; None for a board that is not counted.
    """

    device: Device
    execution: Execution
    host: HostFacts
    cpus: float
    intra_op_threads: int
    shortfalls: tuple[str, ...]
    models: Sequence[Model]
    create_s: float
    image: Image | None = None
    server_image: str | None = None
    memory_limit_bytes: int | None = None
    limits: Limits | None = None
    image_s: float | None = None
    ready_s: float = 0.0
    start_readings: tuple[Reading, ...] = ()
    scale: Scale | None = None
    full_speed_s: float | None = None
    mount: MountMethod | None = None
    volume: str | None = None
    gpus: str | None = None
    target: str = CPU
    runtime_reason: str | None = None
    protocol: ProtocolName = "http"
    counter: Counter | None = None

    def scaled_by(self, scale: Scale, full_speed_s: float | None) -> "Board":
        """Return this board with its tuned scale, and the CPU limit that the tuning set."""
        share = scale.quota.share
        limits = replace(self.limits, cpus=share) if self.limits is not None else None
        return replace(self, scale=scale, full_speed_s=full_speed_s, cpus=share, limits=limits)

    @property
    def request_defaults(self) -> RequestDefaults:
        """What a run on this board does when the traffic options do not say."""
        return REQUEST_DEFAULTS["scaled" if self.scale is not None else self.execution]

    @property
    def url(self) -> str:
        """The server's URL."""
        return self.device.url

    @property
    def grpc_address(self) -> str | None:
        """The address where the server answers gRPC, such as ``127.0.0.1:49154``; None without `grpc_port`."""
        return self.device.grpc_address

    @property
    def endpoint(self) -> Endpoint:
        """Where the server answers for measuring: without the engine's proxy, if this host reaches it without."""
        by_grpc = self.protocol == "grpc"
        return Endpoint(
            url=self.device.direct_url,
            grpc_address=self.device.direct_grpc_address if by_grpc else None,
            while_waiting=hang.Watch(self.device) if self.execution == "emulated" else None,
        )

    def death(self, state: State, while_doing: str) -> DeviceError:
        """Return the error for a server that ended by itself, with the reason as far as log and state show it."""
        return readiness.death(
            state,
            self.device.log(),
            model=max(self.models, key=lambda model: model.size_bytes),
            memory_limit_bytes=self.memory_limit_bytes,
            while_doing=while_doing,
            emulated=self.execution == "emulated",
        )

    def hangs(self, readings: Sequence[Reading]) -> bool:
        """Return whether the emulator stands still, by readings that were taken while a request waited."""
        return self.execution == "emulated" and hang.hangs(self.device, readings)

    def wait(self, seconds: float = math.inf) -> None:
        """Wait for `seconds`, or for as long as the server runs.

        Raises:
            DeviceError: the server has ended by itself.
        """
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            state = self.device.state()
            if not state.running:
                raise self.death(state, "serving")
            time.sleep(min(remaining, _POLL_S))
