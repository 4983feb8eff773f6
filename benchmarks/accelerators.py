"""Write published/kernels.csv: the kernels of the networks with published figures of TensorRT.

``python -m benchmarks.accelerators --graphs DIR`` reads the graphs from a directory of ``NAME.onnx`` (the values of
their weights do not matter). `edgesim/predictions/published.csv` has the figures with their sources, and
`edgesim.predictions.tensorrt.fit` the fit itself, which writes the coefficients.
"""

import sys
from pathlib import Path

import onnx

from edgesim.predictions import graph, published
from edgesim.predictions.tensorrt import kernels
from edgesim.predictions.tensorrt.figures import kernels_name
from edgesim.predictions.tensorrt.fusions import TensorRtFusions

PUBLISHED = Path(__file__).parent / "published"


def write_kernels(graphs: Path) -> None:
    """Write the kernels of all networks with figures of a GPU, read from their graphs at the sizes of the figures."""
    wanted = {
        kernels_name(row): row for row in published.figures() if row.target.startswith("gpu:tensorrt-") and row.graph
    }
    tables = {}
    for name, row in wanted.items():
        path = graphs / f"{row.graph}.onnx"
        inputs = onnx.load(path, load_external_data=False).graph.input
        sizes = (row.batch, *map(int, row.input_shape.split("x")[1:]))
        tables[name] = kernels.count(graph.read(path, shapes={inputs[0].name: sizes}, fusions=TensorRtFusions))
    kernels.write(PUBLISHED / "kernels.csv", tables)


def main() -> None:
    if "--graphs" in sys.argv:
        write_kernels(Path(sys.argv[sys.argv.index("--graphs") + 1]))


if __name__ == "__main__":
    main()
