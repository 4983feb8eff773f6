"""Histories with planted steps, for tests and benchmarks."""

from datetime import UTC, datetime, timedelta

from edgesim.results.run_result import RunResult
from edgesim.results.sections import DeviceTimeSection, Distribution, ValiditySection
from tests.support import results

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def scaled(p50_ms: float, *, number: int = 0, predicted_ms: float = 40.0) -> RunResult:
    """Return a VALID scaled run with a median latency; `number` is that of its day."""
    times = Distribution(samples=100, min=p50_ms * 0.9, mean=p50_ms, p50=p50_ms, max=p50_ms * 1.5)
    base = results.emulated_and_invalid()
    created = BEGIN + timedelta(days=number)
    return base.model_copy(
        update={
            "created": created.isoformat(),
            "execution": "scaled",
            "latency_ms": times,
            "service_time_ms": times,
            "requests": base.requests.model_copy(update={"sent": 100, "ok": 100}),
            "device_time_ms": DeviceTimeSection(
                p50=predicted_ms, low=predicted_ms * 0.8, high=predicted_ms * 1.3, method="predicted"
            ),
            "validity": ValiditySection(valid=True),
        }
    )


def host_of(result: RunResult, kernel: str) -> RunResult:
    """Return the result as of another host."""
    return result.model_copy(update={"host": result.host.model_copy(update={"kernel": kernel})})
