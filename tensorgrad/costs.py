"""What an op costs: the floating-point operations of its forward pass, from the shapes of what went in and came out."""

from __future__ import annotations

from collections.abc import Callable
from math import log2, prod
from typing import Any

from tensorgrad.definition import Op

Rule = Callable[[tuple[Any, ...], Any], Any]  # (inputs of a record, result) -> operations


def flops(op: Op, values: tuple[Any, ...], result: Any) -> int:
    """The floating-point operations of one call: a multiplication and an addition are two.

    values: the inputs in the order of a record, arrays and attributes; result: the array, or the arrays. Elementwise
    functions count as one operation per element whatever they are, comparisons too; what only moves numbers counts
    as none; decompositions count by their leading term. Kernels that take another way, as FFT or Winograd, are counted
    by the definition of the op.
    Raises KeyError for an op that is neither elementwise nor in the table, as one of your own may be.
    """
    if op.name in MOVES:
        return 0
    if op.name in PER_ELEMENT:
        return int(PER_ELEMENT[op.name] * size(values[0]))
    if op.name in RULES:
        return int(RULES[op.name](values, result))
    if op.elementwise:
        return size(result)
    raise KeyError(f"nothing is known of what {op.name} costs; it is not elementwise and not in tensorgrad/costs.py")


def size(array: Any) -> int:
    """The number of elements of an array, 1 for a number; of several arrays, of the first."""
    if isinstance(array, tuple):
        return size(array[0])
    return prod(getattr(array, "shape", ()))


# Numbers are moved, chosen, or made of nothing.
MOVES = {
    *("reshape", "permute_dims", "matrix_transpose", "expand_dims", "squeeze", "broadcast_to", "flip", "roll"),
    *("tril", "triu", "concat_parts", "bordered", "getitem", "setitem", "take", "take_along_axis", "unfold_windows"),
    *("to_device", "copy", "astype", "real", "imag", "conj", "positive", "where"),
    *("zeros_like", "ones_like", "empty_like", "full_like"),
}

# Operations for each element of the first operand.
PER_ELEMENT = {
    **dict.fromkeys(("sum", "sum_to", "mean", "max", "min", "prod", "all", "any", "argmax", "argmin"), 1),
    **dict.fromkeys(("count_nonzero", "cumulative_sum", "cumulative_prod", "running_places"), 1),
    **dict.fromkeys(("add_at", "fold_windows", "largest_of_segments"), 1),  # each number is added, or compared, once
    "var": 4,  # sum, difference, square, sum
    "logsumexp": 4,  # peak, difference, exp, sum
    "running_logsumexp": 4,
    "softmax": 5,  # and the quotient
    "log_softmax": 5,
    "softmax_cross_entropy": 5,
    "softmax_back": 4,  # product, sum, difference, product
    "log_softmax_back": 4,
    "softmax_cross_entropy_back": 2,
    "rms_norm_rows": 4,  # square, sum, scale, weight
    "layer_norm_rows": 7,  # sum, difference, square, sum, scale, weight, bias
    **dict.fromkeys(("group_norm_parts", "batch_norm_train"), 7),
    "rms_norm_rows_back": 9,  # the norm again, two products and sums, the weight, and three terms
    **dict.fromkeys(("layer_norm_rows_back", "group_norm_parts_back", "batch_norm_train_back"), 12),
}


def _matmul(values: tuple[Any, ...], result: Any) -> Any:
    return 2 * size(result) * values[0].shape[-1]


def _einsum(values: tuple[Any, ...], _: Any) -> Any:
    inputs = values[0].split("->")[0].split(",")
    lengths: dict[str, int] = {}
    for letters, operand in zip(inputs, values[1:], strict=True):
        lengths.update(zip(letters, operand.shape, strict=True))
    return max(len(inputs), 1) * prod(lengths.values())


def _attention(values: tuple[Any, ...], _: Any) -> Any:
    """Scores and mixture are products; scale and softmax are six operations for each score, the bias one more."""
    query, key, value, bias, keep = values[:5]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    extra = sum(each is not None for each in (bias, keep))
    return scores * (2 * query.shape[-1] + 2 * value.shape[-1] + 6 + extra)


def _attention_back(values: tuple[Any, ...], _: Any) -> Any:
    """The scores again, the gradient of the weights, and the three results are products of each score."""
    _, query, key, value = values[:4]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return scores * (6 * query.shape[-1] + 4 * value.shape[-1] + 6)


def _attention_mask_back(values: tuple[Any, ...], _: Any) -> Any:
    """The scores again, and the gradient of the weights."""
    _, query, key, value = values[:4]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return scores * (2 * query.shape[-1] + 2 * value.shape[-1] + 6)


def _bias(values: tuple[Any, ...], result: Any) -> Any:
    return 0 if values[-1] is None else size(result)


