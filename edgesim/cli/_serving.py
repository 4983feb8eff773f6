"""What people see while a board serves: its address, a command to try it with, and live counters."""

import contextlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Group
from rich.live import Live
from rich.text import Text

from edgesim import units
from edgesim.boards.board import Board
from edgesim.cli._console import err, say
from edgesim.cli._tables import text_table
from edgesim.errors import ModelError
from edgesim.inputs import Arrays, choose
from edgesim.inputs.of_several import of_model
from edgesim.loadgen.client import Client
from edgesim.models import state, tensor_types
from edgesim.models.repository import Model
from edgesim.models.signature import Tensor
from edgesim.options import InputOptions
from edgesim.results.sections import ScalingSection, section
from edgesim.units import format_bytes

_REFRESH_S = 1.0
_MOST_JSON_VALUES = 64  # of an input in the command; a larger input is sent as binary zeros
_MOST_NAMES = 3  # of models in the first line


def curl_line(url: str, model: Model, request: Arrays | None = None) -> str:
    """Return a shell command that sends `model` a request.

    Args:
        request: the inputs; large ones are sent as zeros. None sends zeros for all, with open sizes of 1.
    """
    inputs: list[dict[str, Any]] = []
    binary = 0
    address = f"{url}/v2/models/{model.name}/infer"
    for tensor in model.inputs:
        values = request[tensor.name] if request is not None else _zeros(tensor)
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(values.shape)}
        if values.size <= _MOST_JSON_VALUES:
            is_bf16 = values.dtype == tensor_types.BY_DATATYPE["BF16"].dtype
            inputs.append(entry | {"data": (values.astype(np.float32) if is_bf16 else values).reshape(-1).tolist()})
        else:
            # An empty text is its length of 0, in four bytes.
            size = values.size * (tensor_types.BY_DATATYPE[tensor.datatype].item_bytes or 4)
            inputs.append(entry | {"parameters": {"binary_data_size": size}})
            binary += size
    document = orjson.dumps({"inputs": inputs}).decode()
    quoted = shlex.quote(document)
    if not binary:
        return f"curl -s {address} -H 'Content-Type: application/json' -d {quoted}"
    header = f"Inference-Header-Content-Length: {len(document.encode())}"
    return f"{{ printf %s {quoted}; head -c {binary} /dev/zero; }} | curl -s {address} -H '{header}' --data-binary @-"


def _zeros(tensor: Tensor) -> NDArray[np.generic]:
    shape = [1 if size < 0 else size for size in tensor.shape]
    if tensor.datatype == "BYTES":
        return np.full(shape, "", np.object_)
    return np.zeros(shape, tensor_types.BY_DATATYPE[tensor.datatype].dtype)


def introduction(board: Board, profile: str, options: InputOptions | None = None) -> list[str]:
    """Return the lines that follow the address: what is served, how to end it, and a command to try it with.

    Args:
        options: what the user says of inputs, for the command.
    """
    names = [model.name for model in board.models]
    listed = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    model, request, feeding = board.models[0], None, list[str]()
    with contextlib.suppress(ModelError):  # of open sizes: a server is not asked for inputs
        chosen = choose(model, of_model(options or InputOptions(), model, board.models))
        request = chosen.requests[0]
        if chosen.sequence is not None:
            feeding = [f"the next request takes from each answer: {state.words(chosen.sequence.fed)}"]
    return [
        f"serving {listed}{more} on {profile} ({board.execution}); Ctrl-C ends it",
        *([f"gRPC answers at {board.grpc_address}"] if board.grpc_address is not None else []),
        *scale_lines(board),
        "try it:",
        curl_line(board.url, model, request),
        *feeding,
    ]


