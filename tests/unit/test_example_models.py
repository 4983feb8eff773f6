"""The model file that is committed with an example, so that the example needs no build step."""

import importlib.util
from pathlib import Path

import onnx

PARALLEL = Path(__file__).parents[2] / "examples" / "stacks" / "parallel"


def test_committed_detector_is_what_its_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("make_detector", PARALLEL / "make_detector.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert onnx.load(PARALLEL / "detector.onnx") == script.detector()
