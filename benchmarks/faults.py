"""Planted faults, and what the check before a release says of each."""

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

from edgesim.models import repository as model
from edgesim.models import samples
from tests import faults

_TEMPORARY = re.compile(rf"{re.escape(tempfile.gettempdir())}/edgesim-benchmark-\w+/")

TINY = """
extends: jetson-nano
name: tiny
title: A board with 100 MiB
memory: {marketed_bytes: 128 MB, visible_bytes: 100 MiB, usable_bytes: 90 MiB}
"""


def check(what: str, *arguments: str | Path) -> None:
    """Print the items that did not pass, or the answers where all did; without the directories of this one run."""
    command = [sys.executable, "-m", "edgesim.cli", "check", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout)
    items = [item for item in found["items"] if item["verdict"] != "PASS"]
    items = items or [item for item in found["items"] if item["name"] in ("answers", "low precision")]
    print(f"{what}: {found['verdict']} (exit code {done.returncode})")
    for item in items:
        print(f"  {item['verdict']} {item['name']}: {_TEMPORARY.sub('', ' '.join(item['finding'].split()))}")


def changed(repository: Path, name: str, change: Callable[[onnx.ModelProto], None]) -> None:
    """The digits with something changed, as another model of the repository."""
    digits = model.find("digits", samples.ensure("digits"))
    directory = repository / name
    shutil.copytree(digits.path.parents[1], directory)
    proto = onnx.load(directory / "1" / "model.onnx")
    change(proto)
    onnx.save(proto, directory / "1" / "model.onnx")


def main() -> None:
    digits = model.find("digits", samples.ensure("digits"))
    with tempfile.TemporaryDirectory(prefix="edgesim-benchmark-") as scratch:
        directory = Path(scratch)
        repository = directory / "models"
        (directory / "tiny.yaml").write_text(TINY)
        check("needs more memory than the board has", directory / "tiny.yaml", "resnet18")
        changed(repository, "newer", faults.newer)
        check("an opset too new", "jetson-nano", "newer", "--models", repository)
        faults.no_kernel(directory / "sine.onnx")
        check("an operation without a kernel", "jetson-nano", directory / "sine.onnx")
        changed(repository, "channel", faults.one_channel)
        options = ("--models", repository, "--reference", digits.path)
        check("weights changed in one channel", "jetson-nano", "channel", *options)
        changed(repository, "outside", faults.outside)
        (repository / "outside" / "1" / "weights.bin").unlink()
        check("a missing file of weights", "jetson-nano", "outside", "--models", repository)
        changed(repository, "half", lambda proto: None)
        half = repository / "half" / "1" / "model.onnx"
        half.write_bytes(digits.path.read_bytes()[: digits.size_bytes // 2])
        check("a file cut in half", "jetson-nano", "half", "--models", repository)
        changed(repository, "int8", lambda proto: None)
        quantize_dynamic(digits.path, repository / "int8" / "1" / "model.onnx", weight_type=QuantType.QUInt8)
        for board in ("jetson-nano", "raspberry-pi-5"):
            check(f"int8 on {board}", board, "int8", "--models", repository)


if __name__ == "__main__":
    main()
