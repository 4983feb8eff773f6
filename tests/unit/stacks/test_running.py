"""What a stack that is up says of itself."""

from types import SimpleNamespace
from typing import Any

from edgesim.stacks.running import RunningStack


def test_proxy_between_services_is_said_with_its_variables_and_the_way_around_it() -> None:
    resolved: Any = SimpleNamespace(
        shortfalls=("storage rate: not limited for a stack",), on_board=["app", "store"], beside=["notebook"]
    )
    nothing: Any = None
    naming: Any = SimpleNamespace(parent="/edgesim/shop")
    running = RunningStack(resolved, nothing, nothing, naming, emulator=None)
    states: Any = {
        "app": SimpleNamespace(proxies={"HTTP_PROXY": "http://p:1", "http_proxy": "http://p:1"}),
        "store": SimpleNamespace(proxies={}),
        "notebook": SimpleNamespace(proxies={"HTTP_PROXY": "http://p:1"}),
    }
    running.monitor.states = states
    assert list(running.shortfalls) == [
        "storage rate: not limited for a stack",
        "proxies: app's image or environment sets HTTP_PROXY=http://p:1, http_proxy=http://p:1, and the board has none;"
        " its requests to other services, and those of its `healthy` command, go there unless its NO_PROXY names them",
    ]
