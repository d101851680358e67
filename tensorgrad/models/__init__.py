"""The models: one paper, one file."""

from tensorgrad.models.lenet import LeNet, SmallVGG
from tensorgrad.models.mlp import MLP
from tensorgrad.models.sigmoid_mlp import SigmoidMLP, squared_error

__all__ = ["MLP", "LeNet", "SigmoidMLP", "SmallVGG", "squared_error"]
