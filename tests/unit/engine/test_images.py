"""Which images nothing will use again: told by their names, their version and their age."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from edgesim.engine.images import Images, old_images
from edgesim.version import __version__

NOW_S = 1_800_000_000.0
HOUR_S = 3600


def image(name: str | None, *, hours: float = 0.0, version: str = __version__) -> Mapping[str, Any]:
    """An image as the engine lists it, made `hours` ago; its id is its name and age."""
    created = int(NOW_S - hours * HOUR_S)
    return {
        "Id": f"{name}@{hours:g}",
        "RepoTags": [name] if name is not None else [],
        "Created": created,
        "Labels": {"edgesim": version},
    }


def names(*images: Mapping[str, Any]) -> list[str]:
    return sorted(id_ for id_, _ in old_images(images, NOW_S))


def test_an_image_that_lost_its_name_is_old() -> None:
    assert names(image(None), image("<none>:<none>", hours=1)) == ["<none>:<none>@1", "None@0"]


def test_of_a_service_that_was_built_anew_only_the_newest_image_stays() -> None:
    built = "edgesim/stack:shop-app-arm64-{:012x}"
    images = [image(built.format(i), hours=i) for i in range(3)]
    assert names(*images) == [f"{built.format(1)}@1", f"{built.format(2)}@2"]


@pytest.mark.parametrize("other", ["shop-store-arm64", "shop-app-amd64", "shop2-app-arm64"])
def test_an_older_image_of_another_service_is_not_old(other: str) -> None:
    older = image(f"edgesim/stack:{other}-000000000002", hours=9)
    assert names(image("edgesim/stack:shop-app-arm64-000000000001"), older) == []


def test_an_image_of_another_version_is_old_after_a_day() -> None:
    young, old = (image(f"edgesim/jetson:arm64-{hours:012d}", hours=hours, version="0.0.9") for hours in (1, 25))
    assert names(young, old) == [old["Id"]]


@pytest.mark.parametrize("name", ["edgesim/jetson:arm64-000000000001", "edgesim/debian:python3-arm64-000000000001"])
def test_images_of_this_version_stay_whatever_their_age(name: str) -> None:
    assert names(image(name, hours=1), image(name.replace("0001", "0002"), hours=900)) == []


@pytest.mark.parametrize("name", ["edgesim/packed:nano-000000000001", "shop/detector:1.2"])
def test_a_packed_image_is_the_user_s(name: str) -> None:
    assert names(image(name, hours=900, version="0.0.9")) == []


def test_an_image_that_takes_minutes_to_load_or_save_is_waited_for(tmp_path: Path) -> None:
    waited: list[int] = []
    client = MagicMock()
    client.api.timeout = 120

    def answer(_: object) -> list[bytes]:
        waited.append(client.api.timeout)
        return [b"x"]

    client.images.load.side_effect = client.api.get_image.side_effect = answer
    images = Images(client)
    images.save("edgesim/jetson:1", tmp_path / "saved.tar")
    images.load(tmp_path / "saved.tar", "edgesim/jetson:1")
    assert min(waited) >= 1800
    assert client.api.timeout == 120


@pytest.mark.parametrize(
    "answer",
    [
        '{"status":"sha256:d669"}\r\n',  # Docker 26.1
        '{"status":"sha256:d669","progress":"","progressDetail":{},"id":"sha256:d669"}\n',  # Podman
    ],
)
def test_image_made_of_files_gets_its_name_after_its_import(answer: str) -> None:
    """Podman 4.3 ignores the tag of an import, and no Podman splits a tag from the name that it is to give."""
    client = MagicMock()
    client.api.import_image_from_data.return_value = answer
    Images(client).import_files(b"", "edgesim/empty:1")
    client.images.get.assert_called_once_with("sha256:d669")
    client.images.get.return_value.tag.assert_called_once_with("edgesim/empty", "1")


def test_name_with_the_port_of_a_registry_is_split_at_its_tag() -> None:
    client = MagicMock()
    Images(client).tag("edgesim/packed:1", "registry:5000/shop/detector")
    client.images.get.return_value.tag.assert_called_once_with("registry:5000/shop/detector", None)
