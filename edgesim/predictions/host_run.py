"""One run of a model on this host, for what only a run shows: sizes, branches, turns of loops, and times of nodes.

ONNX Runtime's profiler writes a line for each execution of a node, also in branches and loops, with the sizes of its
inputs and outputs. No tensor is kept for that, so a large model needs no more memory than it needs anyway. The run
leaves out ONNX Runtime's optimizations, because these change the nodes.
"""

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import orjson
from onnx import TensorProto

from edgesim.errors import ModelError
from edgesim.host.scratch import scratch_directory
from edgesim.inputs import Arrays
from edgesim.inputs.refusal import Failure, refusal
from edgesim.models import profiled_session, session_loading
from edgesim.models.gathered import gathered, has_links
from edgesim.models.profiled_session import LoadFailed, ProfiledRuns, RunFailed
from edgesim.models.repository import Model
from edgesim.predictions.tensors import GraphTensor

# Of the profiler's file, each an execution of a node, in up to three runs of a quick model: read in some seconds, and
# within some 300 MB.
_MOST_LINES = 400_000
# A line takes about half a kilobyte.
_MOST_PROFILE_BYTES = 1 << 28
# As the profiler names the types of tensors; all others have the names of `TensorProto` in lower case.
_TYPES: Mapping[str, int] = {name.lower(): number for name, number in TensorProto.DataType.items()}
_AFTER_NAME = "_kernel_time"
_WITH_BODIES = ("If", "Loop", "Scan", "SequenceMap")


@dataclass(frozen=True)
class Execution:
    """One execution of a node: sizes of the tensors that it takes and makes.

    The profiler leaves out what is no tensor: `inputs` and `outputs` of a node with sequences are shorter than the
    node's names.
    """

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]


@dataclass(frozen=True)
class HostRun:
    """What a run showed.

    Attributes:
        executions: by the name of a node, in their order. A node that ONNX Runtime replaced is not among them.
        node_seconds: CPU time of all executions of a node, on one thread and without optimizations.
        seconds: the same of the whole run.
        inputs: what the model ran with, in a few words.
    """

    executions: Mapping[str, Sequence[Execution]]
    node_seconds: Mapping[str, float]
    seconds: float
    inputs: str

    def turns(self, nodes: Iterable[onnx.NodeProto]) -> list[dict[str, GraphTensor]]:
        """Return the sizes of a graph's tensors by name, for each time that its nodes ran."""
        turns: list[dict[str, GraphTensor]] = []
        for node in nodes:
            done = self.executions.get(node.name, ())
            turns += [{} for _ in range(len(done) - len(turns))]
            for turn, execution in zip(turns, done, strict=False):
                for names, tensors in ((node.input, execution.inputs), (node.output, execution.outputs)):
                    present = [name for name in names if name]
                    if len(present) == len(tensors):
                        turn.update(zip(present, tensors, strict=True))
        return turns


class HostRunner:
    """Runs a model on this host once, with the inputs of a request.

    Args:
        inputs: the arrays; or what makes them and says where they come from, called when the model runs.
    """

    def __init__(self, model: Model, inputs: Arrays | Callable[[], tuple[Arrays, str]]) -> None:
        self._model, self._inputs = model, inputs
        self._done: HostRun | ModelError | None = None

    def run(self, proto: onnx.ModelProto) -> HostRun:
        """Run the model at the first call; return what that showed at every call.

        Args:
            proto: the model. Its inputs have fixed sizes, and its nodes have names of their own.

        Raises:
            ModelError: the model does not run on this host with these inputs; the error does not name the model.
        """
        if self._done is None:
            try:
                self._done = self._run(proto)
            except ModelError as error:
                self._done = error
        if isinstance(self._done, ModelError):
            raise self._done
        return self._done

    def _run(self, proto: onnx.ModelProto) -> HostRun:
        if callable(self._inputs):
            arrays, origin = self._inputs()
        else:
            arrays, origin = self._inputs, "the inputs of the first request"
        try:
            if has_links(self._model):
                with gathered(self._model) as path:
                    events, cpu_shares = _profile(proto, arrays, path.parent, self._model.host_libraries)
            else:
                events, cpu_shares = _profile(proto, arrays, self._model.path.parent, self._model.host_libraries)
        except LoadFailed as error:
            refused = session_loading.refusal(self._model, Failure.of(str(error)).cause)
            problem = refused.problem.removeprefix(f"{self._model.path}: ")
            raise ModelError(problem, fix=refused.fix) from error
        except RunFailed as error:
            is_random = origin.startswith("random")
            whose = "these random inputs" if is_random else f"the inputs ({origin})"
            raise refusal(
                self._model,
                arrays,
                Failure.of(str(error)),
                whose=f"the model does not run on this host: {whose}",
                is_random=is_random,
            ) from error
        return _host_run(events, cpu_shares, origin)


