"""Nodes that move a few elements at a time, and kernels that loop: timed on this host, since no figure prices them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgesim.predictions.graph import read
from edgesim.predictions.scattered_moves import is_scattered
from edgesim.predictions.tensors import GraphTensor
from tests.unit.predictions.test_arithmetic import model


def _is_scattered(
    operation: str,
    taken: Sequence[int],
    made: Sequence[int],
    *,
    opset: int = 17,
    indices: Sequence[int] = (),
    **is_: Any,
) -> bool:
    node = helper.make_node(operation, ["x", "i"], ["y"], **is_)
    shapes: Mapping[str, Sequence[int]] = {"x": taken, "y": made, "i": indices}
    return is_scattered(node, opset, {name: GraphTensor(tuple(shape)) for name, shape in shapes.items()})


@pytest.mark.parametrize("operation", ["Softmax", "LogSoftmax", "Hardmax"])
def test_an_operation_along_an_inner_axis_is_scattered(operation: str) -> None:
    shape = [1, 64, 32, 32]
    assert _is_scattered(operation, shape, shape, axis=1)
    assert not _is_scattered(operation, shape, shape, axis=3)
    assert not _is_scattered(operation, shape, shape)
    assert not _is_scattered(operation, [1, 1000, 1, 1], [1, 1000, 1, 1], axis=1)
    assert not _is_scattered(operation, shape, shape, axis=1, opset=11), "all axes from 1 on are one"


def test_the_largest_of_each_pixel_is_scattered_and_that_of_a_row_is_not() -> None:
    assert _is_scattered("ArgMax", [1, 21, 64, 64], [1, 1, 64, 64], axis=1)
    assert not _is_scattered("ArgMax", [64, 1000], [64, 1], axis=1)


@pytest.mark.parametrize(
    ("operation", "taken", "made", "scattered"),
    [
        ("Expand", [64, 64, 64, 1], [64, 64, 64, 8], True),
        ("Expand", [1, 64, 1], [64, 64, 64], False),
        ("Expand", [1, 64], [1024, 64], False),
        ("Expand", [1, 1, 1, 128], [1, 1, 128, 128], False),
        ("Tile", [4096, 2], [4096, 4], True),
        ("Tile", [64, 64], [512, 256], False),
    ],
)
def test_repeating_short_rows_is_scattered(operation: str, taken: list[int], made: list[int], scattered: bool) -> None:
    assert _is_scattered(operation, taken, made) == scattered


@pytest.mark.parametrize(
    ("made", "scattered"),
    [([1, 1, 64, 64], True), ([1, 64, 64, 1], False), ([1, 64, 64], False), ([1, 64], False), ([], False)],
)
def test_a_mean_over_channels_is_scattered_and_one_over_the_last_axes_is_not(made: list[int], scattered: bool) -> None:
    assert _is_scattered("ReduceMean", [1, 64, 64, 64], made) == scattered


def test_a_mean_over_channels_that_are_left_out_is_scattered() -> None:
    assert _is_scattered("ReduceMean", [1, 32, 64, 64], [1, 64, 64])


def test_gathering_single_elements_is_scattered_and_gathering_rows_of_a_table_is_not() -> None:
    assert _is_scattered("Gather", [64, 64, 64], [64, 64, 64], axis=2)
    assert not _is_scattered("Gather", [30000, 384], [128, 384])
    assert _is_scattered("GatherND", [64, 64, 64], [20000], indices=[20000, 3])
    assert not _is_scattered("GatherND", [64, 64, 64], [2000, 64], indices=[2000, 2])
    assert not _is_scattered("Gather", [8, 8], [8, 8], axis=1), "too small to matter"


def test_a_pooling_that_also_gives_places_or_takes_bytes_is_of_unknown_cost(tmp_path: Path) -> None:
    def known(name: str, outputs: list[str], kind: int = TensorProto.FLOAT) -> bool:
        pool = helper.make_node("MaxPool", ["x"], outputs, kernel_shape=[3, 3])
        made = {"y": [1, 4, 14, 14]}
        (node,) = read(
            model(tmp_path / name, [pool], {"x": [1, 4, 16, 16]}, outputs=made, types={"x": kind, "y": kind}).path
        )
        return node.known

    assert known("plain.onnx", ["y"])
    assert not known("places.onnx", ["y", "places"])
    assert not known("bytes.onnx", ["y"], TensorProto.UINT8)


def test_a_kernel_that_loops_over_single_elements_is_of_unknown_cost(tmp_path: Path) -> None:
    pool = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[3, 3])
    (node,) = read(model(tmp_path / "pool.onnx", [pool], {"x": [1, 4, 16, 16]}).path)
    assert not node.known
    assert node.kind == "pooling"


def test_stft_without_its_attribute_is_one_sided(tmp_path: Path) -> None:
    weights = {"step": np.array(160), "window": np.ones(400, np.float32)}
    stft = helper.make_node("STFT", ["x", "step", "window"], ["y"])
    (node,) = read(model(tmp_path / "stft.onnx", [stft], {"x": [1, 4000]}, weights).path)
    assert node.shape == (1, 23, 201, 2)
