"""Detections matched by class and overlap: the usual layouts, rows at the threshold, and rows that nothing explains."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from edgesim.errors import UsageError
from edgesim.measure import detection_layout, output_difference
from edgesim.measure.detections import Detections, Matched, Matcher
from edgesim.options import DetectionMatch
from edgesim.results.sections import DetectionsSection, section

Outputs = Mapping[str, np.ndarray[Any, Any]]

# Three objects: corners of the box, score, class.
OBJECTS = np.array(
    [[10, 10, 50, 60, 0.9, 1], [100, 20, 180, 90, 0.75, 0], [12, 100, 40, 160, 0.6, 1]], dtype=np.float32
)
WEAK = np.array([[200, 200, 240, 260, 0.25001, 2]], dtype=np.float32)
STRONG = np.array([[200, 200, 240, 260, 0.8, 2]], dtype=np.float32)


def columns(letters: str) -> Callable[[np.ndarray[Any, Any]], Outputs]:
    """A table whose columns are called so."""

    def table(objects: np.ndarray[Any, Any]) -> Outputs:
        x0, y0, x1, y1, score, label = objects.T
        image, one = np.zeros_like(score), np.ones_like(score)
        values = {"s": [score, one], "c": [label], "i": [image], "x": [x0, x1], "y": [y0, y1]}
        taken = [values[letter].pop(0) for letter in letters]
        return {"output0": np.stack(taken, axis=1)}

    return table


def separate(objects: np.ndarray[Any, Any]) -> Outputs:
    return {"boxes": objects[:, :4], "labels": objects[:, 5].astype(np.int64), "scores": objects[:, 4]}


def in_images(objects: np.ndarray[Any, Any]) -> Outputs:
    return {name: values[None] for name, values in separate(objects).items()}


def padded(objects: np.ndarray[Any, Any]) -> Outputs:
    """As TensorFlow's detection API writes them: all floats, filled up, with the number of those that count."""
    rows = np.zeros((1, 8, 6), np.float32)
    rows[0, : len(objects)] = objects
    return {
        "raw_detection_boxes": np.zeros((1, 40, 4), np.float32),
        "raw_detection_scores": np.zeros((1, 40, 3), np.float32),
        "detection_boxes": rows[..., [1, 0, 3, 2]] / 640,
        "detection_classes": rows[..., 5],
        "detection_scores": rows[..., 4],
        "num_detections": np.array([len(objects)], np.float32),
    }


def with_labels_beside(objects: np.ndarray[Any, Any]) -> Outputs:
    return {"dets": objects[None, :, :5], "labels": objects[None, :, 5].astype(np.int64)}


def one_table_of_images(objects: np.ndarray[Any, Any]) -> Outputs:
    return {"detections": columns("icsxyxy")(objects)["output0"][None, None]}


def scores_of_classes(objects: np.ndarray[Any, Any]) -> Outputs:
    scores = np.zeros((1, len(objects), 3), np.float32)
    scores[0, np.arange(len(objects)), objects[:, 5].astype(int)] = objects[:, 4]
    return {"boxes": objects[None, :, :4], "scores": scores}


LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], Outputs]] = {
    **{letters: columns(letters) for letters in ("xyxysc", "csxyxy", "xyxycs", "ixyxycs", "icsxyxy", "xyxyssc")},
    **{
        each.__name__: each
        for each in (
            separate,
            in_images,
            padded,
            with_labels_beside,
            one_table_of_images,
            scores_of_classes,
        )
    },
}
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def matched(board: Outputs, host: Outputs, *, threshold: float | None = 0.25, **option: Any) -> Matched:
    return Matcher(option=DetectionMatch(**option), threshold=threshold).match([board], [host])


def differences(of: Matched) -> float:
    return max(each.max_absolute for each in output_difference.compare(of.actual, of.expected))


def words(detections: Detections) -> str:
    return "; ".join(section(DetectionsSection, detections).words())


