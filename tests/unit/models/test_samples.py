"""Sample models: topology, seeds, accuracy, and their place in a repository."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesim.errors import ModelError
from edgesim.measure.reference import Reference
from edgesim.models import repository, samples
from edgesim.models.samples import convnets
from tests.support.this_host import ONE_IMAGE, accuracy_on_this_host


def test_digits_states_the_accuracy_that_is_measured(digits: repository.Model) -> None:
    accuracy = accuracy_on_this_host(digits)
    assert accuracy >= 0.95
    # Stated in double precision, served in single: one image may lie on the border.
    assert float(digits.metadata["test_accuracy"]) == pytest.approx(accuracy, abs=ONE_IMAGE)
    assert digits.samples_path is not None
    with np.load(digits.samples_path) as file:
        assert int(digits.metadata["test_images"]) == len(file["image"]) == 360


# Convolutions and parameters after folding batch normalisation: 3,504,872 and 11,689,512 published for the trained
# networks, less one number for each of the 17,056 and 4,800 normalised channels (and two constants of the clipping).
@pytest.mark.parametrize(
    ("build", "operations", "parameters"),
    [
        (
            convnets.mobilenet_v2,
            {"Conv": 52, "Clip": 35, "Add": 10, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
            3_504_872 - 17_056 + 2,
        ),
        (
            convnets.resnet18,
            {"Conv": 20, "Relu": 17, "Add": 8, "MaxPool": 1, "GlobalAveragePool": 1, "Flatten": 1, "Gemm": 1},
            11_689_512 - 4_800,
        ),
    ],
)
def test_a_network_has_its_true_topology(build: object, operations: dict[str, int], parameters: int) -> None:
    assert callable(build)
    net: onnx.ModelProto = build()
    onnx.checker.check_model(net, full_check=True)
    assert Counter(node.op_type for node in net.graph.node) == operations
    assert sum(int(np.prod(weight.dims)) for weight in net.graph.initializer) == parameters


def test_the_same_seed_gives_the_same_network_and_another_gives_another() -> None:
    assert convnets.mobilenet_v2(7) == convnets.mobilenet_v2(7)
    assert convnets.mobilenet_v2(7) != convnets.mobilenet_v2(8)


def test_activations_neither_vanish_nor_overflow(resnet18: repository.Model) -> None:
    image = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    logits = Reference(resnet18).run({"image": image})["logits"]
    assert np.isfinite(logits).all()
    assert logits.std() > 0.1


def test_an_existing_model_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "digits" / "1" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    assert samples.ensure("digits", tmp_path) == tmp_path
    assert file.read_text() == "mine"


def test_building_a_sample_model_leaves_no_other_file(tmp_path: Path) -> None:
    samples.ensure("mobilenet_v2", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mobilenet_v2"]


def test_an_unknown_sample_model_is_refused() -> None:
    with pytest.raises(ModelError, match="no sample model 'vgg'"):
        samples.ensure("vgg")
