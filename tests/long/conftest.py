"""What is slow and valuable: run by `make test-long`, left out of `make test`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.conftest import server
from tests.integration.conftest import desk, edgesim, other_engine

__all__ = ["desk", "other_engine", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)


@pytest.fixture
def removed_volumes(nothing_left_behind: None) -> Iterator[None]:
    """Remove the volumes into which runs beside the engine have copied models; such volumes stay, as documented."""
    before = volumes()
    yield
    for name in volumes() - before:
        assert edgesim("volumes", "rm", name).returncode == 0


def volumes() -> set[str]:
    """Return the names of the volumes with models that edgesim made."""
    return {volume["name"] for volume in json.loads(edgesim("volumes", "list", "--json").stdout)}
