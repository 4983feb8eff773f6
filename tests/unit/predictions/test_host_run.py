"""Sizes, branches and turns from a run on this host, where inference ends."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim import profiles
from edgesim.errors import ModelError
from edgesim.models import profiled_session, repository
from edgesim.options import InputOptions
from edgesim.predictions import Declined, host_run, predict, predict_or_decline
from edgesim.predictions.alternatives import alternatives
from edgesim.predictions.graph import Graph
from edgesim.predictions.host_run import HostRunner
from edgesim.predictions.model_reader import ModelReader
from tests.unit.predictions.test_arithmetic import BOARD, model, zeros

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL
SIDE = 64


def by_operation(graph: Graph) -> dict[str, int]:
    """Return how often each operation runs."""
    turns: dict[str, int] = {}
    for node in graph.nodes:
        turns[node.operation] = turns.get(node.operation, 0) + node.turns
    return turns


def products(name: str, count: int) -> onnx.GraphProto:
    """Return a branch of products, one after the other."""
    nodes, last = [], "x"
    for i in range(count):
        nodes.append(helper.make_node("MatMul", [last, "w"], [f"{name}{i}"]))
        last = f"{name}{i}"
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(last, TensorProto.FLOAT, [SIDE, SIDE])])


def branching(path: Path, count: int) -> repository.Model:
    node = helper.make_node("If", ["c"], ["y"], then_branch=products("t", count), else_branch=products("e", count))
    return model(path, [node], {"x": [SIDE, SIDE], "c": []}, {"w": zeros(SIDE, SIDE)}, types={"c": BOOL})


def test_a_branch_costs_what_its_nodes_cost_in_the_open(tmp_path: Path) -> None:
    last, nodes = "x", []
    for i in range(20):
        nodes.append(helper.make_node("MatMul", [last, "w"], [f"h{i}" if i < 19 else "y"]))
        last = f"h{i}"
    plain = model(tmp_path / "p.onnx", nodes, {"x": [SIDE, SIDE]}, {"w": zeros(SIDE, SIDE)})
    prediction = predict(BOARD, branching(tmp_path / "b.onnx", 20))
    assert prediction.p50_ms == pytest.approx(predict(BOARD, plain).p50_ms, rel=0.1)
    assert prediction.sizes == "a run on this host with random inputs, seed 0"
    assert any("the branch of If y is only known at run time" in note for note in prediction.notes)


def test_the_branch_that_the_inputs_choose_is_counted_and_no_other(tmp_path: Path) -> None:
    node = helper.make_node("If", ["c"], ["y"], then_branch=products("t", 3), else_branch=products("e", 7))
    chosen = model(
        tmp_path / "b.onnx", [node], {"x": [SIDE, SIDE], "c": []}, {"w": zeros(SIDE, SIDE)}, types={"c": BOOL}
    )
    for condition, count in ((True, 3), (False, 7)):
        arrays = {"x": zeros(SIDE, SIDE), "c": np.array(condition)}
        assert by_operation(ModelReader(chosen, arrays=arrays).graph()) == {"If": 1, "MatMul": count}
        (note,) = (note for note in predict(BOARD, chosen, arrays=arrays).notes if "the other branch takes" in note)
        other, _, taken = note.removeprefix("If y: the other branch takes ").partition(" ms in place of ")
        assert float(other) / float(taken.removesuffix(" ms")) == pytest.approx((10 - count) / count, rel=0.05)


def test_a_branch_that_is_known_before_the_run_needs_no_run(tmp_path: Path) -> None:
    def body(name: str, operation: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(operation, ["x"], [name])], name, [], [output])

    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "one"], ["d"]),
        helper.make_node("Equal", ["d", "eight"], ["c"]),
        helper.make_node("If", ["c"], ["b"], then_branch=body("t", "Relu"), else_branch=body("e", "Exp")),
        helper.make_node("Neg", ["b"], ["y"]),
    ]
    known = model(tmp_path / "k.onnx", nodes, {"x": [4, 8]}, {"one": np.array(1), "eight": np.array(8)})
    graph = ModelReader(known).graph()
    assert graph.run is None
    assert by_operation(graph) == {"Relu": 1, "Neg": 1}


def looping(path: Path) -> repository.Model:
    """Return a model that doubles the rows of a tensor in each of `n` turns, and multiplies it in each."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "w"], ["p"]),
            helper.make_node("Concat", ["p", "p"], ["h2"], axis=0),
            helper.make_node("Identity", ["go"], ["go2"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("go2", BOOL, []), helper.make_tensor_value_info("h2", TensorProto.FLOAT, None)],
    )
    nodes = [helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=body)]
    weights = {"w": zeros(8, 8), "yes": np.array(True)}
    return model(path, nodes, {"x": [1, 8], "n": []}, weights, types={"n": INT64})


