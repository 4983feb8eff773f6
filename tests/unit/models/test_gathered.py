"""ONNX Runtime on this host loads models whose files are links, also where it refuses the links itself."""

from pathlib import Path

import numpy as np
import pytest

from edgesim.measure.reference import Reference
from edgesim.models import gathered, repository
from tests.support import weights
from tests.support.weights import ROW, VALUES


def linked(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.symlink_to(target)


def test_reference_runs_a_model_of_dvc_whose_files_are_in_several_directories(tmp_path: Path) -> None:
    path = weights.write_with_weights(tmp_path / "checkout" / "net.onnx")
    linked(path, tmp_path / "cache" / "ab" / ("1" * 30))
    linked(path.with_name("w.bin"), tmp_path / "cache" / "cd" / ("2" * 30))
    outputs = Reference(repository.find(path)).run({"x": ROW})
    assert np.allclose(outputs["y"], ROW @ VALUES)


@pytest.mark.parametrize("place", ["branch", "loop", "constant"])
def test_reference_runs_a_model_of_hugging_face_with_weights_within_its_graph(tmp_path: Path, place: str) -> None:
    path = weights.write_nested(tmp_path / "snapshot" / "net.onnx", "inner.bin", place)
    path.with_name("inner.bin").write_bytes(ROW.tobytes())
    linked(path, tmp_path / "blobs" / "a")
    linked(path.with_name("inner.bin"), tmp_path / "blobs" / "b")
    weight = ROW if place != "loop" else ROW + 2 * ROW
    outputs = Reference(repository.find(path)).run({"x": ROW})
    assert np.allclose(outputs["y"], ROW * weight)


def test_links_are_enough_for_weights_beside_their_model(tmp_path: Path) -> None:
    path = weights.write_with_weights(tmp_path / "net.onnx", "sub/w.bin")
    assert not gathered.needs_copies(path, [tmp_path / "sub" / "w.bin"])
    assert gathered.needs_copies(path, [tmp_path.parent / "w.bin"])
    assert gathered.needs_copies(weights.write_nested(path, "inner.bin", "branch"), [tmp_path / "inner.bin"])
    assert not gathered.needs_copies(tmp_path / "is not read", [])
