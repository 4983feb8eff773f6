"""Rows of measurements in CSV files, which a benchmark adds to, so that it can go on after an interruption."""

import csv
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

Row = TypeVar("Row")


def read(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows of a file as instances of a dataclass of texts, numbers and truth values; none without a file."""
    if not path.is_file():
        return []
    types: dict[str, Any] = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]
    with path.open(newline="") as file:
        return [
            kind(
                **{name: value == "True" if types[name] is bool else types[name](value) for name, value in line.items()}
            )
            for line in csv.DictReader(file)
        ]


def append(path: Path, row: Any) -> None:
    """Add an instance of a dataclass to a file; a new file gets the names of its fields first."""
    is_new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(asdict(row)), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(row))
