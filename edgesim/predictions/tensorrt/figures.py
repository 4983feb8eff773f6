"""Published times of TensorRT with what the fit needs of each: the network's kernels, the board's facts, conditions.

Most sources do not state the power mode; the facts are those of the profile's own. What a source timed besides the
network, and releases of TensorRT before those of today's profiles, are conditions: the fit gives each a term, and a
prediction leaves them out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgesim import profiles
from edgesim.predictions import published
from edgesim.predictions.published import PublishedFigure
from edgesim.predictions.tensorrt import kernels
from edgesim.predictions.tensorrt.cost import PRECISIONS, Facts, costs, launch_seconds
from edgesim.predictions.tensorrt.kernels import Kernel, KernelTable
from edgesim.profiles import DeviceProfile

# Its engines end in the plugin EfficientNMS, except those of YOLOv10, which needs none.
_WITH_NMS, _WITHOUT_NMS = "justincdavis/trtutils", "yolov10"
# Each call from Python is timed with the call itself.
_FROM_PYTHON = "NVIDIA-AI-IOT/torch2trt"
# TensorRT before release 7.2, as of 2019 and 2020: launches took longer.
_OLD = re.compile(r"torch2trt|tf_to_trt_image_classification|inference_results_v(0\.5|0\.7|1\.0)")
# TensorRT 3 had no kernels for depthwise convolutions: fp16 takes as long as fp32, and five times what release 8 takes.
_WITHOUT_DEPTHWISE = "NVIDIA-AI-IOT/tf_to_trt_image_classification"
# Sources that tell less of what edgesim predicts: MLPerf's graphs and plugins are tuned by hand by the vendor, and
# TensorRT 3 is five releases old.
_WEIGHTS: Mapping[str, float] = {
    "mlcommons": 0.4,
    "mlperf": 0.4,
    "NVIDIA-AI-IOT/tf_to_trt_image_classification": 0.4,
    "NVIDIA-AI-IOT/torch2trt": 0.7,
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One published time of a network on a board's GPU.

    Attributes:
        board: name of the profile whose facts are taken.
        kernels: name of the network's graph among the kernels, with its batch.
        seconds: of one inference.
        repository: of the source, without its file.
        with_nms, from_python, is_old: what the source timed besides; see the constants of this module.
        weight: against a source that is not in doubt; 0 keeps the figure out of the fit.
    """

    published: PublishedFigure
    board: str
    precision: str
    kernels: str
    facts: Facts
    seconds: float
    repository: str
    with_nms: bool
    from_python: bool
    is_old: bool
    weight: float


def kernels_name(figure: PublishedFigure) -> str:
    """Return the name of a figure's graph among the kernels."""
    return figure.graph if figure.batch == 1 else f"{figure.graph} batch {figure.batch}"


def read(directory: str | Path) -> tuple[list[Figure], dict[str, KernelTable]]:
    """Read the published figures of GPUs whose network's kernels are in ``kernels.csv`` of a directory."""
    tables = kernels.read(Path(directory) / "kernels.csv")
    networks: dict[str, KernelTable] = {name: KernelTable(list(of_graph.items())) for name, of_graph in tables.items()}
    load = cache(profiles.load)
    figures = [
        _figure(row, load(row.profiles[0]), tables[kernels_name(row)])
        for row in published.figures()
        if row.target.startswith("gpu:tensorrt-") and kernels_name(row) in networks
    ]
    return figures, networks


def _figure(row: PublishedFigure, profile: DeviceProfile, network: Mapping[Kernel, int]) -> Figure:
    (accelerator,) = (part for part in profile.accelerators if part.name == "gpu")
    precision = next(name for name in PRECISIONS if row.target.endswith(name))
    has_depthwise = any(kernel.kind == "depthwise" for kernel in network)
    repository = row.source.split(":")[0]
    weight = next((weight for start, weight in _WEIGHTS.items() if repository.startswith(start)), 1.0)
    return Figure(
        published=row,
        board=profile.name,
        precision=precision,
        kernels=kernels_name(row),
        facts=Facts.of(profile, accelerator, precision),
        seconds=row.ms / 1e3,
        repository=repository,
        with_nms=repository == _WITH_NMS and row.family != _WITHOUT_NMS,
        from_python=repository == _FROM_PYTHON,
        is_old=_OLD.search(row.source) is not None,
        weight=0.0 if repository == _WITHOUT_DEPTHWISE and has_depthwise else weight,
    )


class Times:
    """The times of figures as functions of the coefficients; each pair of a network and facts is computed once."""

    def __init__(self, figures: Sequence[Figure], networks: Mapping[str, KernelTable]) -> None:
        pairs: dict[tuple[str, Facts], int] = {}
        self._pair = np.array([pairs.setdefault((f.kernels, f.facts), len(pairs)) for f in figures])
        tables = [networks[name] for name, _ in pairs]
        self._table = KernelTable.joined(tables)
        self._facts = Facts.joined([(facts, len(table)) for (_, facts), table in zip(pairs, tables, strict=True)])
        self._starts = np.cumsum([0, *(len(table) for table in tables[:-1])])
        self._own = Facts.joined([(figure.facts, 1) for figure in figures])
        self._with_nms, self._from_python, self._is_old = (
            np.array([getattr(figure, name) for figure in figures], float)
            for name in ("with_nms", "from_python", "is_old")
        )

    def seconds(self, coefficients: Mapping[str, float], *, conditions: bool) -> np.ndarray:
        """Return the predicted time of each figure.

        Args:
            conditions: whether to add what the source timed besides the network. The coefficients ``nms launches``,
                ``python seconds`` and ``old launch`` say how much.
        """
        of_kernels = costs(self._table, self._facts, coefficients)
        total, launch = (
            np.add.reduceat(values, self._starts)[self._pair] for values in (of_kernels.total, of_kernels.launch)
        )
        total = total + coefficients["inference seconds"]
        if conditions:
            total += self._with_nms * coefficients["nms launches"] * launch_seconds(self._own, coefficients)
            total += self._from_python * coefficients["python seconds"]
            total += self._is_old * (coefficients["old launch"] - 1) * launch
        return np.asarray(total)
