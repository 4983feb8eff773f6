"""Plans: which cells a matrix has."""

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgesim import profiles
from edgesim.errors import ModelError, ProfileError, UsageError
from edgesim.options import BoardOptions, RunOptions
from edgesim.sweeps.cell import Cell, stated_options
from edgesim.sweeps.file_tree import FileTree
from edgesim.sweeps.matrix import Matrix
from edgesim.sweeps.plan import plan
from edgesim.sweeps.run_cell import run_cell
from tests.unit.sweeps.conftest import product


def names(matrix: Matrix) -> list[str]:
    return [cell.name for cell in plan(matrix).cells]


def test_patterns_name_boards_their_modes_and_models(models: Path) -> None:
    assert names(Matrix.of(["jetson-nano:*"], [f"{models}/w*"])) == ["jetson-nano wide", "jetson-nano:5w wide"]
    boards = [name for name in profiles.names() if name.startswith("raspberry-pi-")]
    assert names(Matrix.of(["raspberry-*"], [f"{models}/small"])) == [f"{board} small" for board in boards]


def test_plain_name_is_one_of_the_repository_that_models_names(models: Path) -> None:
    assert names(Matrix.of(["rk3588"], ["s*"], {"models": [str(models)]})) == ["rk3588 small"]


@pytest.mark.parametrize(
    ("profile", "model", "error", "words"),
    [
        ("jetsen-*", "small", ProfileError, "no profile matches 'jetsen-\\*'"),
        ("jetson-nano", "none*", ModelError, "no model matches"),
        ("jetson-nano", "medium", ModelError, "no model 'medium'"),
    ],
)
def test_pattern_that_names_nothing_is_refused(
    models: Path, profile: str, model: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        plan(Matrix.of([profile], [model], {"models": [str(models)]}))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"thread": [1]}, "thread: no such option; did you mean 'threads'"),
        ({"job": ["predcit"]}, "not one of predict, run, check; did you mean 'predict'"),
        ({"threads": [0]}, "`threads=0`: not a whole number of at least 1"),
        ({"job": ["predict"], "qps": [5]}, "qps: no predict uses it"),
        ({"output": ["x"]}, "output: each cell of a sweep has its own"),
        ({"job": ["run"], "qps": ["fast"]}, "`qps=fast`"),
        ({"target": ["gpu:tensorrt-fp61"]}, "no board of the sweep has such a target"),
    ],
)
def test_wrong_option_is_refused_before_a_cell_runs(models: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan(Matrix.of(["jetson-nano"], [f"{models}/*"], settings))


def test_option_that_one_job_alone_takes_makes_no_cells_of_the_other(models: Path) -> None:
    cells = plan(Matrix.of(["rk3588"], [f"{models}/small"], {"job": ["predict", "run"], "requests": [5, 6]})).cells
    assert [cell.job for cell in cells] == ["predict", "run", "run"]
    assert [cell.options.traffic.requests for cell in cells] == [None, 5, 6]


def test_target_is_left_out_of_boards_that_do_not_have_it(models: Path) -> None:
    planned = plan(Matrix.of(["jetson-nano", "rk3588"], [f"{models}/small"], {"target": ["cpu", "gpu:*fp16"]}))
    assert [cell.name for cell in planned.cells] == [
        "jetson-nano small",
        "jetson-nano small gpu:tensorrt-fp16",
        "rk3588 small",
    ]
    assert planned.left_out == ("rk3588 has no target gpu:*fp16",)


def test_excluded_combinations_have_no_cell(models: Path) -> None:
    document = {
        "profile": ["jetson-nano", "rk3588"],
        "model": f"{models}/*",
        "set": {"threads": [1, 4]},
        "exclude": [{"profile": "jetson-*", "threads": 4}, {"model": "wide"}],
    }
    base = Matrix.model_validate(document)
    assert names(base) == ["jetson-nano small threads=1", "rk3588 small threads=1", "rk3588 small threads=4"]


def test_precision_is_first_a_model_beside_and_then_one_that_is_quantized(models: Path) -> None:
    product(models / "wide-int8" / "1" / "model.onnx", columns=32)
    matrix = Matrix.of(["rk3588"], [f"{models}/*"], {"precision": ["fp32", "int8"]})
    cells = {cell.name: cell for cell in plan(matrix).cells}
    assert list(cells) == ["rk3588 small fp32", "rk3588 small int8", "rk3588 wide fp32", "rk3588 wide int8"]
    assert cells["rk3588 wide int8"].model.name == "wide-int8"
    assert cells["rk3588 wide int8"].note == ""
    assert "its answers do not" in cells["rk3588 small int8"].note
    operations = cells["rk3588 small int8"].model.read().operations
    assert operations["QuantizeLinear"]
    assert run_cell(cells["rk3588 small int8"]).error is None


def test_precision_that_cannot_be_made_is_left_out_with_the_reason(models: Path) -> None:
    planned = plan(Matrix.of(["rk3588"], [f"{models}/small"], {"precision": ["fp32", "fp16"]}))
    assert [cell.precision for cell in planned.cells] == ["fp32"]
    assert [reason.split(":")[1] for reason in planned.left_out] == [" no variant in fp16"]


def test_file_that_is_no_model_is_a_cell_that_fails_and_says_why(models: Path) -> None:
    (models / "small" / "1" / "model.onnx").write_bytes(b"no model")
    cells = plan(Matrix.of(["rk3588"], [f"{models}/*"])).cells
    result = run_cell(cells[0])
    assert cells[0].name == "rk3588 small"
    assert result.error is not None
    assert (result.error.kind, result.error.exit_code) == ("ModelError", 2)


def test_cell_is_the_same_in_another_process_and_at_another_place(models: Path, tmp_path: Path) -> None:
    (cell,) = plan(Matrix.of(["jetson-nano:5w"], [f"{models}/small"], {"threads": [2]})).cells
    sent: Cell = pickle.loads(pickle.dumps(cell))
    there = models.rename(tmp_path / "moved")
    moved = cell.at(lambda _: there)
    assert cell.key == sent.key == moved.key
    expected = run_cell(moved)
    assert expected.error is None
    assert run_cell(sent.at(lambda _: there)).figures == expected.figures


def test_files_that_an_inputs_file_names_belong_to_the_cell(models: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "said" / "inputs.yaml"
    inputs.parent.mkdir()
    inputs.write_text("inputs: {x: {file: 'rows/*.npy'}}\n")
    (inputs.parent / "rows").mkdir()
    np.save(inputs.parent / "rows" / "one.npy", np.ones((1, 16), np.float32))
    (models / "small" / "inputs.yaml").write_bytes(inputs.read_bytes())
    shutil.copytree(inputs.parent / "rows", models / "small" / "rows")

    def planned() -> Cell:
        (cell,) = plan(Matrix.of(["rk3588"], [f"{models}/small"], {"inputs_file": [inputs]})).cells
        return cell

    cell = planned()
    assert [file.path for file in cell.files["inputs_file"].files] == ["inputs.yaml", "rows/one.npy"]
    assert {"small/inputs.yaml", "small/rows/one.npy"} <= {file.path for file in cell.model.files}
    np.save(inputs.parent / "rows" / "one.npy", np.zeros((1, 16), np.float32))
    assert planned().key != cell.key
    there = {tree.sha256: shutil.copytree(tree.root, tmp_path / f"there-{n}") for n, tree in enumerate(cell.trees)}
    moved = cell.at(lambda tree: there[tree.sha256])
    assert moved.options.inputs.inputs_file == there[cell.files["inputs_file"].sha256] / "inputs.yaml"
    assert moved.key == cell.key
    assert run_cell(moved).error is None


@pytest.mark.parametrize("absolute", [False, True])
def test_files_outside_of_the_directory_of_an_inputs_file_determine_the_cell_and_travel(
    models: Path, tmp_path: Path, absolute: bool
) -> None:
    values, inputs = tmp_path / "values" / "one.npy", tmp_path / "said" / "deep" / "inputs.yaml"
    for file in (values, inputs):
        file.parent.mkdir(parents=True)
    inputs.write_text(f"inputs: {{x: {{file: {values if absolute else '../../values/*.npy'}}}}}\n")
    np.save(values, np.ones((1, 16), np.float32))

    def planned() -> Cell:
        (cell,) = plan(Matrix.of(["rk3588"], [f"{models}/small"], {"inputs_file": [inputs]})).cells
        return cell

    cell = planned()
    tree = cell.files["inputs_file"]
    assert [file.path for file in tree.files] == ["said/deep/inputs.yaml", "values/one.npy"]
    assert tree.named_absolutely == (str(values) if absolute else None)
    np.save(values, np.zeros((1, 16), np.float32))
    assert planned().key != cell.key
    there = shutil.copytree(tree.root, tmp_path / "there")
    shutil.rmtree(values.parent)
    moved = cell.at(lambda each: there if each is tree else each.root)
    assert moved.options.inputs.inputs_file == there / "said" / "deep" / "inputs.yaml"
    assert (run_cell(moved).error is None) == (not absolute)


def test_key_depends_on_all_that_determines_the_result(models: Path) -> None:
    def key(profile: str = "rk3588", model: str = "small", **settings: object) -> str:
        (cell,) = plan(Matrix.of([profile], [f"{models}/{model}"], {"job": ["run"], **settings})).cells
        return cell.key

    keys = [key(), key("rk3399"), key(model="wide"), key(requests=3), key(seed=1), key(job="check"), key(job="predict")]
    assert len(set(keys)) == len(keys)
    before = key()
    assert key() == before
    (models / "small" / "inputs.yaml").write_text("inputs:\n  x:\n    range: [0, 1]\n")
    assert key() != before


def test_options_of_a_key_are_those_that_differ_from_their_defaults() -> None:
    options = RunOptions.of(None, requests=10, runtime="1.16.3", seed=0, match="detections", models=Path("elsewhere"))
    # Keys of cells in existing directories hold these facts: an option that edgesim gains is not among them.
    recorded = {"traffic": {"requests": 10}, "board": {"runtime": "1.16.3"}, "match": {}}
    assert stated_options(options) == recorded
    assert stated_options(RunOptions()) == {}


def test_key_stays_when_edgesim_gains_an_option(models: Path) -> None:
    class NewerBoard(BoardOptions):
        colour: str | None = None

    class NewerOptions(RunOptions):
        board: NewerBoard = NewerBoard()

    (cell,) = plan(Matrix.of(["rk3588"], [f"{models}/small"], {"job": ["run"], "runtime": ["1.16.3"]})).cells
    newer = replace(cell, options=NewerOptions.model_validate(cell.options.model_dump()))
    assert newer.key == cell.key
    red = NewerOptions(board=NewerBoard(runtime="1.16.3", colour="red"), traffic=cell.options.traffic)
    assert replace(cell, options=red).key != cell.key


def test_sweep_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("profile: jetson-nano\nmodel: digits\nsett:\n  threads: 4\n")
    with pytest.raises(UsageError, match=r"sweep.yaml:3: unknown key 'sett'; did you mean 'set'"):
        Matrix.read(file)


def test_sweep_file_names_no_code_that_would_run_on_this_host(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("profile: jetson-nano\nmodel: digits\nset:\n  host_libraries: [[evil.so]]\n")
    with pytest.raises(UsageError, match=r"sweep.yaml: set.host_libraries: a library is code"):
        Matrix.read(file)
    assert Matrix.of(["jetson-nano"], ["digits"], {"host_libraries": [("own.so",)]}).set["host_libraries"]


def test_options_take_the_place_of_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("profile: jetson-*\nmodel: [digits]\nset:\n  threads: [1, 2]\n  batch: 4\n")
    matrix = Matrix.of(profile=["rk3588"], settings={"threads": [8]}, base=Matrix.read(file))
    assert (matrix.profile, matrix.model) == (("rk3588",), ("digits",))
    assert list(matrix.combinations()) == [{"threads": 8, "batch": 4}]


def test_file_whose_name_is_not_utf8_has_a_digest(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.onnx")
    path.write_bytes(b"model")
    assert FileTree.below(tmp_path, [path]).sha256 != FileTree(root=tmp_path, files=()).sha256
