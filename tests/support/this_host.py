"""What this host itself computes: the expectation wherever a figure depends on its arithmetic.

The digits are trained on the host that runs the tests, and processors sum in different orders: their accuracy, and the
last digits of their outputs, are not the same everywhere.
"""

import mmap

import numpy as np

from edgesim.measure.reference import Reference
from edgesim.models.repository import Model

# Outputs are probabilities; beyond this an answer differs by more than the order of its sums.
ROUNDING = 1e-4


def accuracy_on_this_host(digits: Model) -> float:
    """Return the share of the digits' labelled samples that the model gets right on this host."""
    assert digits.samples_path is not None
    with np.load(digits.samples_path) as samples:
        images, labels = samples["image"], samples["labels"]
    return float((_classes(digits, images) == labels).mean())


def digit_on_this_host(digits: Model, image: list[list[float]]) -> int:
    """Return the class that the digits give an image of 8 x 8 grey values on this host."""
    return int(_classes(digits, np.array([image], np.float32))[0])


def whole_pages(count: int) -> int:
    """Return `count` bytes as the kernel keeps a memory limit: rounded down to whole pages of this host."""
    return count // mmap.PAGESIZE * mmap.PAGESIZE


def _classes(digits: Model, images: np.ndarray) -> np.ndarray:
    classes: np.ndarray = Reference(digits).run({"image": images})["probabilities"].argmax(axis=1)
    return classes
