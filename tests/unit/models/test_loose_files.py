"""An .onnx file beside the models of a repository is no model of it; the fix says how it becomes one."""

import subprocess
from pathlib import Path

import pytest

from edgesim.errors import ModelError
from edgesim.models import repository
from tests.conftest import write_model


def test_model_that_is_a_loose_file_is_named_with_its_path(tmp_path: Path) -> None:
    path = write_model(tmp_path / "my net.onnx")
    with pytest.raises(ModelError, match="no model 'my net'; it has none") as caught:
        repository.find("my net", tmp_path)
    assert caught.value.fix.startswith(f"give its path, {path}, or move it: ")


def test_command_of_the_fix_makes_a_model_of_a_loose_file(tmp_path: Path) -> None:
    write_model(tmp_path / "my net.onnx")
    with pytest.raises(ModelError, match="no model in it") as caught:
        repository.whole(tmp_path)
    layout, _, command = caught.value.fix.partition(": ")
    assert layout == "a model is at NAME/VERSION/model.onnx"
    subprocess.run(command, shell=True, check=True)
    assert repository.names(tmp_path) == ["my net"]


def test_unknown_name_lists_the_models_of_the_directory_that_was_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        repository.find("net", tmp_path)
    assert caught.value.fix == f"edgesim models list --models {tmp_path}"
