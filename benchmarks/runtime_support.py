"""What each release of ONNX Runtime loads: opsets, IR versions, and kernels of its CPU provider.

Asks each release itself, in a serving image of this host's architecture: it loads models of one node, of each opset and
of each IR version, and lists its kernels. Writes `edgesim/models/runtime_support.json`, and prints the table of the
document docs/reference/runtimes.md. The first time it builds an image for each release, about half a minute each.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from edgesim import profiles
from edgesim.engine import docker_engine
from edgesim.host.cache import make_public
from edgesim.images import runtime_releases, serving_image
from edgesim.models import runtime_support
from edgesim.progress import Stages

OPSETS, ML_OPSETS, IR_VERSIONS = range(13, 32), range(1, 8), range(7, 19)
_LOADED_EVERYWHERE = 13  # opset, with an IR version of 7

# Runs in the image: loads each model, and lists the kernels where the release's wheel can.
PROBE = """
import json, pathlib
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
loads = []
for path in sorted(pathlib.Path("/models").glob("*.onnx")):
    try:
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        loads.append(path.stem)
    except Exception:
        pass
kernels = None
if hasattr(state, "get_all_opkernel_def"):
    kernels = sorted({(kernel.domain, kernel.op_name, *kernel.version_range)
                      for kernel in state.get_all_opkernel_def() if kernel.provider == "CPUExecutionProvider"})
print(json.dumps({"loads": loads, "kernels": kernels}))
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
    for name, (node, opsets, ir_version) in models.items():
        graph = helper.make_graph([node], "probe", [x], [y])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
        (directory / f"{name}.onnx").write_bytes(model.SerializeToString())


def probe(engine: docker_engine.Engine, version: str, models: Path) -> dict[str, Any]:
    """Return which of the models a release loads, and its kernels."""
    board, release = profiles.load("jetson-nano"), runtime_releases.choose(version)
    architecture = engine.facts.architecture
    image = serving_image.build(engine, board, Stages(), architecture=architecture, runtime=release)
    command = ["docker", "run", "--rm", "--network", "none", "--label", "edgesim", "--entrypoint", "python3"]
    mount = ["--mount", f"type=bind,source={models},target=/models,readonly"]
    done = subprocess.run([*command, *mount, image.id, "-c", PROBE], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def first_releases(kernels: dict[str, list[tuple[str, str, int, int]]]) -> list[list[Any]]:
    """Return domain, operation, since-version and first release of each kernel that not all releases have.

    A kernel that is open-ended is for its own since-version alone; another one is for all of its range.
    """
    versions = list(kernels)
    since = sorted({(domain, name, first) for entries in kernels.values() for domain, name, first, _ in entries})
    rows = []
    for domain, name, wanted in since:
        has = [
            version
            for version in versions
            if any(
                (entry[0], entry[1]) == (domain, name)
                and (entry[2] == wanted or (entry[3] < 2**31 - 1 and entry[2] <= wanted <= entry[3]))
                for entry in kernels[version]
            )
        ]
        if has[0] != versions[0]:
            rows.append([domain, name, wanted, has[0]])
    return rows


def document(releases: dict[str, dict[str, int]], kernels_known_from: str, kernels: list[list[Any]]) -> str:
    """Return the text of the file: JSON with a line for each release and each kernel."""

    def block(opening: str, lines: list[str], closing: str) -> str:
        return f"{opening}\n" + ",\n".join(lines) + f"\n{closing}"

    entries = [
        '"releases": '
        + block("{", [f"{json.dumps(name)}: {json.dumps(facts)}" for name, facts in releases.items()], "}"),
        f'"kernels_known_from": {json.dumps(kernels_known_from)}',
        '"kernels": ' + block("[", [json.dumps(row) for row in kernels], "]"),
    ]
    return block("{", entries, "}") + "\n"


def main() -> None:
    engine, versions = docker_engine.Engine(), runtime_releases.versions("all")
    with tempfile.TemporaryDirectory() as directory:
        models = Path(directory)
        write_models(models)
        make_public(models)
        answers = {version: probe(engine, version, models) for version in versions}

    def newest(version: str, kind: str) -> int:
        return max(int(name.partition("-")[2]) for name in answers[version]["loads"] if name.startswith(f"{kind}-"))

    kinds = ("opset", "ml", "ir")
    releases = {version: {kind: newest(version, kind) for kind in kinds} for version in versions}
    kernels = {version: answer["kernels"] for version, answer in answers.items() if answer["kernels"] is not None}
    known_from = next(iter(kernels))
    runtime_support.FILE.write_text(document(releases, known_from, first_releases(kernels)))
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
