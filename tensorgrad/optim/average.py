"""Averages of weights over training: exponential, or all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from math import cos, pi
from typing import Any

from tensorgrad.backend import beside, is_inexact, move
from tensorgrad.ops import copy
from tensorgrad.optim.lr_scheduler.schedule import LRScheduler, check, check_optimizer, per_group
from tensorgrad.optim.optimizer import Optimizer, loaded_array, put
from tensorgrad.tape import Traced, no_grad
from tensorgrad.tensor import of_array
from tensorgrad.writes import write_leaf

Average = Callable[[Any, Any, int], Any]  # (averaged, current, how many are in it) -> averaged


def get_swa_avg_fn() -> Average:
    """The mean of all weights so far: Izmailov et al., "Averaging weights leads to wider optima and better
    generalization", 2018, Algorithm 1.
    """
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An exponential moving average that keeps `decay` of itself: Polyak & Juditsky, "Acceleration of stochastic
    approximation by averaging", 1992, in the form of Tarvainen & Valpola, "Mean teachers", 2017, eq. 2.

    Raises ValueError for a decay that is not from 0 to 1.
    """
    check("get_ema_avg_fn", 0 <= decay <= 1, "decay", decay, "from 0 to 1")
    return lambda averaged, current, _: averaged + (1 - decay) * (current - averaged)


class AveragedModel:
    """A copy of a model, or of a list of tensors, whose weights are an average of the original's over time.

    model: anything with `parameters()`, and `buffers()` if it has any, or tensors in a list. avg_fn: a function of
    arrays, by default that of `get_swa_avg_fn()`; the first update copies. use_buffers: average the floating buffers
    too; else, and whole numbers always, they are those of the model at the last update. Calling it calls the copy.

    >>> import tensorgrad as tg
    >>> theta = tg.asarray([1.0, 2.0], requires_grad=True)
    >>> mean = tg.optim.AveragedModel([theta])
    >>> for _ in range(3):
    ...     mean.update_parameters([theta])
    ...     with tg.no_grad():
    ...         theta += 2.0
    >>> mean.module[0].tolist()
    [3.0, 4.0]
    """

    def __init__(self, model: Any, avg_fn: Average | None = None, use_buffers: bool = False) -> None:
        if isinstance(model, Traced):
            raise TypeError("AveragedModel takes a model or a list of tensors: write [theta], not theta")
        self.module: Any = deepcopy(list(model) if _is_list(model) else model)
        self.avg_fn = get_swa_avg_fn() if avg_fn is None else avg_fn
        self.use_buffers = use_buffers
        self.n_averaged = 0

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.module(*args, **keywords)

    def parameters(self) -> Iterator[Any]:
        """The averaged parameters."""
        return iter(_named(self.module, "parameters").values())

    def update_parameters(self, model: Any) -> None:
        """Take the model's weights into the average. Raises ValueError where the model has others than the copy."""
        for kind in ("parameters", "buffers"):
            own, others = _named(self.module, kind), _named(model, kind)
            shapes = [{name: tensor.shape for name, tensor in each.items()} for each in (own, others)]
            if shapes[0] != shapes[1]:
                odd = sorted(name for name in {*own, *others} if shapes[0].get(name) != shapes[1].get(name))
                raise ValueError(f"AveragedModel: model and average differ in their {kind}: {', '.join(odd)}")
            for name, tensor in own.items():
                averages = (kind == "parameters" or self.use_buffers) and is_inexact(tensor.dtype) and self.n_averaged
                current = move(others[name].data, tensor.device)
                if averages:
                    with beside(tensor.data):
                        current = self.avg_fn(tensor.data, current, self.n_averaged)
                write_leaf(tensor, partial(put, current))
        self.n_averaged += 1

    def state_dict(self) -> dict[str, Any]:
        """A snapshot, as PyTorch's: "n_averaged", and each tensor's name behind "module."."""
        tensors = {**_named(self.module, "parameters"), **_named(self.module, "buffers")}
        copies = {f"module.{name}": of_array(copy(tensor.data)) for name, tensor in tensors.items()}
        return {"n_averaged": self.n_averaged, **copies}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken. Raises ValueError where names or shapes differ; then nothing was loaded."""
        tensors = {**_named(self.module, "parameters"), **_named(self.module, "buffers")}
        wanted = {f"module.{name}": tensor for name, tensor in tensors.items()}
        odd = sorted(set(wanted) ^ (set(state_dict) - {"n_averaged"}))
        if odd or "n_averaged" not in state_dict:
            raise ValueError(f"AveragedModel: the state is another model's; they differ in {', '.join(odd)}")
        loaded = {name: loaded_array(state_dict[name], tensor) for name, tensor in wanted.items()}
        for name, tensor in wanted.items():
            if loaded[name].shape != tensor.shape:
                raise ValueError(
                    f"AveragedModel: {name} is saved with the shape {loaded[name].shape}, and has {tensor.shape}"
                )
        for name, tensor in wanted.items():
            write_leaf(tensor, partial(put, loaded[name]))
        self.n_averaged = int(state_dict["n_averaged"])


def _is_list(model: Any) -> bool:
    return not hasattr(model, "parameters")


def _named(model: Any, kind: str) -> dict[str, Any]:
    """The tensors of a model by name, or of a list by place."""
    if _is_list(model):
        return {str(place): tensor for place, tensor in enumerate(model)} if kind == "parameters" else {}
    if hasattr(model, f"named_{kind}"):
        return dict(getattr(model, f"named_{kind}")())
    return {str(place): tensor for place, tensor in enumerate(getattr(model, kind, tuple)())}


@no_grad()
def update_bn(loader: Iterable[Any], model: Any) -> None:
    """Compute the running statistics of all batch norms anew, from one pass over the data.

    Averaged weights need this, because their statistics were taken under other weights. loader: batches, or tuples
    whose first element is one. The statistics are those of all batches alike; momenta and the mode of the model are
    put back. Izmailov et al., 2018, Algorithm 1.
    """
    norms = [module for module in model.modules() if hasattr(module, "running_mean")]
    norms = [module for module in norms if module.running_mean is not None]
    if not norms:
        return
    momenta = [module.momentum for module in norms]
    was_training = model.training
    model.train()
    try:
        for module in norms:
            module.reset_running_stats()
            module.momentum = None  # a cumulative mean
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """From the rate there is to swa_lr in anneal_epochs steps, along half a cosine or a line, and constant after.

    It is started where averaging begins, beside the schedule before it, which is stepped no more; swa_lr may be a list,
    one per group. Izmailov et al., 2018, sec. 3.1.

    >>> import tensorgrad as tg
    >>> sgd = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = tg.optim.SWALR(sgd, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> [schedule.lrs_at(t)[0] for t in range(4)]
    [1.0, 0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("SWALR", optimizer)
        check("SWALR", anneal_strategy in ("cos", "linear"), "anneal_strategy", anneal_strategy, "'cos' or 'linear'")
        check("SWALR", anneal_epochs >= 0, "anneal_epochs", anneal_epochs, "at least 0")
        self.swa_lrs = per_group("SWALR", "swa_lr", swa_lr, optimizer)
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _base_lrs(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def lrs_at(self, t: float) -> list[float]:
        part = min(1.0, t / self.anneal_epochs) if self.anneal_epochs else 1.0
        alpha = part if self.anneal_strategy == "linear" else (1 - cos(pi * part)) / 2
        return [swa * alpha + base * (1 - alpha) for swa, base in zip(self.swa_lrs, self.base_lrs, strict=True)]