def _recurrent(weights: int, products: int) -> Rule:
    """The weights' products at each step, so many for each weight, and some 6 operations for each row of the gates.

    weights: the place of the first of the two weights; the first array has steps and batch in front.
    """

    def operations(values: tuple[Any, ...], _: Any) -> Any:
        first, second = values[weights : weights + 2]
        return prod(values[0].shape[:2]) * (2 * products * (size(first) + size(second)) + 6 * first.shape[0])

    return operations


def _windows(values: tuple[Any, ...], result: Any) -> Any:
    return size(result) * prod(values[1])


def _square(factor: float) -> Rule:
    """factor n^3 for each square matrix. Golub & Van Loan, Matrix computations, 4th ed., 2013."""
    return lambda values, _: factor * size(values[0]) * values[0].shape[-1]


def _tall(factor: float) -> Rule:
    """factor m n^2 for each m x n matrix, n being the smaller. Golub & Van Loan, fig. 8.6.1 and sec. 5.2."""
    return lambda values, _: factor * size(values[0]) * min(values[0].shape[-2:])


def _solve(values: tuple[Any, ...], result: Any) -> Any:
    n = values[0].shape[-1]
    return 2 / 3 * size(values[0]) * n + 2 * size(result) * n


def _fft(values: tuple[Any, ...], result: Any) -> Any:
    """5 n log2 n for each complex transform, along each axis; a real one costs half of that."""
    x, axes = values[0], values[1]
    lengths = [x.shape[axis] for axis in (axes if isinstance(axes, tuple) else (axes,))]
    return 5 * max(size(x), size(result)) * sum(log2(max(n, 2)) for n in lengths)


def _half_fft(values: tuple[Any, ...], result: Any) -> Any:
    axis = values[-2]
    return 2.5 * max(size(values[0]), size(result)) * log2(max(values[0].shape[axis], result.shape[axis], 2))


def _sort(values: tuple[Any, ...], _: Any) -> Any:
    longest = max((1, *getattr(values[0], "shape", ())))
    return size(values[0]) * log2(max(longest, 2))


RULES: dict[str, Rule] = {
    "matmul": _matmul,
    "linear": lambda values, result: _matmul(values, result) + _bias(values, result),
    "einsum_parts": _einsum,
    "lstm_layer": _recurrent(3, 1),
    "lstm_layer_back": _recurrent(5, 2),
    "gru_layer": _recurrent(2, 1),
    "gru_layer_back": _recurrent(3, 2),
    "attention": _attention,
    "attention_back": _attention_back,
    "attention_mask_back": _attention_mask_back,
    "correlate_windows": lambda values, result: 2 * size(result) * prod(values[1].shape[1:]) + _bias(values, result),
    "correlate_windows_x": lambda values, result: (
        2 * size(values[0]) * prod(values[1].shape[1:]) + _bias(values, result)
    ),
    "correlate_windows_weight": lambda values, result: 2 * size(values[1]) * prod(result.shape[1:]),
    **dict.fromkeys(("max_windows", "min_windows", "sum_windows"), _windows),
    "attained_windows": lambda values, result: size(result),
    **dict.fromkeys(("share_windows", "gather_windows"), lambda values, _: 2 * size(values[1])),
    "spread_windows": lambda values, _: size(values[0]) * prod(values[2]),
    "solve": _solve,
    "inv": _square(2),
    **dict.fromkeys(("det", "slogdet"), _square(2 / 3)),
    "cholesky": _square(1 / 3),
    "eigh": _square(9),
    "eigvalsh": _square(4 / 3),
    "matrix_exp": _square(20),
    **dict.fromkeys(("qr_parts", "complete_qr"), _tall(2)),
    **dict.fromkeys(("svd_parts", "full_svd", "pinv"), _tall(14)),
    **dict.fromkeys(("svdvals", "matrix_rank"), _tall(4)),
    "dft": _fft,
    **dict.fromkeys(("half_dft", "half_dft_inverse"), _half_fft),
    **dict.fromkeys(("argsort", "unique_places"), _sort),
    "searchsorted": lambda values, result: size(result) * log2(max(size(values[0]), 2)),
    "isin": lambda values, result: size(result) * log2(max(size(values[1]), 2)),
    "convolve_vectors": lambda values, _: 2 * size(values[0]) * size(values[1]),
    # A product and a sum for each tap of each channel.
    "read_taps": lambda values, result: 2 * size(result) * values[1].shape[1],
    "read_taps_x": lambda values, _: 2 * size(values[0]) * values[1].shape[1],
    "read_taps_weight": lambda values, _: 2 * size(values[1]) * values[2].shape[1],
    "stretch_axis": lambda values, result: 3 * max(size(values[0]), size(result)),
}
