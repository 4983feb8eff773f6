"""Fits the coefficients of predictions to published figures, and writes `fitted.json`.

``python -m edgesim.predictions.fit benchmarks/published`` does so with the figures of edgesim's repository: the
directory has ``latencies.csv``, each figure with its source and the facts of its board, and ``work.csv``, the work that
the models' graphs make. ``python -m benchmarks.fidelity`` shows how good the fit is.

The fit is nonlinear least squares over the logarithms of all coefficients of all runtimes at once. The figures of other
runtimes say how cores compare; nothing else is taken from them.
"""

import csv
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from edgesim.predictions import band, fitted
from edgesim.predictions.cost import TERMS, Coefficients, Machine, Term, unit_seconds
from edgesim.predictions.fitted import FittedCoefficients
from edgesim.profiles import cores
from edgesim.profiles.cores import FAMILIES

# The runtime that edgesim predicts.
RUNTIME = "onnxruntime"
# Runtimes with coefficients of their own, on the same cores.
OTHER_RUNTIMES = ("TFLite", "ArmNN", "ncnn", "pytorch", "torchscript", "tflite")
# The arithmetic of every other core is relative to this core's.
REFERENCE_CORE = "Cortex-A72"

# Mean and standard deviation of the logarithm of each coefficient before any figure is seen. They are wide, except
# where the figures cannot distinguish coefficients: a product reaches most of the peak, a depthwise convolution a fifth
# of the peak, and moved bytes are read once and written once.
PRIORS: Mapping[str, tuple[float, float]] = {
    "products": (math.log(1.4), 0.5),
    "depthwise": (math.log(5), 0.7),
    "functions": (math.log(1.5), 0.5),
    "product traffic": (math.log(0.5), 0.7),
    "other traffic": (0.0, 0.5),
    "nodes": (math.log(20_000), 1.0),
    "scaling": (math.log(0.85), 0.1),
    "memory_share": (math.log(0.5), 0.3),
    "core": (0.0, 0.25),
    "runtime family": (0.0, 0.2),
}
# Standard deviation of the logarithm of a figure, by runtime. ONNX Runtime's figures of one model on one board differ
# by 0.11 and 0.12 between releases (three figures each). The others scatter more, because their algorithms (Winograd,
# indirect products) are not those that the terms describe.
SCATTER = {RUNTIME: 0.11, "TFLite": 0.15}
OTHER_SCATTER = 0.2
# Weight of a figure that is marked weak.
WEAK = 0.3
# SoCs as the profiles name them, by the board of a figure: the boards with figures of ONNX Runtime.
SOC = {"Raspberry Pi 4B": "BCM2711", "Raspberry Pi 5": "BCM2712", "Jetson AGX Orin": "Orin (T234)"}


@dataclass(frozen=True)
class Figure:
    """One published latency.

    Attributes:
        work: work of the model's graph, by term.
        seconds: the latency.
        weak: whether the source leaves a doubt; such a figure weighs less and is not counted in evaluations.
    """

    board: str
    machine: Machine
    runtime: str
    release: str
    model: str
    work: Mapping[Term, float]
    seconds: float
    weak: bool

    @property
    def flops(self) -> float:
        """Arithmetic of products and convolutions."""
        return self.work["products"] + self.work["depthwise"]


def read(directory: str | Path) -> list[Figure]:
    """Read the published figures in a directory, in the order of ``latencies.csv``."""
    directory = Path(directory)
    work = {}
    with (directory / "work.csv").open() as file:
        for row in csv.DictReader(file):
            by_term: dict[Term, float] = {term: float(row[term.replace(" ", "_")]) for term in TERMS}
            work[row["model"], row["input"]] = by_term
    with (directory / "latencies.csv").open() as file:
        return [
            Figure(
                board=row["board"],
                machine=Machine(
                    soc=SOC.get(row["board"], row["board"]),
                    core=row["core"],
                    threads=int(row["threads"]),
                    clock_hz=float(row["clock_hz"]),
                    flops_per_cycle=float(row["flops_per_cycle"]),
                    copy_bytes_per_s=float(row["copy_bytes_per_s"]),
                    memory_bytes_per_s=float(row["memory_bytes_per_s"]),
                ),
                runtime=row["runtime"],
                release=row["release"],
                model=row["model"],
                work=work[row["model"], row["input"]],
                seconds=float(row["latency_ms"]) / 1e3,
                weak=bool(row["weak"]),
            )
            for row in csv.DictReader(file)
        ]


