"""A model's graph as work on the board: the nodes that the runtime runs, with their operations and bytes.

Sizes come from two sources. Inference tells them at once, for most graphs all of them. Where it ends, or a branch, a
loop or the cost of an operation is open, one run of the model on this host tells them (`edgesim.predictions.host_run`).
"""

import shlex
from collections import ChainMap, Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from edgesim.errors import ModelError
from edgesim.models import graph_nodes
from edgesim.models.graph_nodes import bodies, with_bodies
from edgesim.predictions.arithmetic import Operation, arithmetic, is_known
from edgesim.predictions.fusions import Fusions, made_by
from edgesim.predictions.node import Node, Precision, total
from edgesim.predictions.operations import FLOPS, KIND_OF, WITHOUT_WORK
from edgesim.predictions.shape_inference import ContradictionError, ShapeInference, tensor_of
from edgesim.predictions.tensors import GraphTensor

if TYPE_CHECKING:
    from edgesim.predictions.host_run import HostRun

__all__ = ["Graph", "Node", "Runner", "read", "read_graph"]


class Runner(Protocol):
    """Runs a model whose inputs have fixed sizes, and whose nodes have names of their own."""

    def run(self, proto: onnx.ModelProto) -> "HostRun":
        """Run the model once.

        Raises:
            ModelError: the model does not run on this host.
        """


@dataclass(frozen=True)
class Choice:
    """An If of which a run took one branch, and the work of both as far as inference tells that of the other."""

    name: str
    taken: tuple[Node, ...]
    other: tuple[Node, ...]


@dataclass(frozen=True)
class Graph:
    """The nodes of a model, in the graph's order, those of a body after the node that they belong to.

    Attributes:
        run: the run that told sizes; None where inference told them all.
        opened: what inference left open; empty where there was no run.
        request_bytes: of the inputs, and of the outputs as far as their sizes are known.
        choices: branches that other inputs may take.
        guessed: the sizes of inputs that were guessed, in words; empty without.
    """

    nodes: tuple[Node, ...]
    run: "HostRun | None" = None
    opened: str = ""
    request_bytes: int = 0
    choices: tuple[Choice, ...] = ()
    guessed: str = ""


def read(
    path: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    fusions: type[Fusions] = Fusions,
) -> list[Node]:
    """Return the nodes of an ONNX file by inference alone, see `read_graph`."""
    return list(read_graph(path, shapes=shapes, batch=batch, fusions=fusions).nodes)


def read_graph(
    path: str | Path,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    runner: Runner | None = None,
    fusions: type[Fusions] = Fusions,
) -> Graph:
    """Read the nodes of an ONNX file, constants folded and nodes fused; weights stay unread.

    The fusions are those of ONNX Runtime's arm64 build: batch normalization, a sum or an activation into the
    convolution before it, and ``x * sigmoid(x)`` into one pass. A test compares them with the optimized graph that ONNX
    Runtime writes under the emulator.

    Args:
        shapes: sizes by input name. Needed where more than the first size is only known at run time; allowed elsewhere,
            to ask for the cost of another resolution.
        batch: the first size of every input where the graph leaves that size open or has 1.
        runner: runs the model where inference does not suffice; None refuses such a model, and leaves the cost of an
            unknown operation open.
        fusions: which nodes the board's runtime runs as one, and which it knows the cost of.

    Raises:
        ModelError: the file is not an ONNX model, a size is missing, the sizes contradict each other, or the model does
            not run.
    """
    try:
        proto = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise ModelError(f"{path}: cannot read as an ONNX model: {error}") from error
    if proto.functions:
        from onnx import inliner  # here, because few models have functions of their own

        try:
            proto = inliner.inline_local_functions(proto)
        except Exception as error:  # of ONNX, as for a call that does not fit its function: there is no base class
            raise ModelError(f"{path}: its functions cannot be inlined: {error}") from error
    graph_nodes.sort(proto.graph)
    open_names = _open_names(proto.graph)
    resized = set_inputs(proto.graph, shapes or {}, batch, path)
    name_nodes(proto.graph)
    written = {} if resized else _written_sizes(proto.graph)
    try:
        try:
            reader = _Reader(proto, written, fusions=fusions, must_know=runner is not None)
            return Graph(tuple(reader.nodes()), request_bytes=reader.request_bytes)
        except _OpenError as error:
            if runner is None:
                raise ModelError(f"{path}: {error}", fix=_GIVE) from error
            opened = str(error)
        try:
            run = runner.run(proto)
        except ModelError as error:
            raise ModelError(f"{path}: {opened}, and {error.problem}", fix=error.fix) from error
        reader = _Reader(proto, written, run, fusions=fusions)
        return Graph(tuple(reader.nodes()), run, opened, reader.request_bytes, tuple(reader.choices))
    except ContradictionError as error:
        dims = " ".join(f"`dims` {shlex.quote(name)}=N" for name in open_names)
        fix = f"sizes that go together: {dims or '`shapes`'}" if open_names or resized else _EXPORT_AGAIN
        raise ModelError(f"{path}: the sizes contradict each other at {error}", fix=fix) from error
    except _OpenError as error:
        raise ModelError(f"{path}: {error}, and a run on this host does not show it", fix=_EXPORT) from error


