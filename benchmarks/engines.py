"""The engines that run the workloads: each makes a step that can be timed, and what its first steps gave."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from steps.kinds import FunctionalTraining, FunctionalUpdate, Rule, Sweep, Training, Update, Values, Weights

OURS = ("tensorgrad", "tensorgrad-compiled")
FAST = ("tensorgrad-fast", "tensorgrad-fast-compiled")  # the same with the extra `fast`: kernels compiled by numba
# By the name of an engine: the package it needs. What follows PyTorch's name is another way to use it.
PACKAGES = {
    "tensorgrad": "tensorgrad",
    "tensorgrad-compiled": "tensorgrad",
    "tensorgrad-fast": "tensorgrad",
    "tensorgrad-fast-compiled": "tensorgrad",
    "torch": "torch",
    "torch-channels-last": "torch",
    "torch-manual": "torch",
    "torch-cell": "torch",
    "torch-fused": "torch",
    "torch-compiled": "torch",
    "jax": "jax",
    "autograd": "autograd",
}
STEPS = 3  # whose losses are compared
Arrays = dict[str, Any]


class UnavailableError(Exception):
    """An engine cannot run a workload; the message says why."""


@dataclass(frozen=True)
class Subject:
    """One engine's workload. step: what is timed. first: the first gradients and results, before anything is timed."""

    step: Callable[[], Any]
    first: Callable[[], Arrays]


def make(engine: str, module: str, size: Mapping[str, Any], threads: int) -> Subject:
    """The subject of one engine. Raises UnavailableError where it cannot run this workload."""
    workload = importlib.import_module(f"steps.{module}")
    v = workload.values(**size)
    if engine in OURS + FAST:
        return of_tensorgrad(workload, v, engine.endswith("compiled"), engine in FAST)
    if engine.startswith("torch"):
        return of_torch(workload, v, engine.partition("-")[2], threads)
    try:
        return {"jax": of_jax, "autograd": of_autograd}[engine](workload, v)
    except NotImplementedError as error:
        raise UnavailableError(f"{engine}: {error}") from error


# ── engines that record as they go ──────────────────────────────────────────────────────────────────────────


def of_tensorgrad(workload: Any, v: Values, compiled: bool, fast: bool) -> Subject:
    import tensorgrad as tg

    if fast and not (hasattr(tg, "get_fast") and tg.get_fast()):
        raise UnavailableError("tensorgrad-fast: this tensorgrad has no compiled kernels, or they are forbidden")
    wrap = getattr(tg, "compile", None) if compiled else None
    if compiled and wrap is None:
        raise UnavailableError("tensorgrad-compiled: this tensorgrad has no tg.compile yet")
    return recorded(workload.of_tensorgrad(tg, v), wrap_step=wrap)


def of_torch(workload: Any, v: Values, variant: str, threads: int) -> Subject:
    import torch

    torch.set_num_threads(threads)
    wrap = torch.compile if variant == "compiled" else None
    return recorded(workload.of_torch(torch, v, "" if variant == "compiled" else variant), wrap_function=wrap)


Wrap = Callable[[Any], Any] | None


def recorded(made: Training | Sweep | Update, wrap_step: Wrap = None, wrap_function: Wrap = None) -> Subject:
    """A step as users of tensorgrad and PyTorch write it. wrap_step, wrap_function: what compiles it, or what it calls.

    tensorgrad compiles a whole step with its gradients and updates; PyTorch a function, and its gradients with it.
    """
    if isinstance(made, Update):
        return _update(made, wrap_step)
    if isinstance(made, Training):
        return _training(made, wrap_step, wrap_function)
    return _sweep(made, wrap_step, wrap_function)