class Fit:
    """All coefficients of all runtimes, fitted to figures.

    Attributes:
        names, values, covariance: logarithms of the coefficients; shapes (n,), (n,), (n, n).
        seen, seen_socs: cores and SoCs with figures of ONNX Runtime that are not weak.
        board_spread: standard deviation of the logarithm of a board's times around those of its core.
    """

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.cores = sorted({figure.machine.core for figure in figures})
        self.names = [f"{runtime}:{name}" for runtime in (RUNTIME, *OTHER_RUNTIMES) for name in (*TERMS, "scaling")]
        self.names.append("memory_share")
        self.names += [f"core {core}" for core in self.cores if core != REFERENCE_CORE]
        self.names += [f"runtime family {family}" for family in FAMILIES]
        priors = [PRIORS[_prior_of(name)] for name in self.names]
        means, deviations = (np.array(column) for column in zip(*priors, strict=True))
        weights = np.array([(WEAK if f.weak else 1) / SCATTER.get(f.runtime, OTHER_SCATTER) for f in figures])

        def residuals(values: np.ndarray) -> np.ndarray:
            by_name = dict(zip(self.names, values, strict=True))
            errors = np.array([self._log_seconds(by_name, figure) - math.log(figure.seconds) for figure in figures])
            return np.concatenate([errors * weights, (values - means) / deviations])

        solution = least_squares(residuals, means, loss="soft_l1")
        self.values = solution.x
        self.covariance = np.linalg.inv(solution.jac.T @ solution.jac)
        counted = [figure.machine for figure in figures if figure.runtime == RUNTIME and not figure.weak]
        self.seen = {machine.core for machine in counted}
        self.seen_socs = {machine.soc for machine in counted}
        self.board_spread = self._between_boards(figures)

    def log_seconds(self, figure: Figure) -> float:
        """Return the logarithm of the time that the fit gives for a figure, in seconds."""
        return self._log_seconds(dict(zip(self.names, self.values, strict=True)), figure)

    def _log_core(self, by_name: Mapping[str, float], runtime: str, core: str) -> float:
        """Compare a core's arithmetic: by core for other runtimes, by family for ONNX Runtime, with its few figures."""
        if runtime != RUNTIME:
            return by_name.get(f"core {core}", 0.0)
        family = cores.family(core)
        members = [by_name.get(f"core {other}", 0.0) for other in self._members(family)]
        return float(np.mean(members)) + by_name[f"runtime family {family}"]

    def _members(self, family: str | None) -> list[str]:
        return [core for core in self.cores if cores.family(core) == family]

    def _log_seconds(self, by_name: Mapping[str, float], figure: Figure) -> float:
        coefficients = Coefficients(
            terms={term: math.exp(by_name[f"{figure.runtime}:{term}"]) for term in TERMS},
            core=math.exp(self._log_core(by_name, figure.runtime, figure.machine.core)),
            scaling=math.exp(by_name[f"{figure.runtime}:scaling"]),
            memory_share=math.exp(by_name["memory_share"]),
        )
        units = unit_seconds(figure.machine, coefficients)
        return math.log(sum(amount * units[term] for term, amount in figure.work.items()))

    def _between_boards(self, figures: Sequence[Figure]) -> float:
        """Return the scatter of boards with the same core, by the other runtimes, which have figures of many boards."""
        errors: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for figure in figures:
            if figure.runtime != RUNTIME:
                error = self.log_seconds(figure) - math.log(figure.seconds)
                errors[figure.runtime, figure.machine.core][figure.board].append(error)
        groups = [
            [np.median(of_board) for of_board in boards.values()] for boards in errors.values() if len(boards) > 2
        ]
        return float(np.sqrt(np.mean([np.var(group, ddof=1) for group in groups])))

    def coefficients(self, spread: float) -> FittedCoefficients:
        """Return the coefficients of ONNX Runtime, each a sum of fitted ones.

        Args:
            spread: see `FittedCoefficients`; `spread_of` finds it.
        """
        rows = {name: {f"{RUNTIME}:{name}": 1.0} for name in (*TERMS, "scaling")}
        rows["memory_share"] = {"memory_share": 1.0}
        within: list[float] = []  # of each core around the mean of its family
        for family in FAMILIES:
            members = self._members(family)
            rows[family] = {f"core {core}": 1 / len(members) for core in members} | {f"runtime family {family}": 1.0}
            values = [self.values[self.names.index(f"core {core}")] for core in members if core != REFERENCE_CORE]
            values += [0.0] * (REFERENCE_CORE in members)
            within += [value - np.mean(values) for value in values] if len(values) > 1 else []
        sums = np.array([[row.get(name, 0.0) for name in self.names] for row in rows.values()])
        return FittedCoefficients(
            names=tuple(rows),
            values=sums @ self.values,
            covariance=sums @ self.covariance @ sums.T,
            spread=spread,
            core_spread=float(np.std(within)),
            board_spread=self.board_spread,
            seen=frozenset(self.seen),
            seen_socs=frozenset(self.seen_socs),
        )