@each_layout
def test_rows_in_another_order_are_the_same_detections(layout: Callable[..., Outputs]) -> None:
    both = matched(layout(OBJECTS[[2, 0, 1]]), layout(OBJECTS))
    assert (both.detections.verdict, both.detections.matched, differences(both)) == ("PASS", 3, 0.0)
    assert both.detections.min_iou == 1.0


@each_layout
def test_row_more_at_the_threshold_is_told_and_leaves_the_others_equal(layout: Callable[..., Outputs]) -> None:
    both = matched(layout(np.concatenate([WEAK, OBJECTS])), layout(OBJECTS))
    assert (both.detections.verdict, both.detections.matched, differences(both)) == ("PASS", 3, 0.0)
    (row,) = both.detections.more
    assert row.label == 2
    assert row.score == pytest.approx(0.25001)
    assert "1 more (class 2 score 0.25), at the threshold of 0.25" in words(both.detections)


@each_layout
def test_row_fewer_that_no_threshold_explains_fails(layout: Callable[..., Outputs]) -> None:
    both = matched(layout(OBJECTS), layout(np.concatenate([OBJECTS, STRONG])))
    assert both.detections.verdict == "FAIL"
    assert "1 fewer (class 2 score 0.8), which the threshold of 0.25 does not explain" in words(both.detections)


@each_layout
def test_no_detections_on_either_side_agree(layout: Callable[..., Outputs]) -> None:
    both = matched(layout(OBJECTS[:0]), layout(OBJECTS[:0]))
    assert (both.detections.verdict, both.detections.matched) == ("PASS", 0)
    assert words(both.detections) == "no detections on either side"


@each_layout
def test_one_row_beside_none_is_not_spread_over_it(layout: Callable[..., Outputs]) -> None:
    both = matched(layout(STRONG), layout(OBJECTS[:0]))
    assert (both.detections.verdict, len(both.detections.more)) == ("FAIL", 1)


def test_box_that_moved_is_matched_and_its_difference_is_measured() -> None:
    moved = OBJECTS.copy()
    moved[0, :4] += 3
    both = matched(separate(moved), separate(OBJECTS))
    assert both.detections.matched == 3
    assert both.detections.min_iou == pytest.approx((37 * 47) / (2 * 40 * 50 - 37 * 47))
    assert differences(both) == pytest.approx(3)


def test_same_box_with_another_class_fails_even_at_the_threshold() -> None:
    weak = WEAK.copy()
    weak[0, 5] = 1
    both = matched(separate(np.concatenate([OBJECTS, weak])), separate(np.concatenate([OBJECTS, WEAK])))
    assert (both.detections.verdict, len(both.detections.more), len(both.detections.fewer)) == ("FAIL", 1, 1)


def test_scores_that_differ_by_more_than_rounding_fail() -> None:
    other = OBJECTS.copy()
    other[1, 4] -= 0.05
    both = matched(separate(other), separate(OBJECTS))
    assert both.detections.verdict == "FAIL"
    assert both.detections.max_score_difference == pytest.approx(0.05, abs=1e-6)


def test_lowest_score_without_a_known_threshold_is_inconclusive_and_names_the_option() -> None:
    both = matched(separate(np.concatenate([OBJECTS, WEAK])), separate(OBJECTS), threshold=None)
    assert both.detections.verdict == "INCONCLUSIVE"
    assert "`match=detections:threshold=SCORE`" in words(both.detections)


def test_score_above_matched_ones_without_a_known_threshold_fails() -> None:
    both = matched(separate(np.concatenate([OBJECTS, STRONG])), separate(OBJECTS), threshold=None)
    assert both.detections.verdict == "FAIL"


def test_last_row_of_a_full_table_may_be_another_one() -> None:
    tail = OBJECTS[[2]].copy()
    tail[0, :4] += 300
    matcher = Matcher(option=DetectionMatch(), threshold=0.01, shapes={"output0": (3, 6)})
    table = columns("xyxysc")
    both = matcher.match([table(np.concatenate([OBJECTS[:2], tail]))], [table(OBJECTS)])
    assert (both.detections.verdict, len(both.detections.more), len(both.detections.fewer)) == ("PASS", 1, 1)


