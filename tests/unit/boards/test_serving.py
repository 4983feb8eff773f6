"""What serving a repository says of the models in it."""

import re
from pathlib import Path

import pytest

from edgesim.boards import serving
from edgesim.errors import ModelError
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
    with pytest.raises(ModelError, match="no model in it can be served"):
        serving._models(tmp_path, Stages(listener))
    (note,) = listener.notes
    assert re.search("model net is left out: .*a Git LFS pointer, not the file; git -C .* lfs pull", note)
