"""What belongs to modules and is no layer, by PyTorch's names: packed sequences, parametrizations, vectors of weights.

Clipping of gradients is `tensorgrad.optim`'s.
"""

from tensorgrad.nn.utils import parametrizations, parametrize, rnn
from tensorgrad.nn.utils.parametrizations import spectral_norm, weight_norm
from tensorgrad.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "rnn",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]
