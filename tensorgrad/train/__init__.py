"""Training: a trainer that resumes exactly, callbacks and metrics, logs, and what a run leaves behind."""

from tensorgrad.train.callback import Callback
from tensorgrad.train.callbacks import EarlyStopping, Schedule
from tensorgrad.train.checkpoint import Checkpoint, checkpoints, newest, resume
from tensorgrad.train.logs import CSVLog, JSONLog, Progress, TensorBoardLog
from tensorgrad.train.metrics import AUROC, F1, Accuracy, ConfusionMatrix, Metric, TopK
from tensorgrad.train.trainer import Trainer
from tensorgrad.train.triggers import Trigger, best, every, once

__all__ = [
    "AUROC",
    "F1",
    "Accuracy",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "ConfusionMatrix",
    "EarlyStopping",
    "JSONLog",
    "Metric",
    "Progress",
    "Schedule",
    "TensorBoardLog",
    "TopK",
    "Trainer",
    "Trigger",
    "best",
    "checkpoints",
    "every",
    "newest",
    "once",
    "resume",
]
