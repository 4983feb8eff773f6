"""The three mount methods, by which models get into a container: bind, volume, image."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgesim import board, profiles
from edgesim.engine import docker_engine
from edgesim.engine.container import Container
from edgesim.engine.docker_engine import Engine
from edgesim.engine.mounts import Mount
from edgesim.images import serving_image
from edgesim.progress import Stages
from tests.integration.conftest import begin, edgesim, wait_for
from tests.integration.other_engine import OtherEngine
from tests.integration.test_serve import ask
from tests.support.command_line import edgesim_here
from tests.support.serving import save, scale
from tests.support.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("nothing_left_behind")]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "the models"  # the path has a space in every test
    save(scale(2.0), directory, "m")
    return directory


@pytest.fixture
def volume(nothing_left_behind: None) -> Iterator[str]:
    """Return the name of a volume for one test; the volume is removed at the end."""
    name = f"edgesim-test-{os.getpid()}"
    yield name
    subprocess.run(["docker", "volume", "rm", "-f", name], capture_output=True, check=True)


def mounts(url: str) -> list[dict[str, Any]]:
    """Return the mounts of the container that serves at an address, as the engine reports them."""
    listed = ["docker", "ps", "--quiet", "--filter", f"publish={url.rpartition(':')[2]}"]
    container = subprocess.check_output(listed, text=True).strip()
    inspected = subprocess.check_output(["docker", "inspect", container, "--format", "{{json .Mounts}}"])
    found: list[dict[str, Any]] = json.loads(inspected)
    return found


def volumes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(edgesim("volumes", "list", "--json").stdout)
    return found


def test_bind_mounts_the_hosts_files_and_the_targets_of_links(desk: Path, repository: Path, tmp_path: Path) -> None:
    save(scale(3.0), tmp_path / "elsewhere", "far")
    (repository / "far").symlink_to(tmp_path / "elsewhere" / "far")
    with board(str(desk), models=repository) as started:
        assert (started.mount, started.volume) == ("bind", None)
        assert (ask(started.url, "m"), ask(started.url, "far")) == (2.0, 3.0)
        found = mounts(started.url)
    assert {each["Source"] for each in found} == {str(repository), str(tmp_path / "elsewhere" / "far")}
    assert not any(each["RW"] for each in found)


def test_files_written_by_the_container_belong_to_the_user(desk: Path, tmp_path: Path) -> None:
    # Through sudo, the files belong to the caller, not to root.
    results, caller = tmp_path / "my results", os.getuid() or 4242
    results.mkdir()
    os.chown(results, caller, caller if caller == 4242 else -1)
    environment = os.environ | {"SUDO_UID": str(caller), "SUDO_GID": str(caller)}
    options: list[str | Path] = ["--results", results, "--requests", "7", "-o", tmp_path / "r.json"]
    done = edgesim("run", desk, "digits", *options, env=environment)
    assert done.returncode == 0, done.stderr
    (written,) = results.iterdir()
    assert written.name == "statistics.json"
    assert written.stat().st_uid == caller
    statistics = json.loads(written.read_text())["model_stats"][0]
    assert (statistics["name"], statistics["inference_stats"]["fail"]["count"]) == ("digits", 0)
    assert statistics["inference_count"] >= 7
    assert json.loads((tmp_path / "r.json").read_text())["device"]["mount"] == "bind"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--results", "missing"], "--results missing: no such directory"),
        (["--mount", "volume", "--results", "."], "no directory of this host is mounted"),
        (["--mount", "image", "--volume", "v"], "--volume v: needs --mount volume"),
        (["--mount", "floppy"], "'floppy' is not one of 'bind', 'volume', 'image'"),
        (["--mount", "image", "--watch"], "the files inside an image cannot change"),
        (["--mount", "bind", "--engine", "local"], "need a container, which --engine local does not have"),
        (["--mount", "volume", "--volume", "no name"], "not a valid name of a volume"),
    ],
)
def test_options_that_exclude_each_other_are_refused_before_any_work(
    desk: Path, repository: Path, tmp_path: Path, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgesim_here("serve", desk, "--models", repository, *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"the models"}


def test_files_are_readable_if_the_engine_labels_mounts(desk: Path, tmp_path: Path) -> None:
    engine, stages = Engine(), Stages()
    engine.facts = replace(engine.facts, relabels=True)
    (directory := tmp_path / "a directory").mkdir()
    (directory / "a file").write_text("read")
    container = Container(
        image=serving_image.build(engine, profiles.load(str(desk)), stages).id,
        platform=f"linux/{engine.facts.architecture}",
        arguments=["-c", "print(open('/m/a file').read())"],
        entrypoint=["python3.11"],
        mounts=[Mount(directory, "/m")],
        memory_bytes=1 << 28,
        cpus=1,
    )
    with engine.start(container) as device:
        eventually(lambda: not device.state().running, timeout_s=60)
        assert device.log() == "read"


@pytest.mark.long
def test_volume_is_shared_outlives_its_containers_and_changes_under_them(
    desk: Path, repository: Path, volume: str, tmp_path: Path
) -> None:
    first = board(str(desk), models=repository, mount="volume", volume=volume, watch=True)
    second = board(str(desk), models=repository, mount="volume", volume=volume)
    with first as one, second as other:
        assert (one.mount, one.volume) == ("volume", volume)
        assert ask(one.url, "m") == ask(other.url, "m") == 2.0
        for each in (one, other):
            assert [(mount["Type"], mount["Name"], mount["RW"]) for mount in mounts(each.url)] == [
                ("volume", volume, False)
            ]
        used = edgesim("volumes", "rm", volume)
        assert (used.returncode, "uses it" in used.stderr) == (2, True)
        save(scale(5.0), repository, "m")
        assert edgesim("volumes", "fill", volume, "--models", repository).stdout.startswith(f"{volume}: filled")
        eventually(lambda: ask(one.url, "m") == 5.0, timeout_s=60)
        (repository / "m" / "1" / "model.onnx").rename(tmp_path / "gone")
        save(scale(6.0), repository, "other")
        refused = edgesim("volumes", "fill", volume, "--models", repository)
        assert (refused.returncode, "m/1/model.onnx must be removed" in refused.stderr) == (2, True)
    assert [each["models"] for each in volumes() if each["name"] == volume] == [["m"]]
    copy = tmp_path / "copy"
    assert edgesim("volumes", "export", volume, copy).returncode == 0
    assert [path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()] == ["m/1/model.onnx"]
    assert edgesim("volumes", "fill", volume, "--models", copy).stdout.startswith(f"{volume}: unchanged")
    other_files = edgesim("run", desk, "digits", "--volume", volume)
    assert (other_files.returncode, "is missing or different" in other_files.stderr) == (2, True)
    assert edgesim("volumes", "rm", volume).returncode == 0
    assert edgesim("volumes", "export", volume, tmp_path / "more").returncode == 2


def test_volume_without_a_name_is_named_after_its_contents_and_filled_once(desk: Path, repository: Path) -> None:
    save(scale(time.time()), repository, "m")  # contents that no other test has
    names = []
    try:
        for _ in range(2):
            with board(str(desk), models=repository, mount="volume") as started:
                assert started.volume is not None
                names.append(started.volume)
        assert names[0] == names[1]
        assert [each["complete"] for each in volumes() if each["name"] == names[0]] == [True]
    finally:
        assert edgesim("volumes", "rm", names[0]).returncode == 0


def test_volume_that_edgesim_did_not_make_is_left_alone(repository: Path, volume: str) -> None:
    subprocess.run(["docker", "volume", "create", volume], capture_output=True, check=True)
    for command in (["fill", volume, "--models", str(repository)], ["rm", volume]):
        done = edgesim("volumes", *command)
        assert (done.returncode, "was not made by edgesim" in done.stderr) == (2, True)


@pytest.fixture(scope="module")
def packed(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return the facts of an image with digits packed for the desk, saved as an archive."""
    path = tmp_path_factory.mktemp("pack") / "image.tar"
    tag = f"edgesim/test-packed:{os.getpid()}"
    done = edgesim("pack", desk, "digits", "-t", tag, "--save", path, "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    yield facts
    subprocess.run(["docker", "image", "rm", tag], capture_output=True, check=True)


def test_packed_image_runs_in_an_empty_engine_without_mounts(packed: dict[str, Any], other_engine: OtherEngine) -> None:
    other = other_engine
    other.docker("system", "prune", "--all", "--force")
    other.docker("volume", "prune", "--all", "--force")
    assert other.docker("images", "-q") == ""
    saved = subprocess.Popen(["docker", "save", packed["reference"]], stdout=subprocess.PIPE)
    subprocess.run(["docker", "-H", other.host, "load"], stdin=saved.stdout, capture_output=True, check=True)
    assert saved.wait() == 0
    assert other.docker("inspect", packed["reference"], "--format", "{{.Id}}") == packed["id"]
    options = ["--read-only", "--tmpfs", "/tmp", "--network", "none"]
    name = other.docker("run", "--detach", *options, packed["reference"])
    try:
        code = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/v2/models/digits/ready').status)"
        eventually(lambda: "listening" in other.docker("logs", name), timeout_s=60)
        assert other.docker("exec", name, "python3.11", "-c", code) == "200"
        assert other.docker("inspect", name, "--format", "{{json .Mounts}}") == "[]"
        assert other.docker("diff", name) == ""
    finally:
        other.docker("rm", "-f", name)
    assert other.docker("volume", "ls", "-q") == ""


@pytest.mark.long
def test_same_inputs_and_a_rebuilt_server_give_the_same_image(
    packed: dict[str, Any], desk: Path, tmp_path: Path
) -> None:
    assert edgesim("build", desk, "--rebuild").returncode == 0
    again = edgesim("pack", desk, "digits", "-t", packed["reference"], "--save", tmp_path / "again.tar", "--json")
    facts = json.loads(again.stdout)
    assert (facts["id"], facts["digest"]) == (packed["id"], packed["digest"])
    first, second = (hashlib.sha256(Path(each["saved"]).read_bytes()).digest() for each in (packed, facts))
    assert first == second


def test_packed_image_has_labels_and_a_bill_of_materials(packed: dict[str, Any]) -> None:
    inspected = subprocess.check_output(["docker", "inspect", packed["reference"], "--format", "{{json .Config}}"])
    config = json.loads(inspected)
    assert config["Labels"]["edgesim.profile"] == "desk"
    assert list(json.loads(config["Labels"]["edgesim.models"])) == ["digits"]
    assert config["Labels"]["edgesim"]
    assert config["User"] == "65532:65532"
    with tarfile.open(packed["saved"]) as archive:
        layers = json.load(archive.extractfile("manifest.json") or io.BytesIO())[0]["Layers"]
        with tarfile.open(fileobj=archive.extractfile(layers[-1])) as layer:
            listing = json.load(layer.extractfile(config["Labels"]["edgesim.sbom"].strip("/")) or io.BytesIO())
            names = layer.getnames()
    kinds = {(each["type"], each["name"]) for each in listing["components"]}
    assert {("machine-learning-model", "digits"), ("library", "onnxruntime")} <= kinds
    assert any(kind == "file" and name.endswith("/libc.so.6") for kind, name in kinds)
    assert "models/digits/1/model.onnx" in names


@pytest.mark.long
def test_run_from_an_image_mounts_nothing_and_a_second_run_adds_nothing(desk: Path, tmp_path: Path) -> None:
    def run() -> dict[str, Any]:
        done = edgesim("run", desk, "digits", "--mount", "image", "--requests", "5", "-o", "r.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())
        return document

    def images_and_files() -> set[str]:
        listed = subprocess.check_output(["docker", "images", "--no-trunc", "--format", "{{.ID}} {{.Tag}}"], text=True)
        return {*listed.splitlines(), *(path.name for path in tmp_path.iterdir())}

    first, before = run(), images_and_files()
    second = run()
    try:
        assert images_and_files() == before
        assert first["device"]["mount"] == second["device"]["mount"] == "image"
        assert (first["image"]["id"], second["image"]["cached"]) == (second["image"]["id"], True)
    finally:
        subprocess.run(["docker", "image", "rm", first["image"]["reference"]], capture_output=True, check=True)


def test_interrupted_pack_leaves_nothing_behind(desk: Path, tmp_path: Path) -> None:
    running_pack = begin("pack", desk, "digits", "-t", "edgesim/test-interrupted:1", "--save", tmp_path / "i.tar")
    wait_for(running_pack, "packing")
    time.sleep(0.5)
    running_pack.send_signal(2)
    running_pack.communicate(timeout=60)
    assert running_pack.returncode == 130
    assert list(tmp_path.iterdir()) == []
    assert docker_engine.Engine().images.id("edgesim/test-interrupted:1") is None


def test_impossible_tag_or_file_is_refused_before_any_work(desk: Path, tmp_path: Path) -> None:
    for options in (["-t", "No Name"], ["--save", str(tmp_path)], ["--save", str(tmp_path / "no" / "x.tar")]):
        done = edgesim_here("pack", desk, "digits", *options)
        assert (done.returncode, "building" in done.stderr) == (2, False)
