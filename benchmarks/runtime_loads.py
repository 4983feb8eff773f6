"""Which releases of ONNX Runtime load which models on emulated arm64: by the models' files, and by loading them.

Each release is fetched for arm64 into a directory of its own, which a container of an emulated serving image has in
place of the image's packages; the directory is removed after its turn.
Prints the table of the document docs/reference/runtimes.md, and ends with exit code 1 if a file and its proof disagree.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesim import profiles
from edgesim.engine import docker_engine
from edgesim.host.cache import make_public
from edgesim.images import python_packages, runtime_releases, serving_image
from edgesim.images.runtime_releases import RuntimeRelease
from edgesim.models import repository, runtime_support
from edgesim.progress import Stages

SINCE = "1.11.1"
SAMPLES = ("digits", "mobilenet_v2")

# Runs in the container: loads each model, and runs it once.
PROOF = """
import json, pathlib
import numpy as np
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 4, 1
answers = {"release": onnxruntime.__version__}
for path in sorted(pathlib.Path("/models").glob("*.onnx")):
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feeds = {i.name: np.full([n if isinstance(n, int) else 1 for n in i.shape], 0.5, np.float32)
                 for i in session.get_inputs()}
        answers[path.stem] = [float(np.float64(output).sum()) for output in session.run(None, feeds)]
    except Exception as error:
        answers[path.stem] = str(error)
print(json.dumps(answers))
"""


def write_models(directory: Path) -> dict[str, Path]:
    """Write the models, and return their files by the words of the table's head."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in "xy")
    weights = numpy_helper.from_array(np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8), "w")
    product = helper.make_node("MatMul", ["x", "w"], ["p"])
    cast = [product, helper.make_node("Cast", ["p"], ["h"], to=TensorProto.FLOAT16)]
    cast.append(helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT))
    scale, zero = numpy_helper.from_array(np.float32(0.05), "s"), numpy_helper.from_array(np.int8(0), "z")
    quantized = numpy_helper.from_array(np.arange(-32, 32, dtype=np.int8).reshape(8, 8), "q")
    qdq = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["p"]),
        helper.make_node("QuantizeLinear", ["p", "s", "z"], ["pq"]),
        helper.make_node("DequantizeLinear", ["pq", "s", "z"], ["y"]),
    ]
    relu = [product, helper.make_node("Relu", ["p"], ["y"])]
    made = {
        "a model of opset 21": (cast, [weights], 21, 10),
        "one of IR 10": (relu, [weights], 17, 10),
        "a QDQ int8 one": (qdq, [scale, zero, quantized], 13, 8),
    }
    files = {name: directory / f"{name}.onnx" for name in SAMPLES}
    for name, path in files.items():
        shutil.copy(repository.find(name).path, path)
    for number, (words, (nodes, initializers, opset, ir)) in enumerate(made.items()):
        files[words] = directory / f"made-{number}.onnx"
        graph = helper.make_graph(nodes, "made", [x], [y], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        onnx.save(model, files[words])
    return files


def proof(image: str, release: RuntimeRelease, models: Path) -> dict[str, Any]:
    """Return what each model answers in a release, or the error with which it does not load."""
    packages = python_packages.fetch("arm64", release.requirements, release.debian)
    command = ["docker", "run", "--rm", "--network", "none", "--label", "edgesim", "--platform", "linux/arm64"]
    for source, target in ((models, "/models"), (packages, "/packages")):
        command += ["--mount", f"type=bind,source={source},target={target},readonly"]
    command += ["--env", "PYTHONPATH=/packages", "--env", "ORT_DISABLE_TELEMETRY=1", "--entrypoint", "python3"]
    done = subprocess.run([*command, image, "-c", PROOF], capture_output=True, text=True, check=False)
    shutil.rmtree(packages)
    if done.returncode:
        raise SystemExit(f"{release}: {done.stderr}")
    answers: dict[str, Any] = json.loads(done.stdout)
    assert answers["release"] == release.version, answers["release"]
    return answers


def main() -> None:
    engine, board = docker_engine.Engine(), profiles.load("jetson-nano")
    versions = [v for v in runtime_releases.versions("all") if runtime_releases.key(v) >= runtime_releases.key(SINCE)]
    images: dict[str, str] = {}
    for release in (runtime_releases.choose(versions[0]), runtime_releases.default()):
        # Any image with the Python of a release will do: the release's packages are mounted.
        images[release.debian.suite] = serving_image.build(engine, board, Stages(), runtime=release).id
    disagreements = []
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryDirectory() as cache:
        files = write_models(Path(directory))
        make_public(Path(directory))
        os.environ["EDGESIM_CACHE_DIR"] = (
            cache  # its packages are removed, and other programs may use those of the user's
        )
        print(f"| ONNX Runtime | {' | '.join(files)} |")
        print(f"|---|{'---|' * len(files)}")
        for version in versions:
            release = runtime_releases.choose(version)
            answers = proof(images[release.debian.suite], release, Path(directory))
            cells = []
            for path in files.values():
                by_file = runtime_support.Needs.of(repository.find(str(path))).refusal(version)
                loads = not isinstance(answers[path.stem], str)
                cells.append("loads" if loads else by_file or "does not load")
                if loads != (by_file is None):
                    disagreements.append(
                        f"{version}, {path.stem}: by its file {by_file or 'loads'}; {answers[path.stem]}"
                    )
            print(f"| {version} | {' | '.join(cells)} |", flush=True)
    print(f"\nBy the file and by loading, {len(versions) * len(files)} cells: {len(disagreements)} disagree.")
    print("\n".join(disagreements))
    sys.exit(bool(disagreements))


if __name__ == "__main__":
    main()
