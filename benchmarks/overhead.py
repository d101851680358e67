"""What a call costs: 1,000 small ops against PyTorch's eager mode and HIPS autograd, timed in turns.

    python benchmarks/overhead.py

The chain is 250 times `y * w; y + b; tanh(y); y - b` on float32 of shape (4,), where x is a leaf and w and b are
constants; then its sum, and the gradient of x. The arrays are so small that nearly all of the time is the engine's.
Three workloads: forward and backward; forward alone, recorded; and the same forward where nothing is recorded.
NumPy's line is the same arithmetic written by hand, without an engine: the floor.

Each engine has a process of its own, so that it runs as its users run it; the processes live side by side and are
given their turns one after the other.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import timing

import tensorgrad as tg

WORKLOADS = ("forward and backward", "forward", "unrecorded")
Workloads = dict[str, Callable[[], Any]]  # one engine's, by these names

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


def prepared(engine: str, length: int, threads: int) -> Workloads:
    """The workloads of one engine, the first of which returns the gradient of x."""
    values = np.random.default_rng(0).standard_normal(4).astype(np.float32)
    w, b = np.full(4, 1.01, np.float32), np.full(4, 0.01, np.float32)
    if engine == "torch":
        torch = importlib.import_module(engine)
        torch.set_num_threads(threads)
        return of_torch(torch, values, w, b, length)
    if engine == "autograd":
        return of_autograd(importlib.import_module(engine), values, w, b, length)
    return {"tensorgrad": of_tensorgrad, "numpy": of_numpy}[engine](values, w, b, length)


def gradient_of(workloads: Workloads) -> list[float]:
    gradient: list[float] = workloads["forward and backward"]().tolist()
    return gradient


def check(gradients: dict[str, list[float]]) -> None:
    """Raise AssertionError unless every engine has NumPy's gradient: nothing else is worth timing."""
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, gradients["numpy"], rtol=1e-3, atol=1e-12, err_msg=name)


def serve(engine: str, length: int, threads: int) -> None:
    """Answer for one engine: its gradient, or a turn of a workload."""
    workloads = prepared(engine, length, threads)

    def answer(question: dict[str, Any]) -> Any:
        if question["ask"] == "gradient":
            return gradient_of(workloads)
        return timing.turn(workloads[question["ask"]], question["seconds"])

    timing.serve(answer)


def main(arguments: Sequence[str] | None = None) -> Path | None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=250, help="times the four ops are repeated (%(default)s)")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each engine (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a turn (%(default)s)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="torch's (%(default)s)")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    parser.add_argument("--engine", help="answer for one engine, as the processes that are timed do")
    chosen = parser.parse_args(arguments)
    if chosen.engine:
        serve(chosen.engine, chosen.length, chosen.threads)
        return None

    facts = timing.machine("torch", "autograd")
    names = ["tensorgrad", *[name for name in ("torch", "autograd") if timing.has(name)], "numpy"]
    settings = ["--length", str(chosen.length), "--threads", str(chosen.threads)]
    workers = {name: timing.Worker(__file__, "--engine", name, *settings) for name in names}
    check({name: worker.ask({"ask": "gradient"}) for name, worker in workers.items()})
    figures: list[timing.Figure] = []
    details: dict[str, Any] = {"ops": 4 * chosen.length, "threads": chosen.threads, "microseconds per op": {}}
    for workload in WORKLOADS:
        question = {"ask": workload, "seconds": chosen.seconds}
        taken = timing.interleave(
            {name: partial(worker.ask, question) for name, worker in workers.items()}, chosen.rounds
        )
        for name in names[1:-1]:
            goal = GOALS.get((workload, name))
            figures.append(timing.ratio(f"{workload}, of {name}", taken["tensorgrad"], taken[name], goal))
        unit = 4e-6 * chosen.length
        details["microseconds per op"][workload] = {name: each.summary(unit) for name, each in taken.items()}
        figures += [each.figure(f"{workload}, {name}", "us per op", unit) for name, each in taken.items()]
    for worker in workers.values():
        worker.close()
    return timing.save("overhead", figures, details, facts, chosen.folder)


if __name__ == "__main__":
    main()
