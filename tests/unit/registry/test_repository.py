"""Files, documents and referrers in a registry; what goes wrong is one line with a fix."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesim.errors import EdgesimError, ExitCode, NotPublished, RegistryDenied, RegistryError
from edgesim.registry import documents
from edgesim.registry.access import Access, Credentials
from edgesim.registry.documents import Descriptor
from edgesim.registry.repository import Repository
from edgesim.registry.session import Session
from tests.support.fake_registry import FakeRegistry, served

ACCOUNT = ("cook", "s3cret")


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with served(FakeRegistry()) as fake:
        yield fake


def repository(fake: FakeRegistry, *, account: tuple[str, str] | None = None, insecure: bool = True) -> Repository:
    login = Credentials(username=account[0], password=account[1]) if account is not None else None
    return Repository(Access(registry=fake.address, insecure=insecure, credentials=lambda: login), "shop/x")


def push(fake: FakeRegistry, file: Path, account: tuple[str, str] | None = None) -> Descriptor:
    """Push a file as an artifact; return the artifact's descriptor."""
    file.write_bytes(b"content")
    digest = documents.digest_of(b"content")
    with repository(fake, account=account) as opened:
        opened.push_bytes(documents.EMPTY)
        opened.push_file(file, digest)
        layer = Descriptor(media_type="a/b", digest=digest, size_bytes=7)
        return opened.push_manifest(documents.artifact("a/c", [layer], annotations={}), tag="1")


