"""Predicted device time: from a model's graph and a profile, with a band that was checked against published figures."""

from edgesim.predictions.prediction import NodeTime, Prediction, predict

__all__ = ["NodeTime", "Prediction", "predict"]
