"""Files of artifacts under the names that edgesim's commands expect: Kubeflow's have none."""

import shutil
import tempfile
from pathlib import Path

from step import Step

NAME = "digits"


def work_directory() -> Path:
    """Return a new directory, which the container takes with it."""
    return Path(tempfile.mkdtemp())


def model_file(step: Step, directory: Path) -> Path:
    """Return the input artifact ``model`` as a file that is named after the model."""
    return Path(shutil.copyfile(step.inputs["model"], directory / f"{NAME}.onnx"))


def images_file(step: Step, directory: Path) -> Path:
    """Return the input artifact ``test_images`` as a file of arrays."""
    return Path(shutil.copyfile(step.inputs["test_images"], directory / "images.npz"))
