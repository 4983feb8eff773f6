"""Which tests can run on this host, and what they share."""

import gc
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper
from playwright.sync_api import sync_playwright

from edgesim.engine import docker_engine
from edgesim.errors import EdgesimError
from edgesim.host import emulator
from edgesim.models import repository, samples
from edgesim.models.repository import Model
from tests.support.leftovers import assert_none_since, leftover_files, leftovers
from tests.support.markers import uses_engine

pytest_plugins = ["tests.support.side_by_side"]

# How long an example takes says how busy this host is, not whether edgesim is right.
settings.register_profile("any host", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any host")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-docker",
        action="store_true",
        help="fail, instead of skipping, tests that need Docker, emulation or a browser",
    )


def pytest_collection_finish() -> None:
    """Spare the collected tests and the imported modules every later garbage collection.

    The load generator collects garbage before each load, and its tests do so hundreds of times.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A place of this test run's own for temporary files, so that what stays there is known to be ours."""
    directory = str(tmp_path_factory.mktemp("tmp"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", directory)
        patch.setattr(tempfile, "tempdir", directory)
        yield


@cache
def _engine_problem() -> str | None:
    try:
        docker_engine.Engine()
    except EdgesimError as error:
        return error.problem
    return None


@cache
def _emulation_problem() -> str | None:
    try:
        emulator.require("arm64")
    except EdgesimError as error:
        return error.problem
    return _engine_problem()


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@cache
def browser_path() -> str | None:
    """Chromium's program, the system's or the one that Playwright has fetched; None where there is neither."""
    if found := next((path for name in BROWSERS if (path := shutil.which(name))), None):
        return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


def _browser_problem() -> str | None:
    return None if browser_path() else "no Chromium: scripts/browser installs one"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, with the reason, before a fixture tries; a failure with --require-docker."""
    problems: dict[str, Callable[[], str | None]] = {
        "docker": _engine_problem,
        "emulation": _emulation_problem,
        "browser": _browser_problem,
    }
    for marker, find_problem in problems.items():
        if item.get_closest_marker(marker) and (problem := find_problem()):
            if item.config.getoption("--require-docker"):
                pytest.fail(f"needs {marker}, and --require-docker was given: {problem}", pytrace=False)
            pytest.skip(f"needs {marker}: {problem}")


@pytest.fixture(scope="session")
def digits() -> Model:
    return repository.find("digits", samples.ensure("digits"))


@pytest.fixture(scope="session")
def resnet18() -> Model:
    return repository.find("resnet18", samples.ensure("resnet18"))


@pytest.fixture
def edgesim_command() -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "edgesim.cli"]


@pytest.fixture
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves edgesim's temporary files or, where it uses the engine, containers, networks, volumes."""
    find = leftovers if uses_engine(request.node) else leftover_files
    before = find()
    yield
    assert_none_since(before, find)


def write_model(
    path: Path, *, operation: str = "Relu", shape: tuple[int | str, ...] = ("n", 4), datatype: int = TensorProto.FLOAT
) -> Path:
    """A model of one node, ``x`` to ``y``, both of `shape`; float32 unless told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node(operation, ["x"], ["y"])],
        "one-node",
        [helper.make_tensor_value_info("x", datatype, shape)],
        [helper.make_tensor_value_info("y", datatype, shape)],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    onnx.save(proto, path)
    return path
