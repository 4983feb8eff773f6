"""Phrases on time scaling: how a scaled run came to the board's device time."""

from edgesim.results.sections import ScaledModelSection, ScalingSection, ThrottleSection


def method(scaling: ScalingSection) -> str:
    """Return the CPU share, its threads, and the part of the device time that the share causes."""
    threads = "1 thread" if scaling.threads == 1 else f"{scaling.threads} threads"
    share = (
        f"CPU share {100 * scaling.share:.3g} % of a core of this host, in periods of {scaling.period_us / 1e3:.3g} ms"
    )
    return f"{share}, {threads}: {scaling.method}"


def against_target(scaling: ScalingSection) -> str:
    """Return the time of a request of each model after the tuning, at the end of the run, and without time scaling."""
    return "; ".join(_model(model, alone=len(scaling.models) == 1) for model in scaling.models)


def _model(model: ScaledModelSection, *, alone: bool) -> str:
    name = "" if alone else f"{model.name}: "
    words = f"{name}{model.calibrated_ms:.4g} ms after tuning"
    if model.check_ms is not None and model.error_percent is not None:
        words += f", {model.check_ms:.4g} ms at the end ({model.error_percent:+.1f} %)"
    return f"{words}; {model.host_ms:.3g} ms without time scaling"


def throttle(section: ThrottleSection) -> str:
    """Return the clock that the hot board throttles to, and the medians before and after."""
    before, after = (
        f"{ms:.4g} ms" if ms is not None else "too few requests" for ms in (section.before_ms, section.after_ms)
    )
    clock = f"{section.clock_hz / 1e9:.3g} GHz after {section.after_s:g} s of load"
    return f"{clock}: p50 {before} before, {after} after ({section.target_ms:.4g} ms predicted)"
