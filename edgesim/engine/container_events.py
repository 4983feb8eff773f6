"""What happened to containers, by the engine's events: who ran out of memory, and who was paused.

The engine keeps its last 256 events.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any


def since(
    client: Any, begin_s: float, actions: Sequence[str], of: Mapping[str, str], *, wait_s: float = 0
) -> list[Mapping[str, Any]]:
    """Return the events of containers from `begin_s` (seconds since the epoch) until now.

    Args:
        actions: such as ``oom``, ``pause``.
        of: which containers, by the engine's filters ``container`` and ``label``.
        wait_s: also wait so long for events to come.
    """
    # The engine takes seconds alone, and finds no event by an ISO time. Whole seconds would leave out this second's.
    begin, end = (f"{seconds:.9f}" for seconds in (begin_s, time.time() + wait_s))
    return list(client.events(since=begin, until=end, decode=True, filters={**of, "event": list(actions)}))


def created_s(container: Any) -> float:
    """Return when a container was made, in seconds since the epoch."""
    return datetime.fromisoformat(container.attrs["Created"]).timestamp()


def paused_s(client: Any, begin_s: float, of: Mapping[str, str]) -> float:
    """Return the seconds since `begin_s` in which another program paused containers (``docker pause``), added up."""
    return pauses_s(since(client, begin_s, ("pause", "unpause"), of), time.time())


def pauses_s(events: Iterable[Mapping[str, Any]], now_s: float) -> float:
    """Return the seconds of all pauses together; a container that is still paused counts until `now_s`."""
    total_ns, began_ns = 0, dict[str, int]()
    for event in sorted(events, key=lambda event: int(event["timeNano"])):
        container, at_ns = event["Actor"]["ID"], int(event["timeNano"])
        if event["Action"] == "pause":
            began_ns.setdefault(container, at_ns)
        elif container in began_ns:
            total_ns += at_ns - began_ns.pop(container)
    return (total_ns + sum(max(int(now_s * 1e9) - begin, 0) for begin in began_ns.values())) / 1e9
