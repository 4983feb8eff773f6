"""Which metrics are the better the higher they are; of all others, less is better."""

HIGHER_IS_BETTER = frozenset(
    ("throughput_qps", "accuracy", "detections.matched", "detections.min_iou", "generation.tokens_per_second")
)
