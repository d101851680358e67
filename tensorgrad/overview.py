"""summary: a model as a table, each module with what it makes, holds, computes and keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from math import inf, prod
from typing import Any

from tensorgrad.backend import is_array, is_inexact, memory_of
from tensorgrad.costs import flops
from tensorgrad.creation import ones
from tensorgrad.tape import Leaf, Record, Traced, Watcher, enable_grad, watching
from tensorgrad.tensor import Tensor
from tensorgrad.units import in_bytes, scaled


@dataclass
class Row:
    """One module: what it does itself, not what the modules inside it do.

    output: the shape of what it returned last, None where it was not called. parameters: how many numbers, each
    parameter counted where it first stands. flops: floating-point operations of the forward pass. activation_bytes:
    what the tape keeps for the gradients. gradient_bytes: what gradients of the parameters take.
    """

    name: str
    kind: str
    output: Any = None
    parameters: int = 0
    trainable: int = 0
    flops: int = 0
    activation_bytes: int = 0
    gradient_bytes: int = 0

    @property
    def depth(self) -> int:
        return self.name.count(".") + 1 if self.name else 0


@dataclass
class Summary:
    """The rows, in the order of `named_modules`, and their sums; printed, a table."""

    rows: list[Row]
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    total: Row = field(init=False)

    def __post_init__(self) -> None:
        self.total = Row("", "total")
        for name in [each.name for each in fields(Row) if each.type == "int"]:
            setattr(self.total, name, sum(getattr(row, name) for row in self.rows))

    def __str__(self) -> str:
        lines: list[tuple[str, ...]] = [("module", "output", "parameters", "FLOPs", "activations", "gradients")]
        lines += [
            (
                "  " * row.depth + (f"{row.name.rpartition('.')[2]}: " if row.name else "") + row.kind,
                "" if row.output is None else _shapes(row.output),
                *_cells(row),
            )
            for row in self.rows
        ]
        lines.append(("total", "", *_cells(self.total)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(_padded(line, widths)).rstrip() for line in lines]
        rule = "-" * max(map(len, text))
        fixed = self.total.parameters - self.total.trainable
        notes = [
            f"parameters: {in_bytes(self.parameter_bytes)}" + (f", {fixed:,} of them frozen" if fixed else ""),
            *([f"buffers: {in_bytes(self.buffer_bytes)}"] if self.buffer_bytes else []),
        ]
        return "\n".join([text[0], rule, *text[1:-1], rule, text[-1], "", *notes])

    __repr__ = __str__


def summary(model: Any, *inputs: Any, **keywords: Any) -> Summary:
    """A table of a model's modules: output shapes, parameters, FLOPs, and bytes kept for the gradients.

    inputs: what the model is called with, as keywords too; a tuple of whole numbers stands for ones of that shape. The
    model is called once, in evaluation mode, and left as it was; operations are counted at the call by what each op
    says of itself (tensorgrad/costs.py), a multiplication and an addition being two. Rows do not include the modules
    below them, so columns add up to the last line. Ops on constants alone, as the making of a mask, are not counted.
    Raises TypeError for what has no modules.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    >>> print(tg.summary(model, (32, 784)))
    module       output     parameters    FLOPs  activations  gradients
    -------------------------------------------------------------------
    Sequential   (32, 10)
      0: Linear  (32, 100)      78,500   5.02 M                314.0 kB
      1: ReLU    (32, 100)                3,200      12.8 kB
      2: Linear  (32, 10)        1,010  64.32 k                  4.0 kB
    -------------------------------------------------------------------
    total                       79,510   5.09 M      12.8 kB   318.0 kB
    <BLANKLINE>
    parameters: 318.0 kB
    """
    if not hasattr(model, "named_modules"):
        raise TypeError(f"summary takes a module, as nn.Module; a {type(model).__name__} has no named_modules()")
    modules = dict(model.named_modules())
    rows = {name: Row(name, type(module).__name__) for name, module in modules.items()}
    parameters = _count_parameters(modules, rows)
    counter = _Counter(rows, [*parameters, *model.buffers()])
    device = next((each.device for each in parameters), None)
    arguments = [_argument(each, device) for each in inputs]
    named = {name: _argument(each, device) for name, each in keywords.items()}
    counter.leave_out([*arguments, *named.values()])
    recorded = _recorded([*parameters, *arguments, *named.values()])
    with _observed(modules, rows), _evaluating(modules), recorded, enable_grad(), watching(counter):
        model(*arguments, **named)
    held = sum(map(_bytes_of, parameters)), sum(map(_bytes_of, model.buffers()))
    return Summary(list(rows.values()), *held)


class _Counter(Watcher):
    """Adds what each record costs and keeps to the row of the module that ran."""

    def __init__(self, rows: dict[str, Row], known: list[Any]) -> None:
        self.rows = rows
        self.seen: dict[int, Any] = {}  # the memory that was counted; held, so that no other takes its place
        self.leave_out(known)

    def leave_out(self, tensors: list[Any]) -> None:
        for tensor in tensors:
            if isinstance(tensor, Traced):
                self._is_new(tensor.data)

    def _is_new(self, array: Any) -> bool:
        memory = memory_of(array)
        new = id(memory) not in self.seen
        self.seen[id(memory)] = memory
        return new

    def recorded(self, record: Record, values: tuple[Any, ...], result: Any) -> None:
        row = self._row(record.scope.name)
        row.flops += flops(record.op, values, result)
        for array in record.kept:
            if is_array(array) and self._is_new(array):
                whole = getattr(memory_of(array), "nbytes", inf)  # a broadcast array is larger than its memory
                row.activation_bytes += min(whole, prod(array.shape) * array.dtype.itemsize)

    def _row(self, scope: str) -> Row:
        """The row of a scope; of the module around it, where a scope inside a forward has a name of its own."""
        while scope not in self.rows:
            scope = scope.rpartition(".")[0]
        return self.rows[scope]


def _count_parameters(modules: dict[str, Any], rows: dict[str, Row]) -> list[Any]:
    """Enter each parameter in the row where it first stands. Returns them."""
    seen: dict[int, Any] = {}
    for name, module in modules.items():
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen[id(parameter)] = parameter
                row = rows[name]
                row.parameters += parameter.size
                if parameter.requires_grad:
                    row.trainable += parameter.size
                    row.gradient_bytes += _bytes_of(parameter)
    return list(seen.values())


@contextmanager
def _observed(modules: dict[str, Any], rows: dict[str, Row]) -> Iterator[None]:
    """Note what each module returns."""

    def noting(row: Row) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            row.output = _shape(output)

        return hook

    handles = [module.register_forward_hook(noting(rows[name])) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(modules: dict[str, Any]) -> Iterator[None]:
    """Evaluation mode, in which no statistic and no generator moves; each module's own mode is put back."""
    before = [(module, module.training) for module in modules.values()]
    for module, _ in before:
        module.training = False
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def _recorded(tensors: list[Any]) -> Iterator[None]:
    """Let ops on these tensors be recorded, on frozen ones too, because a record is what is counted."""
    changed = [
        each for each in tensors if isinstance(each, Traced) and each.record is None and is_inexact(each.data.dtype)
    ]
    for tensor in changed:
        tensor.record = Leaf.of(tensor, tensor.data.shape, tensor.data.dtype)
    try:
        yield
    finally:
        for tensor in changed:
            tensor.record = None


