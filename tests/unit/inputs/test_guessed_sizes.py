"""Sizes that are guessed on request: by metadata, by weights, by what is usual and does not contradict the graph."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs.sizes import Sizes
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from edgesim.predictions import predict
from tests.support.input_models import FLOAT, INT64, model_with

WEIGHTS: dict[str, np.ndarray] = {
    "kernel": np.ones((4, 3, 3, 3), np.float32),
    "head": np.ones((4 * 10 * 10, 2), np.float32),
    "square": np.ones((8, 8), np.float32),
    "by 512": np.array([-1, 512], np.int64),
    "rate": np.array(16000, np.int64),
    "hop": np.array(160, np.int64),
    "window": np.ones(400, np.float32),
    "positions": np.ones((3_000, 8), np.float32),
}


def net(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    given: Mapping[str, tuple[int, Sequence[int | str | None] | None]],
    metadata: Mapping[str, str] | None = None,
) -> Model:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in given.items()],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in WEIGHTS.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, dict(metadata or {}))
    onnx.save(proto, path)
    return repository.find(str(path))


def test_images_have_the_size_of_the_metadata_and_the_channels_of_the_weights(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "kernel"], ["y"])
    detector = net(tmp_path / "d.onnx", [node], {"x": (FLOAT, ("batch", "c", "h", "w"))}, {"imgsz": "[320, 416]"})
    sizes = Sizes(detector, guess=True)
    assert sizes.complete() == {"x": (1, 3, 320, 416)}
    assert sizes.guessed == ("c 3", "h 320", "w 416")


@pytest.mark.parametrize(
    ("node", "given", "guessed"),
    [
        # A window of 400 does not fit into a hundred frames.
        (helper.make_node("STFT", ["x", "hop", "window"], ["y"]), ("batch", "n", 1), (1, 3_000, 1)),
        # Whisper's encoder adds a table of positions, of which there are 1,500 after a stride of 2.
        (helper.make_node("Add", ["x", "positions"], ["y"]), ("batch", "feature_sequence", 8), (1, 3_000, 8)),
    ],
)
def test_sound_has_a_length_that_the_graph_takes(
    tmp_path: Path, node: onnx.NodeProto, given: tuple[str | int, ...], guessed: tuple[int, ...]
) -> None:
    assert Sizes(net(tmp_path / "s.onnx", [node], {"x": (FLOAT, given)}), guess=True).complete() == {"x": guessed}


def test_images_have_the_first_usual_size_that_the_graph_takes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], strides=[32, 32], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Gemm", ["f", "head"], ["y"]),
    ]
    classifier = net(tmp_path / "c.onnx", nodes, {"x": (FLOAT, ("n", 3, None, None))})
    assert Sizes(classifier, guess=True).complete() == {"x": (1, 3, 320, 320)}, "10 cells of 32 pixels"


def test_a_size_that_only_a_run_refuses_is_not_guessed(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Reshape", ["x", "by 512"], ["b"])],
        "b",
        [],
        [helper.make_tensor_value_info("b", FLOAT, None)],
    )
    other = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["o"])], "o", [], [helper.make_tensor_value_info("o", FLOAT, None)]
    )
    nodes = [
        helper.make_node("Equal", ["sr", "rate"], ["is"]),
        helper.make_node("If", ["is"], ["y"], then_branch=branch, else_branch=other),
    ]
    voice = net(tmp_path / "v.onnx", nodes, {"x": (FLOAT, ("n", "samples")), "sr": (INT64, ())})
    assert Sizes(voice, guess=True).complete()["x"] == (1, 512)


def test_sequences_have_a_usual_length_and_a_cache_is_empty(tmp_path: Path) -> None:
    decoder = model_with(
        tmp_path / "d.onnx",
        {
            "ids": (INT64, ("batch", "sequence")),
            "mask": (INT64, ("batch", "past_length + sequence")),
            "cache": (FLOAT, ("batch", 2, "past_length", 8)),
        },
    )
    assert Sizes(decoder, guess=True).complete() == {"ids": (1, 128), "mask": (1, 128), "cache": (1, 2, 0, 8)}
    assert Sizes(decoder, dims={"sequence": 5}, guess=True).complete()["mask"] == (1, 5), "what is given stays"


def test_a_state_without_names_has_a_batch_of_one(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", {"audio": (FLOAT, (None, "sequence")), "state": (FLOAT, (2, None, 8))})
    assert Sizes(voice, guess=True).complete() == {"audio": (1, 16000), "state": (2, 1, 8)}


def test_an_input_of_any_rank_has_the_columns_of_its_weights(tmp_path: Path) -> None:
    product = net(tmp_path / "p.onnx", [helper.make_node("MatMul", ["x", "square"], ["y"])], {"x": (FLOAT, None)})
    assert Sizes(product, guess=True).complete() == {"x": (1, 8)}
    nothing = net(tmp_path / "n.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, None)})
    with pytest.raises(ModelError, match="any number of dimensions"):
        Sizes(nothing, guess=True).complete()


def test_a_guess_is_said_with_the_inputs_and_with_the_prediction(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "kernel"], ["y"])
    detector = net(tmp_path / "d.onnx", [node], {"x": (FLOAT, (None, 3, None, None))}, {"imgsz": "64"})
    guessed = InputOptions(auto_dims=True)
    assert inputs.choose(detector, guessed).origin == "random, seed 0; guessed sizes: x [1, 3, 64, 64]"
    assert predict("jetson-nano", detector, inputs=guessed).notes[0] == "guessed sizes: x [1, 3, 64, 64]"
    with pytest.raises(ModelError) as caught:
        inputs.choose(detector, InputOptions())
    assert "`auto_dims`" in caught.value.fix
