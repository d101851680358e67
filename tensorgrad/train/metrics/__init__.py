"""Metrics: figures over a data set, added up batch by batch."""

from tensorgrad.train.metrics.classification import AUROC, F1, Accuracy, ConfusionMatrix, TopK
from tensorgrad.train.metrics.metric import Metric

__all__ = ["AUROC", "F1", "Accuracy", "ConfusionMatrix", "Metric", "TopK"]
