"""Predicted device time: from a model's graph and a profile, with a band that is tested against published figures."""

from edgesim.predictions.prediction import Declined, NodeTime, Prediction
from edgesim.predictions.predictor import (
    predict,
    predict_each_target,
    predict_or_decline,
    predict_read,
    predict_targets,
    require_target,
)

__all__ = [
    "Declined",
    "NodeTime",
    "Prediction",
    "predict",
    "predict_each_target",
    "predict_or_decline",
    "predict_read",
    "predict_targets",
    "require_target",
]
