"""`autocast`: a region in which products are computed in half precision, and what halves do badly in float32.

The policies are one table, of every op. In a region, calls of the ops that have a policy come here first, and their
operands are cast by the op `astype`: casts are records like others, so gradients pass through them and come back in the
dtype of the parameters. Outside all regions the ops' own bodies run, and nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from tensorgrad import backend
from tensorgrad.definition import Op
from tensorgrad.ops.elementwise import astype
from tensorgrad.primitive import divert
from tensorgrad.tape import Mode, Traced

LOWER, SINGLE, WIDEST = "lower", "float32", "widest"
_FLOAT32 = np.dtype("float32")

# By files of the vocabulary. LOWER: in the region's dtype. SINGLE: halves among the operands become float32. WIDEST: as
# the operands are, in the widest of their dtypes.
POLICIES: dict[str, dict[str, str]] = {
    "activation": {
        SINGLE: "log_softmax softmax softplus",
        WIDEST: "elu erf gelu_tanh hardtanh leaky_relu log_softmax_back relu sigmoid silu softmax_back",
    },
    "analytic": {
        SINGLE: "acos acosh asin asinh atanh cosh exp expm1 log log10 log1p log2 reciprocal sinh square tan",
        WIDEST: "atan cos sin sqrt tanh",
    },
    "arithmetic": {
        SINGLE: "hypot logaddexp pow",
        WIDEST: "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign divide "
        "equal floor_divide greater greater_equal less less_equal logical_and logical_or logical_xor multiply negative "
        "nextafter not_equal remainder subtract",
    },
    "arrays": {WIDEST: "to_device"},
    "attention": {LOWER: "attention", WIDEST: "attention_back attention_mask_back"},
    "convolution": {LOWER: "correlate_windows correlate_windows_weight correlate_windows_x"},
    "elementwise": {
        WIDEST: "abs astype bitwise_invert ceil clip conj copy empty_like floor full_like imag isfinite isinf isnan "
        "logical_not maximum minimum ones_like positive real round sign signbit trunc where zeros_like"
    },
    "factorization": {
        SINGLE: "cholesky complete_qr det eigh eigvalsh full_svd inv qr_parts slogdet solve svd_parts svdvals"
    },
    "fourier": {SINGLE: "dft half_dft half_dft_inverse"},
    "indexing": {WIDEST: "add_at getitem setitem take take_along_axis"},
    "loss": {
        SINGLE: "clamped_log sigmoid_cross_entropy softmax_cross_entropy",
        WIDEST: "softmax_cross_entropy_back",
    },
    "matrices": {SINGLE: "matrix_exp matrix_rank pinv"},
    "normalization": {
        SINGLE: "batch_norm_train group_norm_parts layer_norm_rows rms_norm_rows",
        WIDEST: "batch_norm_train_back group_norm_parts_back layer_norm_rows_back rms_norm_rows_back",
    },
    "numerical": {LOWER: "convolve_vectors"},
    "padding": {WIDEST: "bordered"},
    "pooling": {
        SINGLE: "sum_windows",
        WIDEST: "attained_windows gather_windows max_windows min_windows share_windows spread_windows",
    },
    "products": {LOWER: "einsum_parts linear matmul"},
    "recurrent": {LOWER: "gru_layer lstm_layer", WIDEST: "gru_layer_back lstm_layer_back"},
    "reduction": {
        SINGLE: "logsumexp mean prod safe_sqrt sum var",
        WIDEST: "all any argmax argmin count_nonzero max min",
    },
    "sampling": {WIDEST: "read_taps read_taps_weight read_taps_x stretch_axis"},
    "scan": {SINGLE: "cumulative_prod cumulative_sum running_logsumexp", WIDEST: "running_places"},
    "scatter": {WIDEST: "largest_of_segments"},
    "shape": {
        WIDEST: "broadcast_to concat_parts expand_dims flip matrix_transpose permute_dims reshape roll squeeze sum_to "
        "tril triu"
    },
    "sorting": {WIDEST: "argsort isin searchsorted unique_places"},
    "windows": {WIDEST: "fold_windows unfold_windows"},
}
_policy_of = {
    f"tensorgrad.ops.{file}.{name}": policy
    for file, by_policy in POLICIES.items()
    for policy, names in by_policy.items()
    for name in names.split()
}


def policy_of(op: Any) -> str:
    """How a call of an op is made in a region: "lower", "float32" or "widest". An op of yours is "widest".

    >>> import tensorgrad as tg
    >>> policy_of(tg.matmul), policy_of(tg.softmax), policy_of(tg.add)
    ('lower', 'float32', 'widest')
    """
    definition: Op = getattr(op, "op", op)
    return _policy_of.get(f"{definition.module}.{definition.name}", WIDEST)


# ── regions ─────────────────────────────────────────────────────────────────────────────────────────────────


class _Region(NamedTuple):
    """A region that was entered in this thread or task, and the one it lies in. The dtype is None where it is off."""

    mode: autocast
    dtype: Any
    below: _Region | None


_region: ContextVar[_Region | None] = ContextVar("region", default=None)
_lock = Lock()
_regions = 0  # that are on, in all threads


@cache
def _target_of(op: Op) -> str:
    """`policy_of` for the way into every call in a region."""
    return policy_of(op)


def _is_cast(op: Op) -> bool:
    return _target_of(op) != WIDEST


def _count(change: int) -> None:
    """Note that a region was entered or left; at the first and the last, exchange the bodies of the ops."""
    global _regions
    with _lock:
        before, _regions = _regions, _regions + change
        if (before == 0) != (_regions == 0):
            divert(_is_cast, _cast_and_call if _regions else None)


class autocast(Mode):
    """Compute products and convolutions in half precision inside: `with autocast("float16"):`, or as a decorator.

    dtype: float16 or bfloat16, as a name or a dtype; bfloat16 needs the package ml_dtypes. enabled: False makes a
    region inside another one in which operands are left as they are.

    Parameters stay float32, and so do their gradients: operands are cast where they are used, and the casts are
    recorded. What is computed how stands in docs/mixed-precision.md. Only calls on tensors are cast; float64 and
    complex operands never. It holds for this thread or task; a backward sweep computes in the dtypes of the forward
    pass, wherever it is called.
    Raises TypeError for another dtype, ModuleNotFoundError for bfloat16 without ml_dtypes.

    >>> import tensorgrad as tg
    >>> w = tg.ones((2, 2), requires_grad=True)
    >>> with tg.autocast("float16"):
    ...     y = w @ w
    ...     loss = y.sum()
    >>> y.dtype, loss.dtype
    (dtype('float16'), dtype('float32'))
    >>> loss.backward()
    >>> w.grad.dtype
    dtype('float32')
    """

    def __init__(self, dtype: Any, enabled: bool = True) -> None:
        try:
            self.dtype = backend.as_dtype(dtype)
        except TypeError:
            self.dtype = None
        if self.dtype is None or not backend.is_half(self.dtype):
            raise TypeError(f"autocast: dtype is {dtype!r}; it may be 'float16' or 'bfloat16'")
        self._enabled = enabled

    def _fresh(self) -> Mode:
        return autocast(self.dtype, self._enabled)

    def __enter__(self) -> None:
        _region.set(_Region(self, self.dtype if self._enabled else None, _region.get()))
        if self._enabled:
            _count(1)

    def __exit__(self, *_: object) -> None:
        region, above = _region.get(), []
        while region is not None and region.mode is not self:
            above.append(region)
            region = region.below
        if region is None:
            return  # a generator that was entered elsewhere ends here: nothing of this thread's is to be undone
        below = region.below
        for each in reversed(above):  # left out of order, by a generator
            below = each._replace(below=below)
        _region.set(below)
        if self._enabled:
            _count(-1)


def autocast_dtype() -> Any:
    """The dtype that products are computed in now, in this thread: float16 or bfloat16; None outside of a region.

    >>> with autocast("float16"):
    ...     autocast_dtype()
    dtype('float16')
    """
    region = _region.get()
    return None if region is None else region.dtype


def without_autocast(function: Callable[[], Any]) -> Any:
    """What a function returns, called outside of all regions."""
    before = _region.get()
    if before is None or before.dtype is None:
        return function()
    _region.set(None)
    try:
        return function()
    finally:
        _region.set(before)


def _cast_and_call(op: Op, function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """A call of an op that has a policy, while some thread is in a region."""
    region = _region.get()
    if region is None or region.dtype is None:
        return function(*args, **keywords)
    for each in (*args, *keywords.values()):
        if isinstance(each, Traced):
            break
    else:
        return function(*args, **keywords)  # a rule or a kernel at work, whose arrays have the dtypes they should have
    target = region.dtype if _target_of(op) == LOWER else _FLOAT32
    args = tuple([_in(each, target) for each in args])
    if keywords:
        keywords = {name: each if name == "out" else _in(each, target) for name, each in keywords.items()}
    return function(*args, **keywords)


def _in(value: Any, target: Any) -> Any:
    """A tensor or an array of single or half precision in another one of these; anything else as it is."""
    array = value.data if isinstance(value, Traced) else value
    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype is target or not isinstance(dtype, np.dtype):
        return value
    return astype(value, target) if (dtype is _FLOAT32 or backend.is_half(dtype)) and dtype != target else value


__all__ = ["LOWER", "POLICIES", "SINGLE", "WIDEST", "autocast", "autocast_dtype", "policy_of", "without_autocast"]
