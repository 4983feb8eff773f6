"""Debian's docker-registry, unpacked and not installed, so that no service of this machine's is made of it."""

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "cook", "s3cret"
# The password as bcrypt has it, which is the one form that the registry reads.
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"


@contextmanager
def served(directory: Path, *, account: bool = False, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Serve a registry on a free port of this machine for the length of a ``with`` block; yield its address.

    Args:
        directory: gets the program and what is pushed.
        account: let in only `USER` with `PASSWORD`.
        tls: the certificate and the key.
    """
    program = _program(directory)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    certificate = f", tls: {{certificate: {tls[0]}, key: {tls[1]}}}" if tls is not None else ""
    config = directory / f"{address}.yml"
    config.write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {directory}/data}}}}\n"
        f"http: {{addr: '{address}'{certificate}}}\n"
        + (f"auth: {{htpasswd: {{realm: kitchen, path: {directory}/htpasswd}}}}\n" if account else "")
    )
    (directory / "htpasswd").write_text(_HTPASSWD)
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen([program, "serve", config], stdout=log, stderr=log)
    try:
        _wait(address)
        yield address
    finally:
        process.terminate()
        process.wait()


def _program(directory: Path) -> Path:
    program = directory / "usr/bin/docker-registry"
    if not program.exists():
        subprocess.run(
            ["apt-get", "download", "-qq", "docker-registry"], cwd=directory, check=True, capture_output=True
        )
        (deb,) = directory.glob("docker-registry_*.deb")
        subprocess.run(["dpkg-deb", "-x", deb, directory], check=True)
    return program


def _wait(address: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/v2/").close()
            return
        except urllib.error.HTTPError:  # it asks for an account, or for TLS
            return
        except OSError:
            time.sleep(0.1)