def test_a_loop_counts_each_turn_at_its_own_size(tmp_path: Path) -> None:
    graph = ModelReader(looping(tmp_path / "l.onnx"), arrays={"x": zeros(1, 8), "n": np.array(5)}).graph()
    assert by_operation(graph) == {"Loop": 5, "MatMul": 5, "Concat": 5}
    (product,) = (node for node in graph.nodes if node.operation == "MatMul")
    assert product.flops == 2 * 8 * 8 * (1 + 2 + 4 + 8 + 16)
    assert product.name == "y.body/p"


def test_a_loop_that_does_not_end_is_declined_with_the_time_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiled_session, "MOST_S", 2)
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Neg", ["h"], ["h2"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [8]),
        ],
        [helper.make_tensor_value_info("on", BOOL, []), helper.make_tensor_value_info("h2", TensorProto.FLOAT, [8])],
    )
    nodes = [helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)]
    endless = model(tmp_path / "e.onnx", nodes, {"x": [8]}, {"yes": np.array(True)})
    answer = predict_or_decline(profiles.load(BOARD), endless)
    assert isinstance(answer, Declined)
    assert "the number of turns of Loop y is only known at run time" in answer.reason
    assert "a run of the model on this host did not end within 2 s" in answer.reason


def test_the_turns_follow_the_range_of_the_inputs(tmp_path: Path) -> None:
    loop = looping(tmp_path / "l.onnx")
    three, six = (ModelReader(loop, inputs=InputOptions(ranges={"n": (n, n)})).graph() for n in (3, 6))
    assert (by_operation(three)["MatMul"], by_operation(six)["MatMul"]) == (3, 6)


def test_a_scan_counts_a_turn_for_each_slice(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("MatMul", ["h", "w"], ["p"]), helper.make_node("Add", ["p", "x1"], ["h2"])],
        "body",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("h", "x1")],
        [helper.make_tensor_value_info("h2", TensorProto.FLOAT, [1, 8])],
    )
    nodes = [helper.make_node("Scan", ["first", "x"], ["y"], body=body, num_scan_inputs=1)]
    scan = model(tmp_path / "s.onnx", nodes, {"x": [12, 1, 8]}, {"w": zeros(8, 8), "first": zeros(1, 8)})
    assert by_operation(ModelReader(scan).graph())["MatMul"] == 12


def test_sizes_that_depend_on_values_are_those_of_the_inputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"]),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    nonzero = model(tmp_path / "n.onnx", nodes, {"x": [4, 4]})
    graph = ModelReader(nonzero, arrays={"x": np.eye(4, dtype=np.float32)}).graph()
    assert [node.shape for node in graph.nodes] == [(2, 4), (2, 4), (2, 4)]


def test_sequences_are_followed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x"], ["s"], axis=0),
        helper.make_node("SequenceAt", ["s", "one"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["m"]),
        helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=0),
        helper.make_node("Add", ["m", "c"], ["y"]),
    ]
    sequence = model(tmp_path / "q.onnx", nodes, {"x": [3, 8]}, {"one": np.array(1), "w": zeros(8, 8)})
    (product,) = (node for node in ModelReader(sequence).graph().nodes if node.operation == "MatMul")
    assert product.flops == 2 * 8 * 8


def test_a_body_that_the_runtime_expands_is_timed_with_all_its_turns(tmp_path: Path) -> None:
    part, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, SIDE]) for name in ("part", "made"))
    body = helper.make_graph([helper.make_node("Tan", ["part"], ["made"])], "body", [part], [made])

    def mapped(rows: int) -> repository.Model:
        nodes = [
            helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0),
            helper.make_node("SequenceMap", ["parts"], ["all"], body=body),
            helper.make_node("ConcatFromSequence", ["all"], ["y"], axis=0),
        ]
        return model(tmp_path / f"m{rows}.onnx", nodes, {"x": [rows, SIDE]})

    few, many = (sum(node.host_seconds or 0 for node in ModelReader(mapped(n)).graph().nodes) for n in (4, 400))
    assert many > 4 * few > 0, "100 times as many turns, beside what the two take at their start"


