"""What serving a repository says of the models in it."""

import re
import shutil
from pathlib import Path

import pytest

from edgesim import profiles
from edgesim.boards import serving
from edgesim.boards.launch import Launch
from edgesim.errors import ModelError
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import BoardOptions
from edgesim.progress import Silent, Stages


class Notes(Silent):
    """A listener that keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_model_that_is_left_out_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "net" / "1").mkdir(parents=True)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * "0" + "\nsize 4096\n"
    (tmp_path / "net" / "1" / "model.onnx").write_text(pointer)
    listener = Notes()
    with pytest.raises(ModelError, match="none of its models can be served"):
        serving._models(tmp_path, Stages(listener))
    (note,) = listener.notes
    assert re.search("model net is left out: .*a Git LFS pointer, not the file; git -C .* lfs pull", note)


def test_a_model_whose_configuration_the_server_refuses_is_left_out_and_told(tmp_path: Path, digits: Model) -> None:
    for name in ("good", "broken"):
        (tmp_path / name / "1").mkdir(parents=True)
        shutil.copy(digits.path, tmp_path / name / "1" / "model.onnx")
    (tmp_path / "broken" / "config.yaml").write_text("max_batch_sise: 4\n")
    listener, models = Notes(), [repository.find(name, tmp_path) for name in ("broken", "good")]
    launch = Launch.of(profiles.load("jetson-nano"), models, BoardOptions(), load_all=True)
    assert [model.name for model in serving._servable(launch, Stages(listener))] == ["good"]
    (note,) = listener.notes
    assert re.search("model broken is left out: .*unknown field 'max_batch_sise'", note)
    launch = Launch.of(profiles.load("jetson-nano"), models[:1], BoardOptions(), load_all=True)
    with pytest.raises(ModelError, match="none of its models can be served"):
        serving._servable(launch, Stages(Notes()))
