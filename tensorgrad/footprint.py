"""How much memory a step takes: predicted from two small batches before it is run, and measured."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from tensorgrad.backend import is_array, memory_of
from tensorgrad.backend.cpu.buffers import release
from tensorgrad.tape import Leaf, Tape, Traced, enable_grad
from tensorgrad.tensor import Tensor

_one_at_a_time = Lock()  # the peak is the process's


@dataclass
class Footprint:
    """Bytes that a step takes.

    step: the most that is allocated at one time between the call and the end of the sweep: what the tape keeps, the
    gradients, and what kernels need in between. parameters: the leaves that get a gradient and are no inputs. inputs:
    what the step was called with. resident: by how much the process has grown, as the system counts it, None where that
    is not known.
    """

    step: int
    parameters: int
    inputs: int
    resident: int | None = None

    @property
    def peak(self) -> int:
        """Everything at once."""
        return self.step + self.parameters + self.inputs

    def __str__(self) -> str:
        numbers = {"peak": self.peak, "step": self.step, "parameters": self.parameters, "inputs": self.inputs}
        if self.resident is not None:
            numbers["resident"] = self.resident
        return "\n".join([f"{name:<10} {number / 1e6:>10,.1f} MB" for name, number in numbers.items()])


def predict_memory(step: Callable[..., Any], *inputs: Any) -> Footprint:
    """The memory that `step(*inputs)` and a sweep from what it returns will take, without running them at that size.

    step: a function that computes the loss. inputs: tensors or arrays; those with as many rows as the first are
    batches. The step is run, and swept, on a quarter and on half of the rows, and the line through both peaks is
    followed to the whole: exact where memory grows with the rows by one rule, too low where it grows faster than they
    do, as with all pairs of rows, or where only the arrays of the whole batch are large enough to be kept for reuse. A
    batch below 8 rows is run whole. The peaks are those of Python's own counting (tracemalloc), NumPy's arrays
    included. An optimizer's memory is not: Adam's is twice the parameters'.
    Gradients are put back as they were; random draws and running statistics move on as by any other call.
    Raises TypeError where the step returns no tensor that was recorded, ValueError for a call without inputs.

    >>> import tensorgrad as tg
    >>> w = tg.ones((1000, 1000), requires_grad=True)
    >>> found = predict_memory(lambda x: tg.tanh(x @ w).sum(), tg.ones((2048, 1000)))
    >>> found.parameters, found.inputs                     # four bytes a number
    (4000000, 8192000)
    >>> 12e6 < found.step < 40e6                           # tanh(x w), its gradient, and that of w at least
    True
    """
    rows = _rows(inputs)
    if rows < 8:
        return measure_memory(step, *inputs)
    few, more = rows // 4, rows // 2
    low, high = (measure_memory(step, *[_first(each, count, rows) for each in inputs]) for count in (few, more))
    slope = (high.step - low.step) / (more - few)
    return Footprint(round(high.step + slope * (rows - more)), high.parameters, _bytes_of(inputs))


def measure_memory(step: Callable[..., Any], *inputs: Any) -> Footprint:
    """The memory that `step(*inputs)` and a sweep from what it returns take. Both are run, twice.

    The first run fills caches and is not counted. See `predict_memory` for what is counted, and what is raised.

    >>> import tensorgrad as tg
    >>> w = tg.ones(250_000, requires_grad=True)
    >>> found = measure_memory(lambda x: (w * x).sum(), tg.ones(250_000))
    >>> found.parameters
    1000000
    """
    _rows(inputs)
    parameters = _swept(step, inputs)
    with _one_at_a_time:
        gc.collect()
        release()  # arrays on the backend's shelves were allocated before, and would not be counted
        before = _resident()
        running = tracemalloc.is_tracing()
        if not running:
            tracemalloc.start(1)
        try:
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            _swept(step, inputs)
            peak = tracemalloc.get_traced_memory()[1] - start
        finally:
            if not running:
                tracemalloc.stop()
    after = _resident()
    grown = None if before is None or after is None else max(after - before, 0)
    return Footprint(peak, parameters, _bytes_of(inputs), grown)


def _swept(step: Callable[..., Any], inputs: tuple[Any, ...]) -> int:
    """Run a step and sweep it. Gradients of leaves are put back. Returns the bytes of the leaves that are no inputs."""
    with enable_grad():
        loss = step(*inputs)
    if not isinstance(loss, Tensor) or loss.record is None:
        raise TypeError(
            "predict_memory and measure_memory: the step must return the loss, a tensor that was recorded; it returned "
            + ("a tensor that was not recorded" if isinstance(loss, Traced) else f"a {type(loss).__name__}")
        )
    owners = [record.owner() for record in Tape(loss) if isinstance(record, Leaf)]
    leaves = [leaf for leaf in owners if leaf is not None]
    before = [leaf.grad for leaf in leaves]
    try:
        for leaf in leaves:
            leaf.grad = None
        loss.sum().backward()
    finally:
        for leaf, gradient in zip(leaves, before, strict=True):
            leaf.grad = gradient
    given = [each.data if isinstance(each, Traced) else each for each in inputs]
    known = {id(memory_of(each)) for each in given if is_array(each)}
    return _bytes_of([leaf for leaf in leaves if id(memory_of(leaf.data)) not in known])


def _rows(inputs: tuple[Any, ...]) -> int:
    shape = getattr(inputs[0], "shape", ()) if inputs else ()
    if not shape:
        raise ValueError(
            "predict_memory and measure_memory: give the inputs of the step, the first one a batch: "
            "predict_memory(step, x, y)"
        )
    return int(shape[0])


def _first(value: Any, count: int, rows: int) -> Any:
    """The first rows of a batch; anything else as it is."""
    if not hasattr(value, "shape") or not value.shape or value.shape[0] != rows:
        return value
    if isinstance(value, Tensor):
        return Tensor(value.data[:count, ...], requires_grad=value.requires_grad)
    return value[:count, ...]


def _bytes_of(values: Any) -> int:
    arrays = [each.data if isinstance(each, Traced) else each for each in values]
    memories = {id(memory): memory for memory in map(memory_of, filter(is_array, arrays))}
    return sum([int(getattr(memory, "nbytes", 0)) for memory in memories.values()])


def _resident() -> int | None:
    """The most that the process has had in memory so far."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


__all__ = ["Footprint", "measure_memory", "predict_memory"]
