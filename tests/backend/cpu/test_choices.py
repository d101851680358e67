"""Every choice that kernels make by sizes, forced in turn, under the laws of the ops it serves, to second order."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import settings

import tensorgrad as tg
from tensorgrad.backend import kernels
from tensorgrad.testing.case import case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import run_case
from tensorgrad.testing.strategies import reals

ROOM = "tensorgrad.backend.cpu."
CONVOLUTION = "convolution.convolution_kernels"
HUGE = 1 << 60


# What is forced, as (module, name, value), and the ops it is for, or the modules that have their kernels. Where both
# ways can be forced, both are. Convolutions by tiles are of float32: `convolution/test_choice.py` forces each tile.
CHOICES: dict[str, tuple[list[tuple[str, str, Any]], list[str]]] = {
    "convolutions in small pieces over the pool, channels on their own, arrays from shelves": (
        [
            ("convolution.column_products", "_BLOCK", 1),
            ("convolution.column_products", "_SHORT", HUGE),
            ("convolution.depthwise_products", "LEAST", 1),
            ("convolution.depthwise_products", "_BLOCK", 1),
            ("convolution.pointwise_products", "_BLOCK", 1),
            ("convolution.patches", "_WORTH_SHARING", 0),
            ("small_products", "_MOST", 1),
            ("buffers", "_WORTH", 0),
        ],
        [CONVOLUTION],
    ),
    "convolutions in one piece, channels as groups, no shelves": (
        [
            ("convolution.column_products", "_BLOCK", HUGE),
            ("convolution.column_products", "_SHORT", 0),
            ("convolution.depthwise_products", "LEAST", HUGE),
            (CONVOLUTION, "_PARTIAL", 0),
            ("buffers", "_WORTH", HUGE),
        ],
        [CONVOLUTION],
    ),
    "pooling an image at a time": (
        [("pooling_kernels", "_BLOCK", 1), ("convolution.patches", "_WORTH_SHARING", 0)],
        ["pooling_kernels"],
    ),
    "attention by small blocks over the pool": (
        [
            ("attention_kernels", "SCORES", 2),
            ("attention_kernels", "_QUERIES", 1),
            ("attention_kernels", "_KEYS", 2),
            ("attention_kernels", "_SHARED", 0),
            ("small_products", "_MOST", 1),
        ],
        ["attention_kernels"],
    ),
    "products in pieces over the pool": (
        [("product_kernels", "_SMALL", 0), ("product_kernels", "_SHARED", 0)],
        ["matmul", "linear", "outer"],
    ),
    "products on one thread": (
        [("product_kernels", "_SMALL", 0), ("product_kernels", "_left", "_alone")],
        ["matmul"],
    ),
    "products on OpenBLAS's threads": (
        [("product_kernels", "_SMALL", 0), ("product_kernels", "_left", "_matmul")],
        ["matmul"],
    ),
    "recurrent layers shared by the pool": ([("recurrent_kernels", "_SHARED", 0)], ["recurrent_kernels"]),
    "few rows at once": (
        [("row_blocks", "BLOCK", 1), ("row_blocks", "SHARED", 0), ("linear_kernels", "SHARED", 0)],
        ["softmax_kernels", "normalization_kernels", "linear_kernels"],
    ),
    "every row less its peak": ([("softmax_kernels", "SMALL", 0.0)], ["softmax_kernels"]),
    "channels row by row": ([("normalization_kernels", "_SHORT", 0)], ["normalization_kernels"]),
    "channels by factors spelt out": ([("normalization_kernels", "_SHORT", HUGE)], ["normalization_kernels"]),
    "channels far from zero": ([("normalization_kernels", "_FAR", 0.0)], ["normalization_kernels"]),
    "sums in pieces": (
        [("numpy_library", name, 1) for name in ("_LARGE", "_SHORT", "_SHARED", "_PIECE")],
        ["sum", "mean", "var", "normalization_kernels"],
    ),
    "rows added whole": ([("index_kernels", "_WIDE", 1), ("index_kernels", "_MANY", 1)], ["add_at"]),
    "numbers added one by one, few at once": (
        [("index_kernels", "_WIDE", HUGE), ("index_kernels", "_BLOCK", 1)],
        ["add_at"],
    ),
    "tables of places for few": ([("index_kernels", "_FEW_ROWS", 0), ("index_kernels", "_FEW", 0)], ["add_at"]),
}


def cases_of(names: list[str]) -> list[Any]:
    """The cases of ops with these names, and of those that have a kernel in a module of such a name."""
    found = {
        name
        for name, known in kernels._table.items()
        if "numpy" in known and known["numpy"].__module__.removeprefix(ROOM) in names
    }
    cases = [each for each in CASES if each.op.__name__ in found | set(names)]
    if "softmax_kernels" in names:  # which are for the last axis
        cases += [case(op, x=reals(-60, 60, dims="n d"), axis=-1) for op in (tg.softmax, tg.log_softmax)]
    return cases


@pytest.mark.numpy_only(reason="the kernels are NumPy's")
@pytest.mark.parametrize("choice", CHOICES)
def test_the_laws_hold_whatever_is_chosen(choice: str, monkeypatch: pytest.MonkeyPatch, kernels_of_numpy: Any) -> None:
    forced, modules = CHOICES[choice]
    cases = cases_of(modules)
    assert cases
    for where, name, value in forced:
        module = import_module(ROOM + where)
        assert hasattr(module, name), f"{where} has no {name} any more"
        chosen = getattr(module, value) if isinstance(value, str) else value
        monkeypatch.setattr(module, name, chosen)
    before = tg.get_num_threads()
    tg.set_num_threads(3)
    try:
        for each in cases:
            run_case(each, draws=-(-settings().max_examples // len(cases)), shrink=False)
    finally:
        tg.set_num_threads(before)
