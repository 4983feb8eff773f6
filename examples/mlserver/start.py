"""Present a mounted model repository, NAME/VERSION/model.onnx, to MLServer in its own form, and start MLServer."""

import json
import os
import sys
from pathlib import Path

MODELS, SERVING = Path("/models"), Path("/tmp/serving")


def main() -> None:
    for file in MODELS.glob("*/*/model.onnx"):
        version, name = file.parent.name, file.parent.parent.name
        directory = SERVING / f"{name}-{version}"
        directory.mkdir(parents=True)
        settings = {
            "name": name,
            "implementation": "onnx_runtime.OnnxRuntime",
            "parameters": {"uri": str(file), "version": version},
        }
        (directory / "model-settings.json").write_text(json.dumps(settings))
    server = {"host": "0.0.0.0", "http_port": 8080, "parallel_workers": 0, "debug": False}
    (SERVING / "settings.json").write_text(json.dumps(server))
    os.chdir(SERVING)
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", "."])


if __name__ == "__main__":
    main()
