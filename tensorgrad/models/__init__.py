"""The models: one paper, one file."""

from tensorgrad.models.lenet import LeNet, SmallVGG
from tensorgrad.models.mlp import MLP

__all__ = ["MLP", "LeNet", "SmallVGG"]
