"""A model in a process of its own: the process is bounded, and its end is told."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgesim.errors import HostError, ModelError
from edgesim.measure import host_session
from edgesim.measure.host_session import HostSession, SessionFailed, TooLong
from edgesim.models import bounded_process
from tests.support.strange_models import endless, expanding


def sessions() -> list[psutil.Process]:
    """Return the processes of sessions; the process that runs the tests may have other children."""
    children = psutil.Process().children()
    return [child for child in children if "edgesim.measure.host_session" in child.cmdline()]


@pytest.fixture
def load(tmp_path: Path) -> Callable[[bytes], HostSession]:
    def load(model: bytes) -> HostSession:
        path, session = tmp_path / "net.onnx", HostSession("model net")
        path.write_bytes(model)
        session.load(path, (), threads=1)
        return session

    return load


def test_run_that_does_not_end_is_ended_and_told(
    load: Callable[[bytes], HostSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    others, session = sessions(), load(endless())
    monkeypatch.setattr(host_session, "MOST_S", 1)
    with pytest.raises(TooLong, match="a run of model net on this host did not end within 1 s") as caught:
        session.run({"turns": np.array([2**60]), "x": np.ones(1, np.float32)})
    assert "`ranges`" in caught.value.fix
    assert sessions() == others


@pytest.mark.parametrize("floats", [2**28, 2**50])
def test_model_that_takes_more_memory_than_it_may_is_told(
    load: Callable[[bytes], HostSession], monkeypatch: pytest.MonkeyPatch, floats: int
) -> None:
    monkeypatch.setattr(bounded_process, "spare_bytes", lambda: 2**29)
    with pytest.raises(HostError, match=r"too little memory .*: the model may take 512\.0 MiB here"):
        load(expanding()).run({"s": np.array([floats])})


def test_inputs_that_the_model_refuses_leave_the_session_as_it_was(load: Callable[[bytes], HostSession]) -> None:
    session = load(expanding())
    with pytest.raises(SessionFailed, match="while running ConstantOfShape node"):
        session.run({"s": np.array([-3])})
    assert session.run({"s": np.array([3])})["y"].shape == (3,)
    assert 0 < session.run_s({"s": np.array([3])}) < 10


@pytest.mark.parametrize(
    ("ending", "error", "words"),
    [
        ("kill -SEGV $$", ModelError, r"crashes ONNX Runtime on this host \(SIGSEGV\)"),
        ("kill -KILL $$", HostError, "too little memory"),
        ("echo 'No module named numpy' >&2; exit 1", ModelError, "does not run on this host: No module named numpy"),
    ],
)
def test_process_that_ends_without_an_answer_is_told(
    load: Callable[[bytes], HostSession],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    error: type[Exception],
    words: str,
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{ending}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(error, match=words):
        load(expanding())


def test_ctrl_c_is_for_edgesim_and_not_for_the_process(load: Callable[[bytes], HostSession]) -> None:
    others, session = sessions(), load(expanding())
    (process,) = (child for child in sessions() if child not in others)
    os.kill(process.pid, signal.SIGINT)
    assert session.run({"s": np.array([3])})["y"].shape == (3,)


def test_process_ends_with_the_session(load: Callable[[bytes], HostSession]) -> None:
    others, session = sessions(), load(expanding())
    assert len(sessions()) == len(others) + 1
    del session
    assert sessions() == others
