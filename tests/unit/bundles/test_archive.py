"""The archive of a bundle: equal bytes for equal content, and a refusal of whatever is not as it was written."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesim.errors import DiskFull, EdgesimError, ExitCode, ResultError
from edgesim.jobs.replay import unpack
from tests.support.bundles import written

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return written(tmp_path)


def members_of(bundle: Path) -> Members:
    with tarfile.open(bundle) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]  # all are files


def write(path: Path, members: Members) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))


def with_manifest(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    (member, data), *rest = members
    document = json.loads(data)
    change(document)
    data = json.dumps(document).encode()
    member.size = len(data)
    return [(member, data), *rest]


def added(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.linkname = kind, len(data) if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return member, data


def refusal(bundle: Path, directory: Path) -> str:
    with pytest.raises(EdgesimError) as refused:
        unpack(bundle, directory)
    assert refused.value.exit_code in (ExitCode.USAGE, ExitCode.HOST)
    assert "\n" not in refused.value.problem
    assert refused.value.fix
    return refused.value.problem


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def test_same_content_gives_the_same_bytes_and_nothing_of_when_and_by_whom(bundle: Path, tmp_path: Path) -> None:
    first = bundle.read_bytes()
    for path in tmp_path.rglob("*"):
        path.touch()
    assert written(tmp_path).read_bytes() == first
    assert all((m.mtime, m.uid, m.gid, m.uname) == (0, 0, 0, "") for m, _ in members_of(bundle))
    names = [member.name for member, _ in members_of(bundle)]
    assert names == ["manifest.json", *sorted(names[1:])]


def test_unpacked_bundle_has_the_board_the_model_and_its_inputs(bundle: Path, directory: Path) -> None:
    unpacked = unpack(bundle, directory)
    assert unpacked.profile.reference == "jetson-nano:5w"
    assert unpacked.model.path == directory / "models" / "net" / "1" / "model.onnx"
    assert unpacked.model.inputs_path == directory / "models" / "net" / "inputs.yaml"
    assert (directory / "models" / "net" / "requests" / "0.npy").is_file()


def test_flipped_bit_in_any_file_is_told_with_the_files_name(bundle: Path, directory: Path) -> None:
    members = members_of(bundle)
    for index, (member, data) in enumerate(members[1:], 1):
        changed = bytes([data[0] ^ 1]) + data[1:]
        write(bundle, [*members[:index], (member, changed), *members[index + 1 :]])
        target = directory / str(index)
        target.mkdir()
        assert f"{member.name} was changed" in refusal(bundle, target)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.6, 0.95])
def test_bundle_that_was_cut_is_refused(part: float, bundle: Path, directory: Path) -> None:
    data = bundle.read_bytes()
    bundle.write_bytes(data[: int(len(data) * part)])
    assert "not a valid bundle" in refusal(bundle, directory)


def test_bundle_of_a_newer_edgesim_names_the_version_to_install(bundle: Path, directory: Path) -> None:
    write(bundle, with_manifest(members_of(bundle), lambda it: it.update(format=2, edgesim_version="9.1")))
    with pytest.raises(ResultError, match=r"made by edgesim 9\.1") as refused:
        unpack(bundle, directory)
    assert refused.value.fix == "install edgesim 9.1 or newer"


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "a/../../evil", "models/./x", "a\\b", "result.json/x", "x\x1b"]
)
def test_path_out_of_the_bundle_is_refused_and_not_written(name: str, bundle: Path, directory: Path) -> None:
    def add(document: dict[str, Any]) -> None:
        document["files"][name] = {"sha256": "0" * 64, "size_bytes": 1}

    write(bundle, [*with_manifest(members_of(bundle), add), added(name)])
    assert "manifest.json" in refusal(bundle, directory)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_member_that_is_no_regular_file_is_refused(kind: bytes, bundle: Path, directory: Path) -> None:
    members = members_of(bundle)
    write(bundle, [members[0], added(members[1][0].name, kind), *members[2:]])
    assert "of another kind or size" in refusal(bundle, directory)
    assert not any(path.is_symlink() for path in directory.rglob("*"))


def test_file_that_the_manifest_does_not_name_is_refused(bundle: Path, directory: Path) -> None:
    write(bundle, [*members_of(bundle), added("more")])
    assert "'more' is not in the manifest" in refusal(bundle, directory)


def test_manifest_of_files_larger_than_the_archive_is_refused_before_anything_is_written(
    bundle: Path, directory: Path
) -> None:
    def grow(document: dict[str, Any]) -> None:
        document["files"]["result.json"]["size_bytes"] = 2**60

    write(bundle, with_manifest(members_of(bundle), grow))
    assert "larger than the archive" in refusal(bundle, directory)
    assert list(directory.iterdir()) == []


def test_full_disk_is_told_before_anything_is_written(
    bundle: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(DiskFull, match="no space left"):
        unpack(bundle, directory)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda it: it["options"]["board"].update(context="ssh://there"), "says nothing about the host"),
        (lambda it: it["options"]["board"].update(host_libraries=["/evil.so"]), "says nothing about the host"),
        (lambda it: it["options"].update(output="/tmp/evil"), "says nothing about the host"),
        (lambda it: it["options"]["inputs"].update(input="/etc"), "is not within the bundle"),
        (lambda it: it["options"]["inputs"].update(input="inputs/../../x"), "is not within the bundle"),
        (lambda it: it["options"].update(nonsense=1), "nonsense"),
        (lambda it: it.update(model="../net"), "is a path"),
        (lambda it: it.update(model="other"), "no model 'other'"),
        (lambda it: it["profile"]["cpu"].update(cores=3), "its profile is not that of its result"),
        (lambda it: it["profile"].pop("cpu"), "profile: cpu"),
        (lambda it: it.update(files=[]), "files"),
        (lambda it: it.update(format="1"), "format"),
        (lambda it: it.update(kind="x"), "not the manifest of a bundle"),
    ],
)
def test_manifest_that_says_what_a_bundle_may_not_say_is_refused(
    change: Callable[[dict[str, Any]], None], problem: str, bundle: Path, directory: Path
) -> None:
    write(bundle, with_manifest(members_of(bundle), change))
    refused = refusal(bundle, directory)
    assert problem in refused
    assert str(directory) not in refused
