"""Discrete Fourier transforms by the names of the array API's `fft` extension.

>>> import tensorgrad as tg
>>> tg.fft.rfft(tg.asarray([1.0, 2.0, 3.0])).shape
(2,)
"""

from typing import Any

from tensorgrad.ops import fft as _arrays
from tensorgrad.ops.fft import (
    fft,
    fftn,
    fftshift,
    hfft,
    ifft,
    ifftn,
    ifftshift,
    ihfft,
    irfft,
    irfftn,
    rfft,
    rfftn,
)
from tensorgrad.tensor import Tensor


def fftfreq(
    n: int, /, *, d: float = 1.0, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies that `fft` of n samples, d apart, stands for, in cycles per unit of d.   -> (n,)

    >>> import tensorgrad as tg
    >>> tg.fft.fftfreq(4, d=0.5)
    Tensor([ 0. ,  0.5, -1. , -0.5], dtype=float32)
    """
    return Tensor(_arrays.fftfreq(n, d=d, dtype=dtype, device=device), requires_grad)


def rfftfreq(
    n: int, /, *, d: float = 1.0, dtype: Any = None, device: str | None = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies that `rfft` of n samples, d apart, stands for, in cycles per unit of d.   -> (n // 2 + 1,)

    >>> import tensorgrad as tg
    >>> tg.fft.rfftfreq(4, d=0.5)
    Tensor([0. , 0.5, 1. ], dtype=float32)
    """
    return Tensor(_arrays.rfftfreq(n, d=d, dtype=dtype, device=device), requires_grad)


__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]
