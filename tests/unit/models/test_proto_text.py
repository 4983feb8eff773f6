"""Names in an ONNX file that are not UTF-8 text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgesim.errors import ModelError
from edgesim.models import repository
from tests.support import weights

PLACES: dict[str, Callable[[bytes], bytes]] = {
    "an operator": lambda content: content.replace(b"MatMul", b"Mat\xfful"),
    "an input": lambda content: content.replace(b"\x01x", b"\x01\xff"),
    "a file of weights": lambda content: content.replace(b"w.bin", b"\xff.bin"),
}


@pytest.mark.parametrize("place", PLACES)
def test_model_with_a_name_that_is_not_text_is_refused(place: str, tmp_path: Path) -> None:
    path = weights.write_with_weights(tmp_path / "net.onnx")
    repository.find(path)
    path.write_bytes(PLACES[place](path.read_bytes()))
    with pytest.raises(ModelError, match="a name in it is not UTF-8 text"):
        repository.find(path)


@pytest.mark.parametrize("place", ["branch", "loop", "constant", "function"])
def test_names_in_branches_loops_and_functions_count(place: str, tmp_path: Path) -> None:
    path = weights.write_nested(tmp_path / "net.onnx", "w.bin", place)
    path.write_bytes(path.read_bytes().replace(b"inner", b"inn\xffr"))
    with pytest.raises(ModelError, match="a name in it is not UTF-8 text"):
        repository.find(path)
