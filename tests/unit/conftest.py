"""A result as the tests of reading, writing and showing one need it."""

import pytest

from edgesim.results.run_result import RunResult
from tests.support import results


@pytest.fixture
def result() -> RunResult:
    return results.emulated_and_invalid()
