"""A model under the profiler in a process of its own: the process is bounded, and its end is told."""

import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from edgesim.errors import ModelError
from edgesim.models import profiled_session
from edgesim.models.profiled_session import RunFailed
from tests.support.strange_models import endless, expanding


def test_lines_of_the_profiler_name_every_node_that_ran(tmp_path: Path) -> None:
    runs = profiled_session.profile(expanding(), {"s": np.array([3, 5])}, weights=tmp_path, directory=tmp_path)
    events = orjson.loads(runs.lines.read_bytes())
    (sizes,) = {
        tuple(event["args"]["output_type_shape"][0]["float"])
        for event in events
        if event["name"].endswith("_kernel_time")
    }
    assert sizes == (3, 5)
    assert len(runs.cpu_shares) == sum(event["name"] == "model_run" for event in events)
    assert all(0 < share <= 1 for share in runs.cpu_shares)


def test_run_that_does_not_end_is_ended_and_told(tmp_path: Path) -> None:
    inputs = {"turns": np.array([2**60]), "x": np.ones(1, np.float32)}
    with pytest.raises(ModelError, match="did not end within 3 s") as caught:
        profiled_session.profile(endless(), inputs, weights=tmp_path, directory=tmp_path, most_s=3)
    assert "`shapes`" in caught.value.fix


@pytest.mark.parametrize("floats", [2**28, 2**50])
def test_run_that_takes_more_memory_than_it_may_is_told(tmp_path: Path, floats: int) -> None:
    inputs, most = {"s": np.array([floats])}, 2**29
    with pytest.raises(ModelError, match=r"takes more memory than this host can spare, 512\.0 MiB"):
        profiled_session.profile(expanding(), inputs, weights=tmp_path, directory=tmp_path, most_bytes=most)


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("kill -SEGV $$", r"crashes ONNX Runtime on this host \(SIGSEGV\)"),
        ("kill -KILL $$", "takes more memory than this host can spare"),
        ("echo 'No module named onnxruntime' >&2; exit 1", "does not run on this host: No module named onnxruntime"),
    ],
)
def test_process_that_ends_without_an_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, words: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{ending}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelError, match=words):
        profiled_session.profile(expanding(), {"s": np.array([3])}, weights=tmp_path, directory=tmp_path)


def test_inputs_that_the_model_refuses_are_the_runtimes_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="while running ConstantOfShape node"):
        profiled_session.profile(expanding(), {"s": np.array([-3])}, weights=tmp_path, directory=tmp_path)
