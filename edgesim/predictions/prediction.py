"""What a predictor returns: a device time with its band, or the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from edgesim.errors import EdgesimError, ModelError
from edgesim.options import CPU
from edgesim.predictions.server_time import ServerTime
from edgesim.units import format_ms

if TYPE_CHECKING:
    from edgesim.predictions.node import Node
    from edgesim.predictions.published import PublishedFigure

# Of the slowest nodes, in a notebook.
_MOST_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """The predicted time of one node of the graph.

    Attributes:
        arithmetic_ms: time of the node's arithmetic.
        memory_ms: time of the bytes that the node moves; on a core, and of starting the node.
        launch_ms: time of launching the node's kernel on a GPU. All three add up to `ms`.
    """

    node: "Node"
    arithmetic_ms: float
    memory_ms: float
    launch_ms: float = 0.0

    @property
    def ms(self) -> float:
        return self.arithmetic_ms + self.memory_ms + self.launch_ms

    @property
    def bound(self) -> str:
        """What limits the node: ``compute``, ``memory`` or ``launch``."""
        return bound_by((self,))


def bound_by(times: Sequence[NodeTime]) -> str:
    """Return what takes most of the time of nodes: ``compute``, ``memory`` or ``launch``."""
    parts = {
        "memory": sum(time.memory_ms for time in times),
        "compute": sum(time.arithmetic_ms for time in times),
        "launch": sum(time.launch_ms for time in times),
    }
    return max(parts, key=lambda part: parts[part])


@dataclass(frozen=True, kw_only=True, repr=False)
class Prediction:
    """The predicted device time of one inference.

    Attributes:
        p50_ms: the device time.
        low_ms, high_ms: the band. It should contain the true device time in 8 of 10 cases, by the errors of predictions
            for published figures that the fit had not seen.
        target: what runs the model on the board: ``cpu``, ``gpu:tensorrt-fp16``.
        method: one sentence that says what the prediction is made from.
        threads, batch: of one inference.
        does_not_fit: why the board's memory does not take the model, also among the notes; empty if it does.
        notes: sentences, each with one reason for a band that is wider than that of a board with published figures, or
            for a time that other inputs do not have.
        server: what the server and its connection add for a request; None where only nodes were predicted.
        sizes: where the sizes of tensors are from: ``inference``, or a run on this host, with its inputs in words.
        nodes: in the graph's order.
        published: what others have published for the same network on the same target of the board.
    """

    p50_ms: float
    low_ms: float
    high_ms: float
    method: str
    threads: int
    target: str = CPU
    batch: int = 1
    does_not_fit: str = ""
    notes: tuple[str, ...] = ()
    sizes: str = "inference"
    server: ServerTime | None = None
    nodes: tuple[NodeTime, ...] = ()
    published: tuple["PublishedFigure", ...] = ()

    @property
    def request_ms(self) -> float:
        """The time of one request over HTTP: the device time, and the server's time."""
        return self.p50_ms + (self.server.p50_ms if self.server is not None else 0.0)

    def __repr__(self) -> str:
        """Return one line: the device time, its band, and what it is for."""
        batch = f", batch {self.batch}" if self.batch > 1 else ""
        by = f"{self.threads} threads" if self.target == CPU else self.target
        return f"<Prediction: device time {self._device_time}, {by}{batch}, {len(self.nodes)} nodes>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the device time, what makes it less certain, and the slowest nodes."""
        about = "<br>".join(map(escape, (self.method, *self.notes, *(f"published: {each}" for each in self.published))))
        slowest = sorted(self.nodes, key=lambda time: -time.ms)[:_MOST_SHOWN]
        rows = "".join(
            f"<tr><th>{escape(time.node.name)}</th><td>{escape(time.node.operation)}</td><td>{format_ms(time.ms)}</td>"
            f"<td>{100 * time.ms / self.p50_ms:.0f} %</td><td>{time.bound}</td></tr>"
            for time in slowest
        )
        heads = "".join(f"<th>{head}</th>" for head in ("node", "operation", "ms", "share", "bound by"))
        caption = f"<caption>the {len(slowest)} slowest of {len(self.nodes)} nodes</caption>"
        table = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<div><p><b>device time {self._device_time}</b><br>{about}</p>{table if rows else ''}</div>"

    @property
    def _device_time(self) -> str:
        return f"{format_ms(self.p50_ms)} ms ({format_ms(self.low_ms)} to {format_ms(self.high_ms)} ms)"

    @property
    def flops(self) -> int:
        """Arithmetic of one inference, a multiply-add counting as two."""
        return sum(time.node.flops for time in self.nodes)


@dataclass(frozen=True, kw_only=True)
class Declined:
    """No prediction, and why.

    Attributes:
        reason: one line, what is wrong and where.
        fix: what to do; empty if nothing helps.
        impossible: whether the board cannot run the target as it is meant, so that there is no time to wait for.
        error_class: the class of the error that `edgesim.predict` raises in this case.
    """

    reason: str
    fix: str = ""
    impossible: bool = False
    error_class: type[EdgesimError] = ModelError

    @classmethod
    def because_of(cls, error: EdgesimError) -> "Declined":
        """Return the same problem as a value."""
        return cls(reason=error.problem, fix=error.fix, error_class=type(error))

    def as_error(self) -> EdgesimError:
        """Return the error that says the same, for callers that need a prediction."""
        return self.error_class(self.reason, fix=self.fix)
