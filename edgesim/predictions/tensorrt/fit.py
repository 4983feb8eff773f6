"""Fits the coefficients of TensorRT's kernels to published figures, and writes `fitted.json`.

``python -m edgesim.predictions.tensorrt.fit benchmarks/published`` does so with the figures of edgesim's repository:
`edgesim/predictions/published.csv` has each figure with its source, and the directory has ``kernels.csv``, the kernels
of the networks' graphs. ``python -m benchmarks.accelerators`` shows how good the fit is.
"""

import sys
from collections.abc import Mapping, Sequence

from edgesim.predictions.tensorrt import fitted
from edgesim.predictions.tensorrt.choice import Choice
from edgesim.predictions.tensorrt.cost import NAMES
from edgesim.predictions.tensorrt.figures import Figure, read
from edgesim.predictions.tensorrt.fitted import FittedCoefficients
from edgesim.predictions.tensorrt.kernels import KernelTable
from edgesim.predictions.tensorrt.least_squares import Fit


def fit(figures: Sequence[Figure], networks: Mapping[str, KernelTable]) -> FittedCoefficients:
    """Fit the coefficients to all figures, with settings and bands chosen by families and GPUs that are held out."""
    first = Fit(figures, networks)
    choice = Choice.of(first, figures)
    best = Fit(figures, networks, choice.settings, start=first)
    count = len(NAMES)
    return FittedCoefficients(
        names=NAMES,
        values=best.values[:count],
        covariance=best.covariance[:count, :count],
        scale=max(choice.scale, choice.unseen_scale),
        boards=_boards(figures),
    )


def _boards(figures: Sequence[Figure]) -> Mapping[str, tuple[str, ...]]:
    """Return the repositories that published figures of each profile."""
    repositories: dict[str, set[str]] = {}
    for figure in figures:
        for name in figure.published.profiles:
            repositories.setdefault(name, set()).add(figure.repository)
    return {name: tuple(sorted(each)) for name, each in repositories.items()}


def main() -> None:
    """Write the coefficients fitted to the figures of a directory: the command's one argument."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m edgesim.predictions.tensorrt.fit DIRECTORY")
    fit(*read(sys.argv[1])).write()
    print(fitted.FILE)  # noqa: T201 (the command's answer)


if __name__ == "__main__":
    main()