def _training(made: Training, wrap_step: Wrap, wrap_function: Wrap) -> Subject:
    loss_of = wrap_function(made.loss) if wrap_function else made.loss
    optimizer = made.optimizer

    def step(*batch: Any) -> Any:
        loss = loss_of(*batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    run = wrap_step(step) if wrap_step else step

    def first() -> Arrays:
        found = {}
        if wrap_step is None:
            loss_of(*made.batch).backward()
            learning = {name: theta for name, theta in made.parameters.items() if theta.grad is not None}
            found = {f"gradient of {name}": host(theta.grad) for name, theta in learning.items()}
            optimizer.zero_grad()
        return found | {f"loss {place}": host(run(*made.batch)) for place in range(STEPS)}

    return Subject(partial(run, *made.batch), first)


def _sweep(made: Sweep, wrap_step: Wrap, wrap_function: Wrap) -> Subject:
    function, seed = wrap_function(made.function) if wrap_function else made.function, made.seed

    def step(*leaves: Any) -> list[Any]:
        for leaf in leaves:
            leaf.grad = None
        result = function(*leaves)
        result.backward(seed)
        return [result, *(leaf.grad for leaf in leaves)]

    run = wrap_step(_functional_step(function, seed)) if wrap_step else step
    timed = partial(run, *made.leaves.values())

    return Subject(timed, lambda: {name: host(each) for name, each in zip(_names(made), timed(), strict=True)})


def _names(made: Sweep) -> list[str]:
    """What a sweep gives. The result is among it: a compiler leaves out what nobody gets to see."""
    return ["result", *(f"gradient of {name}" for name in made.leaves)]


def _functional_step(function: Callable[..., Any], seed: Any) -> Callable[..., Any]:
    """Gradients as a function of the leaves: of arguments with a `.grad` no step is compiled."""
    import tensorgrad as tg

    def step(*leaves: Any) -> Any:
        result = function(*leaves)
        return (result, *tg.grad(result, leaves, seed))

    return step


def _update(made: Update, wrap_step: Wrap) -> Subject:
    run = wrap_step(made.optimizer.step) if wrap_step else made.optimizer.step

    def first() -> Arrays:
        for _ in range(STEPS):
            run()
        return {f"theta {name}": host(theta) for name, theta in made.parameters.items()}

    return Subject(run, first)


def host(x: Any) -> Any:
    """A tensor's values as a NumPy array of their own; PyTorch's of a GPU are brought, and its halves widened."""
    x = x.detach()
    if str(x.dtype) in ("torch.bfloat16", "torch.float16"):  # NumPy has no bfloat16 that PyTorch knows
        x = x.float()
    return np.array(x.cpu().numpy())


# ── engines that differentiate functions ────────────────────────────────────────────────────────────────────


def of_jax(workload: Any, v: Values) -> Subject:
    import jax
    import jax.numpy as xp

    made = workload.of_functional(xp, v)

    def given(tree: Any) -> Any:
        return jax.tree.map(xp.asarray, tree)

    if isinstance(made, Sweep):
        leaves, seed = given(tuple(made.leaves.values())), given(made.seed)

        @jax.jit
        def sweep(*leaves: Any) -> Any:
            result, back = jax.vjp(made.function, *leaves)
            return (result, *back(xp.ones_like(result) if seed is None else seed))

        return _of_leaves(lambda: jax.block_until_ready(sweep(*leaves)), made)
    return _of_state(
        xp, made, partial(jax.jit, donate_argnums=(0, 1)), jax.value_and_grad, given, jax.block_until_ready
    )


def of_autograd(workload: Any, v: Values) -> Subject:
    import autograd
    import autograd.numpy as xp
    from autograd.extend import vspace

    made = workload.of_functional(xp, v)
    if isinstance(made, Sweep):
        leaves = tuple(made.leaves.values())

        def sweep() -> Any:
            back, result = autograd.make_vjp(lambda leaves: made.function(*leaves))(leaves)
            return (result, *back(vspace(result).ones() if made.seed is None else made.seed))

        return _of_leaves(sweep, made)
    return _of_state(xp, made, lambda step: step, autograd.value_and_grad, lambda tree: tree, lambda tree: tree)


def _of_leaves(sweep: Callable[[], Any], made: Sweep) -> Subject:
    return Subject(sweep, lambda: {name: np.array(each) for name, each in zip(_names(made), sweep(), strict=True)})


def _of_state(
    xp: Any,
    made: FunctionalTraining | FunctionalUpdate,
    fast: Callable[[Any], Any],
    value_and_grad: Callable[[Any], Any],
    given: Callable[[Any], Any],
    wait: Callable[[Any], Any],
) -> Subject:
    """A step from weights and moments to new ones."""
    w = given(dict(made.weights))
    zeros = {name: tuple(np.zeros_like(each) for _ in range(made.rule.moments)) for name, each in made.weights.items()}
    state = given(zeros)  # each a buffer of its own, for JAX is told that it may write over them
    training = isinstance(made, FunctionalTraining)
    batch = given(made.batch if training else made.gradients)
    gradient = value_and_grad(made.loss) if training else None

    @fast
    def change(w: Weights, state: Any, t: Any, batch: Any) -> Any:
        loss, g = gradient(w, *batch) if gradient else (t, batch)
        return loss, *moved(xp, made.rule, w, g, state, t)

    held = {"w": w, "state": state, "t": 0}

    def step() -> Any:
        held["t"] += 1
        loss, held["w"], held["state"] = wait(change(held["w"], held["state"], np.float32(held["t"]), batch))
        return loss

    def first() -> Arrays:
        found = {}
        if gradient:
            found = {f"gradient of {name}": np.array(each) for name, each in gradient(held["w"], *batch)[1].items()}
        losses = {f"loss {place}": np.array(step()) for place in range(STEPS)}
        return found | losses if gradient else {f"theta {name}": np.array(each) for name, each in held["w"].items()}

    return Subject(step, first)


def moved(xp: Any, rule: Rule, w: Weights, g: Weights, state: Any, t: Any) -> tuple[Weights, Any]:
    """All weights and moments after a step of a rule."""
    pairs = {name: rule.change(xp, g[name], theta, state[name], t) for name, theta in w.items()}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


# ── are they the same? ──────────────────────────────────────────────────────────────────────────────────────


def differences(found: Arrays, expected: Arrays) -> dict[str, float]:
    """By name: the largest difference, as a share of the largest expected value."""
    names = [name for name in expected if name in found]
    assert names, f"nothing to compare: {sorted(found)} and {sorted(expected)}"
    still = [name for name in names if not np.any(expected[name])]
    assert 2 * len(still) < len(names), f"zeros tell nothing: {still}"
    shares = {}
    for name in names:
        assert found[name].shape == expected[name].shape, f"{name}: {found[name].shape}, {expected[name].shape}"
        largest = float(np.max(np.abs(expected[name]))) or 1.0
        shares[name] = float(np.max(np.abs(found[name].astype(np.float64) - expected[name]))) / largest
    return shares


def check(engine: str, found: Arrays, reference: str, expected: Arrays, tolerance: float) -> float:
    """Raise AssertionError unless two engines agree: nothing else is worth timing. Returns the largest difference."""
    shares = differences(found, expected)
    name, largest = max(shares.items(), key=lambda pair: pair[1] if pair[1] == pair[1] else np.inf)
    assert largest <= tolerance, f"{engine} differs from {reference} in {name} by {largest:.2g} of its largest value"
    return largest
