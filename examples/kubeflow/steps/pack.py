"""Pack what passed the gate: with an engine as an image for the board, without as a model repository."""

import shutil
import sys
import tarfile

from files import NAME, model_file, work_directory
from step import Step, edgesim

step = Step()
verdict = step.metadata["verdict"].get("verdict")
if verdict != "PASS":
    # kfp.local takes a step that ends within moments for a success, whatever its exit code.
    sys.exit(f"the gate says {verdict}: nothing is packed")

directory = work_directory()
model = model_file(step, directory)
package = step.outputs["package"]
if step.parameters["engine"] == "docker":
    archive = directory / "image.tar"
    edgesim("pack", step.parameters["board"], model, "--save", archive)
    shutil.copyfile(archive, package)
    kind = "OCI archive, for docker load"
else:
    with tarfile.open(package, "w:gz") as repository:
        repository.add(model, f"{NAME}/1/model.onnx")
    kind = "model repository, for edgesim serve --models or Triton"
step.describe(package={"kind": kind, "size_bytes": package.stat().st_size})
