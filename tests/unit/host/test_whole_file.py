"""A file that cannot be written whole leaves the older one, and nothing beside it."""

from pathlib import Path

import pytest

from edgesim.host import whole_file


def test_a_file_is_written_with_its_directory_and_replaced(tmp_path: Path) -> None:
    for data in (b"one", b"two"):
        whole_file.write(tmp_path / "kept" / "file", data)
        assert [path.read_bytes() for path in (tmp_path / "kept").iterdir()] == [data]


def test_a_full_disk_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_file.write(tmp_path / "file", b"older")

    def fail(path: Path, _: bytes) -> int:
        path.touch()
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space"):
        whole_file.write(tmp_path / "file", b"newer")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]
