"""A run of elementwise functions as the text of one CUDA kernel, which reads and writes every array once.

NumPy makes an array of every line of `x * 2 + y`, and a GPU would be launched for each; between the lines of one kernel
a number stays in a register. Shapes are known when the text is written, so that it says itself where an operand that is
broadcast lies.

Numbers of 16 bits are computed in float from the first line to the last, and rounded where they are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, isnan, prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend.cuda import launch as cuda_launch
from tensorgrad.backend.cuda.launch import BLOCKS, HALVES, HEADERS, NARROW, STORED, THREADS

# C++ of each function by NumPy's name: a, b, c are its operands in `C`, the type that it is computed in.
FLOATING = {
    "sqrt": "sqrt(a)", "exp": "exp(a)", "expm1": "expm1(a)", "log": "log(a)", "log1p": "log1p(a)", "log2": "log2(a)",
    "log10": "log10(a)", "sin": "sin(a)", "cos": "cos(a)", "tan": "tan(a)", "sinh": "sinh(a)", "cosh": "cosh(a)",
    "tanh": "tanh(a)", "arcsin": "asin(a)", "arccos": "acos(a)", "arctan": "atan(a)", "arcsinh": "asinh(a)",
    "arccosh": "acosh(a)", "arctanh": "atanh(a)", "arctan2": "atan2(a, b)", "hypot": "hypot(a, b)",
    "divide": "a / b", "reciprocal": "(C)1 / a", "floor": "floor(a)", "ceil": "ceil(a)", "trunc": "trunc(a)",
    "rint": "rint(a)", "power": "pow(a, b)", "copysign": "copysign(a, b)", "erf": "erf(a)",
}  # fmt: skip
NUMERIC = {
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "negative": "-a", "positive": "a", "square": "a * a",
    "absolute": "a < 0 ? -a : a == 0 ? (C)0 : a", "sign": "a != a ? a : (C)((a > 0) - (a < 0))",
    "maximum": "a >= b || a != a ? a : b", "minimum": "a <= b || a != a ? a : b",
}  # fmt: skip
TRUTHS = {
    "less": "a < b", "less_equal": "a <= b", "greater": "a > b", "greater_equal": "a >= b", "equal": "a == b",
    "not_equal": "a != b", "isnan": "a != a", "isinf": "a - a != a - a && a == a", "isfinite": "a - a == a - a",
    "logical_not": "!a", "logical_and": "a && b", "logical_or": "a || b", "logical_xor": "!a != !b",
}  # fmt: skip
BITS = {"bitwise_and": "a & b", "bitwise_or": "a | b", "bitwise_xor": "a ^ b"}
MOST_LINES, MOST_ARRAYS = 512, 40  # of one kernel: what a compiler takes at once, and arguments


class Line(NamedTuple):
    """One function of a run: its operands are places among the inputs and the lines before it, or Python numbers."""

    function: str
    operands: tuple[Any, ...]
    dtype: Any


class Place(int):
    """The place of a value in a run: inputs first, then lines."""


class Input(NamedTuple):
    """What a run reads: an array of a shape, in C's order; with shape None a number, the one in an array of float64."""

    shape: tuple[int, ...] | None
    dtype: Any


def is_fusible(function: str, dtypes: Sequence[Any], result: Any) -> bool:
    """Whether a function of operands of these dtypes, with this one for its result, can be a line of a kernel."""
    if any(each.name not in STORED for each in (*dtypes, result)):
        return False
    whole = all(each.kind in "biu" for each in dtypes)
    if function in ("where", "cast"):
        return True
    if function in FLOATING:
        return not whole and result.kind not in "biu"
    if function in NUMERIC:
        return result.kind != "b" and not any(each.kind == "u" for each in dtypes)
    if function in BITS:
        return whole and result.kind in "biu"
    return function in TRUTHS