def test_functions_of_the_model_are_counted_as_their_nodes(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("MatMul", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["y"], domain="mine")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 8])],
    )
    proto = helper.make_model(
        graph,
        functions=[function],
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)],
        ir_version=10,
    )
    onnx.save(proto, tmp_path / "f.onnx")
    (node,) = ModelReader(repository.read(tmp_path / "f.onnx", name="f")).graph().nodes
    assert (node.operation, node.flops) == ("MatMul", 2 * 8**3)


def test_sizes_that_the_file_states_need_no_run(tmp_path: Path) -> None:
    """The runtime's own operations have no rules of ONNX; its optimizer writes their sizes into the file."""
    nodes = [
        helper.make_node("QuickGelu", ["x"], ["g"], domain="com.microsoft"),
        helper.make_node("Relu", ["g"], ["y"]),
    ]
    stated = model(tmp_path / "g.onnx", nodes, {"x": [4, 8]}, opsets={"com.microsoft": 1})
    assert ModelReader(stated).graph().run is not None
    proto = onnx.load(stated.path)
    proto.graph.value_info.append(helper.make_tensor_value_info("g", TensorProto.FLOAT, [4, 8]))
    onnx.save(proto, stated.path)
    again = repository.read(stated.path, name="g")
    assert ModelReader(again).graph().run is None
    resized = ModelReader(again, shapes={"x": (2, 8)}).graph()
    assert resized.nodes[0].shape == (2, 8), "what the file states is for the sizes that it fixes"


def test_shapes_of_old_opsets_are_computed_by_their_own_rules(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n"], ["n1"], axes=[0]),  # an attribute until opset 12, then an input
        helper.make_node("Concat", ["n1", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["r"]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    weights = {"zero": np.array(0), "minus": np.array([-1])}
    graph = ModelReader(model(tmp_path / "u.onnx", nodes, {"x": [4, 3, 8]}, weights, opsets={"": 12})).graph()
    assert graph.run is None
    assert [node.shape for node in graph.nodes] == [(4, 24)]


def test_weights_in_another_file_are_found_by_the_run(tmp_path: Path) -> None:
    inside = branching(tmp_path / "b.onnx", 2)
    proto = onnx.load(inside.path)
    for initializer in proto.graph.initializer:
        initializer.CopyFrom(numpy_helper.from_array(np.ones((SIDE, SIDE), np.float32), initializer.name))
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=16)
    assert by_operation(ModelReader(repository.read(path, name="m")).graph())["MatMul"] == 2
    (tmp_path / "link").mkdir()
    linked = tmp_path / "link" / "m.onnx"
    linked.symlink_to(path)
    (tmp_path / "link" / "weights.bin").symlink_to(tmp_path / "out" / "weights.bin")
    found = repository.read(linked, name="m", repositories=[tmp_path])
    assert by_operation(ModelReader(found).graph())["MatMul"] == 2


def test_inputs_that_the_model_refuses_are_told_with_what_was_open(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("NonZero", ["e"], ["y"]),
    ]
    refusing = model(
        tmp_path / "r.onnx", nodes, {"ids": [1, 64]}, {"table": zeros(5, 4)}, types={"ids": INT64, "y": INT64}
    )
    with pytest.raises(ModelError, match=r"the cost of NonZero is not known, and the model does not run") as at:
        predict(BOARD, refusing, inputs=InputOptions(ranges={"ids": (0, 5)}))
    assert "`ranges`" in at.value.fix
    assert predict(BOARD, refusing).p50_ms > 0, "the bounds of random ids are those of the table"


def test_an_operation_of_unknown_cost_is_timed_here_beside_the_yardstick(tmp_path: Path) -> None:
    def determinant(side: int) -> repository.Model:
        return model(tmp_path / f"d{side}.onnx", [helper.make_node("Det", ["x"], ["y"])], {"x": [side, side]})

    small, large = predict(BOARD, determinant(32)), predict(BOARD, determinant(512))
    assert large.p50_ms > 20 * small.p50_ms, "its bytes alone are 256 times as many, its operations 4096 times"
    assert large.high_ms / large.p50_ms > 1.8
    assert large.nodes[0].node.host_seconds is not None


def test_time_in_which_other_programs_had_the_core_is_no_time_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = profiled_session.profile

    def without_a_core(*arguments: Any, **keywords: Any) -> profiled_session.ProfiledRuns:
        runs = profile(*arguments, **keywords)
        return replace(runs, cpu_shares=(0.0,) * len(runs.cpu_shares))

    monkeypatch.setattr(profiled_session, "profile", without_a_core)
    determinant = model(tmp_path / "d.onnx", [helper.make_node("Det", ["x"], ["y"])], {"x": [64, 64]})
    graph = ModelReader(determinant).graph()
    assert graph.run is not None
    assert (graph.run.seconds, graph.nodes[0].host_seconds) == (0, 0)


def test_a_node_that_the_runtime_replaces_gets_the_time_of_its_parts(tmp_path: Path) -> None:
    nodes = [helper.make_node("NegativeLogLikelihoodLoss", ["x", "t"], ["y"], reduction="mean")]
    loss = model(tmp_path / "n.onnx", nodes, {"x": [3, 5], "t": [3]}, types={"t": INT64})
    (node,) = ModelReader(loss, inputs=InputOptions(ranges={"t": (0, 4)})).graph().nodes
    assert node.host_seconds is not None
    assert node.host_seconds > 0


def test_a_model_whose_sizes_are_known_does_not_run(
    resnet18: repository.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object) -> None:
        raise AssertionError("the model ran")

    monkeypatch.setattr(HostRunner, "run", run)
    assert predict(BOARD, resnet18).sizes == "inference"


def test_the_half_resolution_of_a_dynamic_image_model_follows_its_given_sizes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])]
    image = model(tmp_path / "c.onnx", nodes, {"x": ["n", 3, "h", "w"]}, {"w": zeros(8, 3, 3, 3)})  # type: ignore[list-item]
    half, _ = alternatives(profiles.load(BOARD), ModelReader(image, shapes={"x": (1, 3, 64, 64)}))
    assert half.prediction is not None
    assert half.prediction.nodes[0].node.shape == (1, 8, 32, 32)


