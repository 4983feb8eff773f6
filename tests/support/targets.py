"""A predictor for GPUs that tests choose the answers of."""

from collections.abc import Sequence
from typing import Any

from edgesim.predictions.model_reader import ModelReader
from edgesim.predictions.prediction import Declined, Prediction
from edgesim.profiles import DeviceProfile


class FixedGpu:
    """Answers with fixed times for the GPU of any board, and declines int8.

    Args:
        fp16_ms: the time in fp16; fp32 takes twice as long.
    """

    def __init__(self, fp16_ms: float) -> None:
        self.fp16_ms = fp16_ms

    def targets(self, profile: DeviceProfile) -> Sequence[str]:
        return [name for name in profile.targets if name.startswith("gpu:")]

    def predict(self, profile: DeviceProfile, reader: ModelReader, *, target: str, **_: Any) -> Prediction | Declined:
        if target.endswith("int8"):
            return Declined(reason="no fast path for int8")
        ms = self.fp16_ms * (2 if target.endswith("fp32") else 1)
        notes = ("the power mode is not known",)
        return Prediction(p50_ms=ms, low_ms=0.8 * ms, high_ms=1.25 * ms, method="fixed", threads=1, notes=notes)
