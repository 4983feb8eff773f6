"""Pictures as inputs: size, layout, colors and normalization."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesim import inputs
from edgesim.errors import HostError, ModelError
from edgesim.inputs import pictures
from edgesim.models.signature import Tensor
from edgesim.options import InputOptions
from tests.support.input_models import FLOAT, model_with

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A picture of 4 x 2 pixels, red on the left and blue on the right."""
    pixels = np.array([[RED, RED, BLUE, BLUE]] * 2, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "flag.png")
    return tmp_path / "flag.png"


def tensor(*shape: int, datatype: str = "FP32") -> Tensor:
    return Tensor(name="image", datatype=datatype, shape=shape)


def read(path: Path, *shape: int, datatype: str = "FP32", **options: Any) -> np.ndarray:
    return pictures.read(path, tensor(*shape, datatype=datatype), shape, **options)


def test_a_picture_has_its_own_size_where_the_model_leaves_it_open(flag: Path) -> None:
    values = read(flag, -1, 3, -1, -1)
    assert values.shape == (1, 3, 2, 4)
    assert values.dtype == np.float32
    assert values[0, :, 0, 0].tolist() == [1, 0, 0]
    assert values[0, :, 0, 3].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("shape", "expected"), [((1, 3, 8, 6), (1, 3, 8, 6)), ((1, 8, 6, 3), (1, 8, 6, 3)), ((1, 8, 6), (1, 8, 6))]
)
def test_a_picture_is_brought_to_the_size_and_layout_of_the_model(
    flag: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert read(flag, *shape).shape == expected


@pytest.mark.parametrize(
    ("normalization", "red"),
    [
        ("none", [255, 0, 0]),
        ("unit", [1, 0, 0]),
        ("signed", [1, -1, -1]),
        ("imagenet", [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]),
    ],
)
def test_values_are_normalized_as_asked(flag: Path, normalization: pictures.Normalization, red: list[float]) -> None:
    values = read(flag, 1, 3, 2, 4, normalization=normalization)
    assert values[0, :, 0, 0].tolist() == pytest.approx(red, abs=1e-6)
    backwards = read(flag, 1, 3, 2, 4, normalization=normalization, colors="bgr")
    assert backwards[0, :, 0, 0].tolist() == pytest.approx(red[::-1], abs=1e-6)


def test_whole_numbers_are_from_0_to_255(flag: Path) -> None:
    values = read(flag, 1, 2, 4, 3, datatype="UINT8")
    assert values.dtype == np.uint8
    assert values[0, 0, 0].tolist() == [255, 0, 0]
    with pytest.raises(ModelError, match="do not become UINT8 by normalize: unit"):
        read(flag, 1, 2, 4, 3, datatype="UINT8", normalization="unit")


def test_a_letterbox_keeps_the_proportions_and_adds_a_gray_border(flag: Path) -> None:
    values = read(flag, 1, 3, 8, 8, datatype="UINT8", fit="letterbox")
    assert values[0, :, 0, 0].tolist() == [114, 114, 114]
    assert values[0, :, 4, 0].tolist() == [255, 0, 0]
    assert read(flag, 1, 3, 8, 8, datatype="UINT8", fit="crop")[0, :, 0, 0].tolist() == [255, 0, 0]


def test_pictures_of_a_directory_are_a_request_each(flag: Path) -> None:
    Image.fromarray(np.zeros((6, 6, 3), np.uint8)).save(flag.with_name("black.jpg"))
    net = model_with(flag.with_name("net.onnx"), {"image": (FLOAT, (1, 3, 8, 8)), "size": (FLOAT, (1,))})
    file = flag.with_name("said.yaml")
    file.write_text("inputs: {image: {one_of: [{file: flag.png}, {file: '*.jpg'}], normalize: unit}}")
    with pytest.raises(ModelError, match=r"inputs\.image\.normalize: goes with file"):
        inputs.choose(net, InputOptions(inputs_file=file))
    file.write_text("inputs: {image: {file: '*[gk].*g', normalize: signed}, size: 1}")
    chosen = inputs.choose(net, InputOptions(inputs_file=file))
    assert [float(request["image"].min()) for request in chosen.requests] == [-1, -1]
    assert [float(request["image"].max()) for request in chosen.requests] == [-1, 1]


@pytest.mark.parametrize(
    ("content", "shape", "problem"),
    [
        (b"no picture", (1, 3, 4, 4), "not a picture"),
        (None, (1, 2, 8, 8), "1, 3 or 4 colors"),
        (None, (2, 3, 4, 4), "a picture has a height"),
        (None, (4, 4), "a picture has a height"),
    ],
)
def test_what_is_no_picture_or_takes_none_is_refused(
    flag: Path, content: bytes | None, shape: tuple[int, ...], problem: str
) -> None:
    if content is not None:
        flag.write_bytes(content)
    with pytest.raises(ModelError, match=problem):
        read(flag, *shape)


def test_a_missing_pillow_is_told_with_the_extra_that_has_it(flag: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(HostError, match="a picture needs Pillow") as caught:
        read(flag, 1, 3, 2, 4)
    assert caught.value.fix == "pip install 'edgesim[images]'"
