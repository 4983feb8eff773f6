"""``edgesim models show``: a description that fits a screen, whatever an exporter wrote into the file."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.support.command_line import exit_code_of


def saved(path: Path, metadata: dict[str, str]) -> Path:
    """Write a model with an If, whose branches have a Relu each, and with metadata."""
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    then, other = (
        helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], name, [], [value]) for name in ("then", "else")
    )
    choice = helper.make_node("If", ["condition"], ["y"], then_branch=then, else_branch=other)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph([choice], "g", inputs, [value])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_long_metadata_is_cut_for_people_and_whole_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dictionary = "\n".join(map(str, range(20_000)))
    path = saved(tmp_path / "m.onnx", {"character": dictionary, "imgsz": "[320, 320]", "page": "x" * 5000})
    assert exit_code_of(("models", "show", path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 20
    assert "character       0 1 2 … (20,000 lines; all of them: --json)" in lines
    assert "imgsz           [320, 320]" in lines
    assert any(line.endswith("… (5,000 letters; all of them: --json)") for line in lines)
    assert exit_code_of(("models", "show", path, "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metadata"]["character"] == dictionary
    assert facts["metadata_cut"] == []


def test_many_entries_of_metadata_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "m.onnx", {f"key_{i}": "v" for i in range(1000)})
    assert exit_code_of(("models", "show", path)) == 0
    assert "980 more entries; all of them: --json" in capsys.readouterr().out


def test_metadata_in_json_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "m.onnx", {"log": "x" * 3_000_000})
    assert exit_code_of(("models", "show", path, "--json")) == 0
    facts = json.loads(capsys.readouterr().out)
    assert len(facts["metadata"]["log"]) == 1_000_000
    assert facts["metadata_cut"] == ["log"]


def test_operations_of_branches_are_shown_and_the_opsets_that_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(("models", "show", saved(tmp_path / "m.onnx", {}))) == 0
    shown = capsys.readouterr().out
    assert "2 Relu, 1 If" in shown
    assert "opset           17\n" in shown


def test_line_break_in_the_name_of_a_file_breaks_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code_of(("models", "show", saved(tmp_path / "a\nb.onnx", {}))) == 0
    assert capsys.readouterr().out.startswith("a b  ")
