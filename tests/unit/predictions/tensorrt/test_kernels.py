"""Kernels: a node's work in elements, and tables of kernels on file."""

from pathlib import Path

from edgesim.models.repository import Model
from edgesim.predictions import graph
from edgesim.predictions.node import Node
from edgesim.predictions.tensorrt import kernels
from edgesim.predictions.tensorrt.fusions import TensorRtFusions
from edgesim.predictions.tensorrt.kernels import KernelTable, kernel_of

CONVOLUTION = Node(
    name="c",
    operation="Conv",
    kind="convolution",
    precision="fp32",
    flops=2 * 32 * 100 * 144,
    read_bytes=4 * 1600,
    weight_bytes=4 * 32 * 144,
    written_bytes=4 * 3200,
    shape=(1, 32, 10, 10),
    product=(32, 100, 144),
    window=(3, 3, 1),
    fused=("Sigmoid", "Mul"),
)


def test_a_kernel_counts_elements_whatever_their_type() -> None:
    kernel = kernel_of(CONVOLUTION)
    assert (kernel.kind, kernel.activations, kernel.written, kernel.weights) == ("product", 4800, 3200, 32 * 144)
    assert (kernel.rows, kernel.columns, kernel.depth, kernel.channels) == (32, 100, 144, 16)
    assert (kernel.groups, kernel.winograd, kernel.function) == (1, True, True)


def test_rows_of_a_matrix_product_are_its_features() -> None:
    product = Node(
        name="m",
        operation="Gemm",
        kind="matrix product",
        precision="fp16",
        flops=2 * 3 * 10 * 64,
        read_bytes=2 * 3 * 64,
        weight_bytes=2 * 640,
        written_bytes=2 * 30,
        shape=(3, 10),
        product=(3, 10, 64),
    )
    kernel = kernel_of(product)
    assert (kernel.rows, kernel.columns, kernel.weights) == (10, 3, 640)


def test_a_slice_reads_as_much_as_it_writes() -> None:
    slice_ = Node(
        name="s",
        operation="Slice",
        kind="data movement",
        precision="fp32",
        flops=0,
        read_bytes=4000,
        weight_bytes=0,
        written_bytes=1000,
        shape=(250,),
    )
    assert kernel_of(slice_).activations == 500


def test_a_table_of_kernels_is_read_as_it_was_written(resnet18: Model, tmp_path: Path) -> None:
    counted = kernels.count(graph.read(resnet18.path, fusions=TensorRtFusions))
    kernels.write(tmp_path / "kernels.csv", {"resnet18": counted, "none": {}})
    assert kernels.read(tmp_path / "kernels.csv") == {"resnet18": counted}
    # Twenty convolutions with what follows them, two poolings, and the product at the end.
    assert counted.total() == 23


def test_joined_tables_keep_the_order_of_their_kernels() -> None:
    one, two = KernelTable([(kernel_of(CONVOLUTION), 1)]), KernelTable([(kernel_of(CONVOLUTION), 3)])
    joined = KernelTable.joined([one, two])
    assert joined.count.tolist() == [1, 3]
    assert joined.rows.tolist() == [32, 32]
    assert joined.is_kind("product").all()
