"""Data: data sets, loaders that resume exactly, transforms, and sets that are read with care."""

from tensorgrad.data.collate import collate
from tensorgrad.data.datasets import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tensorgrad.data.files import DataFileError, DataNotFoundError
from tensorgrad.data.generated import eight_gaussians, moons, spirals
from tensorgrad.data.handwriting import emnist_letters, fashion_mnist, mnist
from tensorgrad.data.loader import DataLoader
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.samplers import (
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tensorgrad.data.splits import Splits

__all__ = [
    "ConcatDataset",
    "DataFileError",
    "DataLoader",
    "DataNotFoundError",
    "Dataset",
    "Provenance",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Splits",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "collate",
    "eight_gaussians",
    "emnist_letters",
    "fashion_mnist",
    "mnist",
    "moons",
    "random_split",
    "spirals",
]