def test_what_was_pushed_can_be_fetched_by_digest(registry: FakeRegistry, tmp_path: Path) -> None:
    described = push(registry, tmp_path / "file")
    with repository(registry) as opened:
        assert opened.manifest("1")[1] == opened.manifest(described.digest)[1] == described
        layer = Descriptor(media_type="a/b", digest=documents.digest_of(b"content"), size_bytes=7)
        opened.fetch(layer, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"content"


def test_file_that_the_registry_has_is_not_sent_again(registry: FakeRegistry, tmp_path: Path) -> None:
    push(registry, tmp_path / "file")
    sent = registry.asked.count("POST /v2/shop/x/blobs/uploads/")
    push(registry, tmp_path / "file")
    assert registry.asked.count("POST /v2/shop/x/blobs/uploads/") == sent == 2


@pytest.mark.parametrize("knows_referrers", [True, False])
def test_referrers_are_listed_with_and_without_the_api_for_them(
    registry: FakeRegistry, tmp_path: Path, knows_referrers: bool
) -> None:
    registry.knows_referrers = knows_referrers
    subject = push(registry, tmp_path / "file")
    with repository(registry) as opened:
        for kind in ("a/result", "a/other"):
            manifest = documents.artifact(kind, [], annotations={}, subject=subject)
            opened.push_manifest(manifest, subject=subject)
            opened.push_manifest(manifest, subject=subject)  # again: it is listed once
        assert [each["artifactType"] for each in opened.referrers(subject.digest)] == ["a/result", "a/other"]
        assert len(opened.referrers(subject.digest, "a/result")) == 1
    under_tag = [name for name in registry.manifests if name.startswith("sha256-")]
    assert under_tag == ([] if knows_referrers else [subject.digest.replace(":", "-")])


@pytest.mark.parametrize("basic", [True, False])
def test_account_is_sent_when_the_registry_asks_for_one(tmp_path: Path, basic: bool) -> None:
    with served(FakeRegistry(account=ACCOUNT, basic=basic)) as fake:
        assert push(fake, tmp_path / "file", ACCOUNT).digest in fake.manifests


@pytest.mark.parametrize("basic", [True, False])
@pytest.mark.parametrize(
    ("account", "words"),
    [(None, "refuses shop/x, without an account"), (("cook", "wr0ng"), "refuses shop/x to the account cook")],
)
def test_refusal_names_the_account_and_the_login_and_no_password(
    tmp_path: Path, basic: bool, account: tuple[str, str] | None, words: str
) -> None:
    with served(FakeRegistry(account=ACCOUNT, basic=basic)) as fake, pytest.raises(RegistryDenied) as caught:
        push(fake, tmp_path / "file", account)
    assert words in caught.value.problem
    assert f"docker login {fake.address}" in caught.value.fix
    assert "wr0ng" not in f"{caught.value.with_fix} {caught.value!r} {Credentials(username='a', password='wr0ng')}"
    assert caught.value.exit_code == ExitCode.HOST


@pytest.mark.parametrize("keeps_uploads", [True, False])
def test_whether_a_registry_takes_files_is_asked_without_sending_one(
    registry: FakeRegistry, keeps_uploads: bool
) -> None:
    registry.keeps_uploads = keeps_uploads
    with repository(registry) as opened:
        opened.require_writable()
    assert registry.asked == ["POST /v2/shop/x/blobs/uploads/", "DELETE /v2/shop/x/blobs/uploads/1"]
    assert not registry.blobs


def test_registry_that_takes_no_files_says_so_before_one_is_sent() -> None:
    with served(FakeRegistry(account=ACCOUNT)) as fake, repository(fake) as opened, pytest.raises(RegistryDenied):
        opened.require_writable()


def one_line(error: EdgesimError) -> str:
    assert "\n" not in error.problem
    assert error.fix
    return error.problem


def test_unknown_thing_is_a_usage_error(registry: FakeRegistry) -> None:
    with repository(registry) as opened, pytest.raises(NotPublished) as caught:
        opened.manifest("sha256:" + 64 * "0")
    assert "has no such thing in shop/x: unknown" in one_line(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_connection_that_breaks_is_told_with_what_was_being_done(
    registry: FakeRegistry, tmp_path: Path, method: str
) -> None:
    registry.cuts = method
    with pytest.raises(RegistryError, match="the connection broke while") as caught:
        push(registry, tmp_path / "file")
    assert "run the command again" in caught.value.fix
    assert one_line(caught.value)


@pytest.mark.parametrize(("status", "words"), [(500, "status 500: the disk is on fire"), (429, "too many requests")])
def test_status_of_a_registry_that_fails_is_told_with_its_words(
    registry: FakeRegistry, tmp_path: Path, status: int, words: str
) -> None:
    registry.status = {"POST": status}
    with pytest.raises(RegistryError, match=words) as caught:
        push(registry, tmp_path / "file")
    assert one_line(caught.value)


def test_registry_without_tls_that_should_have_it_is_told_with_the_engines_setting(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    with repository(registry, insecure=False) as opened, pytest.raises(RegistryError, match="without TLS") as caught:
        opened.manifest("1")
    assert "insecure-registries" in caught.value.fix
    assert one_line(caught.value)


def test_registry_that_does_not_answer_is_told_in_one_line() -> None:
    with repository(FakeRegistry(address="127.0.0.1:1")) as opened, pytest.raises(RegistryError) as caught:
        opened.manifest("1")
    assert one_line(caught.value) == "registry 127.0.0.1:1: does not answer"


def test_other_content_than_that_of_the_digest_is_refused(registry: FakeRegistry, tmp_path: Path) -> None:
    described = push(registry, tmp_path / "file")
    registry.changes = b"changed"
    with repository(registry) as opened:
        with pytest.raises(RegistryError, match="sends other content than that of sha256:"):
            opened.manifest(described.digest)
        layer = Descriptor(media_type="a/b", digest=documents.digest_of(b"content"), size_bytes=7)
        with pytest.raises(RegistryError, match="sends other content"):
            opened.fetch(layer, tmp_path / "fetched")


def test_account_is_not_sent_without_tls_to_a_service_of_tokens_that_a_registry_with_tls_names() -> None:
    access = Access(
        registry="r.example", insecure=False, credentials=lambda: Credentials(username="cook", password="s3cret")
    )
    with Session(access, "shop/x") as session, pytest.raises(RegistryDenied, match=r"without TLS to t\.example"):
        session._log_in('Bearer realm="http://t.example/token",service="s"', "GET")
