"""Which engine is meant, and whether it is on another machine."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import docker
import pytest
import requests

from edgesim.boards.launch import resolve_context
from edgesim.engine import context
from edgesim.engine.docker_engine import Engine
from edgesim.errors import EngineMissing, UsageError


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker configuration of the test's own."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("url", "machine"),
    [
        ("unix:///var/run/docker.sock", None),
        ("npipe:////./pipe/docker_engine", None),
        ("tcp://127.0.0.1:2375", None),
        ("tcp://[::1]:2375", None),
        ("tcp://localhost:2375", None),
        ("tcp://board1:2376", "board1"),
        ("tcp://10.0.0.7:2375", "10.0.0.7"),
        ("tcp://[fe80::7]:2375", "fe80::7"),
        ("ssh://pi@10.0.0.7", "10.0.0.7"),
        ("ssh://pi@10.0.0.7:2222", "10.0.0.7"),
    ],
)
def test_engines_address_shows_whether_it_is_on_another_machine(url: str, machine: str | None) -> None:
    found = context.resolve(url)
    assert (found.machine, found.command_option) == (machine, ("--host", url))


@pytest.fixture
def older_engine() -> Iterator[str]:
    """The address of an engine that refuses requests of a newer version of the API than its own."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"ApiVersion": "1.41", "Version": "20.10.24"}'
            self.send_response(200 if self.path in ("/version", "/v1.41/version") else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_engine_at_a_loopback_address_is_asked_past_the_proxies_as_the_docker_command_does(
    scheme: str, older_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = context.resolve(f"{scheme}://{older_engine}").connect()
    assert client.version()["Version"] == "20.10.24"
    client.close()


class Client:
    """A client of the docker package, which keeps how it would ask."""

    def __init__(self, *, version: str | None = None, **_: object) -> None:
        self.asked_for = version
        self.api = requests.Session()

    def version(self, *, api_version: bool) -> dict[str, str]:
        return {"ApiVersion": "1.45"}

    def close(self) -> None: ...


def test_engine_behind_tls_is_trusted_by_its_own_authority_alone_and_asked_through_the_users_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A company's bundle of authorities, in the environment for other programs, does not know the engine's."""
    monkeypatch.setattr(docker, "DockerClient", Client)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = context.Context(name=None, url="tcp://10.0.0.7:2376", tls=object()).connect()
    client.api.verify = "/certificates/ca.pem"
    settings = client.api.merge_environment_settings("https://10.0.0.7:2376/version", {}, False, None, None)
    assert settings["verify"] == "/certificates/ca.pem"
    assert settings["proxies"]["https"] == "http://proxy:3128"
    assert client.asked_for == "1.45"


def test_alias_of_the_ssh_configuration_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\n[ "$1 $2" = "-G board1" ] && echo "user pi" && echo "hostname 10.0.0.7"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    assert context.resolve("ssh://board1").machine == "10.0.0.7"


def test_without_ssh_the_alias_is_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert context.resolve("ssh://pi@board1").machine == "board1"


def test_named_context_is_read_from_the_docker_commands_contexts(configuration: Path) -> None:
    write(configuration, "board1", "tcp://10.0.0.7:2375")
    found = context.resolve("board1")
    assert (found.url, found.machine, found.command_option) == (
        "tcp://10.0.0.7:2375",
        "10.0.0.7",
        ("--context", "board1"),
    )


def test_without_a_name_the_context_is_the_docker_commands(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert context.resolve().url.startswith("unix:")
    write(configuration, "board1", "tcp://10.0.0.7:2375")
    (configuration / "config.json").write_text('{"currentContext": "board1"}')
    assert context.resolve().machine == "10.0.0.7"
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert context.resolve().machine is None
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.8:2375")
    assert (context.resolve().machine, context.resolve().command_option) == ("10.0.0.8", None)


def test_missing_context_is_refused_with_the_command_that_creates_it() -> None:
    with pytest.raises(UsageError, match="no docker context of that name") as raised:
        context.resolve("board1")
    assert "docker context create board1" in raised.value.fix


@pytest.mark.parametrize("url", ["tcp://[::1", "tcp://board:99999", "tcp://board:port"])
@pytest.mark.parametrize("by_name", [True, False])
def test_text_that_is_no_address_is_refused_with_addresses(
    url: str, by_name: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///var/run/docker.sock" if by_name else url)
    with pytest.raises(UsageError, match="no address of an engine") as raised:
        context.resolve(url if by_name else None)
    assert "tcp://HOST:2375" in raised.value.fix


def test_missing_certificates_of_the_environment_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.8:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(
        EngineMissing, match=r"behind TLS, and its ca\.pem, cert\.pem or key\.pem is not there"
    ) as raised:
        context.resolve()
    assert "DOCKER_CERT_PATH" in raised.value.fix


def test_missing_certificates_of_a_context_are_told(configuration: Path) -> None:
    write(configuration, "board1", "tcp://10.0.0.7:2376")
    (directory,) = (configuration / "contexts" / "meta").iterdir()
    tls = configuration / "contexts" / "tls" / directory.name / "docker"
    tls.mkdir(parents=True)
    (tls / "cert.pem").symlink_to("nowhere")
    (tls / "key.pem").symlink_to("nowhere")
    with pytest.raises(EngineMissing, match="behind TLS"):
        context.resolve("board1")


def test_plain_process_has_no_context() -> None:
    assert resolve_context("local", None) is None
    with pytest.raises(UsageError, match="`engine=local`: uses no Docker Engine"):
        resolve_context("local", "board1")


def write(configuration: Path, name: str, url: str) -> None:
    # As the docker command keeps them: the directory is the digest of the name.
    directory = configuration / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    directory.mkdir(parents=True)
    endpoints = {"docker": {"Host": url, "SkipTLSVerify": False}}
    (directory / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": endpoints}))


def test_address_that_does_not_answer_is_found_out_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(address: tuple[str, int], timeout: float) -> None:
        asked.append((address, timeout))
        raise TimeoutError("timed out")

    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("socket.create_connection", silent)
    with pytest.raises(EngineMissing, match=r"no Docker Engine answers at tcp://10.0.0.7:2375: no connection within"):
        Engine(context.resolve("tcp://10.0.0.7:2375"))
    assert asked == [(("10.0.0.7", 2375), 10)]


def test_way_back_to_this_machines_engine_is_what_led_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert context.resolve("tcp://board:2375").way_back == "leave `context` out"
    assert context.resolve().way_back == "docker context use default"
    monkeypatch.setenv("DOCKER_HOST", "tcp://docker:2375")
    assert context.resolve().way_back == "unset DOCKER_HOST"
