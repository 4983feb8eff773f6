"""A result as the tests of reading, writing and showing one need it."""

from typing import NoReturn

import pytest

from edgesim.errors import PackagesUnavailable
from edgesim.images import python_packages
from edgesim.results.run_result import RunResult
from tests.support import results


@pytest.fixture
def result() -> RunResult:
    return results.emulated_and_invalid()


@pytest.fixture(autouse=True)
def no_other_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch no release of ONNX Runtime for a comparison, which takes a network."""

    def unavailable(*_: object) -> NoReturn:
        raise PackagesUnavailable("tests fetch no packages")

    monkeypatch.setattr(python_packages, "fetch_for_this_host", unavailable)
