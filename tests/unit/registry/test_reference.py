"""Names in registries: Docker's grammar, and what is asked of them."""

import pytest

from edgesim.errors import UsageError
from edgesim.registry import reference
from edgesim.registry.access import is_loopback

DIGEST = f"sha256:{64 * 'a'}"


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("registry.example.org/shop/detector:1.0", "registry.example.org/shop/detector", "1.0"),
        ("localhost/detector", "localhost/detector", None),
        ("127.0.0.1:5000/detector:a", "127.0.0.1:5000/detector", "a"),
        ("[::1]:5000/detector", "[::1]:5000/detector", None),
        ("shop/detector:1", "docker.io/shop/detector", "1"),
        ("detector", "docker.io/library/detector", None),
        ("docker.io/detector", "docker.io/library/detector", None),
    ],
)
def test_name_has_the_registry_and_repository_that_docker_reads(text: str, name: str, tag: str | None) -> None:
    parsed = reference.parse(text, "push")
    assert (parsed.name, parsed.tag) == (name, tag)


@pytest.mark.parametrize("text", ["", "UPPER/x y", "https://r.example/x:1", "r.example/x:", "r.example/", "a" * 300])
def test_text_that_is_no_name_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(UsageError, match="`push=") as caught:
        reference.parse(text, "push")
    assert caught.value.fix


def test_published_thing_gets_a_tag_and_may_have_no_digest() -> None:
    assert reference.parse_tagged("r.example/x", "push").tag == "latest"
    with pytest.raises(UsageError, match="which only the content can determine"):
        reference.parse_tagged(f"r.example/x@{DIGEST}", "push")


def test_image_to_run_needs_a_digest() -> None:
    pinned = reference.parse_pinned(f"r.example/shop/x:1@{DIGEST}", "packed")
    assert str(pinned) == f"r.example/shop/x@{DIGEST}"
    with pytest.raises(UsageError, match="has no digest"):
        reference.parse_pinned("r.example/shop/x:1", "packed")
    with pytest.raises(UsageError, match="not a name in a registry"):
        reference.parse_pinned("r.example/shop/x@sha256:abc", "packed")


def test_file_of_a_bundle_is_not_taken_for_a_registrys_name() -> None:
    assert reference.names_a_registry("r.example/shop/x:run-1")
    assert reference.names_a_registry(f"localhost:5000/x@{DIGEST}")
    for path in ("detector.edgesim.tar", "out/detector.edgesim.tar", "shop/x:1", "/tmp/x:1", "../x:1"):
        assert not reference.names_a_registry(path)


def test_registries_of_this_machine_are_told_by_their_address() -> None:
    assert all(map(is_loopback, ("localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "[::1]")))
    assert not any(map(is_loopback, ("r.example", "localhost.example:80", "10.0.0.1:5000", "192.168.1.1")))
