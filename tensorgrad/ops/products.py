"""Products of matrices and of more, and sums along diagonals."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend import Array
from tensorgrad.ops.elementwise import conj
from tensorgrad.ops.indexing import getitem
from tensorgrad.ops.reduction import sum
from tensorgrad.ops.shape import broadcast_to, matrix_transpose, normal_axes, permute_dims, reshape, roll
from tensorgrad.primitive import op

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # string.ascii_letters: that module imports slowly


@op(lift="operands")
def matmul(xp: Any, x1: Array, x2: Array, /) -> Array:
    """Matrix product over the last two axes.   (..., n, k), (..., k, m) -> (..., n, m)

    A vector counts as a row on the left and as a column on the right, and its axis is gone from the result.
    Raises ValueError when the inner axes differ.

    >>> import tensorgrad as tg
    >>> tg.matmul(tg.asarray([[1.0, 2.0], [3.0, 4.0]]), tg.asarray([1.0, 1.0]))
    Tensor([3., 7.], dtype=float32)
    """
    if not (x1.shape and x2.shape):
        raise ValueError("matmul: each operand needs at least one axis; multiply by a single number with *")
    inner = x2.shape[-2] if len(x2.shape) > 1 else x2.shape[-1]
    if x1.shape[-1] != inner:
        place = "second-to-last axis" if len(x2.shape) > 1 else "last axis"
        raise ValueError(
            f"matmul: the last axis of x1 is {x1.shape[-1]} but the {place} of x2 is {inner}; they must be equal"
        )
    return xp.matmul(x1, x2)


def _matmul_dx1(g: Array, x2: Array, x1_shape: Any) -> Array:
    if len(x2.shape) == 1:
        return g[..., None] * x2
    if len(x1_shape) == 1:
        return matmul(g[..., None, :], x2.mT)[..., 0, :]
    return matmul(g, x2.mT)


def _matmul_dx2(g: Array, x1: Array, x2_shape: Any) -> Array:
    if len(x1.shape) == 1:
        return x1[:, None] * g[..., None, :] if len(x2_shape) > 1 else x1 * g
    if len(x2_shape) == 1:
        return x1 * g[..., None]  # the sweep sums it to the shape of x2
    if len(x2_shape) == 2 < len(x1.shape):  # one product of all rows, not a stack of them that is summed later
        x1, g = (reshape(each, (prod(each.shape[:-1]), each.shape[-1])) for each in (x1, g))
    return matmul(x1.mT, g)


matmul.vjp(x1=_matmul_dx1, x2=_matmul_dx2)


@op(lift="operands")
def linear(xp: Any, x: Array, weight: Array, bias: Array = None) -> Array:
    """x W^T + b.   (..., k), (m, k), (m,) or None -> (..., m)"""
    if len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: the last axis of x, of shape {tuple(x.shape)}, must be as long as the rows of the weight, "
            f"{tuple(weight.shape)}"
        )
    y = xp.matmul(x, xp.matrix_transpose(weight))
    return y if bias is None else y + bias


def _as_rows(x: Array) -> Array:
    """(..., k) -> (n, k)"""
    return x if len(x.shape) == 2 else reshape(x, (prod(x.shape[:-1]), x.shape[-1]))


def _linear_dx(g: Array, weight: Array, x_shape: Any) -> Array:
    d_rows = matmul(_as_rows(g), weight)
    return d_rows if len(x_shape) == 2 else reshape(d_rows, tuple(x_shape))


linear.vjp(
    x=_linear_dx,
    weight=lambda g, x: matmul(matrix_transpose(_as_rows(g)), _as_rows(x)),
    bias=lambda g: g,
)


# ── einsum ──────────────────────────────────────────────────────────────────────────────────────────────────


@op(lift="operands")
def einsum_parts(xp: Any, subscripts: str, *operands: Array) -> Array:
    """einsum with its letters spelt out: "ij,jk->ik".   n x (...) -> (...)"""
    inputs, output = subscripts.split("->")
    sizes: dict[str, int] = {}
    for letters, operand in zip(inputs.split(","), operands, strict=True):
        sizes.update(zip(letters, operand.shape, strict=True))
    every = "".join(sizes)
    product: Any = None
    for letters, operand in zip(inputs.split(","), operands, strict=True):
        order = sorted(range(len(letters)), key=lambda place: every.index(letters[place]))
        moved = xp.permute_dims(operand, tuple(order)) if order else operand
        moved = xp.reshape(moved, tuple([sizes[letter] if letter in letters else 1 for letter in every]))
        product = moved if product is None else product * moved
    gone = tuple([place for place, letter in enumerate(every) if letter not in output])
    total = xp.sum(product, axis=gone) if gone else +product
    left = [letter for letter in every if letter in output]
    return xp.permute_dims(total, tuple([left.index(letter) for letter in output])) if output else total


def _einsum_part(g: Array, subscripts: str, operands: Any, operands_shape: Any, index: int) -> Array:
    """The gradient of one operand: an einsum of the result's gradient with all other operands."""
    inputs, output = subscripts.split("->")
    letters = inputs.split(",")
    wanted = letters[index]
    others = [each for place, each in enumerate(letters) if place != index]
    rest = [each for place, each in enumerate(operands) if place != index]
    reachable = [letter for letter in wanted if letter in output or any(letter in each for each in others)]
    part = einsum_parts(",".join([output, *others]) + "->" + "".join(reachable), g, *rest)
    if len(reachable) == len(wanted):
        return part
    # A letter that stood in this operand alone was summed over: its gradient is the same along it.
    shape = tuple(
        size if letter in reachable else 1 for letter, size in zip(wanted, operands_shape[index], strict=True)
    )
    return broadcast_to(reshape(part, shape), operands_shape[index])


