"""How a scaled run came to the board's time, in words."""

from edgesim.results.run_result import ScaledModelSection, ScalingSection, ThrottleSection


def method(scaling: ScalingSection) -> str:
    """What holds the host back."""
    threads = "1 thread" if scaling.threads == 1 else f"{scaling.threads} threads"
    share = f"{100 * scaling.share:.3g} % of a core of this host, in periods of {scaling.period_us / 1e3:.3g} ms"
    return f"{share}, {threads}: {scaling.method}"


def against_target(scaling: ScalingSection) -> str:
    """The time that each model takes against the one that it is to take."""
    return "; ".join(_model(model, alone=len(scaling.models) == 1) for model in scaling.models)


def _model(model: ScaledModelSection, *, alone: bool) -> str:
    name = "" if alone else f"{model.name}: "
    words = f"{name}{model.calibrated_ms:.4g} ms when calibrated"
    if model.check_ms is not None and model.error_percent is not None:
        words += f", {model.check_ms:.4g} ms at the end ({model.error_percent:+.1f} %)"
    return f"{words}; {model.host_ms:.3g} ms with nothing held back"


def throttle(found: ThrottleSection) -> str:
    """What heat did to it."""
    before, after = (
        f"{ms:.4g} ms" if ms is not None else "too few requests" for ms in (found.before_ms, found.after_ms)
    )
    clock = f"{found.clock_hz / 1e9:.3g} GHz after {found.after_s:g} s of load"
    return f"{clock}: p50 {before} before, {after} after ({found.target_ms:.4g} ms predicted)"
