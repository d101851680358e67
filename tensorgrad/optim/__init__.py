"""Optimizers, schedules of their learning rates, clipped gradients and averaged weights, by PyTorch's names."""

from tensorgrad.optim.adagrad import Adadelta, Adagrad, RMSprop
from tensorgrad.optim.adam import Adam, AdamW
from tensorgrad.optim.adam_variants import Adamax, NAdam, RAdam
from tensorgrad.optim.clip import clip_grad_norm_, clip_grad_value_
from tensorgrad.optim.lamb import LAMB
from tensorgrad.optim.lbfgs import LBFGS
from tensorgrad.optim.lion import Lion
from tensorgrad.optim.optimizer import Optimizer
from tensorgrad.optim.sgd import SGD, ProximalSGD

__all__ = [
    "LAMB",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "ProximalSGD",
    "RAdam",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
]
