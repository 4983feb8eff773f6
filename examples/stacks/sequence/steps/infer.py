"""The second step: the model reads the digit in each picture."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main() -> None:
    model, work = map(Path, sys.argv[1:3])
    pictures = json.loads((work / "pictures.json").read_text())
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    images = np.array([picture["image"] for picture in pictures], np.float32)
    (probabilities,) = session.run(None, {"image": images})
    digits = [int(row.argmax()) for row in probabilities]
    (work / "digits.json").write_text(json.dumps(digits))
    print(f"{len(digits)} pictures read")


if __name__ == "__main__":
    main()
