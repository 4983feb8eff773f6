"""Text files are written whole or not at all, and a full disk is the host's fault."""

import errno
import os
from pathlib import Path

import orjson
import pytest

from edgesim.errors import DiskFull, EdgesimError, HostError, ResultError
from edgesim.recording import Sample
from edgesim.results.journal import Journal
from edgesim.results.result_file import json_text, read, write_text
from edgesim.results.run_result import RunResult


def fail_after_opening(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let files be opened, and no bytes be written to them."""

    def fail(path: Path, data: object, *_: object, **__: object) -> int:
        path.touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_text", fail)
    monkeypatch.setattr(Path, "write_bytes", fail)


@pytest.mark.parametrize(
    ("code", "error", "exit_code"),
    [
        *((errno.ENOSPC, DiskFull, 3), (errno.EDQUOT, DiskFull, 3), (errno.EACCES, ResultError, 2)),
        *((errno.EFBIG, HostError, 3), (errno.EMFILE, HostError, 3)),
    ],
)
def test_a_file_that_cannot_be_written_leaves_nothing_and_the_older_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[EdgesimError], exit_code: int
) -> None:
    write_text(tmp_path / "r.json", "older")
    fail_after_opening(monkeypatch, code)
    for name in ("r.json", "new.json"):
        with pytest.raises(error, match=f"{name}: cannot write the result: {os.strerror(code)}") as caught:
            write_text(tmp_path / name, "newer")
        assert (type(caught.value), caught.value.exit_code) == (error, exit_code)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["older"]


def test_name_of_a_file_that_is_not_utf8_does_not_lose_the_result(tmp_path: Path) -> None:
    document = {"model": os.fsdecode(b"net\xff"), "runs": [{"files": (os.fsdecode(b"\xe4.npz"),), "ms": 1.5}]}
    write_text(tmp_path / "r.json", json_text(document))
    assert orjson.loads((tmp_path / "r.json").read_bytes()) == {
        "model": "net?",
        "runs": [{"files": ["?.npz"], "ms": 1.5}],
    }


def test_ctrl_c_while_a_file_is_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, _: bytes, **__: object) -> int:
        path.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "r.json", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_neither_a_journal_without_samples_nor_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: RunResult
) -> None:
    journal = Journal(tmp_path / "r.json")
    fail_after_opening(monkeypatch, errno.ENOSPC)
    with journal.keeping([Sample(0, 0, 1, "ok")], lambda: result.model_copy(update={"samples": ()})):
        pass
    with pytest.raises(DiskFull) as caught:
        journal.finish(result)
    assert caught.value.result is result
    assert "r.incomplete.json" not in caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"), [("{}", "created: is missing"), ("[]", "the file: must be a mapping of keys")]
)
def test_json_that_is_no_result_is_told_in_words_of_json(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ResultError, match=f"not a result file: {words}"):
        read(RunResult, path)
