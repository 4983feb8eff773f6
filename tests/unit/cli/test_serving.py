"""What `edgesim serve` says when a board is up."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgesim.cli import _serving
from edgesim.errors import ModelError
from edgesim.inputs.of_several import of_model
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from tests.support.input_models import BERT, FLOAT, STRING, VOICE, model_with


def served(*models: Model) -> Any:
    return SimpleNamespace(models=models, execution="emulated", scale=None, url="http://127.0.0.1:1", grpc_address=None)


def board(directory: Path, *names: str) -> Any:
    return served(*(model_with(directory / f"{name}.onnx", {"x": (FLOAT, (1, 2))}) for name in names))


def body(line: str) -> Any:
    """Return the document that a command sends."""
    words = shlex.split(line)
    return json.loads(words[words.index("-d") + 1])["inputs"]


def test_the_command_sends_what_the_file_of_inputs_and_the_options_say(tmp_path: Path) -> None:
    model_with(tmp_path / "v.onnx", {**VOICE, "word": (STRING, ("batch",))})
    (tmp_path / "inputs.yaml").write_text('inputs: {rate: 16000, state: zeros, word: "it\'s"}')
    voice = repository.find(str(tmp_path / "v.onnx"))
    line = _serving.introduction(served(voice), "jetson-nano", InputOptions(dims={"samples": 3}))[-1]
    audio, state, rate, word = body(line)
    assert (audio["shape"], state["shape"], rate["data"], word["data"]) == ([1, 3], [2, 1, 8], [16000], ["it's"])
    audio, _, rate, word = body(_serving.introduction(served(voice), "jetson-nano")[-1])
    assert (audio["shape"], rate["data"], word["data"]) == ([1, 1], [0], [""]), "zeros, where sizes are not known"


def test_options_of_inputs_are_for_the_models_that_have_the_name(tmp_path: Path) -> None:
    bert, voice = model_with(tmp_path / "b.onnx", BERT), model_with(tmp_path / "v.onnx", VOICE)
    options = InputOptions(dims={"sequence": 4, "batch": 2}, ranges={"rate": (1, 1)})
    assert of_model(options, bert, [bert, voice]).dims == {"sequence": 4, "batch": 2}
    assert of_model(options, bert, [bert, voice]).ranges == {}
    assert of_model(options, voice, [bert, voice]).dims == {"batch": 2}
    with pytest.raises(ModelError, match="no model has that name; did you mean 'sequence'"):
        of_model(InputOptions(dims={"sequenc": 4}), bert, [bert, voice])
    with pytest.raises(ModelError, match="is for one model, and there are 2"):
        of_model(InputOptions(inputs_file=tmp_path / "i.yaml"), bert, [bert, voice])


def test_a_board_with_few_models_names_all_and_ends_with_a_command_to_copy(tmp_path: Path) -> None:
    first, *_, last = _serving.introduction(board(tmp_path, "a", "b", "c"), "jetson-nano")
    assert first == "serving a, b, c on jetson-nano (emulated); Ctrl-C ends it"
    assert last.startswith("curl -s http://127.0.0.1:1/v2/models/a/infer ")


def test_a_board_with_many_models_names_the_first_and_how_many_more(tmp_path: Path) -> None:
    first = _serving.introduction(board(tmp_path, *"abcdefgh"), "jetson-nano")[0]
    assert first == "serving a, b, c and 5 more on jetson-nano (emulated); Ctrl-C ends it"


def test_counters_begin_with_the_board_and_leave_out_requests_of_edgesims_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = iter([(2115, 1), (2118, 3), (2, 0)])

    def statistics(*_: object) -> Any:
        ok, failed = next(answered)
        figures = {"success": ok, "fail": failed, "queue": ok, "compute_infer": ok}
        stats = {name: {"count": count, "ns": 1_000_000 * count} for name, count in figures.items()}
        return {"model_stats": [{"name": "net", "version": "1", "inference_stats": stats}]}

    monkeypatch.setattr(_serving, "Client", lambda *_, **__: SimpleNamespace(get_json=statistics))
    counters = _serving.Counters(SimpleNamespace(url="http://127.0.0.1:1", models=["net"]))  # type: ignore[arg-type]
    assert counters.total() == (3, 2)
    assert counters.total() == (2, 0), "a server that was started again counts from 0"
