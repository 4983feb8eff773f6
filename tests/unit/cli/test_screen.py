"""``edgesim screen``: models judged by rules before a commit."""

import json
from pathlib import Path

import pytest

from edgesim.models.repository import Model
from tests.support.command_line import edgesim_here, exit_code_of

COMMAND = ["screen", "--profile", "jetson-nano"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--max-opset", "99", "--rule", "artifact_bytes <= 1MiB", "--rule", "device_time_ms.p50 <= 120"], 0),
        (["--max-opset", "1"], 1),
        (["--rule", "artifact_bytes <= 1KiB"], 1),
        (["--rule", "memory_peak_bytes <= 1MiB"], 6),
        (["--rule", "memory_peak_bytes <= 1MiB", "--inconclusive-ok"], 0),
        (["--rule", "latency_ms.p50 <= 1"], 2),
        ([], 2),
    ],
)
def test_exit_code_is_the_verdict_on_all_models(options: list[str], code: int, digits: Model) -> None:
    assert exit_code_of([*COMMAND, *options, str(digits.path)]) == code


def test_a_model_that_fails_is_named_beside_one_that_passes(digits: Model, resnet18: Model) -> None:
    done = edgesim_here(*COMMAND, "--rule", "artifact_bytes <= 1MiB", "--json", str(digits.path), str(resnet18.path))
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["verdict"]) == (1, "FAIL")
    assert [item["verdict"] for item in facts["items"]] == ["PASS", "FAIL"]
    assert str(resnet18.path) in facts["items"][1]["name"]


def test_what_is_no_model_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"no model")
    done = edgesim_here(*COMMAND, "--max-opset", "17", str(file))
    assert done.returncode == 2
    assert "broken.onnx" in done.stderr
