"""The Python face of sweeps: the names are those of the command line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesim.errors import UsageError
from edgesim.progress import Listener
from edgesim.results import sweep_directory
from edgesim.sweeps import recommend as _recommend
from edgesim.sweeps.executor import Executor
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.recommend import Choice
from edgesim.sweeps.sweep import SweepResult
from edgesim.sweeps.sweep import sweep as _sweep
from edgesim.sweeps.workers.dask_executor import DaskExecutor


def sweep(
    file: str | Path | None = None,
    *,
    output: str | Path,
    profile: str | Sequence[str] = (),
    model: str | Sequence[str] = (),
    retry: bool = False,
    scheduler: str | None = None,
    registry: str | None = None,
    executor: Executor | None = None,
    listener: Listener | None = None,
    **settings: Any,
) -> SweepResult:
    """Predict, run or check every combination of boards, models and options; keep one file a cell.

    Args:
        file: a sweep file; the other arguments replace the keys of the file.
        output: the directory of the results; cells that have a result there are not done again.
        profile, model: names, files or patterns.
        retry: repeat the cells that failed.
        scheduler: the address of a scheduler of Dask, whose workers do the cells; None means this process, one cell
            after the other. Needs the `dask` extra.
        registry: the registry in which workers share serving images, ``HOST:5000``; None: each machine builds its own.
        executor: runs the cells, in place of the workers of a scheduler.
        listener: hears of the progress.
        settings: the values of each option by its name, one or a list: ``threads=[1, 4]``, ``job="run"``.

    Raises:
        UsageError: the matrix is wrong.
        DiskFull, ResultError: the directory cannot be written.
        HostError: this host cannot do the work at all. A cell that fails is no exception: see `CellResult.error`.
        Interrupted: Ctrl-C; the results of all cells that have ended are kept.
    """
    base = Matrix.read(Path(file)) if file is not None else None
    matrix = Matrix.of(_listed(profile), _listed(model), settings, base)
    if executor is None:
        executor = of_scheduler(scheduler, registry)
    return _sweep(matrix, Path(output), retry=retry, executor=executor, listener=listener)


def of_scheduler(scheduler: str | None, registry: str | None = None) -> Executor | None:
    """Return the executor on the workers of a scheduler; None without a scheduler.

    Raises:
        UsageError: there is a registry, and no scheduler.
    """
    if scheduler is not None:
        return DaskExecutor(scheduler, registry)
    if registry is not None:
        raise UsageError("`registry`: is for the workers of a `scheduler`, and none is given", fix="omit it")
    return None


def recommend(
    directory: str | Path | None = None,
    *,
    rule: str | Sequence[str],
    profile: str | Sequence[str] = "*",
    model: str | Sequence[str] = (),
    **settings: Any,
) -> list[Choice]:
    """Say which boards, and which variants of a model, hold rules: the cheapest board first, then the quickest.

    Args:
        directory: the directory of a sweep; None means predictions for the models and boards of the other
            arguments, on every target of each board.
        rule: absolute rules, such as ``device_time_ms.p50 <= 50``.
        profile, model, settings: see `edgesim.sweep`.

    Raises:
        UsageError: a rule or the matrix is wrong.
        ResultError: there is no result of a sweep in the directory.
    """
    if directory is not None:
        cells = sweep_directory.newest(sweep_directory.read(Path(directory)))
    else:
        cells = _recommend.predicted_cells(Matrix.of(_listed(profile), _listed(model), settings))
    return _recommend.recommend(cells, _listed(rule))


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
