"""The inputs file: where it is, what it says, and what is said of a wrong one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesim import inputs
from edgesim.errors import ModelError
from edgesim.inputs import Arrays
from edgesim.models import repository
from edgesim.models.repository import Model
from edgesim.options import InputOptions
from tests.support.input_models import BERT, FLOAT, INT64, STRING, VOICE, model_with


def requests(model: Model, text: str, directory: Path, **options: Any) -> tuple[Arrays, ...]:
    """Return the requests by a file of inputs that the user names."""
    file = directory / "said.yaml"
    file.write_text(text)
    return inputs.choose(model, InputOptions(inputs_file=file, **options)).requests


def bert(directory: Path) -> Model:
    return model_with(directory / "bert.onnx", BERT)


def test_constants_ranges_and_words(tmp_path: Path) -> None:
    text = "dims: {sequence: 4}\ninputs: {ids: {range: [5, 6]}, mask: ones, types: 0}"
    sent = requests(bert(tmp_path), text, tmp_path)
    assert len(sent) == 8
    assert {int(value) for request in sent for value in request["ids"].reshape(-1)} == {5, 6}
    assert sent[0]["mask"].tolist() == [[1, 1, 1, 1]]
    assert sent[0]["mask"].dtype == np.int64
    assert sent[0]["types"].tolist() == [[0, 0, 0, 0]]


def test_entries_take_turns_and_a_list_has_the_shape_of_its_values(tmp_path: Path) -> None:
    text = "inputs: {ids: {one_of: [[7, 8], [[9, 10, 11]]]}, mask: ones, types: zeros}"
    first, second = requests(bert(tmp_path), text, tmp_path)
    assert first["ids"].tolist() == [[7, 8]]
    assert second["ids"].tolist() == [[9, 10, 11]]
    assert (first["mask"].shape, second["mask"].shape) == ((1, 2), (1, 3)), "other inputs have the sizes of the ids"


def test_a_length_is_the_size_of_the_other_input_in_each_request(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"x": (FLOAT, ("n", "time")), "length": (INT64, ("n",))})
    text = "inputs: {x: {one_of: [[1, 2], [1, 2, 3]]}, length: {length_of: x}}"
    assert [request["length"].tolist() for request in requests(net, text, tmp_path)] == [[2], [3]]


def test_lines_of_text_are_a_request_each(tmp_path: Path) -> None:
    net = model_with(tmp_path / "n.onnx", {"text": (STRING, ("n", 1)), "word": (STRING, ())})
    (tmp_path / "titles.txt").write_text("first\nsécond line\n")
    sent = requests(net, "inputs: {text: {lines: titles.txt}, word: ones}", tmp_path)
    assert [request["text"].tolist() for request in sent] == [[["first"]], [["sécond line"]]]
    assert sent[0]["word"].tolist() == "ones", "a word is a text where the input is one"


def test_arrays_of_files_are_requests_and_may_differ_in_length(tmp_path: Path) -> None:
    for number, length in enumerate((2, 5)):
        np.save(tmp_path / f"{number}.npy", np.full((1, length), number))
    sent = requests(bert(tmp_path), "inputs: {ids: {file: '*.npy'}, mask: ones, types: zeros}", tmp_path)
    assert [request["ids"].shape for request in sent] == [(1, 2), (1, 5)]
    np.savez(tmp_path / "all.npz", tokens=np.arange(6).reshape(3, 2))
    text = "inputs: {ids: {file: all.npz, key: tokens}, mask: ones, types: zeros}"
    assert [request["ids"].tolist() for request in requests(bert(tmp_path), text, tmp_path)] == [
        [[0, 1]],
        [[2, 3]],
        [[4, 5]],
    ]


def test_a_range_on_the_command_line_goes_before_the_file(tmp_path: Path) -> None:
    text = "dims: {sequence: 4}\ninputs: {ids: 3, mask: ones, types: 0}"
    (first, *_) = requests(bert(tmp_path), text, tmp_path, ranges={"ids": (8, 8)}, dims={"sequence": 2})
    assert first["ids"].tolist() == [[8, 8]]


def test_a_file_beside_the_model_counts_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "inputs.yaml").write_text("dims: {sequence: 2}\ninputs: {ids: 3, mask: ones, types: 0}")
    chosen = inputs.choose(bert(tmp_path), InputOptions())
    assert chosen.origin == "as inputs.yaml says"
    assert not chosen.is_random
    (tmp_path / "bert.inputs.yaml").write_text("dims: {sequence: 9}")
    chosen = inputs.choose(bert(tmp_path), InputOptions())
    assert chosen.requests[0]["ids"].shape == (1, 9), "the file with the model's own name goes first"


def test_a_file_beside_the_versions_of_a_repository_counts(tmp_path: Path) -> None:
    model_with(tmp_path / "bert" / "1" / "model.onnx", BERT)
    (tmp_path / "bert" / "inputs.yaml").write_text("dims: {sequence: 2}")
    assert inputs.choose(repository.find("bert", tmp_path), InputOptions()).requests[0]["ids"].shape == (1, 2)


def test_real_inputs_get_from_the_file_what_they_lack(tmp_path: Path) -> None:
    voice = model_with(tmp_path / "v.onnx", VOICE)
    np.savez(tmp_path / "real.npz", audio=np.ones((3, 16), np.float32))
    with pytest.raises(ModelError, match="contains audio; the model takes audio, rate, state"):
        inputs.choose(voice, InputOptions(input=tmp_path / "real.npz"))
    (tmp_path / "inputs.yaml").write_text("inputs: {rate: 16000, state: zeros}")
    chosen = inputs.choose(repository.find(str(tmp_path / "v.onnx")), InputOptions(input=tmp_path / "real.npz"))
    assert [request["rate"].tolist() for request in chosen.requests] == [16000] * 3
    assert chosen.requests[0]["state"].shape == (2, 1, 8)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("inputs: {ids: {rnage: [0, 1]}}", r"said\.yaml:1: unknown key 'inputs\.ids\.rnage'; did you mean 'range'"),
        ("input: {ids: 1}", r"unknown key 'input'; did you mean 'inputs'"),
        ("inputs: {idz: 1}", r"inputs\.idz: model bert takes ids, mask, types; did you mean 'ids'"),
        ("inputs:\n  ids: {range: [5, 1]}", r"said\.yaml:2: inputs\.ids\.range: the smallest value comes first"),
        ("inputs: {ids: {value: 1, range: [5, 6]}}", "value and range exclude each other"),
        ("inputs: {ids: {key: a}}", r"inputs\.ids\.key: goes with file"),
        ("inputs: {ids: onse}", r"'onse' is not one of random, ones, zeros; did you mean 'ones'"),
        ("inputs: {ids: 0.5}", "INT64 takes whole numbers"),
        ("inputs: {ids: .nan}", "INT64 takes whole numbers"),
        ("inputs: {ids: 99999999999999999999}", "more than 64 bits"),
        ("inputs: {ids: [[1, 2], [3]]}", "lists have different lengths"),
        ("inputs: {ids: {a: 1}}", r"unknown key 'inputs\.ids\.a'"),
        ("inputs: {ids: [[[1]]]}", r"has the shape \[1, 1, 1\]; the model takes ids"),
        ("inputs: {ids: {length_of: mazk}}", "no input 'mazk'; did you mean 'mask'"),
        ("inputs: {ids: {lines: x.txt}}", "is for text"),
        ("inputs: {ids: {file: none.npy}}", r"none\.npy"),
        ("inputs: {ids: {file: '*.nothing'}}", "no such file"),
        ("dims: {sequence: -1}", "must be 0 or more"),
        ("inputs: {ids: {range: [a, 2]}}", r"inputs\.ids\.range\.0: must be a number \(given: 'a'\)"),
        ("inputs: {ids: {range: [0, 1, 2]}}", r"inputs\.ids\.range: has 3 values, 2 at most"),
        ("dims: {sequenc: 1}", "no size of that name"),
        ("- a", "must be a mapping"),
        ("inputs: {ids: ", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key_and_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        requests(bert(tmp_path), text, tmp_path, **({} if "dims" in text else {"dims": {"sequence": 2}}))


def test_a_file_beside_the_model_names_no_files_outside_of_its_directory(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    np.save(tmp_path / "outside.npy", np.zeros((1, 2), np.int64))
    net = model_with(inside / "bert.onnx", BERT)
    (inside / "link.npy").symlink_to(tmp_path / "outside.npy")
    for name in ("../outside.npy", str(tmp_path / "outside.npy"), "link.npy", "../*.npy", "*.npy"):
        text = f"inputs: {{ids: {{file: '{name}'}}, mask: ones, types: zeros}}"
        (inside / "inputs.yaml").write_text(text)
        with pytest.raises(ModelError, match="is outside the model's directory"):
            inputs.choose(repository.find(str(net.path)), InputOptions())
        (inside / "inputs.yaml").unlink()
        assert requests(net, text.replace("'../", f"'{tmp_path}/"), inside)[0]["ids"].shape == (1, 2)
