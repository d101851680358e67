"""SIREN: a picture, or any signal, as a function of its coordinates in sines of sines, smooth in every derivative.

Sitzmann, Martel, Bergman, Lindell & Wetzstein, "Implicit neural representations with periodic activation functions",
2020 (arXiv 2006.09661). Symbols: x, coordinates in [-1, 1]; Phi(x), the signal there; omega_0, how many times faster
than its weights say a layer of sines swings.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from tensorgrad import nn
from tensorgrad.models.mlp import MLP
from tensorgrad.models.nerf import positional_encoding
from tensorgrad.nn import init
from tensorgrad.ops import sin
from tensorgrad.tensor import Tensor
from tensorgrad.transforms import value_and_grad


class SIREN(nn.Module):
    """Layers of sines, and a linear one.   (n, d) -> (n, k)

    Phi(x) = W_n (phi_{n-1} o ... o phi_0)(x) + b_n,   phi_i(z) = sin(omega_0 (W_i z + b_i)), section 3 of the paper

    inputs: d. width: of all hidden layers. hidden: layers of sines behind the first one. outputs: k. omega_0: 30 in the
    paper. rng: draws the weights, the first layer's from U(-1 / d, 1 / d), the others' from U(-a, a) with
    a = sqrt(6 / width) / omega_0 (section 3.2), so that the sines of every layer are spread alike, biases from
    U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)); and says on which device.
    Raises ValueError for sizes below 1 and an omega_0 that is not above 0, and for coordinates that are not (n, d).

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.siren import SIREN
    >>> field = SIREN(2, 256, 3, 1, rng=tg.random.Generator(0))
    >>> field(tg.zeros((5, 2))).shape, sum(theta.size for theta in field.parameters())
    ((5, 1), 198401)
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        hidden: int,
        outputs: int,
        omega_0: float = 30.0,
        *,
        rng: Any,
        dtype: Any = None,
    ) -> None:
        if min(inputs, width, hidden, outputs) < 1 or not omega_0 > 0:
            raise ValueError(
                f"SIREN: inputs {inputs}, width {width}, hidden {hidden}, outputs {outputs}, omega_0 {omega_0}; "
                "expected sizes of 1 or more, and an omega_0 above 0"
            )
        self.inputs, self.omega_0 = inputs, omega_0
        widths = [inputs, *[width] * (hidden + 1), outputs]
        self.layers = nn.ModuleList(
            nn.Linear(columns, units, device=rng.device, dtype=dtype, generator=rng)
            for columns, units in pairwise(widths)
        )
        for place, layer in enumerate(self.layers):
            init.siren_uniform_(layer.weight, omega_0, first=place == 0, generator=rng)

    def forward(self, x: Any) -> Tensor:
        """The signal at some coordinates.   (n, d) -> (n, k)"""
        check_coordinates("SIREN", x, self.inputs)
        *sines, last = self.layers
        for layer in sines:
            x = sin(self.omega_0 * layer(x))
        phi: Tensor = last(x)
        return phi


class EncodedMLP(nn.Module):
    """Rectifiers behind coordinates that were written as waves first.   (n, d) -> (n, k)

    MLP(gamma(x)), gamma being NeRF's encoding with `frequencies` waves for each coordinate. inputs, width, hidden,
    outputs and rng: as for `SIREN`, whose weights are as many but for the first layer's. Raises ValueError for sizes
    below 1, and for coordinates that are not (n, d).
    Mildenhall et al., "NeRF: representing scenes as neural radiance fields for view synthesis", 2020, eq. 4.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.siren import EncodedMLP
    >>> EncodedMLP(2, 16, 1, 1, frequencies=8, rng=tg.random.Generator(0))(tg.zeros((5, 2))).shape
    (5, 1)
    """

    def __init__(self, inputs: int, width: int, hidden: int, outputs: int, frequencies: int, *, rng: Any) -> None:
        if min(inputs, frequencies) < 1:
            raise ValueError(f"EncodedMLP: inputs {inputs}, frequencies {frequencies}; expected 1 or more of each")
        self.inputs, self.frequencies = inputs, frequencies
        self.mlp = MLP((2 * frequencies * inputs, *[width] * (hidden + 1), outputs), rng)

    def forward(self, x: Any) -> Tensor:
        """The signal at some coordinates.   (n, d) -> (n, k)"""
        check_coordinates("EncodedMLP", x, self.inputs)
        phi: Tensor = self.mlp(positional_encoding(x, self.frequencies))
        return phi


def slope(field: Any, x: Any) -> Tensor:
    """The gradient of a field with respect to its coordinates, itself recorded where the field is.   (n, d) -> (n, d)

    field: (n, d) -> (n, 1), what it makes of a row not depending on other rows. A loss on the slope is what section 4.1
    of the paper fits a picture by: its gradient with respect to the weights goes through the sweep of this one.

    >>> import tensorgrad as tg
    >>> slope(lambda x: (x**2).sum(axis=1, keepdims=True), tg.asarray([[1.0, -3.0]])).tolist()
    [[2.0, -6.0]]
    """
    _, gradient = value_and_grad(lambda x: field(x).sum())(x)
    found: Tensor = gradient
    return found


def check_coordinates(what: str, x: Any, inputs: int) -> None:
    """Raise ValueError unless x is (n, inputs)."""
    if len(x.shape) != 2 or x.shape[1] != inputs:
        raise ValueError(f"{what}: the coordinates have the shape {tuple(x.shape)}; expected (n, {inputs})")
