"""Sounds as inputs: their samples, in one request or in pieces."""

import wave
from pathlib import Path

import numpy as np
import pytest

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs import sounds
from edgesim.models.signature import Tensor
from edgesim.options import InputOptions
from tests.support.input_models import VOICE, model_with


def write(path: Path, samples: np.ndarray, *, channels: int = 1, width: int = 2, rate: int = 16000) -> Path:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())
    return path


def read(path: Path, *shape: int, datatype: str = "FP32", rate_hz: int | None = None) -> list[np.ndarray]:
    return list(sounds.read(path, Tensor(name="audio", datatype=datatype, shape=shape), shape, rate_hz=rate_hz))


def test_a_sound_is_one_request_where_the_model_takes_any_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.array([0, 2**14, -(2**15)], np.int16))
    (values,) = read(path, -1, -1)
    assert values.dtype == np.float32
    assert values.tolist() == [[0, 0.5, -1]]
    (whole,) = read(path, 1, -1, datatype="INT16")
    assert whole.tolist() == [[0, 2**14, -(2**15)]]


def test_a_sound_is_cut_into_pieces_of_the_size_that_the_model_fixes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.full(1000, 2**14, np.int16))
    first, second = read(path, 1, 512)
    assert first.shape == second.shape == (1, 512)
    assert second[0, 487] == 0.5
    assert second[0, 488:].max() == 0, "the rest is silence"


@pytest.mark.parametrize(
    ("width", "half"),
    [
        (1, np.array([192], np.uint8)),
        (2, np.array([2**14], "<i2")),
        (3, np.array([0, 0, 64], np.uint8)),
        (4, np.array([2**30], "<i4")),
    ],
)
def test_samples_of_every_width_are_between_minus_one_and_one(tmp_path: Path, width: int, half: np.ndarray) -> None:
    (values,) = read(write(tmp_path / "a.wav", half, width=width), 1, -1)
    assert values.tolist() == [[0.5]]


def test_channels_become_their_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.array([2**14, 0, 2**14, 2**14], np.int16), channels=2)
    assert read(path, 1, -1)[0].tolist() == [[0.25, 0.5]]


def test_a_sound_of_another_rate_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(4, np.int16), rate=44100)
    with pytest.raises(ModelError, match="44100 samples a second, and rate is 16000") as caught:
        read(path, 1, -1, rate_hz=16000)
    assert caught.value.fix.startswith("convert it: ffmpeg -i")


def test_the_pieces_of_a_sound_are_the_requests_of_a_run(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", VOICE)
    write(tmp_path / "hello.wav", np.zeros(1600, np.int16))
    (tmp_path / "said.yaml").write_text(
        "dims: {samples: 512}\ninputs: {audio: {file: hello.wav, rate: 16000}, state: zeros, rate: 16000}"
    )
    chosen = inputs.choose(voice, InputOptions(inputs_file=tmp_path / "said.yaml"))
    assert [request["audio"].shape for request in chosen.requests] == [(1, 512)] * 4


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(16)])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ModelError, match="not a WAV file"):
        read(tmp_path / "a.wav", 1, -1)
    write(tmp_path / "b.wav", np.zeros(4, np.int16))
    with pytest.raises(ModelError, match="a sound is a row of samples"):
        read(tmp_path / "b.wav", 1, 3, 16)
