"""What a workload tells of itself, whichever engine runs it; `engines.py` makes a timed step of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Weights = dict[str, Any]  # by their names in a state dict
Batch = tuple[Any, ...]


@dataclass(frozen=True)
class Values:
    """Weights and a batch, as NumPy arrays."""

    weights: Weights
    batch: Batch = ()


@dataclass(frozen=True)
class Training:
    """A loss, its gradients, and what an optimizer makes of the weights.

    loss: of a batch, a number. parameters: the tensors that learn, by name. optimizer: knows them.
    """

    loss: Callable[..., Any]
    parameters: Mapping[str, Any]
    optimizer: Any
    batch: Batch


@dataclass(frozen=True)
class Sweep:
    """A function and the gradients of its arguments. seed: the gradient of the result; None where that is a number."""

    function: Callable[..., Any]
    leaves: Mapping[str, Any]
    seed: Any = None


@dataclass(frozen=True)
class Update:
    """A step of an optimizer whose gradients are there."""

    optimizer: Any
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """An optimizer as a function, for engines that have none: `change(xp, g, theta, state, t) -> theta, state`."""

    change: Callable[..., tuple[Any, tuple[Any, ...]]]
    moments: int


@dataclass(frozen=True)
class FunctionalTraining:
    """As `Training`, of functions: loss(weights, *batch)."""

    loss: Callable[..., Any]
    weights: Weights
    rule: Rule
    batch: Batch


@dataclass(frozen=True)
class FunctionalUpdate:
    """As `Update`, of functions."""

    weights: Weights
    gradients: Weights
    rule: Rule


def adam(lr: float, weight_decay: float = 0.0) -> Rule:
    """Adam, or AdamW, with the usual betas. Kingma & Ba 2015, Algorithm 1; Loshchilov & Hutter 2019, Algorithm 2."""

    def change(xp: Any, g: Any, theta: Any, state: tuple[Any, ...], t: Any) -> tuple[Any, tuple[Any, ...]]:
        m, v = state
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        size = lr / (1 - 0.9**t)
        root = (1 - 0.999**t) ** 0.5
        return theta * (1 - lr * weight_decay) - size * m / (xp.sqrt(v) / root + 1e-8), (m, v)

    return Rule(change, moments=2)


def momentum(lr: float, kept: float) -> Rule:
    """Descent with momentum, as PyTorch's SGD has it."""

    def change(xp: Any, g: Any, theta: Any, state: tuple[Any, ...], t: Any) -> tuple[Any, tuple[Any, ...]]:
        speed = kept * state[0] + g
        return theta - lr * speed, (speed,)

    return Rule(change, moments=1)


def normal(rng: Any, shape: tuple[int, ...], scale: float = 1.0) -> Any:
    """Normal numbers.   -> shape, float32"""
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def linear(rng: Any, inputs: int, outputs: int) -> Any:
    """The weight of a linear layer whose results are as large as its inputs.   -> (outputs, inputs), float32"""
    return normal(rng, (outputs, inputs), inputs**-0.5)


def cross_entropy(xp: Any, logits: Any, target: Any) -> Any:
    """The mean negative log-likelihood of classes, for engines without one.   (n, k), (n,) int -> ()"""
    shifted = logits - xp.max(logits, axis=-1, keepdims=True)
    log_sum = xp.log(xp.sum(xp.exp(shifted), axis=-1))
    return xp.mean(log_sum - shifted[xp.arange(len(target)), target])


def load(tg: Any, model: Any, weights: Weights) -> dict[str, Any]:
    """Give a model of tensorgrad or PyTorch its weights. Returns its parameters by name."""
    model.load_state_dict({name: tg.asarray(each) for name, each in weights.items()})
    return dict(model.named_parameters())
