"""Images and bundles in a registry: by the digest that they were made with, and found by what refers to them."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from edgesim.bundles import published
from edgesim.bundles.manifest import File
from edgesim.delivery import oci_archive, publish
from edgesim.delivery.oci_archive import Archive
from edgesim.engine import registry_access
from edgesim.errors import NotPublished, UsageError
from edgesim.jobs.bundle import _portable, bundle
from edgesim.jobs.replay import _archive
from edgesim.options import RunOptions
from edgesim.progress import Stages
from edgesim.registry import reference
from edgesim.registry.access import Access
from edgesim.registry.documents import CREATED, LICENSES
from edgesim.registry.repository import Repository
from tests.support.bundles import recorded
from tests.support.fake_registry import FakeRegistry, served


def opened(fake: FakeRegistry) -> Repository:
    return Repository(Access(registry=fake.address, insecure=True), "shop/x")


def image(directory: Path) -> Archive:
    layers = [oci_archive.write_layer(directory / f"{i}.tar", [bytes([i]) * 100], "test") for i in range(2)]
    platform = {"os": "linux", "architecture": "arm64"}
    return Archive("shop/x:1", platform, {"Labels": {"a": "b"}}, layers, annotations={LICENSES: "MIT"})


def test_registry_knows_a_packed_image_by_the_digest_of_its_archive(tmp_path: Path) -> None:
    archive = image(tmp_path)
    with served(FakeRegistry()) as fake, opened(fake) as repository:
        assert publish.push(repository, archive, "1") == archive.digest
        assert set(fake.manifests) == {"1", archive.digest}
        assert len(fake.blobs) == 3


def test_annotations_are_in_the_manifest_and_not_in_the_image(tmp_path: Path) -> None:
    archive = image(tmp_path)
    bare = replace(archive, annotations={})
    assert archive.config == bare.config
    assert archive.digest != bare.digest
    assert b"annotations" not in bare.manifest


def test_bundle_is_pushed_with_its_result_as_referrer_and_fetched_again(tmp_path: Path) -> None:
    recorded(tmp_path).write(tmp_path / "r.json")
    with served(FakeRegistry(knows_referrers=True)) as fake:
        name = f"{fake.address}/shop/x:run-1"
        made = bundle(tmp_path / "r.json", tmp_path / "b.tar", push=name, annotations={LICENSES: "MIT"})
        assert made.published is not None
        assert made.published_result is not None
        digest = made.published.partition("@")[2]
        with opened(fake) as repository:
            (result,) = repository.referrers(digest, published.RESULT_TYPE)
        assert made.published_result.endswith(result["digest"])
        assert set(made.annotations) == {CREATED, LICENSES}
        again = bundle(tmp_path / "r.json", tmp_path / "b.tar", push=name, annotations={LICENSES: "MIT"})
        assert again.published == made.published
        for source in (name, made.published):
            fetched = _archive(source, tmp_path, None, Stages(None))
            assert fetched.read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_bundle_of_a_published_image_refers_to_the_image_and_takes_its_origin(tmp_path: Path) -> None:
    archive = image(tmp_path)
    result, target = tmp_path / "r.json", tmp_path / "b.tar"
    result.write_text("{}")
    target.write_bytes(b"bundle")
    described = File(sha256=hashlib.sha256(b"bundle").hexdigest(), size_bytes=6)
    with served(FakeRegistry(knows_referrers=True)) as fake, opened(fake) as repository:
        publish.push(repository, archive, "1")
        name = reference.parse_tagged(f"{fake.address}/shop/x:run", "push")
        pushed = published.push(
            repository, name, target, described, result, annotations={CREATED: "2026"}, image=archive.digest
        )
        (referrer,) = repository.referrers(archive.digest, published.BUNDLE_TYPE)
    assert pushed.bundle.endswith(referrer["digest"])
    assert pushed.annotations == {LICENSES: "MIT", CREATED: "2026"}


def test_image_is_no_bundle(tmp_path: Path) -> None:
    with served(FakeRegistry()) as fake:
        with opened(fake) as repository:
            publish.push(repository, image(tmp_path), "1")
        with pytest.raises(NotPublished, match="is not a bundle"):
            _archive(f"{fake.address}/shop/x:1", tmp_path, None, Stages(None))


def test_annotations_without_a_push_are_refused(tmp_path: Path) -> None:
    recorded(tmp_path).write(tmp_path / "r.json")
    with pytest.raises(UsageError, match="are for a bundle that is pushed"):
        bundle(tmp_path / "r.json", tmp_path / "b.tar", annotations={LICENSES: "MIT"})


def test_bundle_does_not_tell_the_replaying_host_where_the_image_was(tmp_path: Path) -> None:
    packed = RunOptions.of(packed="r.example/x@sha256:" + 64 * "0")
    assert "packed" not in str(_portable(packed))


def test_account_is_that_of_docker_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert registry_access.credentials("r.example") is None
    (tmp_path / "config.json").write_text('{"auths": {"r.example": {"auth": "Y29vazpzM2NyZXQ="}}}')
    account = registry_access.credentials("r.example")
    assert account is not None
    assert (account.username, account.password) == ("cook", "s3cret")
    assert "s3cret" not in repr(account)


def test_account_is_that_of_a_credential_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-kitchen"
    helper.write_text('#!/bin/sh\nread host; echo "{\\"Username\\": \\"cook\\", \\"Secret\\": \\"of $host\\"}"\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credHelpers": {"r.example": "kitchen"}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    account = registry_access.credentials("r.example")
    assert account is not None
    assert (account.username, account.password) == ("cook", "of r.example")
