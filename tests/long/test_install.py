"""The built wheel in empty environments: each Python of this machine, each way to install, and the lowest versions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.install import VERSIONS, WAYS, trial, wheel
from benchmarks.pythons import Python, from_debian, here

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built twice, compared and checked by twine and check-wheel-contents."""
    return wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Iterator[Python]:
    if (found := here(request.param)) is not None:
        yield found
        return
    with from_debian(request.param) as debian:
        if debian is None:
            pytest.skip(f"no Python {request.param} is to be had on this machine")
        yield debian


@pytest.mark.parametrize("by", WAYS)
def test_wheel_runs_a_model_in_an_empty_environment(by: str, python: Python, built: Path) -> None:
    made = trial(python, by, built)
    assert made.is_sound, made
