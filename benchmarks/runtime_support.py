"""What each release of ONNX Runtime loads: opsets, IR versions, types of tensors, and kernels of its CPU provider.

Asks each release itself, in a serving image of this host's architecture: it loads models of one node, of each opset, IR
version and type, and lists its kernels. Writes `runtime_support.json` and `runtime_kernels.json` of `edgesim/models`,
and prints the table of the document docs/reference/runtimes.md. The first time it builds an image for each release,
about half a minute each.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import (
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from benchmarks import runtime_kernels
from edgesim import profiles
from edgesim.engine import docker_engine
from edgesim.host.cache import make_public
from edgesim.images import runtime_releases, serving_image
from edgesim.models import runtime_kernels as kernel_table
from edgesim.models import runtime_support
from edgesim.progress import Stages

OPSETS, ML_OPSETS, IR_VERSIONS = range(13, 32), range(1, 8), range(7, 19)
_LOADED_EVERYWHERE = 13  # opset, with an IR version of 7

# What a tensor may be of, and MatMulNBits, in some releases only.
TYPES = ("bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0", "float4e2m1")
TYPES += ("int4", "uint4", "int2", "uint2", "complex64", "complex128")
BITS = (2, 4, 8)

# Runs in the image: loads each model.
PROBE = """
import json, pathlib
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
loads = []
for path in sorted(pathlib.Path("/models").glob("*.onnx")):
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        loads.append(path.stem)
    except Exception:
        pass
print(json.dumps(loads))
"""


def write_models(directory: Path) -> None:
    """Write a model of each opset and IR version; Relu and Scaler are the same in all of them."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy")
    relu = helper.make_node("Relu", ["x"], ["y"])
    scaler = helper.make_node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[0.0], scale=[1.0])
    main = helper.make_opsetid("", _LOADED_EVERYWHERE)
    models = {f"opset-{n}": (relu, [helper.make_opsetid("", n)], 7) for n in OPSETS}
    models |= {f"ml-{n}": (scaler, [main, helper.make_opsetid("ai.onnx.ml", n)], 7) for n in ML_OPSETS}
    models |= {f"ir-{n}": (relu, [main], n) for n in IR_VERSIONS}
    made = {name: _model([node], [x], [y], [], opsets, ir) for name, (node, opsets, ir) in models.items()}
    for kind in TYPES:
        number = TensorProto.DataType.Value(kind.upper())
        constant, value = helper.make_tensor("y", number, [4], [1] * 4), helper.make_tensor_value_info("y", number, [4])
        made[f"type-{kind}"] = _model([], [], [value], [constant], [main], 7)
    for bits in BITS:
        made[f"bits-{bits}"] = _product_of_bits(bits)
    for name, model in made.items():
        (directory / f"{name}.onnx").write_bytes(model.SerializeToString())


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto],
    opsets: Sequence[OperatorSetIdProto],
    ir_version: int,
) -> ModelProto:
    graph = helper.make_graph(nodes, "probe", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def _product_of_bits(bits: int) -> ModelProto:
    """Return a model of a product with weights of a few bits: (1, 32) by (32, 4)."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, n]) for name, n in (("x", 32), ("y", 4)))
    sizes = {"K": 32, "N": 4, "bits": bits, "block_size": 32}
    node = helper.make_node("MatMulNBits", ["x", "b", "s"], ["y"], domain="com.microsoft", **sizes)
    weights = [
        numpy_helper.from_array(np.ones((4, 1, 4 * bits), np.uint8), "b"),
        numpy_helper.from_array(np.ones(4, np.float32), "s"),
    ]
    opsets = [helper.make_opsetid("", _LOADED_EVERYWHERE), helper.make_opsetid("com.microsoft", 1)]
    return _model([node], [x], [y], weights, opsets, 7)


def in_image(engine: docker_engine.Engine, version: str, models: Path, program: str) -> Any:
    """Return what a program prints, as JSON, in an image with a release and with models."""
    board, release = profiles.load("jetson-nano"), runtime_releases.choose(version)
    architecture = engine.facts.architecture
    image = serving_image.build(engine, board, Stages(), architecture=architecture, runtime=release)
    command = ["docker", "run", "--rm", "--network", "none", "--label", "edgesim", "--entrypoint", "python3"]
    mount = ["--mount", f"type=bind,source={models},target=/models,readonly"]
    done = subprocess.run([*command, *mount, image.id, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])  # after warnings of a release


def main() -> None:
    engine, versions = docker_engine.Engine(), runtime_releases.versions("all")
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        write_models(models)
        make_public(models)
        loads = {version: in_image(engine, version, models, PROBE) for version in versions}
        listed = {version: in_image(engine, version, models, runtime_kernels.LIST) for version in versions}
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        runtime_kernels.write_models(next(each for each in listed.values() if each is not None), models)
        make_public(models)
        lacks = {
            version: runtime_kernels.lacking(in_image(engine, version, models, runtime_kernels.LOAD))
            for version in versions
            if listed[version] is None
        }

    def loaded(version: str, kind: str) -> list[str]:
        return [name.partition("-")[2] for name in loads[version] if name.startswith(f"{kind}-")]

    releases: dict[str, dict[str, Any]] = {
        version: {
            **{kind: max(map(int, loaded(version, kind))) for kind in ("opset", "ml", "ir")},
            "types": loaded(version, "type"),
            "bits": sorted(map(int, loaded(version, "bits"))),
        }
        for version in versions
    }
    lines = ",\n".join(f"{json.dumps(version)}: {json.dumps(has)}" for version, has in releases.items())
    runtime_support.FILE.write_text(f'{{\n"types": {json.dumps(TYPES)},\n"releases": {{\n{lines}\n}}\n}}\n')
    kernel_table.FILE.write_text(runtime_kernels.document(listed, lacks))
    print("| ONNX Runtime | opset | IR version | opset of ai.onnx.ml | Python of the image | wheels: Python, glibc |")
    print("|---|---|---|---|---|---|")
    for version, newest_of in releases.items():
        release = runtime_releases.choose(version)
        wheels = release.wheels
        glibc = ".".join(map(str, wheels.glibc))
        needs = f"3.{wheels.oldest} to 3.{wheels.newest}, {glibc}"
        print(
            f"| {version} | {newest_of['opset']} | {newest_of['ir']} | {newest_of['ml']} | {release.debian.python} "
            f"| {needs} |"
        )


if __name__ == "__main__":
    main()