def _argument(value: Any, device: str | None) -> Any:
    """What the model is called with: ones for a shape, there; a tensor for an array, of its own if it is the user's."""
    if isinstance(value, tuple) and value and all(isinstance(each, int) for each in value):
        return ones(value, device=device)
    if is_array(value) or (isinstance(value, Tensor) and value.is_leaf and value.record is None):
        return Tensor(value)
    return value


def _shape(output: Any) -> Any:
    """The shape of a tensor; those of several, in their tuple, list or dict."""
    if isinstance(output, dict):
        return {name: _shape(each) for name, each in output.items()}
    if isinstance(output, (tuple, list)):
        return [_shape(each) for each in output]
    return tuple(output.shape) if hasattr(output, "shape") else None


def _shapes(shape: Any) -> str:
    if isinstance(shape, list):
        return ", ".join(map(_shapes, shape))
    if isinstance(shape, dict):
        return ", ".join(f"{name} {_shapes(each)}" for name, each in shape.items())
    return "-" if shape is None else str(shape)


def _bytes_of(tensor: Any) -> int:
    return int(tensor.size * tensor.dtype.itemsize)


def _cells(row: Row) -> tuple[str, ...]:
    """The numbers of a row; a zero is left empty."""
    numbers = (f"{row.parameters:,}", _scaled(row.flops), in_bytes(row.activation_bytes), in_bytes(row.gradient_bytes))
    return tuple("" if text in ("0", "0 B") else text for text in numbers)


def _scaled(number: float) -> str:
    """5017600 as 5.02 M."""
    if number < 10_000:
        return f"{number:,}"
    return scaled(number, ("k", "M", "G", "T"), 2)


def _padded(line: tuple[str, ...], widths: list[int]) -> list[str]:
    """Words to the left, numbers to the right."""
    return [
        text.ljust(width) if place < 2 else text.rjust(width)
        for place, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
