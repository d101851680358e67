"""The models: one paper, one file."""

from tensorgrad.models.mlp import MLP

__all__ = ["MLP"]
