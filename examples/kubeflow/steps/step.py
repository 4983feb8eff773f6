"""A step of the pipeline: where its inputs are, where its outputs go, and what Kubeflow shows of these."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Step:
    """The step that Kubeflow started, as its only argument (``{{$}}`` in the pipeline) describes it.

    Attributes:
        parameters: by name.
        inputs, outputs: the files of artifacts by name; the directories of the outputs exist.
        metadata: what the steps before have told of the input artifacts, by name.
    """

    def __init__(self) -> None:
        facts = json.loads(sys.argv[1])
        self.parameters: dict[str, Any] = facts["inputs"].get("parameterValues", {})
        artifacts = {name: each["artifacts"][0] for name, each in facts["inputs"].get("artifacts", {}).items()}
        self.inputs = {name: _path(artifact) for name, artifact in artifacts.items()}
        self.metadata: dict[str, Any] = {name: each.get("metadata", {}) for name, each in artifacts.items()}
        self._artifacts = {name: each["artifacts"][0] for name, each in facts["outputs"].get("artifacts", {}).items()}
        self.outputs = {name: _path(artifact) for name, artifact in self._artifacts.items()}
        self._report = Path(facts["outputs"]["outputFile"])
        for path in self.outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)

    def describe(self, **metadata: dict[str, Any]) -> None:
        """Tell Kubeflow the metadata of output artifacts, by the artifacts' names; of metrics these are the figures."""
        described = {
            name: {"artifacts": [artifact | {"metadata": metadata.get(name, {})}]}
            for name, artifact in self._artifacts.items()
        }
        self._report.parent.mkdir(parents=True, exist_ok=True)
        self._report.write_text(json.dumps({"artifacts": described}))


def edgesim(*words: str | Path, may_end_with: tuple[int, ...] = (0,)) -> int:
    """Run a command of edgesim; return its exit code.

    Raises:
        SystemExit: the exit code is none of `may_end_with`: the step ends with it, and Kubeflow stops the pipeline.
    """
    command = ["edgesim", *map(str, words)]
    print("$", *command, flush=True)
    code = subprocess.run(command, check=False).returncode
    if code not in may_end_with:
        sys.exit(code)
    return code


def _path(artifact: dict[str, Any]) -> Path:
    # Where Kubeflow mounts an object store, by the scheme of the artifact's address; kfp.local has plain paths.
    for scheme in ("gs", "minio", "s3"):
        if artifact["uri"].startswith(f"{scheme}://"):
            mount = "gcs" if scheme == "gs" else scheme
            return Path(f"/{mount}/" + artifact["uri"].removeprefix(f"{scheme}://"))
    return Path(artifact["uri"])