class Counters:
    """What the server has done since the counters began, and what the board uses; read once a second.

    edgesim's own requests, such as those that find the CPU share of a scaled board, come before.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._client = Client(board.url, board.models[0], timeout_s=30.0)
        self._last_ns = time.monotonic_ns()
        self._last: dict[tuple[str, str], int] = {}
        self._cpu_seconds: float | None = None
        self._before: dict[tuple[str, str], Any] = {}
        self._before = {(entry["name"], entry["version"]): entry["inference_stats"] for entry in self.statistics()}

    def statistics(self) -> list[dict[str, Any]]:
        """Return the statistics of each version of each model, in the protocol's form; none if the server has none."""
        statistics = self._client.get_json("/v2/models/stats").get("model_stats", [])
        entries = statistics if isinstance(statistics, list) else []
        return [
            {**entry, "inference_stats": _since(self._before.get((entry["name"], entry["version"])), entry)}
            for entry in entries
        ]

    def table(self) -> Group:
        """Return the counters, with rates since the last call."""
        now_ns = time.monotonic_ns()
        elapsed_s, self._last_ns = max((now_ns - self._last_ns) / 1e9, 1e-3), now_ns
        figures = ("version", "ok", "failed", "requests/s", "queue ms", "infer ms")
        rows = [self._row(entry, elapsed_s) for entry in self.statistics()]
        resources = Text(self._resources(elapsed_s), style="dim italic")
        return Group(text_table(("model", *figures), rows, figures=figures), resources)

    def _row(self, entry: dict[str, Any], elapsed_s: float) -> tuple[str, ...]:
        stats = entry["inference_stats"]
        ok, key = stats["success"]["count"], (entry["name"], entry["version"])
        rate = (ok - self._last.get(key, ok)) / elapsed_s
        self._last[key] = ok

        def mean_ms(stage: str) -> str:
            return f"{stats[stage]['ns'] / stats[stage]['count'] / 1e6:.2f}" if stats[stage]["count"] else "-"

        failed = str(stats["fail"]["count"])
        return (*key, str(ok), failed, f"{rate:.1f}", mean_ms("queue"), mean_ms("compute_infer"))

    def _resources(self, elapsed_s: float) -> str:
        reading = self._board.device.read()
        words = []
        if reading.memory_bytes is not None:
            limit = self._board.memory_limit_bytes
            words.append(f"memory {format_bytes(reading.memory_bytes)}{f' of {format_bytes(limit)}' if limit else ''}")
        if reading.cpu_seconds is not None:
            if self._cpu_seconds is not None:
                percent = (reading.cpu_seconds - self._cpu_seconds) / elapsed_s * 100
                words.append(f"CPU {percent:.0f} % of a core of this host")
            self._cpu_seconds = reading.cpu_seconds
        return " · ".join(words)

    def total(self) -> tuple[int, int]:
        """Return how many requests were answered and how many failed."""
        stats = [entry["inference_stats"] for entry in self.statistics()]
        return sum(s["success"]["count"] for s in stats), sum(s["fail"]["count"] for s in stats)

    def close(self) -> None:
        self._client.close()


def _since(before: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return an entry's statistics without those of `before`; all of them if the server has begun to count anew."""
    now: dict[str, dict[str, int]] = entry["inference_stats"]
    if before is None or any(now[name]["count"] < figures["count"] for name, figures in before.items() if name in now):
        return now
    return {
        name: {key: value - before.get(name, {}).get(key, 0) for key, value in figures.items()}
        for name, figures in now.items()
    }


@contextmanager
def counted(board: Board) -> Iterator[Counters]:
    """Count from now on; after the block, print how many requests were answered and failed, if there were any."""
    with closing(Counters(board)) as counters:
        try:
            yield counters
        finally:
            answered, failed = counters.total()
            if answered or failed:
                say(f"{units.counted(answered, 'request')} answered, {failed} failed")


def watch(board: Board, counters: Counters) -> None:
    """Wait until Ctrl-C, and show the counters on a terminal.

    Raises:
        DeviceError: the server ended by itself.
    """
    if not err.is_terminal:
        board.wait()
    with Live(console=err, auto_refresh=False, transient=True) as live:
        while True:
            live.update(counters.table(), refresh=True)
            board.wait(_REFRESH_S)


def scale_lines(board: Board) -> list[str]:
    """Return a line for each model of a scaled board: how long the board takes for an inference."""
    if board.scale is None:
        return []
    return [
        f"{model.name} takes {model.target_ms:.4g} ms ({model.calibrated_ms:.4g} ms in calibration)"
        for model in board.scale.record().models
    ]


def as_json(board: Board) -> str:
    """Return the facts of the endpoint in one line of JSON, for programs that start a board."""
    models = [{"name": model.name, "version": model.version} for model in board.models]
    facts: dict[str, Any] = {"url": board.url, "execution": board.execution, "models": models}
    if board.grpc_address is not None:
        facts["grpc_address"] = board.grpc_address
    if board.scale is not None:
        facts["scaling"] = section(ScalingSection, board.scale.record()).model_dump(mode="json")
    return json.dumps(facts)
