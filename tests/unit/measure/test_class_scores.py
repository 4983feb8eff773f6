"""Which outputs are taken for class scores, and which are not."""

import numpy as np
import pytest

from edgesim.measure.class_scores import class_scores

GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(2, 5)).astype(np.float32)
PROBABILITIES = np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)
UNIT = (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("outputs", "name"),
    [
        ({"y": PROBABILITIES}, "y"),
        ({"y": ROWS}, "y"),
        ({"embedding": ROWS, "logits": ROWS}, "logits"),
        ({"boxes": ROWS, "y": PROBABILITIES}, "y"),
        ({"label": np.array([1, 0]), "scores": ROWS}, "scores"),
        ({"boxes": GENERATOR.random((2, 4), np.float32)}, None),
        ({"y": UNIT}, None),
        ({"y": ROWS, "z": ROWS}, None),
        ({"detections": GENERATOR.random((20, 6), np.float32) + 1}, None),
        ({"selected": np.ones((2, 3), np.int64)}, None),
        ({"y": np.zeros((0, 6), np.float32)}, None),
        ({"y": np.ones((2, 1), np.float32)}, None),
        ({"y": np.ones((2, 5, 5), np.float32)}, None),
        ({}, None),
    ],
)
def test_class_scores_are_probabilities_or_named_or_the_only_row_of_each_sample(
    outputs: dict[str, np.ndarray], name: str | None
) -> None:
    assert class_scores(outputs, samples=2) == name


def test_labels_say_that_the_model_is_a_classifier() -> None:
    assert class_scores({"y": ROWS, "z": ROWS}, samples=2, labelled=True) == "y"
