"""The rows of tables that inputs index, read from the graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesim.models import repository, table_rows

TABLES = [
    numpy_helper.from_array(np.ones((30, 4), np.float32), "words"),
    numpy_helper.from_array(np.ones((2, 4), np.float32), "types"),
    numpy_helper.from_array(np.array([-1], np.int64), "flat"),
]


def rows(directory: Path, *nodes: onnx.NodeProto, datatype: int = TensorProto.INT64) -> dict[str, int]:
    ids = helper.make_tensor_value_info("ids", datatype, [1, 8])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "net", [ids], [output], TABLES)
    path = directory / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return table_rows.by_input(repository.find(path))


def gather(table: str, indices: str, output: str = "y", axis: int = 0) -> onnx.NodeProto:
    return helper.make_node("Gather", [table, indices], [output], axis=axis)


RESHAPED = helper.make_node("Reshape", ["ids", "flat"], ["r"])
DOUBLED = helper.make_node("Add", ["ids", "ids"], ["d"])


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([gather("words", "ids")], {"ids": 30}),
        ([gather("words", "ids", axis=1)], {"ids": 4}),
        ([gather("words", "ids", "a"), gather("types", "ids")], {"ids": 2}),
        ([RESHAPED, gather("words", "r")], {"ids": 30}),
        ([DOUBLED, gather("words", "d")], {}),
        ([gather("ids", "flat")], {}),
    ],
)
def test_rows_are_those_of_the_smallest_table_that_takes_the_input_as_it_is(
    tmp_path: Path, nodes: list[onnx.NodeProto], found: dict[str, int]
) -> None:
    assert rows(tmp_path, *nodes) == found
