"""Models beside a library of custom operations, which a compiler of this machine makes."""

import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

_COMPILERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}
# What ONNX Runtime calls; no error is a null pointer. It registers nothing, so that it needs no header of ONNX Runtime.
# MARK is a file that the library makes when it is loaded, whoever loads it.
_SOURCE = """
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) { FILE *mark = fopen(MARK, "a"); if (mark) fclose(mark); }
void *RegisterCustomOps(void *options, const void *api) { (void)options; (void)api; return 0; }
"""


def library(path: Path, architecture: str, *, mark: Path | None = None) -> Path:
    """Compile a library for ``arm64`` or ``amd64``; skip the test where there is no compiler for it."""
    compiler = shutil.which(_COMPILERS[architecture])
    if compiler is None:
        pytest.skip(f"no C compiler for {architecture}: {_COMPILERS[architecture]}")
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".c")
    source.write_text(_SOURCE)
    define = f'-DMARK="{mark if mark is not None else "/dev/null"}"'
    subprocess.run([compiler, "-shared", "-fPIC", define, "-o", str(path), str(source)], check=True)
    source.unlink()
    return path


def model(repository: Path, configuration: str) -> Path:
    """Write ``net/1/model.onnx`` and its configuration; return the model's directory."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "net", [x], [y])
    directory = repository / "net"
    (directory / "1").mkdir(parents=True)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(proto, directory / "1" / "model.onnx")
    (directory / "config.yaml").write_text(configuration)
    return directory
