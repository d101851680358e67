"""Transforms: batches of images, each changed in its own way, drawn from a generator that is handed in."""

from tensorgrad.data.transforms.colours import ColorJitter, GaussianNoise, Normalize
from tensorgrad.data.transforms.elastic import RandomElastic
from tensorgrad.data.transforms.framing import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from tensorgrad.data.transforms.transform import Compose, Jointly, Transform
from tensorgrad.data.transforms.warps import (
    RandomAffine,
    RandomHorizontalFlip,
    RandomQuarterTurn,
    RandomRotation,
    RandomVerticalFlip,
)

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "GaussianNoise",
    "Jointly",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomElastic",
    "RandomHorizontalFlip",
    "RandomQuarterTurn",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "Transform",
]
