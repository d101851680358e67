"""Gradient descent, with momentum and with a threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorgrad.backend import namespace
from tensorgrad.backend.cpu.weighted_sums import blend
from tensorgrad.ops import copy
from tensorgrad.optim.optimizer import Optimizer


class SGD(Optimizer):
    """theta -= lr * g, or with momentum theta -= lr * b, b = momentum * b + (1 - dampening) * g.

    b begins as the first gradient, undamped. nesterov: go on from where momentum leads, g + momentum * b (Sutskever
    et al., "On the importance of initialization and momentum in deep learning", 2013, sec. 2, in the form whose
    gradient is taken at theta). weight_decay: times theta, added to g. maximize: ascend.
    Momentum is Polyak's, "Some methods of speeding up the convergence of iteration methods", 1964.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -2.0], requires_grad=True)
    >>> sgd = tg.optim.SGD([theta], lr=0.25)
    >>> (theta * theta).sum().backward()
    >>> sgd.step()
    >>> theta.tolist()
    [0.5, -1.0]
    """

    elementwise = True
    numbers: Mapping[str, float] = {}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        given = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**given, "nesterov": nesterov, "maximize": maximize})

    def check(self, hyper: Mapping[str, Any]) -> None:
        super().check(hyper)
        if hyper["nesterov"] and (hyper["momentum"] == 0 or hyper["dampening"] != 0):
            raise ValueError(
                f"{self._title}: nesterov needs a momentum above 0 and no dampening, not momentum {hyper['momentum']} "
                f"and dampening {hyper['dampening']}"
            )

    def moments_of(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if hyper["momentum"] else ()

    def init(self, theta: Any, hyper: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def update(
        self,
        theta: Any,
        g: Any,
        state: dict[str, Any],
        *,
        lr: float,
        momentum: float,
        dampening: float,
        nesterov: bool,
        **_: Any,
    ) -> None:
        if momentum:
            b = state.get("momentum_buffer")
            if b is None:
                b = state["momentum_buffer"] = copy(g)
            else:
                blend(b, momentum, g, 1 - dampening)
            g = g + momentum * b if nesterov else b
        blend(theta, 1, g, -lr)


class ProximalSGD(Optimizer):
    """theta -= lr * g, then sign(theta) max(|theta| - lr * l1, 0): the loss plus l1 * sum |theta| is minimized.

    The threshold is the proximal map of lr * l1 * |.|, so coordinates become 0 exactly, where a subgradient would
    hover around it: ISTA, Daubechies et al., "An iterative thresholding algorithm for linear inverse problems with a
    sparsity constraint", 2004; Beck & Teboulle, "A fast iterative shrinkage-thresholding algorithm", 2009, eq. 1.4.
    There is no momentum, which would move the solution. weight_decay makes the penalty an elastic net's; give biases
    a group with l1 = 0.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, -0.25], requires_grad=True)
    >>> lasso = tg.optim.ProximalSGD([theta], lr=0.5, l1=0.5)
    >>> (0.0 * theta).sum().backward()
    >>> lasso.step()
    >>> theta.tolist()
    [0.75, 0.0]
    """

    elementwise = True
    numbers: Mapping[str, float] = {}

    def __init__(self, params: Iterable[Any], lr: float = 1e-3, l1: float = 1e-3, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "l1": l1, "weight_decay": weight_decay})

    def update(self, theta: Any, g: Any, state: dict[str, Any], *, lr: float, l1: float, **_: Any) -> None:
        blend(theta, 1, g, -lr)
        theta -= namespace(theta).clip(theta, -lr * l1, lr * l1)