def _host_run(events: Sequence[Mapping[str, Any]], cpu_shares: Sequence[float], origin: str) -> HostRun:
    """Return what the last of several equal runs showed, with the shortest times of all: the first is a cold one.

    Args:
        cpu_shares: for each run, the CPU time of a second of its wall time.
    """
    runs = sorted((event for event in events if event["name"] == "model_run"), key=lambda event: event["ts"])
    executions: dict[str, list[Execution]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(runs))
    begins = [event["ts"] for event in runs]
    for event in events:
        if event["name"].endswith(_AFTER_NAME):
            # A node with a body contains the time of the nodes in it, which have lines of their own.
            name, run = event["name"].removesuffix(_AFTER_NAME), bisect(begins, event["ts"]) - 1
            if event["args"]["op_name"] not in _WITH_BODIES:
                seconds[name][run] += event["dur"] / 1e6 * cpu_shares[run]
            if run == len(runs) - 1:
                executions[name].append(_execution(event))
    return HostRun(
        executions=executions,
        node_seconds={name: min(of_runs) for name, of_runs in seconds.items()},
        seconds=min(event["dur"] * share for event, share in zip(runs, cpu_shares, strict=True)) / 1e6,
        inputs=origin,
    )


def _profile(
    proto: onnx.ModelProto, arrays: Arrays, directory: Path, libraries: Sequence[str]
) -> tuple[list[dict[str, Any]], tuple[float, ...]]:
    """Run a model with ONNX Runtime's profiler, a quick one several times; return the profiler's lines.

    The second value is the share of each run's wall time in which its thread had a core.

    Args:
        directory: where the model's files of weights are.
        libraries: see `edgesim.models.profiled_session.profile`.

    Raises:
        ModelError: the lines are too many, or see `edgesim.models.profiled_session.profile`.
        LoadFailed, RunFailed: see there.
    """
    with scratch_directory() as scratch:

        def profile(proto: onnx.ModelProto) -> ProfiledRuns:
            content = proto.SerializeToString()
            return profiled_session.profile(
                content, arrays, weights=directory, directory=Path(scratch), libraries=libraries
            )

        try:
            runs = profile(proto)
        except RunFailed:
            if not any(node.op_type == "If" for node in proto.graph.node):
                raise
            runs = profile(_with_open_sizes(proto))
        if runs.lines.stat().st_size > _MOST_PROFILE_BYTES:
            raise ModelError(_too_long(), fix=_SHORTER)
        lines = runs.lines.read_bytes()
    if lines.count(b"\n") > _MOST_LINES:
        raise ModelError(_too_long(), fix=_SHORTER)
    events: list[dict[str, Any]] = orjson.loads(lines)
    return events, runs.cpu_shares


def _with_open_sizes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with inputs of any size.

    The branch that these inputs do not take need not fit their sizes, and ONNX Runtime refuses it where they are fixed:
    in a decoder with `use_cache_branch`, the branch without a cache does not fit a mask that is longer than the tokens.
    """
    opened = onnx.ModelProto()
    opened.CopyFrom(proto)
    for value in opened.graph.input:
        for dimension in value.type.tensor_type.shape.dim:
            dimension.Clear()
    return opened


_SHORTER = "predict a shorter input: `shapes`"


def _too_long() -> str:
    return f"a run of the model executes more than {_MOST_LINES:,} nodes: too many to count"


def _execution(event: Mapping[str, Any]) -> Execution:
    arguments = event["args"]
    return Execution(
        inputs=_tensors(arguments.get("input_type_shape", ())),
        outputs=_tensors(arguments.get("output_type_shape", ())),
    )


def _tensors(described: Iterable[Mapping[str, Sequence[int]]]) -> tuple[GraphTensor, ...]:
    return tuple(
        GraphTensor(tuple(shape), _TYPES.get(kind, TensorProto.FLOAT))
        for tensor in described
        for kind, shape in tensor.items()
    )
