"""A context's digest: another one whenever a build would get something else, and only then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.engine.build_context import digest

DOCKERFILE = Path("Dockerfile")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY . /app\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("print()")
    (tmp_path / "app" / "link").symlink_to("main.py")
    (tmp_path / ".dockerignore").write_text("# not sent\n*.log\n")
    (tmp_path / "one.log").write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda context: (context / "Dockerfile").write_text("FROM base\n"),
        lambda context: (context / "app" / "main.py").write_text("print(1)"),
        lambda context: (context / "app" / "main.py").chmod(0o700),
        lambda context: (context / "app" / "main.py").rename(context / "app" / "other.py"),
        lambda context: ((context / "app" / "link").unlink(), (context / "app" / "link").symlink_to("/etc")),
        lambda context: (context / "app" / "empty").mkdir(),
        lambda context: (context / ".dockerignore").unlink(),
    ],
)
def test_a_change_of_what_a_build_gets_changes_the_digest(context: Path, change: Callable[[Path], object]) -> None:
    before = digest(context, DOCKERFILE)
    change(context)
    assert digest(context, DOCKERFILE) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda context: None,
        lambda context: os.utime(context / "app" / "main.py", (0, 0)),
        lambda context: (context / "one.log").write_text("2"),
        lambda context: (context / "app" / "two.log").unlink(missing_ok=True),
    ],
)
def test_times_and_ignored_files_do_not_change_the_digest(context: Path, change: Callable[[Path], object]) -> None:
    before = digest(context, DOCKERFILE)
    change(context)
    assert digest(context, DOCKERFILE) == before


def test_a_dockerfile_s_own_list_of_ignored_files_goes_before_the_directory_s(context: Path) -> None:
    before = digest(context, DOCKERFILE)
    (context / "Dockerfile.dockerignore").write_text("app\nDockerfile.dockerignore\n")
    own = digest(context, DOCKERFILE)
    assert own != before
    (context / "app" / "main.py").write_text("print(2)")
    assert digest(context, DOCKERFILE) == own
    (context / "one.log").write_text("2")
    assert digest(context, DOCKERFILE) != own
