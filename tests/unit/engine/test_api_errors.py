"""Errors of the engine: what is in the way, and the fix for this user and this address."""

import os

import docker.errors
import pytest
import requests

from edgesim.engine.api_errors import engine_call
from edgesim.errors import EdgesimError, EngineDenied, EngineMissing, HostError, KilledFromOutside, LimitsDenied


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def translated(error: Exception) -> EdgesimError:
    with pytest.raises(EdgesimError) as caught, engine_call():
        raise error
    return caught.value


def denied() -> Exception:
    return docker.errors.DockerException("Error", PermissionError(13, "Permission denied"))


def test_user_without_a_name_is_told_to_take_the_group_of_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert "usermod -aG docker" in translated(denied()).fix
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    error = translated(denied())
    assert isinstance(error, EngineDenied)
    assert f"user {os.getuid()} may not use" in error.problem
    assert "--group-add" in error.fix


def test_engine_of_another_address_is_not_mended_by_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2375")
    error = translated(requests.ConnectionError("refused"))
    assert isinstance(error, EngineMissing)
    assert "tcp://docker:2375" in error.problem
    assert "scripts/engine" not in error.fix
    assert "NO_PROXY" not in error.fix


def test_engine_behind_a_proxy_is_told_with_the_variable_that_goes_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2375")
    monkeypatch.setenv("HTTP_PROXY", "http://ann:secret@proxy:3128")
    fix = translated(requests.ConnectionError("refused")).fix
    assert "through the proxy http://proxy:3128: add docker to NO_PROXY" in fix
    assert "secret" not in fix


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("invalid mount config: bind source path does not exist: /src/net.onnx", "`mount=volume`"),
        ("Requested CPUs are not available - requested 0-1, available: 1", "`client_cores`"),
        (
            "AppArmor enabled on system but the docker-default profile could not be loaded: running `apparmor_parser "
            "apparmor_parser --version` failed",
            "apt-get install apparmor",
        ),
    ],
)
def test_refusal_that_is_the_hosts_says_what_to_do(text: str, words: str) -> None:
    error = translated(docker.errors.APIError("400", explanation=text))
    assert type(error) is HostError
    assert text in error.problem
    assert words in error.fix


@pytest.mark.parametrize(
    "text",
    [
        "crun: the requested cgroup controller `cpu` is not available: OCI runtime error",
        "crun: controller `io` is not available under /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/"
        "user.slice/libpod-13be.scope/container/cgroup.controllers: OCI runtime error",  # crun 1.21
        "opening file `cpu.max` for writing: Permission denied: OCI runtime permission denied error",
        "applying cgroup configuration for process caused: rootless needs no limits + no cgrouppath when no permission "
        "is granted for cgroups",
    ],
)
def test_limit_that_an_engine_without_root_may_not_set_says_how_it_is_delegated(text: str) -> None:
    error = translated(docker.errors.APIError("500", explanation=text))
    assert type(error) is LimitsDenied
    assert error.exit_code == 3
    assert "Delegate=cpu cpuset io memory pids" in error.fix


@pytest.mark.parametrize(
    "text", ["No such container: 92bb68", "can not get logs from container which is dead or marked for removal"]
)
def test_container_that_somebody_removed_is_told_as_that(text: str) -> None:
    error = translated(docker.errors.APIError("409", explanation=text))
    assert type(error) is KilledFromOutside
    assert "another program removed the container" in error.problem


def test_container_without_an_engine_is_told_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    missing = translated(docker.errors.DockerException("Error", FileNotFoundError(2, "No such file")))
    assert isinstance(missing, EngineMissing)
    assert "-v /var/run/docker.sock" in missing.fix
    assert "`engine=local`" in missing.fix
    assert "--group-add" in translated(denied()).fix, "though the container's user has a name"


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        # Of Docker, and of Podman 5.4 without root.
        ("invalid mount config for type bind: bind source path does not exist: /a", "use `mount=volume`"),
        ("making volume mountpoint for volume /a/model.onnx: mkdir /a: permission denied", "use `mount=volume`"),
        # Of Podman's crun on a host with both versions of control groups.
        ("crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2", 'runtime = "runc"'),
    ],
)
def test_what_an_engine_refuses_for_its_host_says_what_to_set(words: str, fix: str) -> None:
    error = translated(docker.errors.APIError("500 Server Error", explanation=words))
    assert isinstance(error, HostError)
    assert fix in error.fix


def test_authority_without_a_key_usage_is_told_with_how_to_make_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2376")
    error = translated(requests.exceptions.SSLError("verify failed: CA cert does not include key usage extension"))
    assert isinstance(error, EngineMissing)
    assert "the engine at tcp://docker:2376" in error.problem
    assert "keyUsage=critical,keyCertSign" in error.fix


def test_engine_that_is_behind_tls_on_one_side_alone_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2376")
    explanation = "Client sent an HTTP request to an HTTPS server."
    asked = docker.errors.APIError("400 Client Error", explanation=explanation)
    for error in (asked, docker.errors.DockerException(f"Error while fetching server API version: {asked}")):
        told = translated(error)
        assert isinstance(told, EngineMissing)
        assert "tcp://docker:2376 is behind TLS, and was asked without" in told.problem
        assert "DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH" in told.fix
    told = translated(requests.exceptions.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"))
    assert "is not behind TLS" in told.problem
    assert "unset DOCKER_TLS_VERIFY" in told.fix


def test_context_that_is_a_url_without_certificates_is_told_to_be_a_named_one() -> None:
    with pytest.raises(EngineMissing) as caught, engine_call("tcp://board:2376"):
        raise docker.errors.APIError("400", explanation="Client sent an HTTP request to an HTTPS server.")
    assert "docker context create NAME --docker host=tcp://board:2376" in caught.value.fix
