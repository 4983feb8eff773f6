"""edgesim's own container: found by what Docker mounts into it, and by which network other containers are reached."""

from pathlib import Path
from typing import Any

import docker.errors
import pytest

from edgesim.engine import own_container
from edgesim.engine.own_container import OwnContainer

ID = "a475f0bb194465959fc1cff933a280b7f80f84edf6e12068bdf651f574f78d53"
MOUNTS = f"""\
1041 1024 254:0 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/vda rw
1042 1024 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda rw
1043 1024 254:0 /srv/containers/data /data rw,relatime - ext4 /dev/vda rw
"""


class Engine:
    """An engine that knows some containers, as the docker package's client."""

    def __init__(self, **containers: dict[str, Any]) -> None:
        self.api = self
        self._containers = containers

    def inspect_container(self, name: str) -> dict[str, Any]:
        if name not in self._containers:
            raise docker.errors.NotFound("no such container")
        return self._containers[name]


def container(mode: str, **networks: str) -> dict[str, Any]:
    return {
        "Id": ID,
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {name: {"IPAddress": address} for name, address in networks.items()}},
    }


@pytest.fixture(autouse=True)
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    monkeypatch.setattr(own_container, "_MOUNTS", path)
    return path


def test_id_is_that_of_the_files_that_docker_mounts(mounts: Path) -> None:
    assert list(own_container.ids(mounts)) == [ID]
    mounts.write_text("30 1 254:0 / / rw - ext4 /dev/vda rw\n")
    assert list(own_container.ids(mounts)) == []
    assert list(own_container.ids(mounts.with_name("nothing"))) == []


@pytest.mark.parametrize(
    ("facts", "network"),
    [
        (container("bridge", bridge="172.17.0.2"), "bridge"),
        (container("build", build="172.18.0.2"), "build"),
        (container("host", host=""), None),
    ],
)
def test_other_containers_are_reached_over_its_network_unless_it_has_the_hosts(
    facts: dict[str, Any], network: str | None
) -> None:
    assert own_container.find(Engine(**{ID: facts})) == OwnContainer(id=ID, network=network)  # type: ignore[arg-type]


def test_container_that_shares_anothers_network_reaches_others_over_that() -> None:
    engine = Engine(**{ID: container("container:pod"), "pod": container("build", build="172.18.0.2")})
    assert own_container.find(engine) == OwnContainer(id=ID, network="build")  # type: ignore[arg-type]


def test_container_of_another_engine_is_not_beside_this_ones() -> None:
    assert own_container.find(Engine()) is None  # type: ignore[arg-type]


def test_container_of_podmans_is_found_by_its_own_kind_of_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    root = f"/containers/storage/overlay-containers/{ID}/userdata"
    mounts.write_text(f"982 975 0:26 {root}/hostname /etc/hostname rw,relatime - tmpfs tmpfs rw\n")
    assert list(own_container.ids(mounts)) == [ID]