class Fused:
    """A run of lines over one shape, and the kernel that computes it.

    outputs: the places of the lines whose values are wanted. `text` is the CUDA source, `name` the kernel in it.
    """

    name = "fused"

    def __init__(
        self, shape: tuple[int, ...], inputs: Sequence[Input], lines: Sequence[Line], outputs: Sequence[int]
    ) -> None:
        self.shape, self.inputs, self.lines, self.outputs = tuple(shape), list(inputs), list(lines), list(outputs)
        self.size = prod(self.shape)
        self.dtypes = [each.dtype for each in inputs] + [each.dtype for each in lines]
        self.text = self._text()

    def launch(self, arguments: Sequence[Any], outs: Sequence[Any]) -> None:
        """Compute into arrays of the run's shape, in C's order. arguments: arrays, as `inputs` has them."""
        if not self.size:
            return
        run = cuda_launch.compiled(self.text, self.name)
        blocks = min(-(-self.size // THREADS), BLOCKS)
        run(outs[0], blocks, THREADS, (*arguments, *outs))

    # ── the text ────────────────────────────────────────────────────────────────────────────────────────────

    def _text(self) -> str:
        headers = {HEADERS[each.name][0] for each in self.dtypes if each.name in HALVES}
        head = [f"#include <{each}>" for each in sorted(headers)]
        parameters = [
            f"const {'double' if each.shape is None else STORED[each.dtype.name]}* x{place}"
            for place, each in enumerate(self.inputs)
        ]
        parameters += [f"{STORED[self.dtypes[place].name]}* y{place}" for place in self.outputs]
        index = "long long" if self.size > NARROW else "int"
        body = ["for (I i = (I)blockIdx.x * blockDim.x + threadIdx.x; i < SIZE; i += (I)gridDim.x * blockDim.x) {"]
        places = [self._offset(each) for each in self.inputs if each.shape is not None]
        coordinates = sorted({axis for offset in places for axis in offset if axis is not None})
        for axis in coordinates:
            behind = prod(self.shape[axis + 1 :])
            value = f"i / {behind}" if behind > 1 else "i"
            body.append(f"    const I i{axis} = {value}{f' % {self.shape[axis]}' if axis else ''};")
        body += [f"    {each}" for each in self._reads()]
        for place, line in enumerate(self.lines, len(self.inputs)):
            body.append(f"    const {_computed(line.dtype)} v{place} = {self._expression(line)};")
        for place in self.outputs:
            body.append(f"    y{place}[i] = {_stored(f'v{place}', self.dtypes[place])};")
        body.append("}")
        text = [
            f"typedef {index} I;",
            f"#define SIZE {self.size}",
            f'extern "C" __global__ void {self.name}({", ".join(parameters)}) {{',
        ]
        return "\n".join([*head, *text, *[f"    {line}" for line in body], "}"]) + "\n"

    def _offset(self, of: Input) -> dict[int | None, int]:
        """Where an operand's element is: steps by axis of the run; {None: 1} where it is that of the run itself."""
        assert of.shape is not None
        if of.shape == self.shape:
            return {None: 1}
        steps: dict[int | None, int] = {}
        step, ahead = 1, len(self.shape) - len(of.shape)
        for axis in range(len(of.shape) - 1, -1, -1):
            if of.shape[axis] != 1:
                steps[axis + ahead] = step
            step *= of.shape[axis]
        return steps

    def _reads(self) -> list[str]:
        lines = []
        for place, each in enumerate(self.inputs):
            computed = _computed(each.dtype)
            if each.shape is None:
                lines.append(f"const {computed} v{place} = ({computed})x{place}[0];")
                continue
            steps = self._offset(each)
            terms = ["i" if axis is None else f"i{axis}" for axis in steps]
            factors = [f" * {step}" if step != 1 else "" for step in steps.values()]
            at = " + ".join([term + factor for term, factor in zip(terms, factors, strict=True)])
            lines.append(f"const {computed} v{place} = {_read(f'x{place}[{at or 0}]', each.dtype)};")
        return lines

    def _expression(self, line: Line) -> str:
        function, dtype = line.function, line.dtype
        dtypes = [self.dtypes[each] for each in line.operands if isinstance(each, Place)]
        common = _computed(_common(dtypes, line.operands) if function in TRUTHS else dtype)
        if function == "cast":
            value, computed = self._operand(line.operands[0], None), _computed(dtype)
            return f"{value} != 0" if computed == "bool" else _rounded(f"({computed}){value}", dtype)
        if function == "where":
            condition = self._operand(line.operands[0], None)
            a, b = (self._operand(each, common) for each in line.operands[1:])
            return f"{condition} ? {a} : {b}"
        template = (FLOATING | NUMERIC | TRUTHS | BITS)[function]
        names = dict(zip("abc", [self._operand(each, common) for each in line.operands], strict=False)) | {"C": common}
        return "".join(names.get(word, word) for word in _words(template))

    def _operand(self, value: Any, computed: str | None) -> str:
        if isinstance(value, Place):
            same = computed is None or _computed(self.dtypes[value]) == computed
            return f"v{int(value)}" if same else f"({computed})v{int(value)}"
        return _number(value, computed or "double")


def _words(template: str) -> list[str]:
    """A template cut at its names."""
    words, word = [], ""
    for letter in template:
        if letter.isalnum() or letter == "_":
            word += letter
            continue
        words += [word, letter] if word else [letter]
        word = ""
    return [*words, word] if word else words


def _common(dtypes: Sequence[Any], operands: Sequence[Any]) -> Any:
    """The dtype in which operands are compared."""
    found = np.result_type(*[np.dtype("float32") if each.name in HALVES else each for each in dtypes])
    return np.dtype("float64") if found.kind in "biu" and any(type(each) is float for each in operands) else found


def _computed(dtype: Any) -> str:
    return "float" if dtype.name in HALVES else STORED[dtype.name]


def _read(value: str, dtype: Any) -> str:
    return f"__{HEADERS[dtype.name][1]}2float({value})" if dtype.name in HALVES else value


def _stored(value: str, dtype: Any) -> str:
    return f"__float2{HEADERS[dtype.name][1]}({value})" if dtype.name in HALVES else value


def _rounded(value: str, dtype: Any) -> str:
    """A cast to a half is a rounding, also where the value stays in a register."""
    return _read(_stored(value, dtype), dtype) if dtype.name in HALVES else value


def _number(value: Any, computed: str) -> str:
    """A Python number as C++ has it."""
    if computed == "bool":
        return str(bool(value)).lower()
    if computed not in ("float", "double"):
        return f"({computed}){int(value)}"
    value = float(value)
    if isnan(value) or isinf(value):
        found = "(0.0f / 0.0f)" if isnan(value) else "(1.0f / 0.0f)"
        return f"({computed}){'-' if value < 0 else ''}{found}"
    text = repr(value) + ("f" if computed == "float" else "")
    return f"({text})" if value < 0 or text.startswith("-") else text


__all__ = ["BITS", "FLOATING", "NUMERIC", "TRUTHS", "Fused", "Input", "Line", "Place", "is_fusible"]
