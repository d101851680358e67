"""From a loss to changed parameters: sweep, accumulate, clip, step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tensorgrad.optim import GradScaler
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor


class Updates:
    """Gradients of `accumulate` batches, averaged, clipped, and given to the optimizer.

    pending: how many batches have been swept since the last step, as whoever sweeps counts them.
    """

    def __init__(
        self,
        optimizer: Any,
        accumulate: int,
        clip_norm: float | None,
        clip_value: float | None,
        scaler: GradScaler | None = None,
    ) -> None:
        if accumulate < 1:
            raise ValueError(f"Trainer: accumulate is {accumulate}; expected the number of batches a step, at least 1")
        for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if bound is not None and not bound > 0:
                raise ValueError(f"Trainer: {name} is {bound}; expected a bound above 0, or None for none")
        if optimizer is None and (accumulate, clip_norm, clip_value) != (1, None, None):
            raise ValueError("Trainer: without an optimizer there is nothing to accumulate or clip for")
        self.optimizer, self.accumulate = optimizer, accumulate
        self.clip_norm, self.clip_value, self.scaler = clip_norm, clip_value, scaler
        self.pending = 0
        self.step = step_of(optimizer)

    def average(self) -> None:
        """Make the sum of the waiting gradients their mean, and divide them by what their loss was multiplied by."""
        if self.pending > 1:
            with no_grad():
                for theta in self.parameters():
                    if theta.grad is not None:
                        theta.grad = theta.grad / self.pending
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        self.pending = 0

    def apply(self) -> None:
        """Clip, step, and clear the gradients."""
        if self.clip_value is not None:
            from tensorgrad.optim import clip_grad_value_

            clip_grad_value_(list(self.parameters()), self.clip_value)
        if self.clip_norm is not None:
            from tensorgrad.optim import clip_grad_norm_

            clip_grad_norm_(list(self.parameters()), self.clip_norm)
        if self.scaler is None:
            self.step()
            return
        if self.scaler.allows(self.optimizer):
            self.step()
        else:
            self.optimizer.zero_grad()
        self.scaler.update()

    def parameters(self) -> Iterator[Any]:
        """The parameters the optimizer changes."""
        for group in self.optimizer.param_groups:
            yield from group["params"]


def sweep(loss: Any, scaler: GradScaler | None = None) -> None:
    """Add a batch's gradients to those of the parameters, times the scaler's factor."""
    if not isinstance(loss, Tensor):
        raise TypeError(
            f"Trainer: the loss of a batch is {loss!r:.60}; return a tensor, or a dict with a tensor under 'loss'. "
            "Where step= makes the updates itself, pass optimizer=None"
        )
    if loss.ndim:
        raise ValueError(f"Trainer: the loss of a batch has the shape {loss.shape}; take its mean: loss.mean()")
    if not loss.requires_grad:
        raise RuntimeError(
            "Trainer: the loss rests on nothing that requires a gradient; was it detached, or made under no_grad?"
        )
    (loss if scaler is None else scaler.scale(loss)).backward()


def figures_of(loss: Any) -> dict[str, Any]:
    """What a step gives, a loss or figures by name, as figures."""
    return dict(loss) if isinstance(loss, Mapping) else {"loss": loss}


def swept(
    step: Callable[[Any, Any], Any], model: Any, scaler: GradScaler | None = None, sweeps: bool = True
) -> Callable[[Any], dict[str, Any]]:
    """A function of a batch that gives its figures, and adds its gradients unless the step itself makes the updates."""

    def of_batch(batch: Any) -> dict[str, Any]:
        figures = figures_of(step(model, batch))
        if sweeps:
            sweep(figures.get("loss"), scaler)
        return {name: value.detach() if isinstance(value, Tensor) else value for name, value in figures.items()}

    of_batch.__qualname__ = "the trainer's step"  # what a program calls it where it has something to say
    return of_batch


def step_of(optimizer: Any) -> Callable[[], None]:
    """The optimizer's step, after which there are no gradients."""

    def step() -> None:
        optimizer.step()
        optimizer.zero_grad()

    step.__qualname__ = "the optimizer's step"
    return step
