"""A pytest plugin that says which tests run beside which when pytest-xdist runs them, see tests/README.md.

``--dist loadgroup`` of pytest-xdist does not do it: version 3.8 writes the groups into names that pytest 9.2 no longer
reads, and so spreads the tests singly. Here each worker writes the groups of its tests to a file.
"""

import fcntl
import json
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.markers import uses_engine

# The order in which workers take groups; a file is a group of its own, in the middle.
ENGINE, TIMING = "engine", "timing"


def group_of(item: pytest.Item) -> str:
    """Return the name of the tests that one worker runs one after another, this one among them.

    Tests that use the Docker Engine look for what others leave on it. They take longest, so they come first. Tests that
    measure time come last.
    """
    if own := item.get_closest_marker("xdist_group"):
        return str(own.args[0])
    if item.get_closest_marker("timing"):
        return TIMING
    return ENGINE if uses_engine(item) else item.nodeid.partition("::")[0]


# --- in each worker ---------------------------------------------------------------------------------------------------


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_worker(config):
        items.sort(key=lambda item: {ENGINE: 0, TIMING: 2}.get(group_of(item), 1))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell the groups, before pytest-xdist reports that the tests are collected."""
    if _is_worker(session.config):
        groups = {item.nodeid: group_of(item) for item in session.items}
        path = Path(session.config.workerinput["groups"])  # type: ignore[attr-defined]
        scratch = path.with_name(f"{path.name}-{session.config.workerinput['workerid']}")  # type: ignore[attr-defined]
        scratch.write_text(json.dumps(groups))
        scratch.replace(path)  # each worker tells the same


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test that measures time run alone: it waits until the other workers' tests are over, and they for it.

    The wait counts neither as the test's time nor against its timeout.
    """
    if not _is_worker(item.config):
        return (yield)
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("timing") else fcntl.LOCK_SH)
        return (yield)


# --- in the process that distributes the tests ------------------------------------------------------------------------


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker whole groups, in the order in which the workers have collected them."""

    def __init__(self, config: pytest.Config, log: Any, groups: Path) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)
        self._path = groups

    @cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads(self._path.read_text())
        return groups

    def _split_scope(self, nodeid: str) -> str:
        return self._groups[nodeid]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["groups"] = str(_file(node.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log, _file(config))


def _file(config: pytest.Config) -> Path:
    directory: Path = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    return directory / "groups.json"