def test_a_branch_that_is_known_beforehand_counts_in_each_turn_of_its_loop(tmp_path: Path) -> None:
    branch = helper.make_node("If", ["yes"], ["p"], then_branch=products("t", 2), else_branch=products("e", 5))
    body = helper.make_graph(
        [branch, helper.make_node("Identity", ["go"], ["go2"]), helper.make_node("Neg", ["p"], ["h2"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", BOOL, []),
            helper.make_tensor_value_info("h", TensorProto.FLOAT, [SIDE, SIDE]),
        ],
        [helper.make_tensor_value_info("go2", BOOL, []), helper.make_tensor_value_info("h2", TensorProto.FLOAT, None)],
    )
    nodes = [helper.make_node("Loop", ["n", "yes", "x"], ["y"], body=body)]
    weights = {"w": zeros(SIDE, SIDE), "yes": np.array(True), "n": np.array(4)}
    loop = model(tmp_path / "l.onnx", nodes, {"x": [SIDE, SIDE]}, weights)
    assert by_operation(ModelReader(loop).graph()) == {"Loop": 4, "MatMul": 8, "Neg": 4}


def test_a_loop_of_more_turns_than_can_be_counted_is_declined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_run, "_MOST_LINES", 20)
    long = looping(tmp_path / "l.onnx")
    with pytest.raises(ModelError, match="executes more than 20 nodes: too many to count"):
        ModelReader(long, arrays={"x": zeros(1, 8), "n": np.array(9)}).graph()


def test_a_model_that_does_not_load_is_no_fault_of_its_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Own", ["x"], ["y"], domain="my.domain")]
    custom = model(tmp_path / "c.onnx", nodes, {"x": [1, 8]}, opsets={"my.domain": 1})
    answer = predict_or_decline(profiles.load(BOARD), custom)
    assert isinstance(answer, Declined)
    assert "ONNX Runtime does not load it" in answer.reason
    assert "inputs do not fit" not in answer.reason
    assert "libraries: [FILE.so] in config.yaml" in answer.as_error().fix


def test_a_library_that_the_user_names_is_loaded_where_the_model_runs(tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Identity", ["n"], ["y"])]
    nonzero = model(tmp_path / "n.onnx", nodes, {"x": [4, 4]}, types={"y": INT64})
    with pytest.raises(ModelError, match=r"`host_libraries=.*own\.so`: not loaded on this host"):
        predict(BOARD, nonzero, host_libraries=[str(tmp_path / "own.so")])