_GIVE = "edgesim predict, which runs the model on this host for them"
_EXPORT = "export the model with fixed sizes"
_EXPORT_AGAIN = "export the model again: it fixes the sizes itself"
_HALVES: Mapping[int, Precision] = {TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}


def _open_names(graph: onnx.GraphProto) -> list[str]:
    """Return the names that the inputs of a graph have for their open sizes."""
    dims = (dim for value in graph.input for dim in value.type.tensor_type.shape.dim)
    return list(dict.fromkeys(dim.dim_param for dim in dims if dim.dim_param))


class _OpenError(Exception):
    """What inference leaves open, in words."""


def set_inputs(graph: onnx.GraphProto, shapes: Mapping[str, Sequence[int]], batch: int, path: str | Path) -> bool:
    """Give every input its sizes; return whether a size that the model fixes was changed."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if unknown := set(shapes) - {value.name for value in inputs}:
        names = ", ".join(value.name for value in inputs)
        raise ModelError(f"{path}: has no input {', '.join(sorted(unknown))}; it takes {names}", fix="correct `shapes`")
    resized = False
    for value in inputs:
        tensor = value.type.tensor_type
        shape = shapes.get(value.name)
        if not tensor.HasField("shape"):  # a tensor of any rank
            if shape is None:
                raise ModelError(
                    f"{path}: input {value.name} has no shape in the model, not even a number of dimensions",
                    fix=f"`shapes` {value.name}=N,N, with all sizes that you use",
                )
            tensor.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape)
            continue
        dimensions = tensor.shape.dim
        if shape is not None and len(shape) != len(dimensions):
            raise ModelError(f"{path}: input {value.name} has {len(dimensions)} dimensions, not {len(shape)}")
        for i, dimension in enumerate(dimensions):
            fixed = size = dimension.dim_value if dimension.HasField("dim_value") and dimension.dim_value >= 0 else None
            if shape is not None:
                size = shape[i]
            elif i == 0 and size in (None, 1):
                size = batch
            if size is None:
                raise ModelError(
                    f"{path}: input {value.name} has sizes that are only known at run time",
                    fix=f"`shapes` {value.name}={','.join('N' * len(dimensions))}, with the sizes that you use",
                )
            resized = resized or fixed not in (None, size)
            dimension.dim_value = size
    return resized


def name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own, also in bodies."""
    taken: set[str] = set()
    for node in with_bodies(graph.node):
        name = node.name or next((output for output in node.output if output), node.op_type)
        node.name, count = name, 1
        while node.name in taken:
            count += 1
            node.name = f"{name}#{count}"
        taken.add(node.name)


def _written_sizes(graph: onnx.GraphProto) -> dict[str, GraphTensor]:
    """Return the sizes that the file states for tensors within the graph."""
    stated = ((value.name, tensor_of(value.type)) for value in (*graph.value_info, *graph.output))
    return {name: tensor for name, tensor in stated if tensor is not None}


