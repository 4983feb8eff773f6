"""Where a detector's outputs have their boxes, scores and classes: found by names, shapes and values, or named.

The usual layouts: boxes, scores and classes as outputs of their own, with or without an axis of images; one table with
a row for each detection; the indices that NonMaxSuppression selects.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesim.errors import UsageError
from edgesim.measure.output_difference import Outputs
from edgesim.models.tensor_types import is_float
from edgesim.options import DetectionMatch

_BOXES = re.compile(r"box|coord|loc|rect|det", re.IGNORECASE)
_SCORES = re.compile(r"score|conf|prob", re.IGNORECASE)
_CLASSES = re.compile(r"class|label|cls|categor", re.IGNORECASE)
_COUNT = re.compile(r"num|count|valid", re.IGNORECASE)
# The columns of tables by the exporters that write them: x and y are a box's corners, s its score, c its class, i its
# image. Ultralytics and RT-DETR; PaddleDetection; one with the class first; YOLOv7's; Caffe's DetectionOutput; YOLOX's,
# whose second score is that of the class; MMDetection's, with classes in another output.
_TABLES = ("xyxysc", "csxyxy", "xyxycs", "ixyxycs", "icsxyxy", "xyxyssc", "xyxys")
_INDICES = 3  # image, class and box, as NonMaxSuppression writes them


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the rows of detections are.

    Attributes:
        rows: the output with one row for each detection: boxes, a table, or indices.
        columns: of a table, a letter each: x, y, w, h of the box, s its score, c its class, i its image, - another.
        scores, classes: outputs of their own; None if the table has them, or nothing has.
        count: the output that says how many rows count; None if all do.
        boxes: for indices, the output with the boxes that they select, shape (images, boxes, 4); None without.
    """

    rows: str
    columns: str
    scores: str | None = None
    classes: str | None = None
    count: str | None = None
    boxes: str | None = None

    @property
    def is_indices(self) -> bool:
        return self.columns == "ic#"

    def __str__(self) -> str:
        if self.is_indices:
            return f"indices in {self.rows}" + (f", boxes in {self.boxes}" if self.boxes is not None else "")
        own = [f"{what} in {name}" for what, name in (("scores", self.scores), ("classes", self.classes)) if name]
        words = f"boxes in {self.rows}" if self.columns == "xyxy" else f"rows of {self.columns} in {self.rows}"
        return ", ".join([words, *own])


def find(requests: Sequence[Outputs], match: DetectionMatch) -> Layout:
    """Return the layout that the option names, else the first usual one that the outputs have.

    Args:
        requests: outputs of one or both sides, whose values tell the columns of a table apart.

    Raises:
        UsageError: no layout fits, or an output that the option names does not exist or has another shape.
    """
    # The values of the request with most rows tell what is empty in another.
    outputs = max(requests, key=lambda outputs: sum(values.size for values in outputs.values()))
    for option in ("boxes", "scores", "classes", "rows"):
        name = getattr(match, option)
        if name is not None and name not in outputs:
            raise UsageError(f"`match` {option}={name}: the model gives {', '.join(outputs)}")
    layout = _named(outputs, match) or _separate(outputs, match) or _table(outputs, match) or _indices(outputs)
    if layout is None:
        shapes = ", ".join(f"{name} {list(values.shape)}" for name, values in requests[0].items())
        raise UsageError(
            f"`match=detections`: no outputs look like boxes with scores or classes: {shapes}",
            fix="name them: `match=detections:boxes=NAME,scores=NAME,classes=NAME`, or a table of rows:"
            " `match=detections:rows=NAME,columns=xyxysc`",
        )
    return layout


def _named(outputs: Outputs, match: DetectionMatch) -> Layout | None:
    if match.rows is not None:
        width, columns = outputs[match.rows].shape[-1] if outputs[match.rows].ndim > 1 else 0, match.columns
        columns = columns if columns is not None else _columns(outputs[match.rows])
        if columns is None or len(columns) != width:
            raise UsageError(
                f"`match` rows={match.rows}: shape {list(outputs[match.rows].shape)} does not have the columns"
                f" {columns or 'of a usual table'}",
                fix="give a letter for each column (x, y, w, h; s score; c class; i image; - any other):"
                " `columns=xyxysc`",
            )
        return Layout(rows=match.rows, columns=columns, scores=match.scores, classes=match.classes)
    if match.boxes is not None:
        if outputs[match.boxes].shape[-1:] != (4,):
            raise UsageError(f"`match` boxes={match.boxes}: shape {list(outputs[match.boxes].shape)} has no 4 columns")
        return _beside(outputs, match.boxes, match)
    return None


