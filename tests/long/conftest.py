"""What is slow and valuable: run by `make test-long`, left out of `make test`."""

from pathlib import Path

import pytest

from tests.conformance.conftest import server
from tests.integration.conftest import desk, other_engine

__all__ = ["desk", "other_engine", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)
