"""Host load: what other programs took of this host between two readings of its counters."""

import time
from typing import NamedTuple

import psutil
import pytest

from edgesim.host import host_load
from edgesim.host.host_load import HostCounters


class Times(NamedTuple):
    """The fields of psutil's CPU times that the host load is computed from."""

    user: float
    idle: float
    guest: float
    steal: float


def counters(
    at_s: float, times: Times, own_s: float, throttles: int | None, frequency_hz: float | None
) -> HostCounters:
    return HostCounters(at_s=at_s, times=times, own_s=own_s, throttles=throttles, frequency_hz=frequency_hz)


def test_other_programs_took_what_neither_the_device_nor_edgesim_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    begin = counters(10, Times(user=100, idle=500, guest=0, steal=1), 1.0, 3, 2e9)
    # Two cores for 5 s: 6 s busy (1 s of it a guest's, which Linux counts as user time, too), 3.5 s idle, 0.5 s stolen.
    end = counters(15, Times(user=106, idle=503.5, guest=1, steal=1.5), 1.5, 5, 1e9)
    load = end.load_since(begin, device_s=2.0)
    assert (load.seconds, load.steal_percent, load.thermal_throttles, load.frequency_percent) == (5, 5, 2, 50)
    assert load.busy_percent == pytest.approx(60)
    assert load.others_percent == pytest.approx(60 - 20 - 5), "without the device's 2 s and edgesim's 0.5 s"
    assert end.load_since(begin, device_s=None).others_percent is None


@pytest.mark.timing
def test_half_a_second_of_edgesims_own_work_is_busy_time_but_not_of_others() -> None:
    begin = HostCounters()
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    load = HostCounters().load_since(begin, device_s=0.0)
    assert load.seconds == pytest.approx(0.5, abs=0.4)
    assert load.busy_percent > 0
    assert load.others_percent is not None
    assert load.others_percent < load.busy_percent
    assert HostCounters().load_since(begin, device_s=None).others_percent is None


def test_combined_load_weights_loads_by_their_seconds() -> None:
    both = host_load.combined(
        [
            host_load.HostLoad(
                seconds=1, busy_percent=10, others_percent=4, steal_percent=0, thermal_throttles=1, frequency_percent=80
            ),
            host_load.HostLoad(
                seconds=3,
                busy_percent=50,
                others_percent=8,
                steal_percent=None,
                thermal_throttles=2,
                frequency_percent=99,
            ),
        ]
    )
    assert both is not None
    assert (both.seconds, both.busy_percent, both.others_percent, both.steal_percent) == (4, 40, 7, None)
    assert (both.thermal_throttles, both.frequency_percent) == (3, 80)
    assert host_load.combined([]) is None
