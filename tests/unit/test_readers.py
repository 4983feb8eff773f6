"""Readers of files that somebody else wrote: some hundred mutations of good files, and what no mutation makes.

`tests/long/test_readers.py` gives each reader ten thousand.
"""

import gzip
import io
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim import profiles, untrusted
from edgesim.errors import EdgesimError, ModelError, ResultError
from edgesim.gates import baselines
from edgesim.gates.rules import Rules
from edgesim.inputs import array_files, inputs_file
from edgesim.measure import trtexec
from edgesim.models import repository
from edgesim.results import result_file
from edgesim.results.load import load
from edgesim.stacks import stack_loader
from tests.support import fuzzing
from tests.support.readers import READERS, small_model


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused_in_little_time_and_memory(name: str) -> None:
    report = fuzzing.fuzz(name, 25)
    assert report.failures == {}
    assert report.read + report.refused == report.inputs == 25


BY_PATH: dict[str, Callable[[Path], object]] = {
    "profile": lambda path: profiles.read(path),
    "stack": stack_loader.read,
    "rules": Rules.read,
    "result": load,
    "baseline": baselines.read,
    "arrays": lambda path: array_files.read(path, 2**30),
    "inputs file": lambda path: inputs_file.read(path, small_model()),
    "model": repository.find,
    "trtexec": trtexec.read,
}


POINTERS = {
    "Git LFS": ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "lfs pull"),
    "git-annex": ("/annex/objects/SHA256E-s3--00.onnx\n", "annex get"),
}


@pytest.mark.parametrize("program", POINTERS)
@pytest.mark.parametrize("name", BY_PATH)
def test_pointer_in_place_of_a_file_is_named_with_what_fetches_the_file(
    tmp_path: Path, name: str, program: str
) -> None:
    text, command = POINTERS[program]
    path = tmp_path / "file.onnx"
    path.write_text(text)
    with pytest.raises(EdgesimError, match=f"a {program} pointer, not the file") as caught:
        BY_PATH[name](path)
    assert command in caught.value.fix


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**43)


KINDS: dict[str, Callable[[Path], None]] = {
    "a pipe that nobody writes to": _pipe,
    "a socket": _socket,
    "a directory": Path.mkdir,
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a file of 8 TiB": _sparse,
    "nothing": lambda path: None,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", BY_PATH)
def test_path_to_what_is_no_file_is_refused_at_once(
    reader: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = Path("it.onnx" if reader == "model" else "it")
    KINDS[kind](path)
    with pytest.raises(EdgesimError) as refused:
        BY_PATH[reader](path)
    assert str(path) in refused.value.problem


def test_result_that_a_program_writes_into_a_pipe_is_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"kind": "neither"}')
    os.close(writing)
    assert untrusted.read_json(Path(f"/dev/fd/{reading}"), 100) == {"kind": "neither"}
    os.close(reading)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "a result file: the file is empty"),
        (b"\n", "the file is empty"),
        (b'{"kind":\n "nei', "the file is incomplete: it ends in line 2, after 14 bytes"),
        (gzip.compress(b"{}", mtime=0), "the file is compressed by gzip: gunzip it first"),
        (b'{"kind":\n neither}', "not JSON: line 2, column 2: "),
    ],
)
def test_what_is_in_place_of_a_result_is_told(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(ResultError) as refused:
        result_file.document(path)
    assert problem in refused.value.problem
    assert "char" not in refused.value.problem
    assert refused.value.fix == "edgesim run PROFILE MODEL -o FILE.json writes one"


def _archive(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return path


def _header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (_header((10**15,)), "the size of an array differs from its header"),
        (_header((2**25,)) + bytes(2**27), "arrays take 128.0 MiB, and this host has 64.0 MiB for them"),
    ],
    ids=["petabytes", "bomb"],
)
def test_arrays_that_claim_or_expand_to_too_much_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        array_files.read(_archive(tmp_path / "x.npz", content), 2**26)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ModelError, match="which is neither a number nor a text"):
        array_files.read(tmp_path / "x.npy", 2**20)


def test_arrays_are_those_that_numpy_saved(tmp_path: Path) -> None:
    saved: dict[str, Any] = {
        "x": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "words": np.array(["a", "bc"]),
        "one": np.int8(3),
    }
    np.savez_compressed(tmp_path / "x.npz", **saved)
    read = array_files.read(tmp_path / "x.npz", 2**20)
    assert read.keys() == saved.keys()
    assert all(np.array_equal(read[name], values) for name, values in saved.items())


def test_services_that_all_wait_for_each_earlier_one_are_checked_in_no_time(tmp_path: Path) -> None:
    services = "".join(
        f"  s{i}: {{image: a, once: true, after: [{', '.join(f's{j}' for j in range(i))}]}}\n" for i in range(60)
    )
    (tmp_path / "stack.yaml").write_text(f"name: many\nprofile: jetson-nano\nservices:\n{services}")
    assert stack_loader.read(tmp_path / "stack.yaml").order[-1] == "s59"


def test_name_of_a_mode_is_no_path(tmp_path: Path) -> None:
    text = "extends: jetson-nano\nname: mine\nmodes: {../../evil: {cores: 1, clock_hz: 1000000}}\n"
    (tmp_path / "board.yaml").write_text(text)
    with pytest.raises(EdgesimError, match="a mode's name has letters"):
        profiles.read(tmp_path / "board.yaml")


def test_name_of_a_model_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "outside" / "1").mkdir(parents=True)
    with pytest.raises(ModelError, match="is a path, not a model's name"):
        repository.find("../outside", tmp_path / "models")
