"""What the engine's events say about the services of a stack."""

from typing import Any

from edgesim.engine.compose_project import killed_in


def test_a_service_that_ends_with_sigkill_after_memory_ran_out_is_the_one_that_was_killed() -> None:
    def event(at: int, action: str, service: str, **facts: str) -> dict[str, Any]:
        attributes = {"com.docker.compose.service": service} | facts
        return {"timeNano": at, "Action": action, "Actor": {"Attributes": attributes}}

    events = [
        event(4, "die", "two", exitCode="137"),
        event(1, "oom", "one"),
        event(2, "oom", "two"),  # all in the group are told
        event(5, "die", "one", exitCode="0"),
        event(6, "die", "three", exitCode="137"),  # somebody's docker kill
        event(7, "oom", "two"),
        event(8, "die", "two", exitCode="137"),
    ]
    assert killed_in(events) == {"two": 2}
