"""Optimizers, schedules of their learning rates, clipped gradients and averaged weights, by PyTorch's names."""

from tensorgrad.optim import lr_scheduler
from tensorgrad.optim.adagrad import Adadelta, Adagrad, RMSprop
from tensorgrad.optim.adam import Adam, AdamW
from tensorgrad.optim.adam_variants import Adamax, NAdam, RAdam
from tensorgrad.optim.average import SWALR, AveragedModel, get_ema_avg_fn, get_swa_avg_fn, update_bn
from tensorgrad.optim.clip import clip_grad_norm_, clip_grad_value_
from tensorgrad.optim.grad_scaler import GradScaler
from tensorgrad.optim.lamb import LAMB
from tensorgrad.optim.lbfgs import LBFGS
from tensorgrad.optim.lion import Lion
from tensorgrad.optim.optimizer import Optimizer
from tensorgrad.optim.range_test import RangeTest, lr_range_test
from tensorgrad.optim.sgd import SGD, ProximalSGD

__all__ = [
    "LAMB",
    "LBFGS",
    "SGD",
    "SWALR",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragedModel",
    "GradScaler",
    "Lion",
    "NAdam",
    "Optimizer",
    "ProximalSGD",
    "RAdam",
    "RMSprop",
    "RangeTest",
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_ema_avg_fn",
    "get_swa_avg_fn",
    "lr_range_test",
    "lr_scheduler",
    "update_bn",
]
