"""What the engine's events say of containers."""

from types import SimpleNamespace
from typing import Any

from edgesim.engine import container_events

S = 10**9


def event(action: str, at_s: float, container: str = "board") -> dict[str, Any]:
    return {"Action": action, "timeNano": int(at_s * S), "Actor": {"ID": container}}


def test_pauses_are_added_up_in_the_order_of_their_times() -> None:
    events = [event("unpause", 3), event("pause", 2), event("pause", 5), event("unpause", 5.5)]
    assert container_events.pauses_s(events, now_s=9) == 1.5


def test_container_that_is_still_paused_counts_until_now() -> None:
    assert container_events.pauses_s([event("pause", 2)], now_s=9) == 7


def test_pause_of_one_container_is_not_ended_by_another() -> None:
    events = [event("pause", 2, "a"), event("unpause", 3, "b"), event("unpause", 6, "a")]
    assert container_events.pauses_s(events, now_s=9) == 4


def test_without_events_nothing_was_paused() -> None:
    assert container_events.pauses_s([], now_s=9) == 0


def test_engine_is_asked_in_seconds_since_an_iso_time_finds_no_event() -> None:
    requests: list[dict[str, Any]] = []

    def events(**request: Any) -> list[dict[str, Any]]:
        requests.append(request)
        return []

    container = SimpleNamespace(attrs={"Created": "2026-11-26T16:26:41.618630001Z"})
    begin_s = container_events.created_s(container)
    container_events.since(SimpleNamespace(events=events), begin_s, ["oom"], {"container": "board"})
    (request,) = requests
    assert float(request["since"]) == begin_s
    assert float(request["until"]) > begin_s
    assert request["filters"] == {"container": "board", "event": ["oom"]}