class _Reader:
    """Turns a model into work.

    Args:
        written: sizes that the file states, for tensors that inference does not know.
        run: what a run showed; None reads the model by inference alone.
        fusions: see `read_graph`.
        must_know: whether an operation of unknown cost asks for a run.

    Attributes:
        request_bytes, choices: see `Graph`; known once `nodes` has returned.
    """

    def __init__(
        self,
        proto: onnx.ModelProto,
        written: Mapping[str, GraphTensor],
        run: "HostRun | None" = None,
        *,
        fusions: type[Fusions] = Fusions,
        must_know: bool = False,
    ) -> None:
        self._proto, self._run, self._fusions, self._must_know = proto, run, fusions, must_know
        self._opset = next((e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")), 0)
        self.request_bytes = 0
        self.choices: list[Choice] = []
        self._written = dict(written)
        if run is not None:
            for turn in run.turns(proto.graph.node)[:1]:
                self._written |= turn

    def nodes(self) -> list[Node]:
        """Return the work of the whole model.

        Raises:
            _OpenError: a size, a branch, a number of turns or a cost is not known.
            ContradictionError: the sizes contradict each other.
        """
        graph = self._proto.graph
        nodes, sizes = self._graph(graph, outer=None, otherwise=self._written, turns=[{}])
        weights = {tensor.name for tensor in graph.initializer}
        ends = {value.name for value in (*graph.input, *graph.output)} - weights
        self.request_bytes = sum(sizes.known[name].bytes for name in ends if name in sizes.known)
        return nodes or [_copy(value.name, sizes.known.get(value.name)) for value in graph.output]

    def _graph(
        self,
        graph: onnx.GraphProto,
        *,
        outer: ShapeInference | None,
        otherwise: Mapping[str, GraphTensor],
        turns: Sequence[Mapping[str, GraphTensor]],
    ) -> tuple[list[Node], ShapeInference]:
        """Return the work of a graph, and the sizes of its tensors.

        Args:
            outer: the graph around a body.
            otherwise: see `ShapeInference`.
            turns: for each time that the graph runs, the sizes of tensors that differ from turn to turn.
        """
        inference = ShapeInference(self._proto, graph, outer, otherwise)
        fusions = self._fusions(graph, inference.known)
        running, inner = [], {}
        for node in graph.node:
            if inference.infer(node) and not (node.op_type == "DequantizeLinear" and fusions.converts_fp8(node)):
                continue
            running.append(node)
            if node.op_type in KIND_OF and any(True for _ in bodies(node)):
                inner[node.name] = self._bodies(node, inference)
        work: list[Node] = []
        done: set[str] = set()
        for node in running:
            if node.name in done:
                continue
            if node.name in inner:
                work += inner[node.name]
            elif node.op_type not in WITHOUT_WORK and not fusions.is_inside_quantized(node):
                members = [node, *fusions.after(node)]
                done.update(member.name for member in members)
                fusions.made |= made_by(members)
                work.append(self._work(members, fusions, inference, turns))
                continue
            fusions.made |= made_by([node])
        return work, inference

    def _bodies(self, node: onnx.NodeProto, inference: ShapeInference) -> list[Node]:
        """Return the work of a node with bodies: of each body that runs, in all its turns."""
        branch = _known_branch(node, inference)
        if branch is not None:
            # Within a loop, the branch runs in each turn.
            turns = (self._run.turns(branch.node) if self._run is not None else None) or [{}]
            nodes, sizes = self._graph(branch, outer=inference, otherwise=turns[0], turns=turns)
            inference.take(zip(node.output, (value.name for value in branch.output), strict=False), sizes)
            return [replace(inner, name=f"{node.name}/{inner.name}") for inner in nodes]
        if self._run is None:
            what = "the branch" if node.op_type == "If" else "the number of turns"
            raise _OpenError(f"{what} of {node.op_type} {node.name} is only known at run time")
        work, count, passed_over = [], 0, None
        for name, body in bodies(node):
            turns = self._run.turns(body.node)
            count += len(turns)
            if not turns:
                passed_over = body
            else:
                nodes, _ = self._graph(body, outer=inference, otherwise={}, turns=turns)
                work += [replace(inner, name=f"{node.name}.{name}/{inner.name}") for inner in nodes]
        if node.op_type == "If" and count == 1 and passed_over is not None:
            self._remember(node.name, work, passed_over, inference)
        outputs = [inference.known[name] for name in node.output if name in inference.known]
        own = Node(
            name=node.name,
            operation=node.op_type,
            kind="control flow",
            precision="fp32",
            flops=0,
            read_bytes=0,
            weight_bytes=0,
            written_bytes=sum(tensor.bytes for tensor in outputs),
            shape=outputs[0].shape if outputs else (),
            turns=max(count, 1),
        )
        return [own, *work]

    def _remember(self, name: str, taken: Sequence[Node], other: onnx.GraphProto, inference: ShapeInference) -> None:
        """Keep a choice, if inference alone tells what the branch costs that was not taken."""
        try:
            nodes, _ = _Reader(self._proto, {}, fusions=self._fusions)._graph(
                other, outer=inference, otherwise={}, turns=[{}]
            )
        except (_OpenError, ContradictionError):  # sizes that do not go together may be why it was not taken
            return
        if all(node.known for node in nodes):
            self.choices.append(Choice(name, tuple(taken), tuple(nodes)))

    def _work(
        self,
        members: Sequence[onnx.NodeProto],
        fusions: Fusions,
        inference: ShapeInference,
        turns: Sequence[Mapping[str, GraphTensor]],
    ) -> Node:
        """Return the work of a node and of the nodes that are fused into it, over all turns."""
        first = members[0]
        known = self._is_known(first) and not fusions.is_timed(first, self._opset)
        if not known and self._must_know and self._run is None:
            raise _OpenError(f"the cost of {first.op_type} is not known")
        names = {name for member in members for name in (*member.input, *member.output) if name}
        constants = {name for name in names if (tensor := inference.known.get(name)) is not None and tensor.constant}
        varying = sorted(names - constants)
        sizes = Counter(tuple(turn.get(name) for name in varying) for turn in turns)
        each = []
        for tensors, count in sizes.items():
            of_turn = {name: tensor for name, tensor in zip(varying, tensors, strict=True) if tensor is not None}
            each.append((self._node(members, fusions, ChainMap(of_turn, inference.known)), count))
        node = total(each)
        if known or self._run is None:
            return node
        host_seconds = self._run.node_seconds.get(first.name)
        return replace(node, host_seconds=host_seconds if host_seconds is not None else self._replaced_seconds())

    def _replaced_seconds(self) -> float | None:
        """Return the time of a node that ONNX Runtime replaced: what no other node took, in equal parts."""
        assert self._run is not None, "only a run replaces nodes"
        names = {node.name for node in with_bodies(self._proto.graph.node)}
        replaced = [
            node
            for node in with_bodies(self._proto.graph.node)
            if not self._is_known(node) and node.op_type not in WITHOUT_WORK and node.name not in self._run.executions
        ]
        unclaimed = [seconds for name, seconds in self._run.node_seconds.items() if name not in names]
        return sum(unclaimed) / len(replaced) if unclaimed else None

    def _node(self, members: Sequence[onnx.NodeProto], fusions: Fusions, tensors: Mapping[str, GraphTensor]) -> Node:
        """Return the work of one turn."""
        first, last = members[0], members[-1]

        taken, made = (
            tuple(self._tensor(name, first, tensors) for name in names) for names in (first.input, first.output)
        )
        counted = arithmetic(Operation(first, taken, made))
        inside = made_by(members)
        tables = {first.input[i] for i in counted.tables if i < len(first.input)}
        sources = dict.fromkeys(name for member in members for name in member.input if name and name not in inside)
        packed = {name: stored for name in sources if (stored := fusions.stored(name)) is not None}
        inputs = {
            name: packed.get(name) or tensor
            for name in sources
            if name not in tables and (tensor := self._tensor(name, first, tensors)) is not None
        }
        outputs = [tensor for name in last.output if (tensor := self._tensor(name, last, tensors)) is not None]
        written = sum(tensor.bytes for tensor in outputs)
        weights = sum(tensors[name].constant and tensor.bytes for name, tensor in inputs.items())
        read = sum(tensor.bytes for tensor in inputs.values()) - weights + counted.again_bytes
        read += written if tables else 0
        if not outputs:  # a sequence, whose parts are copied
            written = read
        quantized = counted.kind == "quantized" or fusions.is_quantized(first)
        # The graph has fp32 tensors between dequantization and quantization; the runtime keeps one byte each.
        part = 4 if fusions.is_quantized(first) else 1
        # Within a product, what is fused costs nothing of note; x * sigmoid(x) is two operations in one pass.
        fused_flops = (
            0 if counted.product else sum(outputs[0].elements * FLOPS.get(member.op_type, 1) for member in members[1:])
        )
        return Node(
            name=first.name,
            operation=first.op_type,
            kind="quantized" if quantized and counted.kind not in ("recurrent", "attention") else counted.kind,
            precision="fp8"
            if fusions.converts_fp8(first)
            else _precision(first, outputs, quantized=quantized, packed=bool(packed)),
            flops=counted.flops + fused_flops,
            functions=counted.functions + (fused_flops if counted.functions else 0),
            steps=counted.steps,
            read_bytes=read // part,
            weight_bytes=weights // part,
            written_bytes=written // part,
            shape=outputs[0].shape if outputs else (),
            product=counted.product,
            window=counted.window,
            fused=tuple(member.op_type for member in members[1:] if member.op_type != "Identity"),
            known=self._is_known(first) and not fusions.is_timed(first, self._opset),
        )

    def _is_known(self, node: onnx.NodeProto) -> bool:
        return self._fusions.is_known(node, self._opset)

    def _tensor(self, name: str, node: onnx.NodeProto, tensors: Mapping[str, GraphTensor]) -> GraphTensor | None:
        """Return a tensor; None for one that is left out or, in a run, for one that is no tensor or was not made."""
        if not name:
            return None
        if name not in tensors:
            run = self._run
            # The runtime replaces some operations by others, such as CastLike by Cast.
            replaced = run is not None and node.name not in run.executions
            if run is not None and (replaced or _takes_sequences(node) or not is_known(node, self._opset)):
                return None
            raise _OpenError(f"the size of {name} (of {node.op_type} {node.name}) is only known at run time")
        return tensors[name]


def _copy(name: str, tensor: GraphTensor | None) -> Node:
    """Return the copy of a tensor, which is what a graph of views and constants alone leaves to do for an output."""
    size = tensor.bytes if tensor is not None else 0
    return Node(
        name=name,
        operation="Identity",
        kind="data movement",
        precision="fp32",
        flops=0,
        read_bytes=size,
        weight_bytes=0,
        written_bytes=size,
        shape=tensor.shape if tensor is not None else (),
    )


def _known_branch(node: onnx.NodeProto, inference: ShapeInference) -> onnx.GraphProto | None:
    """Return the branch of an If whose condition is known before the graph runs."""
    condition = inference.value(node.input[0]) if node.op_type == "If" and node.input else None
    if condition is None:
        return None
    chosen = "then_branch" if condition.all() else "else_branch"
    return next((body for name, body in bodies(node) if name == chosen), None)


def _takes_sequences(node: onnx.NodeProto) -> bool:
    return "Sequence" in node.op_type or "Optional" in node.op_type


def _precision(node: onnx.NodeProto, outputs: Sequence[GraphTensor], *, quantized: bool, packed: bool) -> Precision:
    if packed or node.op_type in ("MatMulNBits", "MatMulBnb4", "GatherBlockQuantized"):
        return "int4"
    if quantized or node.op_type in ("DynamicQuantizeLSTM", "QAttention"):
        return "int8"
    return _HALVES.get(outputs[0].onnx_type, "fp32") if outputs else "fp32"
