"""How the docker command is called, for users with and without a home, and which files a snap sees."""

import tempfile
from pathlib import Path

import pytest

from edgesim import paths
from edgesim.engine import docker_command
from edgesim.errors import HostError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DOCKER_CONFIG", "BUILDX_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_user_with_a_home_calls_docker_as_it_is(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "home_directory", lambda: tmp_path)
    assert docker_command.call("ps") == ["docker", "ps"]
    assert not cache.exists()


def test_user_without_a_home_keeps_dockers_files_in_the_cache_and_not_in_the_working_directory(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "home_directory", lambda: None)
    assert docker_command.call("ps") == ["env", f"DOCKER_CONFIG={cache}/docker", "docker", "ps"]


def test_home_that_cannot_be_written_leaves_the_configuration_and_moves_the_builders_state(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "home_directory", lambda: tmp_path / "file")  # nothing can be made below a file
    assert docker_command.call() == ["env", f"BUILDX_CONFIG={cache}/buildx", "docker"]


def test_directory_that_the_user_gives_is_taken(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "home_directory", lambda: None)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_command.call() == ["docker"]


def test_user_with_neither_home_nor_cache_is_told_which_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(paths, "home_directory", lambda: None)
    with pytest.raises(HostError, match="needs a directory for its state") as caught:
        docker_command.call()
    assert "EDGESIM_CACHE_DIR" in caught.value.fix


def test_snap_sees_only_what_is_not_hidden_in_the_home() -> None:
    home = Path("/home/ann")
    files = [home / "edgesim/context", home / ".cache/edgesim", Path("/tmp/context"), Path("/srv/m"), home]
    assert docker_command.unseen_by_snap(files, home) == files[1:]
    assert docker_command.unseen_by_snap(files, None) == files


@pytest.mark.parametrize(("program", "snap"), [("/snap/bin/docker", True), ("/usr/bin/docker", False)])
def test_snap_is_known_by_its_path(program: str, snap: bool) -> None:
    assert docker_command.is_snap(program) is snap


def test_file_that_the_snap_cannot_read_is_refused_with_the_variables_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_command, "is_snap", lambda: True)
    monkeypatch.setattr(paths, "home_directory", lambda: Path("/home/ann"))
    with pytest.raises(HostError, match=r"docker is the snap, which cannot read /home/ann/.cache/x") as caught:
        docker_command.require_seen([Path("/home/ann/models"), Path("/home/ann/.cache/x")])
    assert "EDGESIM_CACHE_DIR=/home/ann/edgesim TMPDIR=/home/ann/edgesim/scratch" in caught.value.fix


def test_both_places_that_the_snap_cannot_read_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_command, "is_snap", lambda: True)
    monkeypatch.setattr(paths, "home_directory", lambda: Path("/home/ann"))
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setenv("EDGESIM_CACHE_DIR", "/home/ann/.cache/edgesim")
    with pytest.raises(HostError, match=r"cannot read /tmp and /home/ann/.cache/edgesim$"):
        docker_command.require_scratch_seen()
    monkeypatch.setattr(tempfile, "tempdir", "/home/ann/edgesim/scratch")
    monkeypatch.setenv("EDGESIM_CACHE_DIR", "/home/ann/edgesim")
    docker_command.require_scratch_seen()


def test_variables_that_docker_would_set_in_containers_are_known_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_command.proxies() == {}
    (tmp_path / "config.json").write_text('{"proxies": {"default": {"httpProxy": "http://a:b@p:1", "noProxy": "x"}}}')
    assert docker_command.proxies() == {
        "HTTP_PROXY": "http://p:1",
        "http_proxy": "http://p:1",
        "NO_PROXY": "x",
        "no_proxy": "x",
    }
    (tmp_path / "config.json").write_text("not JSON")
    assert docker_command.proxies() == {}
