"""What a call costs: 1,000 small ops against PyTorch's eager mode and HIPS autograd, timed in turns.

    python benchmarks/overhead.py

The chain is 250 times `y * w; y + b; tanh(y); y - b` on float32 of shape (4,), where x is a leaf and w and b are
constants; then its sum, and the gradient of x. The arrays are so small that nearly all of the time is the engine's.
Three workloads: forward and backward; forward alone, recorded; and the same forward where nothing is recorded.
NumPy's line is the same arithmetic written by hand, without an engine: the floor.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timing

import tensorgrad as tg

Workloads = dict[str, Callable[[], Any]]  # by name: "forward and backward", "forward", "unrecorded"

GOALS = {
    ("forward and backward", "torch"): 0.40,
    ("forward and backward", "autograd"): 0.15,
    ("unrecorded", "torch"): 0.85,  # the aim is 0.7
}


def chain(y: Any, w: Any, b: Any, tanh: Callable[[Any], Any], length: int) -> Any:
    for _ in range(length):
        y = y * w
        y = y + b
        y = tanh(y)
        y = y - b
    return y


def of_tensorgrad(values: Any, w: Any, b: Any, length: int) -> Workloads:
    x = tg.Tensor(values, requires_grad=True, device="cpu")
    w, b = tg.Tensor(w, device="cpu"), tg.Tensor(b, device="cpu")

    def both() -> Any:
        x.grad = None
        tg.sum(chain(x, w, b, tg.tanh, length)).backward()
        return x.grad

    def unrecorded() -> None:
        with tg.no_grad():
            chain(x, w, b, tg.tanh, length)

    return {
        "forward and backward": both,
        "forward": lambda: chain(x, w, b, tg.tanh, length),
        "unrecorded": unrecorded,
    }


def of_torch(torch: Any, values: Any, w: Any, b: Any, length: int) -> Workloads:
    x = torch.tensor(values, requires_grad=True)
    w, b = torch.tensor(w), torch.tensor(b)

    def both() -> Any:
        x.grad = None
        chain(x, w, b, torch.tanh, length).sum().backward()
        return x.grad

    def unrecorded() -> None:
        with torch.no_grad():
            chain(x, w, b, torch.tanh, length)

    return {
        "forward and backward": both,
        "forward": lambda: chain(x, w, b, torch.tanh, length),
        "unrecorded": unrecorded,
    }


def of_autograd(autograd: Any, values: Any, w: Any, b: Any, length: int) -> Workloads:
    anp = autograd.numpy

    def loss(x: Any) -> Any:
        return anp.sum(chain(x, w, b, anp.tanh, length))

    both = autograd.value_and_grad(loss)
    return {
        "forward and backward": lambda: both(values)[1],
        "forward": lambda: autograd.make_vjp(lambda x: chain(x, w, b, anp.tanh, length))(values),
        "unrecorded": lambda: chain(values, w, b, anp.tanh, length),
    }


def of_numpy(values: Any, w: Any, b: Any, length: int) -> Workloads:
    def forward() -> Any:
        return chain(values, w, b, np.tanh, length)

    def both() -> Any:
        y, kept = values, []
        for _ in range(length):
            y = np.tanh(y * w + b)
            kept.append(y)
            y = y - b
        g = np.ones_like(y)
        np.add.reduce(y)
        for out in reversed(kept):
            g = (g - g * out * out) * w
        return g

    return {"forward and backward": both, "forward": forward, "unrecorded": forward}


def prepared(length: int, threads: int) -> dict[str, Workloads]:
    """The workloads of every engine that is here, each checked to give the same gradient."""
    values = np.random.default_rng(0).standard_normal(4).astype(np.float32)
    w, b = np.full(4, 1.01, np.float32), np.full(4, 0.01, np.float32)
    engines = {"tensorgrad": of_tensorgrad(values.copy(), w, b, length)}
    if (torch := timing.peer("torch")) is not None:
        torch.set_num_threads(threads)
        engines["torch"] = of_torch(torch, values, w, b, length)
    if (autograd := timing.peer("autograd")) is not None:
        engines["autograd"] = of_autograd(autograd, values, w, b, length)
    engines["numpy"] = of_numpy(values, w, b, length)
    gradients = {name: np.asarray(_array(each["forward and backward"]())) for name, each in engines.items()}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, gradients["numpy"], rtol=1e-3, atol=1e-12, err_msg=name)
    return engines


def _array(gradient: Any) -> Any:
    return gradient.detach().numpy() if hasattr(gradient, "detach") else gradient


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=250, help="times the four ops are repeated (%(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each engine (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a turn (%(default)s)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="torch's (%(default)s)")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    chosen = parser.parse_args(arguments)

    engines = prepared(chosen.length, chosen.threads)
    figures: list[timing.Figure] = []
    details: dict[str, Any] = {"ops": 4 * chosen.length, "threads": chosen.threads, "microseconds per op": {}}
    for workload in ("forward and backward", "forward", "unrecorded"):
        taken = timing.interleave(
            {name: each[workload] for name, each in engines.items()}, chosen.rounds, chosen.seconds
        )
        ours = taken["tensorgrad"]
        for name in ("torch", "autograd"):
            if name in taken:
                goal = GOALS.get((workload, name))
                figures.append(timing.ratio(f"{workload}, of {name}", ours, taken[name], goal))
        unit = 4e-6 * chosen.length
        details["microseconds per op"][workload] = {name: each.summary(unit) for name, each in taken.items()}
        figures += [each.figure(f"{workload}, {name}", "us per op", unit) for name, each in taken.items()]
    facts = timing.machine("torch", "autograd")
    return timing.save("overhead", figures, details, facts, chosen.folder)


if __name__ == "__main__":
    main()
