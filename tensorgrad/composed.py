"""`composed`: an op without rules of its own, whose gradient is that of its composition.

A gradient worth a kernel of its own (of a norm, of attention, of a whole recurrent layer) is an op: a plain sweep calls
it on arrays, where each library's kernel runs. A sweep that records calls it on tensors, and then the composition runs
over the vocabulary instead and records itself; so all higher orders follow from the one formula.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any

from tensorgrad.backend import beside
from tensorgrad.primitive import Primitive
from tensorgrad.tape import Traced, is_recording

_vocabulary: list[Any] = []


def compose_over(namespace: Any) -> None:
    """Name the vocabulary that compositions run over. Called once, by the room that holds it."""
    _vocabulary[:] = [namespace]


def composed(primitive: Primitive) -> Any:
    """An op that is never recorded itself: where something records, its composition runs instead and is recorded.

    The op has no `*parts`, and its composition returns its results alone.
    """
    definition = primitive.op
    signature = inspect.signature(primitive)

    @wraps(primitive)
    def call(*args: Any, **keywords: Any) -> Any:
        operands = (*args, *keywords.values())
        recorded = [each for each in operands if isinstance(each, Traced) and each.record is not None]
        if is_recording() and recorded:
            given = signature.bind(*args, **keywords)
            given.apply_defaults()
            with beside(recorded[0].data):  # for arrays that the composition makes, which are no tensors
                return definition.run(_vocabulary[0], tuple(given.arguments.values()))
        return primitive(*args, **keywords)

    return call


__all__ = ["compose_over", "composed"]
