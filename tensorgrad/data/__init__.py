"""Data: data sets, loaders that resume exactly, transforms, and sets that are read with care."""

from tensorgrad.data.blender import blender_scene
from tensorgrad.data.cifar import cifar10
from tensorgrad.data.collate import collate
from tensorgrad.data.datasets import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tensorgrad.data.files import DataFileError, DataNotFoundError
from tensorgrad.data.generated import eight_gaussians, moons, spirals
from tensorgrad.data.handwriting import emnist_letters, fashion_mnist, mnist
from tensorgrad.data.loader import DataLoader
from tensorgrad.data.membranes import generated_membranes, isbi_membranes
from tensorgrad.data.photographs import Photograph, photograph, sample_photograph
from tensorgrad.data.prices import stocks
from tensorgrad.data.provenance import Provenance
from tensorgrad.data.samplers import (
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tensorgrad.data.scalers import MinMaxScaler, StandardScaler
from tensorgrad.data.sentences import flickr8k_captions, sst2, sts_benchmark
from tensorgrad.data.splits import Splits
from tensorgrad.data.tables import digits, iris
from tensorgrad.data.texts import Alphabet, Words, names, tiny_shakespeare
from tensorgrad.data.views import Scene, Views, balls, lego
from tensorgrad.data.windows import WindowDataset

__all__ = [
    "Alphabet",
    "ConcatDataset",
    "DataFileError",
    "DataLoader",
    "DataNotFoundError",
    "Dataset",
    "MinMaxScaler",
    "Photograph",
    "Provenance",
    "RandomSampler",
    "Sampler",
    "Scene",
    "SequentialSampler",
    "Splits",
    "StandardScaler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "Views",
    "WeightedRandomSampler",
    "WindowDataset",
    "Words",
    "balls",
    "blender_scene",
    "cifar10",
    "collate",
    "digits",
    "eight_gaussians",
    "emnist_letters",
    "fashion_mnist",
    "flickr8k_captions",
    "generated_membranes",
    "iris",
    "isbi_membranes",
    "lego",
    "mnist",
    "moons",
    "names",
    "photograph",
    "random_split",
    "sample_photograph",
    "spirals",
    "sst2",
    "stocks",
    "sts_benchmark",
    "tiny_shakespeare",
]
