"""The rows of detections of one side: read from a detector's outputs, and put into an order."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgesim.measure.detection_layout import Layout
from edgesim.measure.output_difference import Outputs


class Rows(NamedTuple):
    """The rows of one side of a request that count: those that fill an output of fixed size up are left out.

    Attributes:
        places: their places among all rows.
        image, label: whole numbers, shape (rows,); a label of 0 for all where there are no classes.
        box: corners, shape (rows, 4); for indices without boxes, the index alone, shape (rows, 1).
        score: shape (rows,); None without scores.
        has_classes: whether the labels are classes.
    """

    places: NDArray[np.int64]
    image: NDArray[np.int64]
    label: NDArray[np.int64]
    box: NDArray[np.float64]
    score: NDArray[np.float64] | None
    has_classes: bool


def read(outputs: Outputs, layout: Layout) -> Rows:
    """Return the rows of detections of a request."""
    table = outputs[layout.rows]
    prefix = table.shape[:-1]
    values = table.reshape(math.prod(prefix), table.shape[-1]).astype(np.float64)
    images = math.prod(prefix[:-1])
    image = np.repeat(np.arange(images), prefix[-1])
    keep = np.ones(len(values), np.bool_)
    box, score, label = _columns(values, layout)
    if layout.is_indices:
        image = values[:, 0].astype(np.int64)
        if layout.boxes is not None:
            box = outputs[layout.boxes].astype(np.float64)[image, values[:, 2].astype(np.int64)]
    elif "i" in layout.columns:
        image = values[:, layout.columns.index("i")].astype(np.int64)
        keep &= image >= 0  # what fills a table up has the image -1
    if layout.scores is not None:
        of_classes = outputs[layout.scores].astype(np.float64)
        of_classes = of_classes.reshape(len(values), math.prod(of_classes.shape[len(prefix) :]))
        score = of_classes.max(axis=1, initial=-np.inf)
        label = of_classes.argmax(axis=1) if of_classes.shape[1] > 1 and label is None else label
    if layout.classes is not None:
        label = outputs[layout.classes].reshape(len(values)).astype(np.int64)
    if layout.count is not None:
        counts = outputs[layout.count].reshape(-1).astype(np.int64)
        keep &= np.tile(np.arange(prefix[-1]), images) < np.repeat(counts, prefix[-1])
    # Rows that fill an output of fixed size up have no score, or no class.
    keep &= (score > 0) if score is not None and (score.min(initial=0) >= -1) else True
    keep &= (label >= 0) if label is not None else True
    places = np.flatnonzero(keep)
    has_classes = label is not None
    label = label if label is not None else np.zeros(len(values), np.int64)
    return Rows(
        places=places,
        image=image[places],
        label=label[places],
        box=box[places],
        score=score[places] if score is not None else None,
        has_classes=has_classes,
    )


def _columns(
    values: NDArray[np.float64], layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, NDArray[np.int64] | None]:
    """Return the boxes as corners, the scores and the classes of a table; None for what the table lacks."""
    columns = layout.columns
    if layout.is_indices:
        return values[:, 2:], None, values[:, 1].astype(np.int64)
    first = values[:, [columns.index("x"), columns.index("y")]]
    if "w" in columns:
        half = values[:, [columns.index("w"), columns.index("h")]] / 2
        box = np.hstack([first - half, first + half])
    else:
        box = np.hstack([first, values[:, [columns.rindex("x"), columns.rindex("y")]]])
    scores = [values[:, i] for i, letter in enumerate(columns) if letter == "s"]
    score = np.prod(scores, axis=0) if scores else None
    label = values[:, columns.index("c")].astype(np.int64) if "c" in columns else None
    return box, score, label


def aligned(outputs: Outputs, layout: Layout, places: NDArray[np.int64]) -> Outputs:
    """Return the outputs; those with a row for each detection have the rows at these places alone, in this order.

    Left out is what the match tells better: how many rows there are, and which of several indices stands for a box.
    """
    prefix = outputs[layout.rows].shape[:-1]
    left_out = {layout.count, layout.rows if layout.is_indices else None}
    return {
        name: values.reshape(math.prod(prefix), *values.shape[len(prefix) :])[places]
        if values.shape[: len(prefix)] == prefix
        else values
        for name, values in outputs.items()
        if name not in left_out
    }
