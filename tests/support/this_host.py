"""What this host itself computes: the expectation wherever a figure depends on its arithmetic.

The digits are trained on the host that runs the tests, and processors sum in different orders: their accuracy, and the
last digits of their outputs, are not the same everywhere.
"""

import mmap

import numpy as np

from edgesim.engine import docker_engine
from edgesim.measure.reference import Reference
from edgesim.models.repository import Model
from edgesim.profiles.device_profile import DeviceProfile

# The digits' outputs are probabilities. On another processor, which
# sums in another order, they differ by less than this.
ROUNDING = 1e-4
# On the same processor with another version of ONNX Runtime: a few roundings of single precision, of 6e-8 each.
ROUNDING_OF_A_VERSION = 1e-6
# A share of the digits' 360 labelled images, by which one image may differ whose two best classes are almost even.
ONE_IMAGE = 1.1 / 360


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


def board_memory(profile: DeviceProfile) -> int:
    """Return the memory limit that the engine's machine can give a board, in bytes."""
    return whole_pages(min(profile.memory.visible_bytes, docker_engine.Engine().facts.memory_bytes))


def _classes(digits: Model, images: np.ndarray) -> np.ndarray:
    classes: np.ndarray = Reference(digits).run({"image": images})["probabilities"].argmax(axis=1)
    return classes
