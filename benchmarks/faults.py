"""What the pre-release check says of planted faults."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgesim.models import repository, samples
from tests.support import model_faults as faults

_TEMPORARY = re.compile(rf"{re.escape(tempfile.gettempdir())}/edgesim-benchmark-\w+/")

TINY = """
extends: jetson-nano
name: tiny
title: A board with 100 MiB
memory: {marketed_bytes: 128 MB, visible_bytes: 100 MiB, usable_bytes: 90 MiB}
"""


def check(fault: str, *arguments: str | Path) -> None:
    """Print the items that did not pass, or the items of the answers if all passed; without temporary directories.

    Raises:
        RuntimeError: the command printed no JSON; with its error output.
    """
    command = [sys.executable, "-m", "edgesim.cli", "check", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    verdict = json.loads(done.stdout)
    items = [item for item in verdict["items"] if item["verdict"] != "PASS"]
    items = items or [item for item in verdict["items"] if item["name"] in ("answers", "low precision")]
    print(f"{fault}: {verdict['verdict']} (exit code {done.returncode})")
    for item in items:
        print(f"  {item['verdict']} {item['name']}: {_TEMPORARY.sub('', ' '.join(item['finding'].split()))}")


def add_changed(models: Path, name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    """Add the digits model, with a change, to a model repository."""
    digits = repository.find("digits", samples.ensure("digits"))
    directory = models / name
    shutil.copytree(digits.path.parents[1], directory)
    proto = onnx.load(directory / "1" / "model.onnx")
    change(proto)
    onnx.save(proto, directory / "1" / "model.onnx")


def main() -> None:
    digits = repository.find("digits", samples.ensure("digits"))
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        directory = Path(scratch)
        models = directory / "models"
        (directory / "tiny.yaml").write_text(TINY)
        check("needs more memory than the board has", directory / "tiny.yaml", "resnet18")
        add_changed(models, "newer", faults.newer)
        check("an opset too new", "jetson-nano", "newer", "--models", models)
        faults.no_kernel(directory / "sine.onnx")
        check("an operation without a kernel", "jetson-nano", directory / "sine.onnx")
        add_changed(models, "channel", faults.one_channel)
        options = ("--models", models, "--reference", digits.path)
        check("weights changed in one channel", "jetson-nano", "channel", *options)
        add_changed(models, "outside", faults.outside)
        (models / "outside" / "1" / "weights.bin").unlink()
        check("a missing file of weights", "jetson-nano", "outside", "--models", models)
        add_changed(models, "half", lambda proto: None)
        half = models / "half" / "1" / "model.onnx"
        half.write_bytes(digits.path.read_bytes()[: digits.size_bytes // 2])
        check("a file cut in half", "jetson-nano", "half", "--models", models)
        add_changed(models, "int8", lambda proto: None)
        quantize_dynamic(digits.path, models / "int8" / "1" / "model.onnx", weight_type=QuantType.QUInt8)
        for board in ("jetson-nano", "raspberry-pi-5"):
            check(f"int8 on {board}", board, "int8", "--models", models)


if __name__ == "__main__":
    main()