def _prior_of(name: str) -> str:
    """Return the key in `PRIORS` of a coefficient's name."""
    bare = name.rpartition(":")[2]
    for kind in ("runtime family", "core"):
        if bare.startswith(f"{kind} "):
            return kind
    return bare


# A published figure, and its prediction without the spread.
HeldOut = band.HeldOut[Figure]
# Whether a figure belongs to a group of figures.
Group = Callable[[Figure], bool]


def hold_out(figures: Sequence[Figure], is_out: Group) -> list[HeldOut]:
    """Predict the figures of a group, by a fit to all others."""
    coefficients = Fit([figure for figure in figures if not is_out(figure)]).coefficients(0.0)
    return [
        HeldOut(
            figure=figure,
            seconds=coefficients.seconds(figure.machine, figure.work),
            deviation=math.sqrt(coefficients.variance(figure.machine, figure.work)),
        )
        for figure in filter(is_out, figures)
    ]


def each_model(figures: Sequence[Figure]) -> list[Group]:
    """Return groups to hold out: the figures of one model on a board that has figures of other models, too."""
    by_board = sorted(_models_by_board(figures).items())
    return [_group(board, model) for board, models in by_board if len(models) > 1 for model in sorted(models)]


def each_board(figures: Sequence[Figure]) -> list[Group]:
    """Return groups to hold out: all figures of one board."""
    return [_group(board) for board in sorted(_models_by_board(figures))]


def _group(board: str, model: str | None = None) -> Group:
    """Return the group of a board's figures of ONNX Runtime, of one model or of all."""

    def contains(figure: Figure) -> bool:
        return figure.runtime == RUNTIME and figure.board == board and model in (None, figure.model)

    return contains


def _models_by_board(figures: Sequence[Figure]) -> dict[str, set[str]]:
    """Return the models with figures of ONNX Runtime that are not weak, by board."""
    by_board: dict[str, set[str]] = defaultdict(set)
    for figure in figures:
        if figure.runtime == RUNTIME and not figure.weak:
            by_board[figure.board].add(figure.model)
    return by_board


def spread_of(held_out: Sequence[HeldOut]) -> float:
    """Return the smallest spread with which 80 % of the held-out figures are in their bands.

    Raises:
        RuntimeError: there is none below 1.
    """
    counted = [item for item in held_out if not item.figure.weak]
    for spread in np.arange(0, 1, 0.005):
        if np.mean([item.in_band(float(spread)) for item in counted]) >= 0.8:
            return float(spread)
    raise RuntimeError("no spread below 1 puts 80 % of the figures into their bands")


def fit(figures: Sequence[Figure]) -> FittedCoefficients:
    """Fit the coefficients to all figures, and the spread to the figures of models that are held out one by one."""
    held_out = [item for group in each_model(figures) for item in hold_out(figures, group)]
    return Fit(figures).coefficients(spread_of(held_out))


def main() -> None:
    """Write the coefficients fitted to the figures of a directory: the command's one argument."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m edgesim.predictions.fit DIRECTORY")
    fit(read(sys.argv[1])).write()
    print(fitted.FILE)  # noqa: T201 (the command's answer)


if __name__ == "__main__":
    main()
