"""The last step: count how many digits the model read right."""

import json
import sys
from pathlib import Path


def main() -> None:
    work = Path(sys.argv[1])
    labels = [picture["label"] for picture in json.loads((work / "pictures.json").read_text())]
    digits = json.loads((work / "digits.json").read_text())
    right = sum(digit == label for digit, label in zip(digits, labels, strict=True))
    summary = {"pictures": len(labels), "right": right, "digits": digits}
    (work / "summary.json").write_text(json.dumps(summary))
    print(f"{right} of {len(labels)} right")


if __name__ == "__main__":
    main()
