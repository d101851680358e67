"""einsum on a GPU as products of matrices, two operands at a time.

CuPy's own goes to cuBLAS behind our back, which knows no stacks of halves and no graph. Letters of both operands that
nobody needs any more are what a product sums over, those that somebody needs are its stack.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tensorgrad.backend.kernels import kernel


@kernel("einsum_parts", "cupy")
def _einsum(xp: Any, subscripts: str, *operands: Any) -> Any:
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    found, letters = operands[0], terms[0]
    for place, (operand, term) in enumerate(zip(operands[1:], terms[1:], strict=True), 1):
        kept = {*output, *"".join(terms[place + 1 :])}
        found, letters = _contracted(xp, found, letters, operand, term, kept)
    found, letters = _summed(xp, found, letters, output)
    return _ordered(xp, found, letters, output) if letters != output else +found


def _summed(xp: Any, x: Any, letters: str, kept: Any) -> tuple[Any, str]:
    """The sum over letters that nobody needs."""
    gone = tuple([place for place, letter in enumerate(letters) if letter not in kept])
    return (xp.sum(x, axis=gone, dtype=x.dtype) if gone else x), "".join([each for each in letters if each in kept])


def _ordered(xp: Any, x: Any, letters: str, order: Sequence[str]) -> Any:
    """Axes in another order."""
    return xp.permute_dims(x, tuple([letters.index(each) for each in order])) if letters else x


def _contracted(xp: Any, x: Any, of_x: str, y: Any, of_y: str, kept: set[str]) -> tuple[Any, str]:
    """The product of two operands, summed over what only they have in common."""
    (x, of_x), (y, of_y) = _summed(xp, x, of_x, kept | {*of_y}), _summed(xp, y, of_y, kept | {*of_x})
    sizes = dict(zip(of_x + of_y, (*x.shape, *y.shape), strict=True))
    both = [each for each in of_x if each in of_y]
    stack, gone = ([each for each in both if (each in kept) is wanted] for wanted in (True, False))
    left, right = [each for each in of_x if each not in of_y], [each for each in of_y if each not in of_x]
    result = [*stack, *left, *right]

    def shaped(z: Any, of: str, *groups: Sequence[str]) -> Any:
        moved = _ordered(xp, z, of, [each for group in groups for each in group])
        return xp.reshape(moved, (*[sizes[each] for each in stack], *[prod([sizes[k] for k in g]) for g in groups[1:]]))

    if gone:
        found = xp.matmul(shaped(x, of_x, stack, left, gone), shaped(y, of_y, stack, gone, right))
    else:
        found = shaped(x, of_x, stack, left, ()) * shaped(y, of_y, stack, (), right)
    return xp.reshape(found, tuple([sizes[each] for each in result])), "".join(result)
