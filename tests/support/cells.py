"""Results of cells as a sweep keeps them."""

from typing import Any

from edgesim.results.cell_result import CellError, CellResult, Figure


def cell(profile: str = "jetson-nano", model: str = "digits", *, ms: float | None = 10.0, **facts: Any) -> CellResult:
    """Return the result of a prediction: a device time with a band of half to double, and a size of 1 MiB."""
    figures = {"artifact_bytes": Figure(value=1048576.0)}
    if ms is not None:
        figures["device_time_ms.p50"] = Figure(value=ms, low=ms / 2, high=2 * ms, interval_kind="80 % band")
    known: dict[str, Any] = {
        "key": f"{profile}-{model}-{facts.get('precision')}-{facts.get('host', 'a')}",
        "created": "2026-01-01T00:00:00+00:00",
        "edgesim_version": "0.1.0",
        "job": "predict",
        "board": profile.title(),
        "host": "a",
    }
    figures |= facts.pop("figures", {})
    return CellResult(**(known | facts), profile=profile, model=model, figures=figures)


def failed(profile: str = "jetson-nano", model: str = "digits", **facts: Any) -> CellResult:
    """Return the result of a run that failed because the board's memory is too small."""
    error = CellError(kind="OutOfMemory", problem="the model <b>needs</b> 5 GiB", fix="a smaller model", exit_code=4)
    return cell(profile, model, ms=None, job="run", error=error, **facts)
