"""A job that CI runs in a container, with an engine: this host's by its socket, or docker:dind in a container beside.

The containers run this host's programs, mounted read-only, since a test fetches no images. In place of docker:dind a
script makes certificates as docker:dind does, and starts this host's engine in its container.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.types import Mount

from edgesim.host.emulator import arm64_program

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MARK = {"edgesim.test": ""}
# docker:dind writes what its clients need into the directory `client`.
_ENGINE = """
set -e
mkdir -p "$DOCKER_TLS_CERTDIR"/server "$DOCKER_TLS_CERTDIR"/client
cd "$DOCKER_TLS_CERTDIR"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test" -keyout key.pem -out server/ca.pem
cp server/ca.pem client
for side in server client; do
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$side" -keyout $side/key.pem -out request.pem
  printf 'subjectAltName=DNS:docker\\nextendedKeyUsage=serverAuth,clientAuth\\n' >extensions
  openssl x509 -req -in request.pem -CA server/ca.pem -CAkey key.pem -CAcreateserial -days 2 -extfile extensions \
    -out $side/cert.pem
done
exec dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2376 --tlsverify \
  --tlscacert=server/ca.pem --tlscert=server/cert.pem --tlskey=server/key.pem
"""
# The image that the examples register an emulator with. This host's kernel has an emulator: the image need only run.
_REGISTER = "tonistiigi/binfmt"
_START_S = 60


@dataclass(frozen=True)
class JobContainer:
    """The container of a job, by its name."""

    name: str

    def command(self, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> list[str]:
        """Return the command line of this host that runs a command in the job's container."""
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        return ["docker", "exec", "--workdir", str(directory), *variables, self.name, *command]


@contextmanager
def beside_the_engine(*, read: Iterable[Path], write: Iterable[Path]) -> Iterator[JobContainer]:
    """Start the container of a job that uses this host's engine by its socket; remove all that is the job's afterwards.

    Args:
        read, write: what the job sees of this host beside its programs, and may only read, or write, too.
    """
    with _Containers.made() as containers:
        socket = Mount("/var/run/docker.sock", "/var/run/docker.sock", type="bind")
        yield containers.start_job([socket], read, write)


@contextmanager
def with_docker_in_docker(certificates: str, *, read: Iterable[Path], write: Iterable[Path]) -> Iterator[JobContainer]:
    """Start the containers of a job and of its service docker:dind; remove all that is theirs afterwards.

    Args:
        certificates: the job's DOCKER_TLS_CERTDIR.
        read, write: what the job sees of this host beside its programs, and may only read, or write, too.
    """
    with _Containers.made() as containers:
        keys = Mount(certificates, containers.volume("keys"))
        images = Mount("/var/lib/docker", containers.volume("images"))
        environment = {"DOCKER_TLS_CERTDIR": certificates}
        service = containers.start(
            "docker", ["bash", "-c", _ENGINE], [keys, images], environment=environment, privileged=True
        )
        _run(
            "docker", "exec", service, "timeout", str(_START_S), "sh", "-c", "until docker version; do sleep 0.3; done"
        )
        importing = ["docker", "exec", "--interactive", service, "docker", "import", "--platform", "linux/arm64"]
        _run(*importing, "--change", 'ENTRYPOINT ["/program"]', "-", _REGISTER, stdin=_archive_of(arm64_program()))
        yield containers.start_job([keys], read, write)


@dataclass(frozen=True)
class _Containers:
    """The containers of one job on this host's engine, their network and their volumes; all have the job's name."""

    client: docker.DockerClient
    job: str
    scratch: Path
    after: ExitStack

    @classmethod
    @contextmanager
    def made(cls) -> Iterator["_Containers"]:
        job = f"edgesim-test-{uuid.uuid4().hex[:8]}"
        with ExitStack() as after:
            scratch = after.enter_context(tempfile.TemporaryDirectory(prefix=f"{job}-", dir="/tmp"))
            client = docker.from_env()
            after.callback(client.close)
            # The containers mount their programs: the image's own is not used.
            client.api.import_image_from_data(_archive_of(arm64_program()), repository=job, tag="1")
            after.callback(client.images.remove, f"{job}:1", force=True)
            after.callback(client.networks.create(job, labels=_MARK).remove)
            yield cls(client, job, Path(scratch), after)

    def volume(self, of: str) -> str:
        volume = self.client.volumes.create(f"{self.job}-{of}", labels=_MARK)
        self.after.callback(volume.remove, force=True)
        return str(volume.name)

    def start(self, alias: str, command: list[str], mounts: Sequence[Mount], **options: Any) -> str:
        """Start a container that the others reach by its alias; return its name."""
        programs = [_bind(Path(path)) for path in (*_SYSTEM, sys.prefix, sys.base_prefix)]
        container = self.client.containers.create(
            f"{self.job}:1",
            command,
            name=f"{self.job}-{alias}",
            labels=_MARK,
            mounts=[*programs, *mounts],
            tmpfs={"/run": "exec", "/tmp": "exec"},
            network=self.job,
            networking_config={self.job: self.client.api.create_endpoint_config(aliases=[alias])},
            **{**options, "environment": {"PATH": _PATH, **options.get("environment", {})}},
        )
        self.after.callback(container.remove, force=True, v=True)
        container.start()
        return str(container.name)

    def start_job(self, mounts: Sequence[Mount], read: Iterable[Path], write: Iterable[Path]) -> JobContainer:
        installs = self.scratch / "apt-get"
        installs.write_text("#!/bin/sh\n")  # this host has what a job installs
        installs.chmod(0o755)
        own = Mount("/usr/bin/apt-get", str(installs), type="bind", read_only=True)
        seen = [*map(_bind, read), *map(partial(_bind, writable=True), write), own]
        return JobContainer(self.start("job", ["sleep", "infinity"], [*mounts, *seen]))


def _bind(path: Path, writable: bool = False) -> Mount:
    return Mount(str(path), str(path.resolve()), type="bind", read_only=not writable)


def _archive_of(program: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("program")
        entry.size, entry.mode = len(program), 0o755
        tar.addfile(entry, io.BytesIO(program))
    return archive.getvalue()


def _run(*command: str, stdin: bytes = b"") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=2 * _START_S)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
