"""An image and a bundle published in a real registry, with an account, and run from there by their digests."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgesim.bundles.published import BUNDLE_TYPE, RESULT_TYPE
from edgesim.errors import RegistryError
from edgesim.registry.access import Access, Credentials
from edgesim.registry.documents import LICENSES, REVISION, SOURCE
from edgesim.registry.repository import Repository
from tests.integration.conftest import EMULATED, edgesim
from tests.support import debian_registry
from tests.support.debian_registry import PASSWORD, USER

pytestmark = [pytest.mark.emulation, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Published:
    """A project whose model was packed and pushed.

    Attributes:
        image: the packed image by its digest.
        logged_in: the environment of a user who has an account at the registry.
    """

    directory: Path
    registry: str
    image: str
    logged_in: Mapping[str, str]

    def repository(self) -> Repository:
        login = Credentials(username=USER, password=PASSWORD)
        return Repository(Access(registry=self.registry, insecure=True, credentials=lambda: login), "shop/digits")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    directory = tmp_path_factory.mktemp("project")
    assert edgesim("models", "build", "digits", "--models", "models", cwd=directory).returncode == 0
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (
        ["init", "-q"],
        ["remote", "add", "origin", f"https://{USER}:{PASSWORD}@git.example.org/shop/digits.git"],
        ["add", "models"],
        ["commit", "-q", "-m", "digits"],
    ):
        subprocess.run([*git, *words], cwd=directory, check=True)
    with debian_registry.served(tmp_path_factory.mktemp("registry"), account=True) as address:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        configuration = tmp_path_factory.mktemp("docker")
        (configuration / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
        logged_in = {**os.environ, "DOCKER_CONFIG": str(configuration)}
        annotation = ("--annotation", f"{LICENSES}=MIT")
        packed = edgesim(
            *("pack", "jetson-nano", "digits", "--push", f"{address}/shop/digits:1", "--json", *annotation),
            cwd=directory,
            env=logged_in,
        )
        assert packed.returncode == 0, packed.stderr
        document = json.loads(packed.stdout)
        assert PASSWORD not in packed.stdout + packed.stderr
        assert document["published"] == f"{address}/shop/digits@{document['digest']}"
        # What runs below is what the registry has, and not what was packed here.
        subprocess.run(["docker", "image", "rm", document["reference"]], check=True, capture_output=True)
        yield Published(directory, address, document["published"], logged_in)
        subprocess.run(["docker", "image", "rm", "-f", document["published"]], check=False, capture_output=True)


def test_registry_has_the_image_with_where_it_is_from(published: Published) -> None:
    with published.repository() as repository:
        data, described = repository.manifest("1")
    assert published.image.endswith(described.digest)
    noted = json.loads(data)["annotations"]
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=published.directory, text=True).strip()
    assert (noted[REVISION], noted[LICENSES]) == (commit, "MIT")
    assert noted[SOURCE] == "https://git.example.org/shop/digits.git"


def test_published_image_is_run_by_its_digest_bundled_and_replayed_from_the_registry(published: Published) -> None:
    def call(*words: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        done = edgesim(*words, cwd=published.directory, env=published.logged_in, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    call("run", "jetson-nano", "--packed", published.image, *EMULATED, "--requests", "3", "-o", "r.json", timeout=600)
    result = json.loads((published.directory / "r.json").read_text())
    assert result["image"]["reference"] == published.image
    assert result["device"]["mount"] == "image"
    assert PASSWORD not in (published.directory / "r.json").read_text()

    name = f"{published.registry}/shop/digits:run-1"
    made = json.loads(call("bundle", "r.json", "-o", "r.edgesim.tar", "--push", name, "--json").stdout)
    with published.repository() as repository:
        bundle = made["published"].partition("@")[2]
        (of_image,) = repository.referrers(published.image.partition("@")[2], BUNDLE_TYPE)
        (of_bundle,) = repository.referrers(bundle, RESULT_TYPE)
    assert of_image["digest"] == bundle
    assert of_bundle["digest"] == made["published_result"].partition("@")[2]
    assert of_bundle["annotations"][LICENSES] == "MIT"

    verdict = json.loads(call("replay", made["published"], "--json", timeout=600).stdout)
    items = {item["name"]: item for item in verdict["items"]}
    assert items["answers: probabilities"]["finding"].startswith("equal to the bit")
    assert items["memory_unreclaimable_bytes"]["verdict"] == "PASS"


def test_published_image_is_checked_by_its_digest(published: Published) -> None:
    done = edgesim("check", "jetson-nano", "--packed", published.image, "--json", env=published.logged_in, timeout=600)
    assert done.returncode in (0, 6), done.stdout + done.stderr  # INCONCLUSIVE where this host has too few cores
    assert json.loads(done.stdout)["mount"] == "image"


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("pack", "jetson-nano", "digits", "--push", "{name}:2"), 3, "refuses shop/digits, without an account"),
        (("replay", "{name}:run-9"), 3, "refuses shop/digits, without an account"),
        (("run", "jetson-nano", "--packed", "{name}@sha256:" + 64 * "0"), 3, "refuses shop/digits to the engine"),
    ],
)
def test_user_without_an_account_is_told_to_log_in(
    published: Published, tmp_path: Path, words: tuple[str, ...], code: int, problem: str
) -> None:
    name = f"{published.registry}/shop/digits"
    done = edgesim(
        *(word.format(name=name) for word in words),
        cwd=published.directory,
        env={**os.environ, "DOCKER_CONFIG": str(tmp_path)},
    )
    assert done.returncode == code
    assert f"registry {published.registry}: {problem}" in done.stderr
    assert f"fix: docker login {published.registry}" in done.stderr


def test_digest_that_the_registry_does_not_have_is_told(published: Published) -> None:
    nothing = f"{published.registry}/shop/digits@sha256:{64 * '0'}"
    done = edgesim("run", "jetson-nano", "--packed", nothing, env=published.logged_in)
    assert done.returncode == 2
    assert re.search(r"registry .*: has no shop/digits with digest sha256:0{64}", done.stderr)


def test_certificate_of_nobody_is_told_with_where_its_authority_belongs(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run([*make, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    with debian_registry.served(tmp_path, tls=(certificate, key)) as address:
        with (
            Repository(Access(registry=address, insecure=False), "shop/x") as untrusted,
            pytest.raises(RegistryError, match="this host does not trust its certificate") as caught,
        ):
            untrusted.push_bytes(b"{}")
        assert f"/etc/docker/certs.d/{address}/ca.crt" in caught.value.fix
        for access in (
            Access(registry=address, insecure=False, authority=certificate),
            Access(registry=address, insecure=True),
        ):
            with Repository(access, "shop/x") as trusted:
                assert trusted.push_bytes(b"{}").startswith("sha256:")
