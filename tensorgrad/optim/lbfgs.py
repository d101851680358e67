"""L-BFGS: Newton's direction from the last few steps, and a line search along it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from tensorgrad.backend import as_array, beside, item, move, namespace
from tensorgrad.ops import copy
from tensorgrad.optim.hyperparameters import plain
from tensorgrad.optim.line_search import Point, strong_wolfe
from tensorgrad.optim.optimizer import Optimizer, loaded_array, parts, put, whole
from tensorgrad.writes import write_leaf

# What is remembered, by PyTorch's names: counts and numbers, vectors, and lists of them.
NUMBERS = {"func_evals": int, "n_iter": int, "t": float, "H_diag": float, "prev_loss": float}
VECTORS = ("d", "prev_flat_grad")
LISTS = ("old_dirs", "old_stps", "ro")


class LBFGS(Optimizer):
    """Descends along -H g, where H is the inverse Hessian as the last `history_size` steps show it.

    All parameters are one vector, in one group, and `step` needs a closure that computes the loss anew. A step makes
    up to max_iter iterations and max_eval evaluations (5/4 of max_iter unless given), and ends where no coordinate of
    the gradient exceeds tolerance_grad, or loss or vector changed by less than tolerance_change.
    lr: the length of a step, with line_search_fn="strong_wolfe" the first one tried. The loss must be the same at the
    same parameters: no other batch and no other dropout within a step.
    Liu & Nocedal, "On the limited memory BFGS method for large scale optimization", 1989, Algorithm 2.1; the line
    search is Nocedal & Wright's, Numerical optimization, 2nd ed., 2006, Algorithms 3.5 and 3.6.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([-1.5, 2.0], dtype="float64", requires_grad=True)
    >>> lbfgs = tg.optim.LBFGS([theta], max_iter=50, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     lbfgs.zero_grad()
    ...     x, y = theta
    ...     rosenbrock = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    ...     rosenbrock.backward()
    ...     return rosenbrock
    >>> loss = lbfgs.step(closure)                         # the loss it began at
    >>> float(loss), [round(each, 4) for each in theta.tolist()]
    (12.5, [1.0, 1.0])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        most = max_eval if max_eval is not None else max_iter * 5 // 4
        counts = {"max_iter": max_iter, "max_eval": most, "history_size": history_size}
        tolerances = {"tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change}
        super().__init__(params, {"lr": lr, **counts, **tolerances, "line_search_fn": line_search_fn})

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take the one group. Raises ValueError for a second: all parameters are one vector here."""
        if self.param_groups:
            raise ValueError("LBFGS: all parameters are one vector, in one group; give them in one list")
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until one of the limits is met. Returns the loss it began at. Raises TypeError without a closure."""
        if closure is None:
            raise TypeError(
                "LBFGS.step needs a closure: a function that clears gradients, computes the loss, calls "
                "backward() on it and returns it"
            )
        with beside(self.param_groups[0]["params"][0].data):
            return self._iterated(closure)

    def _iterated(self, closure: Callable[[], Any]) -> Any:
        """The step, on the device of the parameters."""
        hyper = self._hyper(self.param_groups[0])
        state = self.state.setdefault(self.param_groups[0]["params"][0], {"func_evals": 0, "n_iter": 0})
        self._follow(state)
        begun = self.evaluate(closure)
        loss, evaluations = float(begun), 1
        state["func_evals"] += 1
        self._with_gradients()  # refuses where there are none
        g = self._gradient()
        if _largest(g) <= hyper["tolerance_grad"]:
            return begun
        for iteration in range(1, hyper["max_iter"] + 1):
            state["n_iter"] += 1
            d = self._direction(g, state, hyper["history_size"])
            state["d"], state["prev_flat_grad"], state["prev_loss"] = d, g, loss
            first = min(1.0, 1.0 / item(namespace(g).sum(abs(g)))) if state["n_iter"] == 1 else 1.0
            state["t"] = first * hyper["lr"]
            slope = _dot(g, d)
            if slope > -hyper["tolerance_change"]:
                break
            last = iteration == hyper["max_iter"]
            start = Point(0.0, loss, g, slope)
            if hyper["line_search_fn"] is not None:
                limit = hyper["max_eval"] - evaluations
                found, tried = self._searched(closure, start, state["t"], d, hyper["tolerance_change"], limit)
                state["t"] = found.t
                self._add(found.t, d)
                loss, g = found.f, found.g
            else:
                self._add(state["t"], d)
                tried = 0 if last else 1  # where nothing follows, the loss need not be known
                if not last:
                    loss = float(self.evaluate(closure))
                    g = self._gradient()
            evaluations += tried
            state["func_evals"] += tried
            if last or evaluations >= hyper["max_eval"] or _largest(g) <= hyper["tolerance_grad"]:
                break
            moved = _largest(d) * abs(state["t"])
            if moved <= hyper["tolerance_change"] or abs(loss - start.f) < hyper["tolerance_change"]:
                break
        self.steps += 1
        return begun

    def _follow(self, state: dict[str, Any]) -> None:
        """Bring what is remembered to the device of the parameters, which may have moved since."""
        device = self.param_groups[0]["params"][0].device
        for name in VECTORS:
            if name in state:
                state[name] = move(state[name], device)
        for name in ("old_dirs", "old_stps"):
            if name in state:
                state[name][:] = [move(each, device) for each in state[name]]

    def _direction(self, g: Any, state: dict[str, Any], history_size: int) -> Any:
        """-H g by the two loops over remembered steps s and changes y of the gradient: Nocedal & Wright, Alg. 7.4."""
        if state["n_iter"] == 1:
            state.update({"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0})
            return -g
        changes, steps, rho = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"], state["t"] * state["d"]
        curvature = _dot(y, s)
        if curvature > 1e-10:  # else the Hessian would not stay positive
            if len(changes) == history_size:
                for remembered in (changes, steps, rho):
                    remembered.pop(0)
            changes.append(y)
            steps.append(s)
            rho.append(1 / curvature)
            state["H_diag"] = curvature / _dot(y, y)
        d = -g
        alpha = []
        for s, y, r in zip(reversed(steps), reversed(changes), reversed(rho), strict=True):
            alpha.append(r * _dot(s, d))
            d -= alpha[-1] * y
        d *= state["H_diag"]
        for s, y, r, a in zip(steps, changes, rho, reversed(alpha), strict=True):
            d += (a - r * _dot(y, d)) * s
        return d

    def _searched(
        self, closure: Callable[[], Any], start: Point, t: float, d: Any, tolerance: float, limit: int
    ) -> tuple[Point, int]:
        """A good point along d, and how many were tried; the parameters are where they were."""
        before = [copy(theta.data) for theta in self._parameters()]

        def at(t: float) -> Point:
            self._add(t, d)
            f = float(self.evaluate(closure))
            g = self._gradient()
            for theta, array in zip(self._parameters(), before, strict=True):
                write_leaf(theta, partial(put, array))
            return Point(t, f, g, _dot(g, d))

        return strong_wolfe(at, start, t, _largest(d), tolerance, limit)

    def _gradient(self) -> Any:
        """The gradients of all parameters in one vector; zeros where there is none.   -> (n,)"""
        flat = []
        for theta in self._parameters():
            xp = namespace(theta.data)
            counts = theta.grad is not None and theta.requires_grad
            g = theta.grad.data if counts else xp.zeros_like(theta.data)
            flat.append(xp.reshape(parts(g) if g.dtype.kind == "c" else g, (-1,)))
        return namespace(*flat).concat(flat)

    def _add(self, t: float, d: Any) -> None:
        """Move all parameters by t times a vector."""
        start = 0
        for theta in self._parameters():
            xp, is_complex = namespace(theta.data), theta.dtype.kind == "c"
            size = theta.size * (2 if is_complex else 1)
            piece = d[start : start + size]
            start += size
            if theta.requires_grad:
                piece = whole(xp.reshape(piece, (*theta.shape, 2))) if is_complex else xp.reshape(piece, theta.shape)
                write_leaf(theta, partial(put, theta.data + t * piece))

    def _loaded_state(self, theta: Any, place: int, saved: Mapping[str, Any], hyper: dict[str, Any]) -> dict[str, Any]:
        if not {"func_evals", "n_iter"} <= set(saved) or place != 0:
            raise ValueError(
                f"LBFGS: of parameter {place} the state remembers {sorted(saved)}; it is another optimizer's"
            )
        state: dict[str, Any] = {}
        for name, value in saved.items():
            if name in NUMBERS and value is not None:
                state[name] = NUMBERS[name](plain(value))
            elif name in VECTORS and value is not None:
                state[name] = self._inward(theta, name, value)
            elif name in LISTS and value is not None:
                state[name] = [plain(each) if name == "ro" else self._inward(theta, name, each) for each in value]
        return state

    def _inward(self, theta: Any, name: str, value: Any) -> Any:
        array = as_array(loaded_array(value, theta), copy=True)
        expected = sum(each.size * (2 if each.dtype.kind == "c" else 1) for each in self._parameters())
        if array.shape != (expected,):
            raise ValueError(
                f"LBFGS: {name} is saved with the shape {array.shape}, and all parameters together have {expected} "
                "numbers; the state is another model's"
            )
        return array

    def _outward(self, theta: Any, value: Any) -> Any:
        if isinstance(value, list):
            return [self._outward(theta, each) for each in value]
        return super()._outward(theta, value)


def _dot(x: Any, y: Any) -> float:
    return float(item(namespace(x).sum(x * y)))


def _largest(x: Any) -> float:
    return float(item(namespace(x).max(abs(x))))
