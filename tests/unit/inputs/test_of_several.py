"""States and generations, where several models are served."""

from pathlib import Path

import onnx
import pytest

from edgesim.errors import ModelError
from edgesim.inputs.of_several import of_model
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import Generate, InputOptions
from tests.support import sequence_models


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Model]:
    protos = {"gru": sequence_models.gru(), "net": sequence_models.decoder(), "counter": sequence_models.counter()}
    for name, proto in protos.items():
        onnx.save(proto, tmp_path / f"{name}.onnx")
    return {name: repository.find(tmp_path / f"{name}.onnx") for name in protos}


def test_state_goes_to_the_models_that_have_it(models: dict[str, Model]) -> None:
    options, all_of_them = InputOptions(state={"hn": "h0"}), list(models.values())
    assert of_model(options, models["gru"], all_of_them).state == {"hn": "h0"}
    assert of_model(options, models["counter"], all_of_them).state == {}
    with pytest.raises(ModelError, match="`state` a=b: no model has that output and that input"):
        of_model(InputOptions(state={"a": "b"}), models["gru"], all_of_them)


def test_models_without_a_state_that_looks_like_one_are_left_alone(models: dict[str, Model]) -> None:
    options, all_of_them = InputOptions(state="auto", generate=Generate(prompt=2, tokens=2)), list(models.values())
    assert of_model(options, models["net"], all_of_them) == options
    of_counter = of_model(options, models["counter"], all_of_them)
    assert (of_counter.state, of_counter.generate) == ({}, None)
