"""The image where a container registry answers: a registry of this machine's own, with a Debian 12 image in it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesim.images import rootfs
from tests.integration.conftest import EMULATED, edgesim
from tests.support import debian_registry

pytestmark = [
    pytest.mark.emulation,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.getuid() != 0, reason="making a Debian image that has apt in it takes root"),
]
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with debian_registry.served(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def public_base(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Debian 12 image for both architectures, as the public one is; only this machine's half ever runs."""
    parts = [_push(registry, tmp_path_factory.mktemp(name), name) for name in ("amd64", "arm64")]
    reference = f"{registry}/debian:bookworm-slim"
    subprocess.run(["docker", "buildx", "imagetools", "create", "-t", reference, *parts], check=True)
    yield reference
    subprocess.run(["docker", "image", "rm", "-f", *parts], check=True, capture_output=True)


def _push(registry: str, directory: Path, architecture: str) -> str:
    # The host's half has apt and its scripts have run; the other's is unpacked only, for nothing in it is executed.
    options = ["--variant=apt", "--include=ca-certificates"] if architecture == "amd64" else ["--variant=extract"]
    if architecture != "amd64":
        options.append("--include=base-files,libc6")
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            *options,
            f"--architectures={architecture}",
            rootfs.SUITE,
            directory / "root.tar",
            *rootfs.mirrors(),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    (directory / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    tag = f"{registry}/debian-{architecture}:bookworm"
    build = ["docker", "buildx", "build", "--quiet", "--platform", f"linux/{architecture}", "--provenance=false"]
    subprocess.run([*build, "-t", tag, "--load", directory], check=True, capture_output=True)
    subprocess.run(["docker", "push", "--quiet", tag], check=True, capture_output=True)
    (directory / "root.tar").unlink()
    return tag


def test_the_image_is_built_on_a_public_base_and_serves(public_base: str, tmp_path: Path) -> None:
    result = tmp_path / "r.json"
    done = edgesim(
        "run",
        "jetson-nano",
        "digits",
        *EMULATED,
        "--requests",
        "3",
        "--base-image",
        public_base,
        "-o",
        result,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(result.read_text())
    assert document["image"]["base"] == public_base
    assert document["device"]["architecture"] == "aarch64"
    subprocess.run(["docker", "image", "rm", "-f", document["image"]["reference"]], check=True, capture_output=True)


def test_the_dockerfile_builds_without_edgesim(public_base: str, tmp_path: Path) -> None:
    for name in ("edgesim", "Dockerfile.jetson", ".dockerignore"):
        source = CHECKOUT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, tmp_path / name)
    tag = "edgesim/test-plain:latest"
    command = ["docker", "buildx", "build", "--platform", "linux/arm64", "-f", "Dockerfile.jetson", "--load", "-t", tag]
    certificates = ["--secret", "id=ca,src=/etc/ssl/certs/ca-certificates.crt"]
    done = subprocess.run(
        [*command, "--build-arg", f"BASE={public_base}", *certificates, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    script = "import onnxruntime, edgesim_server.routes, platform; print(platform.machine(), onnxruntime.__version__)"
    run = ["docker", "run", "--rm", "--label", "edgesim", "--platform", "linux/arm64", "-e", "QEMU_CPU=cortex-a57"]
    said = subprocess.run([*run, "--entrypoint", "python3.11", tag, "-c", script], capture_output=True, text=True)
    subprocess.run(["docker", "image", "rm", "-f", tag], check=True, capture_output=True)
    assert said.stdout.startswith("aarch64 "), said.stderr