def _separate(outputs: Outputs, match: DetectionMatch) -> Layout | None:
    """Return boxes in an output of their own: one with a score or a class for each row beside it."""
    boxes = [
        name
        for name, values in sorted(outputs.items(), key=lambda item: _BOXES.search(item[0]) is None)
        if values.shape[-1:] == (4,) and values.ndim > 1 and is_float(values.dtype)
    ]
    layouts = [_beside(outputs, name, match) for name in boxes]
    # Boxes before NonMaxSuppression, with a score for each class, may be outputs, too.
    best = min(layouts, key=lambda layout: (layout.classes is None) + (layout.scores is None), default=None)
    return best if best is not None and (best.scores, best.classes) != (None, None) else None


def _beside(outputs: Outputs, boxes: str, match: DetectionMatch) -> Layout:
    """Return the layout of an output of boxes, with the outputs that have a score and a class for each of its rows."""
    prefix = outputs[boxes].shape[:-1]
    scores, classes = match.scores, match.classes
    others = [name for name in outputs if name not in (boxes, scores, classes)]
    alone = [name for name in others if outputs[name].shape in (prefix, (*prefix, 1))]
    if classes is None:
        whole = [name for name in alone if _are_whole(outputs[name]) and not _SCORES.search(name)]
        classes = min(whole, key=lambda name: _CLASSES.search(name) is None, default=None)
    if scores is None:
        of_classes = [name for name in others if outputs[name].shape[:-1] == prefix and is_float(outputs[name].dtype)]
        floats = [name for name in alone if name != classes and is_float(outputs[name].dtype)]
        candidates = floats or ([] if classes is not None else of_classes)
        scores = min(candidates, key=lambda name: _SCORES.search(name) is None, default=None)
    return Layout(
        rows=boxes,
        columns="xyxy" if _are_corners(outputs[boxes]) else "xywh",
        scores=scores,
        classes=classes,
        count=_count(outputs, prefix),
    )


def _count(outputs: Outputs, prefix: tuple[int, ...]) -> str | None:
    images = prefix[0] if len(prefix) > 1 else 1
    named = [name for name, values in outputs.items() if _COUNT.search(name) and values.size == images]
    return next((name for name in named if _are_whole(outputs[name])), None)


def _table(outputs: Outputs, match: DetectionMatch) -> Layout | None:
    """Return a table with a row for each detection."""
    for name, values in sorted(outputs.items(), key=lambda item: _BOXES.search(item[0]) is None):
        columns = _columns(values)
        if columns is None:
            continue
        prefix = values.shape[:-1]
        # Without a class in the table, and with no class for each of its rows elsewhere, five columns are anything.
        beside = _beside(outputs, name, match)
        if "c" in columns or beside.classes is not None:
            classes = beside.classes if "c" not in columns else None
            return Layout(rows=name, columns=columns, classes=classes, count=_count(outputs, prefix))
    return None


def _columns(values: NDArray[Any]) -> str | None:
    """Return the columns of a table by their values: whole numbers, shares, and corners in order; None for no table."""
    if not 2 <= values.ndim <= 4 or not is_float(values.dtype):
        return None
    usual = [columns for columns in _TABLES if len(columns) == values.shape[-1]]
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64) if values.size else np.empty((0, 1))
    if not len(rows):
        return usual[0] if usual else None
    return next((columns for columns in usual if _fit(rows, columns)), None)


def _fit(rows: NDArray[np.float64], columns: str) -> bool:
    whole = [rows[:, i] for i, letter in enumerate(columns) if letter in "ci"]
    shares = [rows[:, i] for i, letter in enumerate(columns) if letter == "s"]
    box = rows[:, [i for i, letter in enumerate(columns) if letter in "xy"]]
    return (
        all(_are_whole(column) and column.min() >= -1 for column in whole)
        and all(column.min() >= -1 and column.max() <= 1 + 1e-3 for column in shares)
        and not (whole and all(_are_whole(column) and column.any() for column in shares))
        and _are_corners(box)
    )


def _indices(outputs: Outputs) -> Layout | None:
    """Return the indices that NonMaxSuppression selects, with the boxes beside them where these are an output, too."""
    for name, values in outputs.items():
        if values.ndim == 2 and values.shape[1] == _INDICES and values.dtype.kind == "i":
            others = [n for n, v in outputs.items() if v.ndim == _INDICES and v.shape[-1] == 4 and is_float(v.dtype)]
            fits = (n for n in others if not len(values) or values[:, 2].max() < outputs[n].shape[1])
            return Layout(rows=name, columns="ic#", boxes=next(fits, None))
    return None


def _are_whole(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "iu" or (is_float(values.dtype) and bool((values == np.floor(values)).all()))


def _are_corners(values: NDArray[Any]) -> bool:
    """Return whether boxes are two corners, the smaller first; else they are a centre with width and height."""
    boxes = values.reshape(-1, values.shape[-1])
    return bool((boxes[:, 2] >= boxes[:, 0]).all() and (boxes[:, 3] >= boxes[:, 1]).all())
