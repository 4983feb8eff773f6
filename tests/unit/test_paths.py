"""Where edgesim keeps files, for users with and without a home directory."""

from pathlib import Path

import pytest

from edgesim import paths, profiles
from edgesim.boards import limit_probes
from edgesim.boards.limits import limits_of
from edgesim.cli import _last_results
from edgesim.errors import HostError
from edgesim.predictions import calibration


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the user database."""
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "EDGESIM_CACHE_DIR", "EDGESIM_CONFIG_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it does for such a user


@pytest.mark.usefixtures("homeless")
def test_user_without_a_home_is_told_which_variable_to_set() -> None:
    assert paths.home_directory() is None
    with pytest.raises(HostError, match="has no home directory") as caught:
        paths.cache_directory()
    assert "set EDGESIM_CACHE_DIR" in caught.value.fix
    with pytest.raises(HostError) as caught:
        paths.configuration_directory()
    assert "set EDGESIM_CONFIG_DIR" in caught.value.fix


@pytest.mark.usefixtures("homeless")
def test_user_without_a_home_has_kept_no_calibration_no_probe_and_no_result() -> None:
    nano = profiles.load("jetson-nano")
    assert calibration.find(nano) is None
    assert limit_probes.recorded(None, limits_of(nano, host_cores=4, host_memory_bytes=1 << 32)) == {}
    with pytest.raises(HostError):
        _last_results.latest(1)


def test_directory_that_the_user_gives_is_absolute_and_a_tilde_is_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EDGESIM_CACHE_DIR", "relative")
    assert paths.cache_directory() == tmp_path / "relative"
    monkeypatch.setenv("EDGESIM_CACHE_DIR", "~/cache")
    assert paths.cache_directory() == tmp_path / "home" / "cache"
