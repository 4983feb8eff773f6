"""Archives of images: the name under which an engine finds the image."""

import pytest

from edgesim.delivery.oci_archive import full_name


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("detector", "docker.io/library/detector:latest"),
        ("edgesim/packed:nano-1", "docker.io/edgesim/packed:nano-1"),
        ("registry.example/team/detector:2", "registry.example/team/detector:2"),
        ("localhost/detector", "localhost/detector:latest"),
        ("localhost:5000/detector", "localhost:5000/detector:latest"),
    ],
)
def test_name_has_the_registry_and_the_tag_that_docker_leaves_out(reference: str, name: str) -> None:
    assert full_name(reference) == name
