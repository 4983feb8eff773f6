"""The first step: convert drawn digits to numbers, in one file."""

import json
import sys
from pathlib import Path

INK = {".": 0, "+": 8, "#": 16}


def main() -> None:
    source, work = map(Path, sys.argv[1:3])
    pictures = []
    for block in source.read_text().strip().split("\n\n"):
        label, *lines = block.splitlines()
        pictures.append({"label": int(label), "image": [[INK[mark] for mark in line] for line in lines]})
    (work / "pictures.json").write_text(json.dumps(pictures))
    print(f"{len(pictures)} pictures prepared")


if __name__ == "__main__":
    main()
