"""Runs of elementwise functions as one CUDA kernel: on the processor they give what NumPy gives line by line."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tensorgrad.backend.cuda.fused import BITS, FLOATING, NUMERIC, TRUTHS, Fused, Input, Line, Place, is_fusible
from tests import nvrtc
from tests.cuda_on_cpu import as_dtype, on_cpu

__all__ = ["on_cpu"]

F32, F64, I64, BOOL = (np.dtype(name) for name in ("float32", "float64", "int64", "bool"))
TOLERANCES = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2}


def evaluated(run: Fused, arguments: list[Any]) -> list[Any]:
    """What NumPy gives for a run, line by line; numbers of 16 bits as single ones."""
    values = []
    for each, of in zip(arguments, run.inputs, strict=True):
        half = of.dtype.name in ("float16", "bfloat16")
        values.append(each.astype(np.float32) if half else of.dtype.type(each) if of.shape is None else each)
    for line in run.lines:
        operands = [values[each] if isinstance(each, Place) else each for each in line.operands]
        dtype = F32 if line.dtype.name in ("float16", "bfloat16") else line.dtype
        if line.function == "cast":
            values.append(operands[0].astype(line.dtype).astype(dtype))
        elif line.function == "erf":
            from math import erf

            values.append(np.vectorize(erf, otypes=[dtype])(operands[0]))
        else:
            values.append(np.asarray(getattr(np, line.function)(*operands)).astype(dtype))
    return [np.broadcast_to(values[place], run.shape) for place in run.outputs]


def agree(run: Fused, arguments: list[Any]) -> None:
    outs = [np.empty(run.shape, run.dtypes[place]) for place in run.outputs]
    run.launch([np.full(1, each, np.float64) if isinstance(each, float) else each for each in arguments], outs)
    with np.errstate(all="ignore"):
        expected = evaluated(run, arguments)
    for out, wanted in zip(outs, expected, strict=True):
        found = out.astype(np.float32) if out.dtype.name in ("float16", "bfloat16") else out
        tolerance = TOLERANCES.get(out.dtype.name, 0)
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def numbers(shape: Any, dtype: Any, seed: int = 0) -> Any:
    return as_dtype(np.random.default_rng(seed).uniform(0.1, 0.9, shape), dtype)


# All lines that there are, in one run of each dtype.
def of_everything(dtype: Any, size: int = 37) -> tuple[Fused, list[Any]]:
    kind = np.dtype(dtype) if dtype != "bfloat16" else numbers(1, dtype).dtype
    lines = []
    for names, result in ((FLOATING, kind), (NUMERIC, kind), (TRUTHS, BOOL)):
        for name, template in names.items():
            operands = tuple([Place(place) for place in range(2 if re.search(r"\bb\b", template) else 1)])
            if name == "arccosh":
                operands = (1.5,)
            lines.append(Line(name, operands, result))
    lines.append(Line("where", (Place(2), Place(0), 0.25), kind))
    lines.append(Line("cast", (Place(0),), F64))
    lines.append(Line("cast", (Place(2),), kind))
    inputs = [Input((size,), kind), Input((size,), kind), Input((size,), BOOL)]
    found = [numbers(size, dtype), numbers(size, dtype, 1), np.random.default_rng(2).uniform(size=size) < 0.5]
    return Fused((size,), inputs, lines, [3 + place for place in range(len(lines))]), found


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_every_function_is_numpys(dtype: str, on_cpu: Any) -> None:
    agree(*of_everything(dtype))


def test_functions_of_integers_and_truths(on_cpu: Any) -> None:
    lines = [Line(name, (Place(0), Place(1)), I64) for name in ("add", "multiply", "maximum", *BITS)]
    lines += [Line(name, (Place(2), Place(3)), BOOL) for name in BITS]
    lines += [Line("less", (Place(0), 0.5), BOOL), Line("cast", (Place(0),), F32), Line("cast", (Place(0),), BOOL)]
    lines += [Line("absolute", (Place(0),), I64), Line("sign", (Place(1),), I64), Line("where", (Place(2), 3, 0), I64)]
    rng = np.random.default_rng(0)
    arguments = [
        rng.integers(-5, 5, 40),
        rng.integers(-5, 5, 40),
        rng.uniform(size=40) < 0.5,
        rng.uniform(size=40) < 0.5,
    ]
    inputs = [Input((40,), I64), Input((40,), I64), Input((40,), BOOL), Input((40,), BOOL)]
    agree(Fused((40,), inputs, lines, [4 + place for place in range(len(lines))]), arguments)


def test_what_is_not_finite_passes_as_in_numpy(on_cpu: Any) -> None:
    special = np.asarray([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], np.float32)
    first, second = (each.ravel().copy() for each in np.meshgrid(special, special))
    names = ["maximum", "minimum", "add", "divide", "less", "equal", "not_equal"]
    lines = [Line(name, (Place(0), Place(1)), BOOL if name in TRUTHS else F32) for name in names]
    lines += [Line(name, (Place(0),), BOOL) for name in ("isnan", "isinf", "isfinite", "logical_not")]
    lines += [Line(name, (Place(0),), F32) for name in ("sign", "absolute", "square")]
    lines += [Line("maximum", (Place(0), float("-inf")), F32), Line("add", (Place(0), float("nan")), F32)]
    inputs = [Input((36,), F32)] * 2
    agree(Fused((36,), inputs, lines, [2 + place for place in range(len(lines))]), [first, second])


@pytest.mark.parametrize(
    "shapes", [[(3, 4, 5), (5,), (4, 1), (3, 1, 1), (1, 4, 5), ()], [(2, 1), (1, 7)], [(1,), (1, 1)], [(0, 3), (3,)]]
)
def test_operands_are_broadcast(shapes: list[Any], on_cpu: Any) -> None:
    whole = np.broadcast_shapes(*shapes)
    lines = [Line("multiply", (Place(0), Place(1)), F32)]
    for place in range(2, len(shapes)):
        lines.append(Line("add", (Place(len(shapes) + len(lines) - 1), Place(place)), F32))
    run = Fused(whole, [Input(shape, F32) for shape in shapes], lines, [len(shapes) + len(lines) - 1])
    agree(run, [numbers(shape, "float32", seed) for seed, shape in enumerate(shapes)])


def test_numbers_come_with_each_launch(on_cpu: Any) -> None:
    """An Adam step: rates are numbers that change from step to step."""
    names = ["theta", "g", "m", "lr", "beta"]
    at = {name: Place(place) for place, name in enumerate(names)}
    lines = [
        Line("subtract", (1.0, at["beta"]), F32),
        Line("multiply", (at["m"], at["beta"]), F32),
        Line("multiply", (at["g"], Place(5)), F32),
        Line("add", (Place(6), Place(7)), F32),
        Line("multiply", (Place(8), at["lr"]), F32),
        Line("subtract", (at["theta"], Place(9)), F32),
    ]
    inputs = [Input((9,), F32)] * 3 + [Input(None, F32)] * 2
    run = Fused((9,), inputs, lines, [8, 10])
    arrays = [numbers(9, "float32", seed) for seed in range(3)]
    for rate in (0.1, 0.003):
        agree(run, [*arrays, rate, 0.9])
    assert run.text.count("x0[i]") == 1


def test_what_a_kernel_cannot_compute_is_told() -> None:
    assert is_fusible("add", [F32, F32], F32)
    assert is_fusible("where", [BOOL, F32], F32)
    assert not is_fusible("add", [np.dtype("complex64")] * 2, np.dtype("complex64"))
    assert not is_fusible("floor_divide", [I64, I64], I64)
    assert not is_fusible("divide", [I64, I64], F64)
    assert not is_fusible("add", [BOOL, BOOL], BOOL)
    assert not is_fusible("matmul", [F32, F32], F32)


@pytest.mark.skipif(nvrtc.found() is None, reason=nvrtc.REASON)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_every_line_compiles_for_gpus(architecture: str) -> None:
    texts = [of_everything(dtype)[0].text for dtype in ("float32", "float64", "float16", "bfloat16")]
    texts.append(
        Fused((3, 4), [Input((3, 1), F32), Input(None, F32)], [Line("multiply", (Place(0), Place(1)), F32)], [2]).text
    )
    assert nvrtc.errors_of(nvrtc.joined(texts), architecture) is None
