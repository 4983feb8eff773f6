"""Files of cells as a worker's machine keeps them."""

import os
import time
from pathlib import Path

import pytest

from edgesim.errors import HostError
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.workers import file_store


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileTree:
    monkeypatch.setenv("EDGESIM_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "here" / "net" / "1").mkdir(parents=True)
    (tmp_path / "here" / "net" / "1" / "model.onnx").write_bytes(b"graph")
    (tmp_path / "here" / "net" / "empty.npz").touch()
    return FileTree.below(tmp_path / "here", sorted(p for p in (tmp_path / "here").rglob("*") if p.is_file()))


def send(tree: FileTree, sender: str = "me") -> None:
    for file in tree.files:
        data = (tree.root / file.path).read_bytes()
        for piece in (data[:2], data[2:]):
            file_store.write(sender, tree.sha256, file.path, piece)
    file_store.finish(sender, tree)


def test_files_that_have_come_are_kept_by_their_content(tree: FileTree) -> None:
    assert not file_store.has(tree)
    send(tree)
    assert file_store.has(tree)
    moved = file_store.directory_of(tree)
    assert FileTree.below(moved, [moved / file.path for file in tree.files]).sha256 == tree.sha256


def test_two_senders_of_one_tree_do_not_disturb_each_other(tree: FileTree) -> None:
    file_store.write("other", tree.sha256, tree.files[0].path, b"half of")
    send(tree)
    assert file_store.has(tree)


def test_tree_that_came_twice_is_kept_once(tree: FileTree) -> None:
    send(tree)
    send(tree, "other")
    assert [path.name for path in file_store.directory_of(tree).parent.glob("[0-9a-f]*")] == [tree.sha256[:32]]


def test_file_that_changed_on_its_way_is_refused_and_not_kept(tree: FileTree) -> None:
    (tree.root / "net" / "1" / "model.onnx").write_bytes(b"other")
    with pytest.raises(HostError, match=r"model\.onnx: changed while it was sent"):
        send(tree)
    assert not file_store.has(tree)


def test_tree_that_nothing_has_used_for_a_month_makes_room(tree: FileTree) -> None:
    old = file_store.directory_of(tree).parent / "0123abcd"
    old.mkdir(parents=True)
    os.utime(old, (0, time.time() - 31 * 24 * 3600))
    send(tree)
    assert not old.exists()
    assert file_store.has(tree)
