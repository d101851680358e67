"""Gradients of float16 kept from vanishing: the loss is scaled up, its gradients down again before the step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import numpy as np

from tensorgrad.backend import beside, device_of, is_half, item, namespace, settle
from tensorgrad.ops import astype, multiply
from tensorgrad.optim.clip import rewrite
from tensorgrad.tape import Traced

READY, UNSCALED, STEPPED = "ready", "unscaled", "stepped"
_LARGEST = float(np.finfo(np.float32).max)  # what a loss of float32 can be multiplied by


class GradScaler:
    """Scales losses so that small gradients survive float16, by a factor that it finds.

    A gradient below 6e-8 is 0 in float16. The loss times a factor has gradients as much larger; where one of them
    overflows, the step is skipped and the factor lowered, and after `growth_interval` steps without that it is raised.
    bfloat16 has the range of float32 and needs no scaler.

    init_scale, growth_factor, backoff_factor: the factor, and what it is multiplied by after `growth_interval` good
    steps and after one that was skipped. enabled: False makes every method do what the loop would do without a scaler.
    `skipped_steps` counts the steps that were left out.
    Raises ValueError for a growth_factor of at most 1, or a backoff_factor of at least 1.
    Micikevicius et al., "Mixed precision training", 2018, sec. 3.2. Names and rule are those of torch.amp.GradScaler.

    >>> import tensorgrad as tg
    >>> w = tg.asarray([1.0], requires_grad=True)
    >>> sgd, scaler = tg.optim.SGD([w], lr=0.5), tg.optim.GradScaler(init_scale=1024.0)
    >>> with tg.autocast("float16"):
    ...     loss = (w @ w).sum()
    >>> scaler.scale(loss).backward()
    >>> w.grad.item()
    2048.0
    >>> scaler.step(sgd)
    >>> scaler.update()
    >>> w.item()
    0.0
    """

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not growth_factor > 1:
            raise ValueError(f"GradScaler: growth_factor is {growth_factor}; it must be above 1")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"GradScaler: backoff_factor is {backoff_factor}; it must be between 0 and 1")
        if not (init_scale > 0 and growth_interval >= 1):
            raise ValueError(
                f"GradScaler: init_scale is {init_scale} and growth_interval {growth_interval}; the one must be above "
                "0, the other at least 1"
            )
        self._scale, self._growth_factor, self._backoff_factor = float(init_scale), growth_factor, backoff_factor
        self._growth_interval, self._enabled = growth_interval, enabled
        self._growth_tracker = 0  # good steps since the factor last changed
        self.skipped_steps = 0
        self._optimizers: dict[int, tuple[str, bool, Any]] = {}  # by id: stage, whether all is finite, the optimizer

    # ── a step ──────────────────────────────────────────────────────────────────────────────────────────

    def scale(self, outputs: Any) -> Any:
        """A loss, or several in a list or tuple, times the factor. A half becomes float32, which has room for it."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Traced):
            wide = astype(outputs, np.dtype("float32")) if is_half(outputs.data.dtype) else outputs
            # An array of the factor: in a program it is a number that is read at each call.
            with beside(wide.data):
                factor = settle(namespace(wide.data).ones_like(wide.data) * self._scale)
            return multiply(wide, factor)
        if isinstance(outputs, Iterable):
            return type(outputs)(map(self.scale, outputs))  # type: ignore[call-arg]
        raise TypeError(f"GradScaler.scale takes a tensor, or several in a list, not a {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the factor, in place: before they are clipped or read.

        `step` does it where it was not done. Raises RuntimeError where it was done since the last `update`, ValueError
        for gradients of float16, which the division would undo: parameters are float32 in mixed precision.
        """
        if not self._enabled:
            return
        stage = self._stage(optimizer)
        if stage == UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update()")
        if stage == STEPPED:
            raise RuntimeError("unscale_() is being called after step(); call it before, and update() after both")
        gradients = [
            theta.grad for group in optimizer.param_groups for theta in group["params"] if theta.grad is not None
        ]
        halves = [g for g in gradients if is_half(g.dtype) and g.dtype.kind == "f"]
        if halves:
            raise ValueError(
                f"GradScaler: a gradient of shape {halves[0].shape} is float16; keep parameters in float32, and "
                "compute under tensorgrad.autocast"
            )
        finite = _are_finite([g.data for g in gradients])
        factor = 1.0 / self._scale

        def divide(array: Any) -> None:
            array *= factor

        rewrite(gradients, divide)
        self._optimizers[id(optimizer)] = (UNSCALED, finite, optimizer)

    def step(self, optimizer: Any, *args: Any, **keywords: Any) -> Any:
        """The optimizer's step, unless a gradient is infinite or NaN. Returns what it returns; None where skipped.

        Raises RuntimeError when called twice before `update`, and for a closure.
        """
        if self._enabled and (args or "closure" in keywords):
            raise RuntimeError("GradScaler.step takes no closure: gradients would come after they were looked at")
        return optimizer.step(*args, **keywords) if self.allows(optimizer) else None

    def allows(self, optimizer: Any) -> bool:
        """Whether the step may be taken, for whom takes it himself: unscales the gradients, and counts a skipped one.

        Raises RuntimeError when called twice before `update`.
        """
        if not self._enabled:
            return True
        if self._stage(optimizer) == STEPPED:
            raise RuntimeError("step() has already been called since the last update(); call update() once a step")
        if self._stage(optimizer) == READY:
            self.unscale_(optimizer)
        _, finite, _ = self._optimizers[id(optimizer)]
        self._optimizers[id(optimizer)] = (STEPPED, finite, optimizer)
        self.skipped_steps += not finite
        return finite

    def update(self, new_scale: float | None = None) -> None:
        """Lower the factor where a gradient overflowed since the last call, raise it after enough that did not.

        new_scale: the factor to go on with instead. Raises RuntimeError where no gradients were looked at.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._optimizers:
            raise RuntimeError("GradScaler.update: no gradients were looked at; call step(optimizer) before it")
        elif not all(finite for _, finite, _ in self._optimizers.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                if self._scale * self._growth_factor <= _LARGEST:
                    self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._optimizers.clear()

    def _stage(self, optimizer: Any) -> str:
        return self._optimizers.get(id(optimizer), (READY, True, None))[0]

    # ── what it is set to ───────────────────────────────────────────────────────────────────────────────

    def get_scale(self) -> float:
        """The factor; 1 where the scaler is not enabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes: PyTorch's keys, and the steps that were skipped. Empty where not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
            "skipped_steps": self.skipped_steps,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state, also one of PyTorch's. Raises ValueError for the empty one of a disabled scaler."""
        if not self._enabled:
            return
        missing = [name for name in self.state_dict() if name not in state_dict and name != "skipped_steps"]
        if missing:
            raise ValueError(
                f"GradScaler.load_state_dict: there is no {missing[0]!r} in it; was it saved by a scaler that was not "
                "enabled?"
            )
        self._scale, self._growth_factor = float(state_dict["scale"]), float(state_dict["growth_factor"])
        self._backoff_factor = float(state_dict["backoff_factor"])
        self._growth_interval = int(state_dict["growth_interval"])
        self._growth_tracker = int(state_dict["_growth_tracker"])
        self.skipped_steps = int(state_dict.get("skipped_steps", 0))

    def changing_numbers(self) -> list[tuple[dict[str, Any], str]]:
        """What a program reads at each call instead of holding on to it: (dictionary, key)."""
        return [(vars(self), name) for name in ("_scale", "_growth_tracker", "skipped_steps")]

    def __repr__(self) -> str:
        return f"GradScaler(scale={self.get_scale()}, enabled={self._enabled})"


def _are_finite(arrays: list[Any]) -> bool:
    """Whether no number of any array is infinite or NaN. The host waits for each device once, not for each array."""
    flags: dict[str, Any] = {}
    for array in arrays:
        if type(array) is np.ndarray and _has_finite_sum(array):
            continue
        device = device_of(array)
        with beside(array):
            xp = namespace(array)
            finite = xp.all(xp.isfinite(array))
            flags[device] = xp.logical_and(flags[device], finite) if device in flags else finite
    return all(bool(item(flag)) for flag in flags.values())


def _has_finite_sum(array: Any) -> bool:
    """A quick look: where the sum is not finite, a closer one is due."""
    with np.errstate(over="ignore", invalid="ignore"):
        return isfinite(abs(np.add.reduce(array, axis=None)))


__all__ = ["GradScaler"]
