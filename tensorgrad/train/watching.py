"""Callbacks that look: sizes of gradients and weights, and a stop where a number stops being one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorgrad.train.callback import Callback
from tensorgrad.train.metrics.metric import on_host


class Statistics(Callback):
    """Logs the norm of all gradients and of all weights, and how far a step moves the weights, into the rows.

    steps: look at every so many steps. by_parameter: the gradient's norm of each parameter too, as
    "gradient_norm/NAME"; needs a model with `named_parameters`. The gradients are those before clipping.
    update_ratio is the norm of the step over the norm of the weights: about 1e-3 is usual, and 1 is no training.
    """

    order = -10

    def __init__(self, steps: int = 10, by_parameter: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        if steps < 1:
            raise ValueError(f"Statistics: steps is {steps}; expected at least 1")
        self.steps, self.by_parameter = steps, by_parameter
        self._before: list[Any] | None = None

    def before_update(self, trainer: Any) -> None:
        """Note gradients, and the weights before the step."""
        if (trainer.step + 1) % self.steps:
            return
        parameters = list(trainer.updates.parameters())
        gradients = [on_host(theta.grad) for theta in parameters if theta.grad is not None]
        trainer.log("gradient_norm", norm(gradients))
        self._before = [on_host(theta).copy() for theta in parameters]
        if self.by_parameter:
            for name, theta in trainer.model.named_parameters():
                if theta.grad is not None:
                    trainer.log(f"gradient_norm/{name}", norm([on_host(theta.grad)]))

    def after_step(self, trainer: Any) -> None:
        """Note the weights after it."""
        if self._before is None:
            return
        after = [on_host(theta) for theta in trainer.updates.parameters()]
        size = norm(after)
        trainer.log("weight_norm", size)
        moved = norm([new - old for new, old in zip(after, self._before, strict=True)])
        trainer.log("update_ratio", moved / size if size else math.inf)
        self._before = None


class NaNStop(Callback):
    """Raises FloatingPointError, before the weights are touched, where the loss or a gradient is not finite.

    The error names the step and the parameters. The last checkpoint is of before.
    """

    order = -20

    def before_update(self, trainer: Any) -> None:
        """Look at the loss and the gradients."""
        loss = trainer.last_figures.get("loss")
        names = {id(theta): name for name, theta in getattr(trainer.model, "named_parameters", list)()}
        bad = [
            names.get(id(theta), f"number {place}")
            for place, theta in enumerate(trainer.updates.parameters())
            if theta.grad is not None and not np.isfinite(on_host(theta.grad)).all()
        ]
        if (loss is not None and not math.isfinite(loss)) or bad:
            where = f"; gradients that are not finite: {', '.join(bad)}" if bad else ""
            raise FloatingPointError(
                f"in step {trainer.step + 1:,} the loss is {loss}{where}. The weights are as before that step. Run it "
                "under tensorgrad.detect_anomaly() to see which op made the first NaN; a smaller learning rate or "
                "clip_norm= often helps"
            )


def norm(arrays: list[Any]) -> float:
    """The Euclidean norm of all elements together, summed in float64."""
    return math.sqrt(sum(float(np.sum(np.square(np.abs(each), dtype=np.float64))) for each in arrays))
