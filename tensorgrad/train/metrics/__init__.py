"""Metrics: figures over a data set, added up batch by batch; and measures of sets of samples."""

from tensorgrad.train.metrics.classification import AUROC, F1, Accuracy, ConfusionMatrix, TopK
from tensorgrad.train.metrics.images import PSNR, SSIM
from tensorgrad.train.metrics.likelihood import NLL, Perplexity
from tensorgrad.train.metrics.metric import Metric
from tensorgrad.train.metrics.regression import MAE, R2
from tensorgrad.train.metrics.samples import mean_distance, sliced_wasserstein
from tensorgrad.train.metrics.segmentation import Dice, IoU

__all__ = [
    "AUROC",
    "F1",
    "MAE",
    "NLL",
    "PSNR",
    "R2",
    "SSIM",
    "Accuracy",
    "ConfusionMatrix",
    "Dice",
    "IoU",
    "Metric",
    "Perplexity",
    "TopK",
    "mean_distance",
    "sliced_wasserstein",
]
