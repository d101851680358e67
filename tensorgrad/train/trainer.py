"""The trainer: the loop that everyone writes, with what makes it resumable, and no more of a framework than that.

A loop moves in by handing its body over:

    for x, y in loader:                                       trainer = Trainer(model, optimizer, tg.cross_entropy)
        loss = tg.cross_entropy(model(x), y)                  trainer.fit(loader, epochs=10)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

and out again by keeping the loop and letting the trainer count, log, clip, schedule and save:

    for x, y in trainer.batches(loader, epochs=10):
        trainer.update(tg.cross_entropy(model(x), y))

`fit` is those two lines. What does not fit `loss(model(x), y)` is a function: `step(model, batch)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tensorgrad.ops import concat
from tensorgrad.optim import GradScaler
from tensorgrad.precision import autocast
from tensorgrad.program import compile as compiled
from tensorgrad.random import default_generator
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor
from tensorgrad.train.callback import Callback
from tensorgrad.train.interrupts import Interrupts
from tensorgrad.train.metrics.metric import Metric
from tensorgrad.train.triggers import Trigger, every
from tensorgrad.train.updates import Updates, figures_of, step_of, sweep, swept

_FORMAT = 1


class Trainer:
    """Trains a model, measures it, and can be left and taken up again at any step, bit for bit.

    model: an `nn.Module`, or anything callable with `state_dict` and `load_state_dict`; with `train` and `eval` it is
    put into these modes. optimizer: its `step` follows every `accumulate` batches; None where `step` does the updates
    itself, as for two networks against each other. loss(output, y): a tensor without axes, the mean over a batch.
    step(model, batch): the loss of a batch instead, or a dict with "loss" and other figures to log. By default a batch
    is a pair (x, y) and the loss is loss(model(x), y).
    evaluate(model, batch): (output, y) of a batch, for the loss and the metrics, or a dict of figures, which are means
    over a batch. metrics: `Metric`s by the name their figure gets in the history.
    callbacks: see `Callback`. accumulate: batches a step; their gradients are averaged. clip_norm, clip_value: the
    bound of the gradients' norm together, and of each element. record: when a row is added to `history`.
    keep: what else a checkpoint must hold, by name: whatever has state_dict and load_state_dict (a second optimizer,
    a schedule) or get_state and set_state (a generator). The default generator is kept always.

    precision: "float16" or "bfloat16", in which the loss and the outputs are computed under `tensorgrad.autocast`; for
    float16 with a `GradScaler`, the trainer's `scaler`, which checkpoints keep. In a loop of your own, the region is
    yours to write.
    compile: let `fit` run a batch's loss with its sweep, and the optimizer's step, as programs, or without an optimizer
    the step with all its updates as one; what cannot be a program runs eagerly, and a warning says why (see
    `tensorgrad.compile`).

    Attributes: step, epoch (optimizer steps and whole epochs so far), batches_used (of the epoch under way), history (a
    list of rows, dicts of figures), last_figures (of the last batch), learning_rate (of the last step), stopped (why
    the training ended before its time, or None).

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn, optim
    >>> rng = tg.random.Generator(0)
    >>> x = rng.normal(size=(64, 2))
    >>> y = x @ tg.asarray([[2.0], [-1.0]])
    >>> model = nn.Linear(2, 1)
    >>> trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1), tg.mse_loss)
    >>> trainer.fit([(x, y)], epochs=100).history[-1]["train_loss"] < 1e-6
    True
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any = None,
        loss: Callable[[Any, Any], Any] | None = None,
        *,
        step: Callable[[Any, Any], Any] | None = None,
        evaluate: Callable[[Any, Any], Any] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        callbacks: Sequence[Callback] = (),
        accumulate: int = 1,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        record: Trigger | None = None,
        keep: Mapping[str, Any] | None = None,
        precision: Any = None,
        compile: bool = False,
    ) -> None:
        if loss is None and step is None:
            raise TypeError(
                "Trainer: say what is minimised: loss=tg.cross_entropy, or step=a function of (model, batch)"
            )
        names = [each.name for each in callbacks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"Trainer: two callbacks are called {twice[0]!r}; give one of them another name=")
        self.model, self.optimizer, self.loss = model, optimizer, loss
        # A region is entered anew at each call: the object itself is only looked at.
        self.precision = autocast(precision) if precision is not None else None
        scaled = self.precision is not None and self.precision.dtype == np.dtype("float16") and optimizer is not None
        self.scaler = GradScaler() if scaled else None
        if step is None and loss is not None:
            step = loss_of_pair(loss)
        self.step_function = self._in_precision(step)
        self.evaluate_function = evaluate
        self.metrics = dict(metrics or {})
        self.callbacks = sorted(callbacks, key=lambda each: each.order)
        self.updates = Updates(optimizer, accumulate, clip_norm, clip_value, self.scaler)
        self.record = every(epochs=1) if record is None else record
        self.keep = {"default_generator": default_generator(), **(keep or {})}
        if self.scaler is not None:
            self.keep["grad_scaler"] = self.scaler
        self.swept = None
        if compile:
            self.swept = compiled(swept(self.step_function, model, self.scaler, sweeps=optimizer is not None))
            if optimizer is not None:
                self.updates.step = compiled(step_of(optimizer))
        self.interrupts = Interrupts()
        self.resume_command: str | None = None
        self.step = self.epoch = 0
        self.learning_rate: float | None = None
        self.history: list[dict[str, Any]] = []
        self.stopped: str | None = None
        self.at_epoch_end = self.row_written = False
        self.loader: Any = None
        self.validation: dict[str, Any] = {}
        self.epochs: int | None = None
        self.steps: int | None = None
        self.last_figures: dict[str, float] = {}
        self._sums: dict[str, list[float]] = {}  # name: [sum, count] since the last row
        self.batches_used = 0  # batches of this epoch that were used
        self._loader_state: dict[str, Any] | None = None
        self._paused = False
        self._updated = True

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────

    def fit(
        self,
        loader: Iterable[Any],
        validation: Any = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
    ) -> Trainer:
        """Train until so many epochs or steps are done in all, those before a resume and an earlier `fit` included.

        loader: batches, anew for every epoch. With a `DataLoader` a checkpoint in mid-epoch continues with the next
        batch; anything else is run from its start, in what must be the same order, up to there.
        validation: a loader whose figures stand in the rows as "validation_loss" and so on, or a dict of loaders by
        the names they get there. Returns itself.
        Raises ValueError unless epochs or steps is given, and for a loader without batches.
        """
        for batch in self.batches(loader, validation, epochs=epochs, steps=steps):
            if self.swept is None:
                self.update(self.step_function(self.model, batch))
            else:
                self._note(self.swept(batch))
        return self

    def batches(
        self,
        loader: Iterable[Any],
        validation: Any = None,
        *,
        epochs: int | None = None,
        steps: int | None = None,
    ) -> Iterator[Any]:
        """The batches, for a loop of your own with one `update` for each. The arguments are those of `fit`."""
        if epochs is None and steps is None:
            raise ValueError("fit: say how long: epochs=10 or steps=1000")
        if self.batches_used and self._loader_state is None:  # left in mid-epoch by an earlier call
            if loader is self.loader:
                self._loader_state = {"loader": _state_if_any(loader), "validation": {}}
            else:
                self.batches_used = 0
        self.loader, self.epochs, self.steps = loader, epochs, steps
        self.validation = dict(validation) if isinstance(validation, Mapping) else {}
        if validation is not None and not self.validation:
            self.validation = {"validation": validation}
        self._paused = False
        if self.finished:
            return
        with self.interrupts:
            try:
                self._tell("before_fit")
                while not self.finished:
                    yield from self._epoch()
            finally:
                self._tell("after_fit")

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: as many epochs or steps as were asked for, or it was stopped."""
        return (
            self.stopped is not None
            or self._paused
            or (self.epochs is not None and self.epoch >= self.epochs)
            or (self.steps is not None and self.step >= self.steps)
        )

    def _epoch(self) -> Iterator[Any]:
        """The batches of one epoch, or of what a checkpoint left of it."""
        self.mode(True)
        any_batch = False
        for batch in self._rest_of_the_loader():
            any_batch = True
            if not self._updated:
                raise RuntimeError(
                    "batches: the batch before this one got no update; call trainer.update(loss) once a batch"
                )
            self._updated = False
            self.batches_used += 1
            yield batch
            if self._updated and not self.updates.pending:
                self._after_step()
                if self.finished:
                    return
        if not any_batch and self.batches_used == 0:
            raise ValueError(
                "fit: the loader gave no batch; is the data set empty, or drop_last with fewer rows than a batch?"
            )
        if self.updates.pending:  # the last batches of the epoch were fewer than `accumulate`
            self._step()
            self._after_step()
            if self.finished:
                return
        self.epoch += 1
        self.batches_used = 0
        self.at_epoch_end = True
        self._maybe_row()
        self._tell("after_epoch")
        self._settle()
        self.at_epoch_end = False

    def _rest_of_the_loader(self) -> Iterator[Any]:
        """The loader from where the checkpoint left it."""
        state, self._loader_state = self._loader_state, None
        for name, each in self.validation.items():
            if state is not None and state["validation"].get(name) is not None:
                each.load_state_dict(state["validation"][name])
        if state is not None and state["loader"] is not None and hasattr(self.loader, "load_state_dict"):
            self.loader.load_state_dict(state["loader"])
            yield from self.loader
            return
        used = self.batches_used if state is not None else 0
        self.batches_used = used
        for place, batch in enumerate(self.loader):
            if place >= used:
                yield batch

    def update(self, loss: Any) -> None:
        """What follows a batch's loss: the sweep, and with the last batch of a step the optimizer.

        loss: a tensor without axes, or a dict with "loss" and other figures to log. Without an optimizer the figures
        are only logged, and a step is counted. Raises TypeError for anything else, and RuntimeError for a loss without
        a tape.
        """
        figures = figures_of(loss)
        if self.optimizer is not None:
            sweep(figures.get("loss"), self.scaler)
        self._note(figures)

    def _note(self, figures: Mapping[str, Any]) -> None:
        """What follows a sweep: the figures are noted, and with the last batch of a step the optimizer comes."""
        self._updated = True
        self.updates.pending += self.optimizer is not None
        self.last_figures = {name: float(value) for name, value in figures.items()}
        for name, value in self.last_figures.items():
            self._add(f"train_{name}", value)
        if self.optimizer is None or self.updates.pending == self.updates.accumulate:
            self._step()

    def _step(self) -> None:
        """The optimizer's step, with the gradients that have come together."""
        if self.optimizer is not None:
            self.updates.average()
            self._tell("before_update")
            self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
            self.updates.apply()
        self.step += 1

    def _after_step(self) -> None:
        self._tell("after_step")
        self._maybe_row(last=self.steps is not None and self.step >= self.steps)
        self._settle()

    def _settle(self) -> None:
        """The moment where nothing is half done: checkpoints, and leaving at somebody's wish."""
        self._tell("settle")
        self.row_written = False
        if self.interrupts.asked:
            self._tell("interrupted")
            self.interrupts.leave(self.step, self.resume_command)

    def stop(self, reason: str, pause: bool = False) -> None:
        """End the training after this step, for a reason; with `pause` a resume goes on, without it stays ended."""
        if pause:
            self._paused = True
        else:
            self.stopped = reason

    def _tell(self, moment: str) -> None:
        for each in self.callbacks:
            getattr(each, moment)(self)

    def mode(self, training: bool) -> None:
        """Put the model into training or evaluation, where it knows these modes."""
        if hasattr(self.model, "train"):
            self.model.train(training)

    def _in_precision(self, function: Any) -> Any:
        """A function, computed in the trainer's precision."""
        return function if self.precision is None else self.precision(function)

    # ── figures ─────────────────────────────────────────────────────────────────────────────────────────

    def log(self, name: str, value: Any) -> None:
        """Add a figure; its mean since the last row stands in the next one under this name."""
        self._add(name, value)

    def _add(self, name: str, value: Any) -> None:
        entry = self._sums.setdefault(name, [0.0, 0])
        entry[0] += float(value)
        entry[1] += 1

    def _maybe_row(self, last: bool = False) -> None:
        if not self.record(self) and not last:
            return
        row: dict[str, Any] = {"epoch": self.epoch, "step": self.step, "learning_rate": self.learning_rate}
        row.update({name: total / count for name, (total, count) in self._sums.items()})
        self._sums = {}
        if self.scaler is not None:
            row["skipped_steps"] = self.scaler.skipped_steps
        if self.validation:
            self._tell("before_evaluation")
            for name, loader in self.validation.items():
                row.update({f"{name}_{key}": value for key, value in self.validate(loader).items()})
            self._tell("after_evaluation")
            self.mode(True)
        self.history.append(row)
        self.row_written = True
        self._tell("after_row")

    def validate(self, loader: Iterable[Any]) -> dict[str, Any]:
        """The loss, a mean over rows, and the metrics over all batches of a loader; the model in its eval mode."""
        for metric in self.metrics.values():
            metric.reset()
        self.mode(False)
        sums: dict[str, list[float]] = {}
        measure = self._in_precision(self._measure)
        with no_grad():
            for batch in loader:
                figures, rows = measure(batch)
                for name, value in figures.items():
                    entry = sums.setdefault(name, [0.0, 0])
                    entry[0] += float(value) * rows
                    entry[1] += rows
        if not sums and not self.metrics:
            raise ValueError("validate: nothing was measured; pass a loss or metrics, and a loader with batches")
        found: dict[str, Any] = {name: total / count for name, (total, count) in sums.items()}
        found.update({name: metric.compute() for name, metric in self.metrics.items()})
        return found

    def _measure(self, batch: Any) -> tuple[dict[str, Any], int]:
        """A batch's mean figures, and of how many rows; the metrics are shown the batch."""
        if self.evaluate_function is not None:
            found = self.evaluate_function(self.model, batch)
            if isinstance(found, Mapping):
                return dict(found), _rows(batch)
            output, y = found
        else:
            x, y = _pair(batch)
            output = self.model(x)
        for metric in self.metrics.values():
            metric.update(output, y)
        return ({} if self.loss is None else {"loss": self.loss(output, y)}), _rows(y)

    def test(self, loader: Iterable[Any]) -> dict[str, Any]:
        """The figures of `validate`, named "test_loss" and so on as a card has them."""
        return {f"test_{name}": value for name, value in self.validate(loader).items()}

    def predict(self, loader: Iterable[Any]) -> Any:
        """The outputs for all batches, joined along the first axis; a batch is x, or a tuple that begins with it."""
        self.mode(False)
        output = self._in_precision(lambda x: self.model(x))
        with no_grad():
            found = [output(batch[0] if isinstance(batch, (tuple, list)) else batch) for batch in loader]
        if not found:
            raise ValueError("predict: the loader gave no batch")
        return concat(found, axis=0)

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, Any]:
        """All that decides how the training goes on, for `tg.save`; to be taken between steps, as checkpoints do."""
        return {
            "format": _FORMAT,
            "model": self.model.state_dict() if hasattr(self.model, "state_dict") else None,
            "optimizer": None if self.optimizer is None else self.optimizer.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
            "learning_rate": self.learning_rate,
            "history": [dict(row) for row in self.history],
            "sums": {name: list(entry) for name, entry in self._sums.items()},
            "stopped": self.stopped,
            "position": self.batches_used,
            **(self._loader_state or self._state_of_loaders()),
            "keep": {name: _state_of(each) for name, each in self.keep.items()},
            "metrics": {name: each.state_dict() for name, each in self.metrics.items()},
            "callbacks": {each.name: each.state_dict() for each in self.callbacks},
        }

    def _state_of_loaders(self) -> dict[str, Any]:
        validation = {name: _state_if_any(each) for name, each in self.validation.items()}
        return {"loader": _state_if_any(self.loader), "validation": validation}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where another trainer of the same experiment stood.

        Raises ValueError where the state was made with other callbacks, metrics or kept things, naming them.
        """
        if not isinstance(state, dict) or state.get("format") != _FORMAT:
            raise ValueError("Trainer.load_state_dict: this is not the state of a trainer of this version")
        for name, own in (
            ("keep", set(self.keep)),
            ("metrics", set(self.metrics)),
            ("callbacks", {each.name for each in self.callbacks}),
        ):
            other = {key for key in state[name] if state[name][key] or name != "callbacks"}
            if other - own or (name != "callbacks" and own - other):
                raise ValueError(
                    f"Trainer.load_state_dict: {name} are {sorted(own)} here and were {sorted(other)} in the state; "
                    "make the trainer as it was made then"
                )
        if state["model"] is not None:
            self.model.load_state_dict(state["model"])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.epoch, self.learning_rate = state["step"], state["epoch"], state["learning_rate"]
        self.history = [dict(row) for row in state["history"]]
        self._sums = {name: list(entry) for name, entry in state["sums"].items()}
        self.stopped = state["stopped"]
        self.batches_used = state["position"]
        self._loader_state = {"loader": state["loader"], "validation": state["validation"]}
        for name, each in self.keep.items():
            _restore(each, state["keep"][name])
        for name, metric in self.metrics.items():
            metric.load_state_dict(state["metrics"][name])
        for callback in self.callbacks:
            callback.load_state_dict(state["callbacks"].get(callback.name, {}))


def loss_of_pair(loss: Any) -> Callable[[Any, Any], Any]:
    """The step of batches that are pairs (x, y)."""

    def step(model: Any, batch: Any) -> Any:
        x, y = _pair(batch)
        return loss(model(x), y)

    return step


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        found = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        raise TypeError(
            f"Trainer: a batch is a pair (x, y), this one is {found}; pass step= and evaluate= for other batches"
        )
    return batch[0], batch[1]


def _rows(value: Any) -> int:
    """How many rows a batch has: the length of the first thing in it that has one."""
    while isinstance(value, (tuple, list)) and value and not isinstance(value[0], (int, float, str)):
        value = value[0]
    return 1 if isinstance(value, Tensor) and value.ndim == 0 else len(value)


def _state_of(thing: Any) -> Any:
    return thing.state_dict() if hasattr(thing, "state_dict") else thing.get_state()


def _state_if_any(loader: Any) -> Any:
    return loader.state_dict() if hasattr(loader, "state_dict") else None


def _restore(thing: Any, state: Any) -> None:
    if hasattr(thing, "load_state_dict"):
        thing.load_state_dict(state)
    else:
        thing.set_state(state)
