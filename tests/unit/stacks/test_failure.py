"""Why a service failed, in words: who ended it, and what helps."""

import pytest

from edgesim.engine.compose_project import ServiceState
from edgesim.errors import DeviceError
from edgesim.stacks import known_needs, up
from edgesim.stacks.failure import Evidence, failed_service, failure
from edgesim.stacks.stack import Stack

STACK = Stack.model_validate(
    {
        "name": "shop",
        "profile": "jetson-nano",
        "services": {
            "store": {"packages": ["redis-server"], "command": ["redis-server"]},
            "app": {"image": "shop/app:1", "after": ["store"]},
        },
    }
)
COW_BUG = "# Redis will now exit to prevent data corruption. [...] config: ignore-warnings ARM64-COW-BUG"


def error_of(*, exit_code: int, log: str = "", killed: bool = False) -> DeviceError:
    state = ServiceState(
        service="store",
        id="1",
        image="sha256:1",
        pid=0,
        status="exited",
        exit_code=exit_code,
        health=None,
        restarts=0,
        ran_s=2.0,
        ports={},
        address=None,
    )
    resolved = up.of_engine(STACK, None)
    assert failed_service(resolved, {"store": state}) == "store"
    return failure(resolved, state, Evidence(log=log, killed=killed, board_memory_peak_bytes=0))


def test_a_service_that_another_program_killed_is_told_from_one_that_ran_out_of_memory() -> None:
    killed, out_of_memory = error_of(exit_code=137), error_of(exit_code=137, killed=True)
    assert killed.problem.startswith(
        "service store ended with exit code 137 after 2.0 s: by SIGKILL, with no sign of a memory limit"
    )
    assert "lack of memory" in out_of_memory.problem


def test_a_service_that_complains_in_known_words_gets_the_fix() -> None:
    error = error_of(exit_code=1, log=COW_BUG)
    assert "--ignore-warnings ARM64-COW-BUG" in error.fix
    assert error_of(exit_code=1, log="no such word").fix == ""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (COW_BUG, "--ignore-warnings ARM64-COW-BUG"),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "--protected-mode no"),
        ("1795666599: Starting in local only mode. Connections will only be possible from", "listener 1883"),
        ("ImportError: libblas.so.3: cannot open shared object file: No such file or directory", "LD_LIBRARY_PATH"),
        ('[emerg] 1#1: open() "/var/log/nginx/error.log" failed (30: Read-only file system)', "writable volume"),
    ],
)
def test_the_words_of_a_common_package_lead_to_its_fix(log: str, words: str) -> None:
    (fix,) = known_needs.fixes(f"starting\n{log}\n")
    assert words in fix