def test_masks_with_a_row_for_each_detection_follow_their_boxes() -> None:
    masks = np.arange(12, dtype=np.float32).reshape(3, 4)
    order = [2, 0, 1]
    both = matched({**separate(OBJECTS[order]), "masks": masks[order]}, {**separate(OBJECTS), "masks": masks})
    assert differences(both) == 0.0


def test_detections_of_two_images_are_not_mixed() -> None:
    two = {name: np.stack([values, values[::-1]]) for name, values in separate(OBJECTS).items()}
    other = {name: values[::-1] for name, values in two.items()}
    both = matched(other, two)
    assert (both.detections.verdict, both.detections.matched, differences(both)) == ("PASS", 6, 0.0)


def test_indices_are_matched_by_the_boxes_that_they_select() -> None:
    boxes = np.tile(OBJECTS[None, :, :4], (1, 1, 1))
    host = {"selected": np.array([[0, 1, 0], [0, 0, 1]]), "boxes": boxes}
    board = {"selected": np.array([[0, 0, 1], [0, 1, 0], [0, 1, 2]]), "boxes": boxes}
    both = matched(board, host, threshold=None)
    assert (both.detections.matched, len(both.detections.more)) == (2, 1)
    assert differences(both) == 0.0


def test_indices_without_boxes_are_matched_by_themselves() -> None:
    host, board = ({"selected": np.array(rows)} for rows in ([[0, 1, 7], [0, 0, 3]], [[0, 0, 3], [0, 1, 7]]))
    both = matched(board, host)
    assert (both.detections.verdict, both.detections.matched) == ("PASS", 2)


def test_centre_with_size_is_told_from_corners() -> None:
    boxes = np.array([[200, 200, 20, 30], [50, 60, 80, 20]], np.float32)
    outputs = {"boxes": boxes, "scores": np.array([0.9, 0.8], np.float32), "labels": np.array([0, 1])}
    assert detection_layout.find([outputs], DetectionMatch()).columns == "xywh"
    assert matched(outputs, outputs).detections.matched == 2


def test_named_outputs_are_taken_whatever_they_look_like() -> None:
    names = {"boxes": "a", "scores": "b", "labels": "c"}
    outputs = {names[name]: values for name, values in separate(OBJECTS).items()}
    both = matched(outputs, outputs, boxes="a", scores="b", classes="c")
    assert (both.detections.matched, both.detections.layout) == (3, "boxes in a, scores in b, classes in c")


@pytest.mark.parametrize(
    ("outputs", "option", "problem"),
    [
        (
            {"y": np.zeros((1, 84, 8400), np.float32)},
            {},
            "no outputs look like boxes with scores or classes: y [1, 84, 8400]",
        ),
        ({"y": np.ones((5, 2), np.float32)}, {}, "no outputs look like boxes with scores or classes"),
        ({"y": np.zeros((3, 6), np.float32)}, {"boxes": "z"}, "boxes=z: the model gives y"),
        ({"y": np.zeros((3, 6), np.float32)}, {"boxes": "y"}, "has no 4 columns"),
        ({"y": np.zeros((3, 9), np.float32)}, {"rows": "y", "columns": "xyxysc"}, "does not have the columns xyxysc"),
    ],
)
def test_outputs_without_detections_are_refused_with_their_shapes(
    outputs: Outputs, option: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem.replace("[", r"\[")):
        detection_layout.find([outputs], DetectionMatch(**option))


def test_output_of_another_form_is_told_and_compared_as_it_is() -> None:
    missing = {name: values for name, values in separate(OBJECTS).items() if name != "scores"}
    both = matched(missing, separate(OBJECTS))
    assert (both.detections.verdict, both.detections.problem) == ("FAIL", "an output has another form")
