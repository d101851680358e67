"""Training: a trainer that resumes exactly, callbacks and metrics, logs, and what a run leaves behind."""

from tensorgrad.train.averaging import AverageWeights
from tensorgrad.train.callback import Callback
from tensorgrad.train.callbacks import EarlyStopping, Schedule
from tensorgrad.train.checkpoint import Checkpoint, checkpoints, newest, resume
from tensorgrad.train.logs import CSVLog, JSONLog, Progress, TensorBoardLog
from tensorgrad.train.metrics import (
    AUROC,
    F1,
    MAE,
    NLL,
    PSNR,
    R2,
    SSIM,
    Accuracy,
    ConfusionMatrix,
    Dice,
    IoU,
    Metric,
    Perplexity,
    TopK,
)
from tensorgrad.train.timing import Paused, Stopwatch, TimeBudget
from tensorgrad.train.trainer import Trainer
from tensorgrad.train.trials import fast_dev_run, find_learning_rate, overfit_one_batch
from tensorgrad.train.triggers import Trigger, best, every, once
from tensorgrad.train.watching import NaNStop, Statistics

__all__ = [
    "AUROC",
    "F1",
    "MAE",
    "NLL",
    "PSNR",
    "R2",
    "SSIM",
    "Accuracy",
    "AverageWeights",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ConfusionMatrix",
    "Dice",
    "EarlyStopping",
    "IoU",
    "JSONLog",
    "Metric",
    "NaNStop",
    "Paused",
    "Perplexity",
    "Progress",
    "Schedule",
    "Statistics",
    "Stopwatch",
    "TensorBoardLog",
    "TimeBudget",
    "TopK",
    "Trainer",
    "Trigger",
    "best",
    "checkpoints",
    "every",
    "fast_dev_run",
    "find_learning_rate",
    "newest",
    "once",
    "overfit_one_batch",
    "resume",
]