einsum_parts.vjp(operands=_einsum_part)


def einsum(subscripts: str, /, *operands: Any) -> Any:
    """Products summed over named axes: letters that the output leaves out are summed.   n x (...) -> (...)

    Without "->" the output is the letters that occur once, in alphabetical order. "..." stands for axes that
    broadcast. A letter repeated within one operand takes its diagonal.
    Raises ValueError for letters that do not fit the operands.

    >>> import tensorgrad as tg
    >>> tg.einsum("ij,jk->ik", tg.ones((2, 3)), tg.ones((3, 4))).shape
    (2, 4)
    """
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(operands):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands, but {len(operands)} were given")
    terms, ellipsis = _spell_ellipsis(terms, operands, text)
    if arrow:
        output = output.replace("...", ellipsis)
    else:
        joined = "".join(terms)
        single = sorted(letter for letter in set(joined) if joined.count(letter) == 1 and letter not in ellipsis)
        output = ellipsis + "".join(single)
    for letter in output:
        if letter not in "".join(terms) or output.count(letter) > 1:
            raise ValueError(
                f"einsum: the output letter {letter!r} of {subscripts!r} must stand in an input, once here"
            )
    _check_sizes(subscripts, terms, operands, ellipsis)
    pairs = [_diagonals(term, operand) for term, operand in zip(terms, operands, strict=True)]
    pairs = [_without_ones(term, operand, terms, operands) for term, operand in pairs]
    return einsum_parts(",".join(term for term, _ in pairs) + "->" + output, *[operand for _, operand in pairs])


def _spell_ellipsis(terms: list[str], operands: Any, text: str) -> tuple[list[str], str]:
    """Letters of their own for the axes that '...' stands for."""
    spare = [letter for letter in LETTERS if letter not in text]
    extra = [len(each.shape) - len(term.replace("...", "")) for term, each in zip(terms, operands, strict=True)]
    for term, size in zip(terms, extra, strict=True):
        if size < 0 or (size > 0 and "..." not in term):
            raise ValueError(f"einsum: the term {term!r} of {text!r} does not have the axes of its operand")
    widest = max([size for term, size in zip(terms, extra, strict=True) if "..." in term], default=0)
    letters = "".join(spare[:widest])
    spelt = [
        term.replace("...", letters[widest - size :]) if "..." in term else term
        for term, size in zip(terms, extra, strict=True)
    ]
    return spelt, letters


def _check_sizes(subscripts: str, terms: list[str], operands: Any, ellipsis: str) -> None:
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for letter, size in zip(term, operand.shape, strict=True):
            if (size != 1 or letter not in ellipsis) and sizes.setdefault(letter, size) != size:
                raise ValueError(
                    f"einsum: the letter {letter!r} of {subscripts!r} stands for axes of lengths "
                    f"{sizes[letter]} and {size}; shapes {', '.join(str(tuple(each.shape)) for each in operands)}"
                )


def _diagonals(term: str, operand: Any) -> tuple[str, Any]:
    """Take the diagonal over letters that one operand repeats."""
    for letter in set(term):
        while term.count(letter) > 1:
            first, second = [place for place, each in enumerate(term) if each == letter][:2]
            operand = diagonal(operand, first, second)
            term = "".join(each for place, each in enumerate(term) if place not in (first, second)) + letter
    return term, operand


