"""A server that hangs is told from a slow one."""

from edgesim.boards import hang
from edgesim.recording import Reading


def test_server_that_reads_its_model_or_has_just_started_does_not_hang() -> None:
    def reading(second: int, read_bytes: int) -> Reading:
        return Reading(second * 10**9, cpu_seconds=1.0, memory_bytes=1, read_bytes=read_bytes)

    assert not hang.stands_still([reading(second, 0) for second in range(20)])
    assert hang.stands_still([reading(second, 0) for second in range(60)])
    assert not hang.stands_still([reading(second, second << 20) for second in range(60)])
    assert not hang.stands_still([Reading(second * 10**9, None, None) for second in range(60)])
