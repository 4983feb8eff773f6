"""Run one cell; an error is a part of the cell's result."""

import socket
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from edgesim.errors import EdgesimError, Interrupted, of_host
from edgesim.gates import result_metrics
from edgesim.jobs.check import check
from edgesim.jobs.run import run
from edgesim.predictions import calibration
from edgesim.progress import Listener
from edgesim.results.cell_result import CellError, CellResult, Figure, Job, Price
from edgesim.results.run_result import RunResult
from edgesim.results.sections import section
from edgesim.sweeps.cell import Cell
from edgesim.sweeps.prediction_cell import predicted
from edgesim.version import __version__

_LAST_LINES = 20


def run_cell(cell: Cell, *, listener: Listener | None = None) -> CellResult:
    """Do the job of a cell on this machine.

    Args:
        listener: hears of the stages of a run or a check.

    Returns:
        The result; of a cell that failed, with its error: of the model, the board, this host, or edgesim itself.

    Raises:
        Interrupted, KeyboardInterrupt: Ctrl-C, or a signal to end; the cell is lost.
    """
    begun = time.monotonic()
    result = _blank(cell)
    try:
        result = _JOBS[cell.job](cell, result, listener)
    except Interrupted:
        raise
    except EdgesimError as error:
        kept = _run_figures(error.result, result) if isinstance(error.result, RunResult) else result
        result = kept.model_copy(update={"error": _error(error)})
    except Exception as error:
        host = of_host(error) if isinstance(error, OSError) else None
        result = result.model_copy(update={"error": _error(host) if host is not None else _own_fault(error)})
    notes = (cell.note, *result.notes) if cell.note else result.notes
    return result.model_copy(update={"notes": notes, "seconds": time.monotonic() - begun})


def failed(cell: Cell, error: BaseException) -> CellResult:
    """Return the result of a cell that failed: with an error of edgesim's tree, or a fault of edgesim itself."""
    return _blank(cell).model_copy(
        update={"error": _error(error) if isinstance(error, EdgesimError) else _own_fault(error)}
    )


def _blank(cell: Cell) -> CellResult:
    """Return the result of a cell without the figures of its job."""
    return CellResult(
        key=cell.key,
        created=datetime.now(UTC).isoformat(timespec="microseconds"),
        edgesim_version=__version__,
        job=cell.job,
        profile=cell.profile.reference,
        board=cell.profile.title,
        model=cell.label,
        precision=cell.precision,
        target=cell.target,
        settings=dict(cell.settings),
        price=section(Price, cell.profile.price) if cell.profile.price is not None else None,
        figures={"artifact_bytes": Figure(value=float(cell.model.size_bytes))},
        host=socket.gethostname(),
    )


def _error(error: EdgesimError) -> CellError:
    log = "\n".join(error.log.splitlines()[-_LAST_LINES:])
    return CellError(
        kind=type(error).__name__, problem=error.problem, fix=error.fix, exit_code=int(error.exit_code), log=log
    )


def _own_fault(error: BaseException) -> CellError:
    where = "".join(f" ({last.filename}:{last.lineno})" for last in traceback.extract_tb(error.__traceback__)[-1:])
    problem = f"a fault of edgesim itself: {type(error).__name__}: {error}{where}"
    return CellError(
        kind=type(error).__name__, problem=problem, log="".join(traceback.format_exception(error)[-_LAST_LINES:])
    )


def _run(cell: Cell, result: CellResult, listener: Listener | None) -> CellResult:
    with calibration.taken_from(cell.calibrations):
        return _run_figures(run(cell.profile, cell.model.read(), cell.options, listener=listener), result)


def _run_figures(run_result: RunResult, result: CellResult) -> CellResult:
    """Return the result of a cell with the figures of its run."""
    host = run_result.host.context or result.host
    names = [*result_metrics.NAMES, *(f"targets.{name}.p50" for name in run_result.targets)]
    figures = {name: _figure(run_result, name, host) for name in names}
    known = {name: figure for name, figure in figures.items() if figure.value is not None or figure.note}
    validity = run_result.validity
    return result.model_copy(
        update={
            "figures": known,
            "word": validity.words.split(",")[0],
            "method": run_result.device_time_ms.method,
            "notes": (*validity.reasons, *run_result.device_time_ms.notes),
            "host": host,
            "report": run_result.as_json(indented=False),
        }
    )


def _figure(run_result: RunResult, name: str, host: str) -> Figure:
    metric = result_metrics.metric(run_result, name)
    note = metric.elsewhere or (f"not predicted: {metric.unknown}" if metric.unknown else "")
    return Figure(
        value=metric.value,
        low=metric.low,
        high=metric.high,
        interval_kind=metric.interval_kind,
        host=host if is_of_the_host(run_result, name) else None,
        note=note,
    )


def is_of_the_host(run_result: RunResult, name: str) -> bool:
    """Return whether a metric of a run is a time of the machine, and differs on another machine."""
    if result_metrics.is_time(result_metrics.measured_as(run_result.execution, name)):
        return True
    return run_result.profile.has_core_of_host and name.startswith(("device_time_ms.", "energy_j"))


def _check(cell: Cell, result: CellResult, listener: Listener | None) -> CellResult:
    options = cell.options.without({"target"})
    verdict = check(cell.profile, str(cell.model.path), cell.checks, options, listener=listener)
    return result.model_copy(
        update={
            "word": verdict.word,
            "notes": tuple(f"{item.name}: {item.verdict}: {item.finding}" for item in verdict.items),
            "report": verdict.as_json(),
        }
    )


_JOBS: Mapping[Job, Callable[[Cell, CellResult, Listener | None], CellResult]] = {
    "predict": predicted,
    "run": _run,
    "check": _check,
}