def diagonal(x: Any, axis1: int = -2, axis2: int = -1, /, *, offset: int = 0) -> Any:
    """The elements on a diagonal of two axes, the last two by default; it comes last.   (..., n, m) -> (..., k)

    offset: how far right of the main diagonal; left of it where negative.
    Raises ValueError for an axis that is not there.

    >>> import tensorgrad as tg
    >>> tg.diagonal(tg.asarray([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.], dtype=float32)
    """
    first, second = normal_axes((axis1, axis2), len(x.shape), "diagonal")
    rest = [place for place in range(len(x.shape)) if place not in (first, second)]
    moved = permute_dims(x, (*rest, first, second))
    down, right = max(-offset, 0), max(offset, 0)
    places = np.arange(max(min(moved.shape[-2] - down, moved.shape[-1] - right), 0))
    return getitem(moved, (..., places + down, places + right))


def _without_ones(term: str, operand: Any, terms: list[str], operands: Any) -> tuple[str, Any]:
    """Drop an operand's axes of length 1 where another operand's are longer: they broadcast."""
    longest: dict[str, int] = {}
    for letters, each in zip(terms, operands, strict=True):
        for letter, size in zip(letters, each.shape, strict=True):
            longest[letter] = max(size, longest.get(letter, 0)) if size != 1 else longest.get(letter, 1)
    keep = [place for place, letter in enumerate(term) if operand.shape[place] == longest[letter]]
    if len(keep) == len(term):
        return term, operand
    return "".join(term[place] for place in keep), reshape(operand, tuple(operand.shape[place] for place in keep))


# ── compositions ────────────────────────────────────────────────────────────────────────────────────────────


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Dot products along an axis, the first operand conjugated.   (..., n), (..., n) -> (...)

    >>> import tensorgrad as tg
    >>> tg.vecdot(tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0]))
    Tensor(11., dtype=float32)
    """
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: axis {axis} has length {x1.shape[axis]} in x1 and {x2.shape[axis]} in x2")
    products = (conj(x1) if x1.dtype.kind == "c" else x1) * x2
    return sum(products, axis=axis, dtype=products.dtype)  # a sum alone would widen small integers


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes: the last n and the first n, or those listed.   (...), (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.tensordot(tg.ones((2, 3)), tg.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    n1, n2 = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        first, second = tuple(range(n1 - axes, n1)), tuple(range(axes))
    else:
        first, second = normal_axes(axes[0], n1, "tensordot"), normal_axes(axes[1], n2, "tensordot")
    pairs = dict(zip(second, first, strict=True))
    for place2, place1 in pairs.items():
        if x1.shape[place1] != x2.shape[place2]:
            raise ValueError(
                f"tensordot: axis {place1} of x1 has length {x1.shape[place1]}, axis {place2} of x2 {x2.shape[place2]}"
            )
    letters1 = LETTERS[:n1]
    letters2 = "".join(letters1[pairs[place]] if place in pairs else LETTERS[n1 + place] for place in range(n2))
    output = "".join(letter for letter in letters1 + letters2 if (letter in letters1) != (letter in letters2))
    return einsum_parts(f"{letters1},{letters2}->{output}", x1, x2)


def outer(x1: Any, x2: Any, /) -> Any:
    """All products of two vectors' elements, neither conjugated.   (n,), (m,) -> (n, m)

    Raises ValueError for what is not a vector.

    >>> import tensorgrad as tg
    >>> tg.outer(tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0]))
    Tensor([[3., 4.],
            [6., 8.]], dtype=float32)
    """
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ValueError(f"outer: expected two vectors, got shapes {tuple(x1.shape)} and {tuple(x2.shape)}")
    return reshape(x1, (-1, 1)) * reshape(x2, (1, -1))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of a diagonal.   (..., n, m) -> (...)

    offset: how far right of the main diagonal; left of it where negative. dtype: what the sum is taken in.

    >>> import tensorgrad as tg
    >>> tg.trace(tg.eye(3))
    Tensor(3., dtype=float32)
    """
    return sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The vector across both, by the right-hand rule, along an axis of length 3.   (.., 3, ..) twice -> broadcast

    Raises ValueError for an axis of another length, and for an axis counted from the front where it is not the same
    one in both.

    >>> import tensorgrad as tg
    >>> tg.cross(tg.asarray([1.0, 0.0, 0.0]), tg.asarray([0.0, 1.0, 0.0]))
    Tensor([0., 0., 1.], dtype=float32)
    """
    if axis >= 0 and len(x1.shape) != len(x2.shape):
        raise ValueError(
            f"cross: axis {axis} is not the same axis in shapes {tuple(x1.shape)} and {tuple(x2.shape)}; count it from "
            "the end, as -1"
        )
    first, second = (normal_axes(axis, len(each.shape), "cross")[0] for each in (x1, x2))
    if x1.shape[first] != 3 or x2.shape[second] != 3:
        raise ValueError(f"cross: axis {axis} has length {x1.shape[first]} in x1 and {x2.shape[second]} in x2, not 3")
    return roll(x1, -1, axis=first) * roll(x2, -2, axis=second) - roll(x1, -2, axis=first) * roll(x2, -1, axis=second)
