"""Optimizer: parameters in groups, what is remembered of each, and one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tensorgrad.backend import (
    as_array,
    beside,
    complex_of,
    device_of,
    is_array,
    is_inexact,
    memory_of,
    move,
    namespace,
    refuse_two_devices,
    to_numpy,
)
from tensorgrad.backend.cpu.parameter_blocks import Blocks, Change, can_step, fits
from tensorgrad.ops import copy
from tensorgrad.optim.hyperparameters import check_limits, check_names, plain
from tensorgrad.shortage import explained
from tensorgrad.tape import Traced, enable_grad
from tensorgrad.tensor import Tensor, of_array
from tensorgrad.writes import note_leaf, writable_leaf, write_leaf


class Optimizer:
    """What all optimizers share: a subclass says what it remembers, and how it changes one array.

    params: tensors, pairs (name, tensor) as `named_parameters()` yields them, or dicts that hold such an iterable
    under "params" and hyper-parameters of its own. defaults: the hyper-parameters of groups that name none.
    A subclass gives `update(theta, g, state, **hyper)`, which changes the arrays theta and those of state in place,
    and names in `moments` the arrays, zero at first and shaped as theta, that it remembers.
    A complex parameter is updated as its real and imaginary parts; a frozen one, `requires_grad_(False)`, is left
    alone, and so is one without a gradient. `maximize` ascends; `weight_decay` adds weight_decay * theta to the
    gradient or, decoupled, shrinks theta by lr * weight_decay (Loshchilov & Hutter, "Decoupled weight decay
    regularization", 2019, Algorithm 1).
    Raises TypeError and ValueError for what cannot be optimized and for hyper-parameters out of their range.

    >>> import tensorgrad as tg
    >>> class Halfway(tg.optim.Optimizer):
    ...     def update(self, theta, g, state, *, lr, **_):
    ...         theta -= lr * g / 2
    >>> theta = tg.asarray([1.0], requires_grad=True)
    >>> optimizer = Halfway([theta], {"lr": 0.5})
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.tolist()
    [0.5]
    """

    elementwise = False  # whether `update` treats each number alone, so that it may be handed blocks of parameters
    one_pass = False  # whether `update` is compiled where that may be, so that blocks need not stay in a cache
    moments: tuple[str, ...] = ()
    numbers: Mapping[str, float] = {"step": 0}  # what else is remembered of a parameter, and how it begins
    update: Callable[..., None]

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = {name: plain(value) for name, value in defaults.items()}
        self.state: dict[Any, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self.steps = 0  # since it was made; a schedule asks whether it began after the first step
        self._blocks = Blocks(self.one_pass)
        self.check(self.defaults)
        given = self._listed(params)
        if not given:
            raise ValueError(f"{self._title} got no parameters; is the model empty, or a generator used up?")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def __init_subclass__(cls) -> None:
        """A class that changes the algorithm says anew whether it is elementwise."""
        super().__init_subclass__()
        if {"update", "decayed", "init"} & vars(cls).keys() and "elementwise" not in vars(cls):
            cls.elementwise = False
        if "update" in vars(cls) and "one_pass" not in vars(cls):
            cls.one_pass = False

    @property
    def _title(self) -> str:
        return type(self).__name__

    def _listed(self, params: Any) -> list[Any]:
        if isinstance(params, Traced):
            raise TypeError(f"{self._title} takes a list of tensors: write [theta], not theta")
        if hasattr(params, "parameters"):
            raise TypeError(f"{self._title} takes tensors, not a {type(params).__name__}: pass model.parameters()")
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self._title}: a set has no order, and states are kept by place; pass a list")
        return list(params)

    def check(self, hyper: Mapping[str, Any]) -> None:
        """Raise ValueError for hyper-parameters out of their range. Subclasses add what holds among several."""
        check_limits(self._title, hyper)

    # ── groups ──────────────────────────────────────────────────────────────────────────────────────────

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Optimize more tensors, with hyper-parameters of their own where the dict names them beside "params".

        Raises ValueError for a tensor that is optimized already, that an op recorded, or a name that is no
        hyper-parameter; TypeError for what is no tensor.

        >>> import tensorgrad as tg
        >>> body, head = (tg.zeros(2, requires_grad=True) for _ in range(2))
        >>> sgd = tg.optim.SGD([body], lr=0.1)
        >>> sgd.add_param_group({"params": [head], "lr": 0.01})
        >>> [group["lr"] for group in sgd.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{self._title}: a parameter group is a dict with the key 'params', not {param_group!r}")
        given = param_group["params"]
        tensors: list[Any] = [given] if isinstance(given, Traced) else self._listed(given)
        own = {name: plain(value) for name, value in param_group.items() if name != "params"}
        names = [each[0] for each in tensors if isinstance(each, tuple)]
        if names:
            if len(names) < len(tensors):
                raise ValueError(f"{self._title}: name all parameters of a group or none, not {len(names)} of them")
            tensors = [each[1] for each in tensors]
            own["param_names"] = names
        check_names(self._title, own, self.defaults)
        group = {"params": tensors, **self.defaults, **own}
        self.check(self._hyper(group))
        for place, theta in enumerate(tensors):
            self._refuse(theta, f"{names[place]!r}" if names else f"{place} of group {len(self.param_groups)}")
        known = {id(theta) for other in self.param_groups for theta in other["params"]}
        for theta in tensors:
            if id(theta) in known:
                raise ValueError(
                    f"{self._title}: a parameter of shape {theta.shape} was given twice and would be changed twice in "
                    "a step; give each once, to one group"
                )
            known.add(id(theta))
        self.param_groups.append(group)

    def _refuse(self, theta: Any, name: str) -> None:
        if not isinstance(theta, Tensor):
            raise TypeError(f"{self._title}: parameter {name} is a {type(theta).__name__}; only tensors are optimized")
        if not theta.is_leaf:
            raise ValueError(
                f"{self._title}: parameter {name}, of shape {theta.shape}, was computed by an op and has no gradient "
                "of its own; pass the tensors it was computed from, or theta.detach().requires_grad_()"
            )
        if not is_inexact(theta.dtype):
            raise ValueError(f"{self._title}: parameter {name} is {theta.dtype}; only floating ones have gradients")

    def _hyper(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {name: plain(group[name]) for name in self.defaults}

    # ── a step ──────────────────────────────────────────────────────────────────────────────────────────

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient. Returns the loss, where a closure is given that computes it.

        closure: a function that clears gradients, computes the loss, calls its `backward()`, and returns it.
        Raises RuntimeError where no parameter has a gradient, ValueError for one of another shape or dtype.
        """
        loss = self.evaluate(closure) if closure is not None else None
        found = self._with_gradients()
        try:
            if self.elementwise:
                found = self._by_blocks(found)
            for theta, hyper in found:
                with beside(theta.data):
                    self._change(theta, hyper)
        except MemoryError as error:
            raise explained(error, f"{self._title}.step", found[0][0].device if found else None) from None
        self.steps += 1
        return loss

    def evaluate(self, closure: Callable[[], Any]) -> Any:
        """The closure's loss; it records, even where the step is taken under `no_grad`."""
        with enable_grad():
            return closure()

    def _with_gradients(self) -> list[tuple[Any, dict[str, Any]]]:
        """The parameters to change and the hyper-parameters of their groups; all looked at before one is changed."""
        found = []
        for group in self.param_groups:
            hyper = self._hyper(group)
            for theta in group["params"]:
                if theta.grad is not None and theta.requires_grad:
                    if theta.grad.shape != theta.shape or theta.grad.dtype != theta.dtype:
                        raise ValueError(
                            f"{self._title}: a parameter of shape {theta.shape}, {theta.dtype}, has a gradient of "
                            f"shape {theta.grad.shape}, {theta.grad.dtype}; it must have the parameter's own"
                        )
                    refuse_two_devices(theta.data, theta.grad.data, f"{self._title}: a parameter and its gradient are ")
                    found.append((theta, hyper))
        if not found:
            raise RuntimeError(
                f"{self._title}: no parameter has a gradient, so a step would change nothing; call loss.backward() "
                "before step(), zero_grad() after it, and see that the loss rests on these parameters"
            )
        return found

    def _by_blocks(self, found: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
        """Change, by blocks, those parameters that can be; the others come back, also those that share memory."""
        places = [id(memory_of(theta.data)) for theta, _ in found]
        memories = set(places)
        times = Counter(places) if len(memories) < len(places) else None  # counts, if some share
        changes, others = [], []
        last: Any = None
        names: tuple[str, ...] = ()
        for place, (theta, hyper) in zip(places, found, strict=True):
            array, g = theta.data, theta.grad.data
            if hyper is not last:  # another group's
                last, names = hyper, self.moments_of(hyper)
            state = self._state_of(theta, array, hyper) if can_step(array) else {}
            if type(array) is not np.ndarray:  # of one in host memory that has moved, what is remembered does not fit
                _follow(state, array)
            if (times is not None and times[place] > 1) or not fits(array, g, state, names):
                others.append((theta, hyper))
                continue
            if id(memory_of(g)) in memories:  # a block written would be another block's gradient
                g = g.copy()
            changes.append(Change(theta, writable_leaf(theta), g, state, hyper))
        try:
            for change in changes:
                if "step" in change.state:
                    change.state["step"] += 1
            self._blocks.step(changes, self._apply)
        finally:
            for change in changes:
                note_leaf(change.theta)
        return others

    def _change(self, theta: Any, hyper: dict[str, Any]) -> None:
        g = theta.grad.data

        def write(array: Any) -> None:
            if array.dtype.kind == "c":
                both = parts(array)
                self._descend(theta, both, parts(g), hyper)
                array[...] = whole(both)
            else:
                self._descend(theta, array, g, hyper)

        write_leaf(theta, write)

    def _descend(self, key: Any, theta: Any, g: Any, hyper: dict[str, Any]) -> None:
        state = self._state_of(key, theta, hyper)
        _follow(state, theta)
        if "step" in state:
            state["step"] += 1
        self._apply(theta, g, state, hyper)

    def _state_of(self, key: Any, theta: Any, hyper: dict[str, Any]) -> dict[str, Any]:
        """What is remembered of a parameter; at its first step, what that begins as."""
        state = self.state.get(key)
        if state is None:
            with beside(theta):
                state = self.state[key] = self.init(theta, hyper)
        return state

    def _apply(self, theta: Any, g: Any, state: dict[str, Any], hyper: dict[str, Any]) -> None:
        """The update of a parameter, or of a block of one or more, in the direction and with the decay of a group."""
        if hyper.get("maximize"):
            g = -g
        self.update(theta, self.decayed(theta, g, hyper), state, **hyper)

    def init(self, theta: Any, hyper: Mapping[str, Any]) -> dict[str, Any]:
        """What is remembered of a parameter before its first step."""
        xp = namespace(theta)
        return {**self.numbers, **{name: xp.zeros_like(theta) for name in self.moments_of(hyper)}}

    def moments_of(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the arrays that are remembered under these hyper-parameters."""
        return self.moments

    def decayed(self, theta: Any, g: Any, hyper: Mapping[str, Any]) -> Any:
        """The gradient with the weight decay in it; a decoupled one shrinks theta here and leaves the gradient."""
        weight_decay = hyper.get("weight_decay", 0)
        if weight_decay and hyper.get("decoupled_weight_decay"):
            theta *= 1 - hyper["lr"] * weight_decay
        elif weight_decay:
            g = g + weight_decay * theta
        return g

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear all gradients: to None, or to zeros, which count as gradients in the next step."""
        for group in self.param_groups:
            for theta in group["params"]:
                if set_to_none or theta.grad is None:
                    theta.grad = None
                else:  # a new array, because a tape may keep the old one
                    theta.grad = of_array(namespace(theta.data).zeros_like(theta.data))

    def changing_numbers(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Where the Python numbers are that change from step to step, as (dict, key).

        A program of a step reads them in each call, and would take any other number for one that stays.
        """
        yield self.__dict__, "steps"
        for group in self.param_groups:
            yield from ((group, name) for name in group if name not in ("params", "param_names"))
        for kept in self.state.values():
            yield from ((kept, name) for name in self.numbers)

    # ── its state as a dict ─────────────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, Any]:
        """A snapshot: "state", by the place of each parameter, and "param_groups", as in PyTorch.

        Arrays are tensors of their own, which later steps do not change; counts are Python numbers.
        """
        places = {id(theta): place for place, theta in enumerate(self._parameters())}
        groups = []
        for group in self.param_groups:
            groups.append({**group, "params": [places[id(theta)] for theta in group["params"]]})
        state = {
            places[id(theta)]: {name: self._outward(theta, value) for name, value in kept.items()}
            for theta, kept in self.state.items()
            if kept
        }
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a snapshot was taken, of this class or of PyTorch's; arrays of any library are copied.

        Raises ValueError where groups or shapes differ, or what is remembered is another optimizer's; then nothing
        was loaded.
        """
        saved_groups = list(state_dict["param_groups"])
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved_groups]
        if sizes != saved_sizes:
            raise ValueError(
                f"{self._title}: the state is of groups of {saved_sizes} parameters, and this optimizer has {sizes}"
            )
        groups = [self._loaded_group(own, saved) for own, saved in zip(self.param_groups, saved_groups, strict=True)]
        places = (int(place) for group in saved_groups for place in group["params"])
        by_place = dict(zip(places, self._parameters(), strict=True))
        hyper_of = {id(theta): self._hyper(group) for group in groups for theta in group["params"]}
        state = {}
        for place, saved in state_dict["state"].items():
            theta = by_place.get(int(place))
            if theta is None:
                raise ValueError(f"{self._title}: the state remembers parameter {place} of {len(by_place)} parameters")
            if saved:
                state[theta] = self._loaded_state(theta, int(place), saved, hyper_of[id(theta)])
        for own, loaded in zip(self.param_groups, groups, strict=True):
            own.update(loaded)
        self.state = state

    def _loaded_group(self, own: dict[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
        lacking = [name for name in self.defaults if name not in saved and self.defaults[name] is not False]
        if lacking:
            raise ValueError(
                f"{self._title}: the state has no {lacking[0]!r} in its parameter groups; it is another optimizer's"
            )
        loaded = {**own, **{name: plain(value) for name, value in saved.items() if name != "params"}}
        self.check(self._hyper(loaded))
        return loaded

    def _loaded_state(self, theta: Any, place: int, saved: Mapping[str, Any], hyper: dict[str, Any]) -> dict[str, Any]:
        expected = {*self.numbers, *self.moments_of(hyper)}
        names = {name for name, value in saved.items() if value is not None}
        if names != expected:
            raise ValueError(
                f"{self._title}: of parameter {place} the state remembers {sorted(names)}, and this optimizer "
                f"{sorted(expected)}; it is another optimizer's, or one's with other settings"
            )
        return {name: self._inward(theta, name, value) for name, value in saved.items() if name in expected}

    def _inward(self, theta: Any, name: str, value: Any) -> Any:
        """What was saved under a name, as this optimizer holds it for a parameter."""
        if name in self.numbers:
            return type(self.numbers[name])(plain(value))
        array = loaded_array(value, theta)
        if array.shape != theta.shape:
            raise ValueError(
                f"{self._title}: {name} of a parameter of shape {theta.shape} is saved with the shape {array.shape}; "
                "the state is another model's"
            )
        array = as_array(array, theta.dtype, copy=True)
        return parts(array) if array.dtype.kind == "c" else array

    def _outward(self, theta: Any, value: Any) -> Any:
        """What is remembered of a parameter, as it is saved."""
        if isinstance(value, (int, float)):
            return value
        if theta.dtype.kind == "c":
            return of_array(whole(value))
        return of_array(copy(value))

    def _parameters(self) -> Iterable[Any]:
        return (theta for group in self.param_groups for theta in group["params"])

    def __repr__(self) -> str:
        lines = [f"{self._title} ("]
        for place, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {place}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def _follow(state: dict[str, Any], theta: Any) -> None:
    """Bring what is remembered to where a parameter is, which may have moved since."""
    device = device_of(theta)
    for name, value in state.items():
        if is_array(value) and device_of(value) != device:
            state[name] = move(value, device)


def loaded_array(value: Any, theta: Any) -> Any:
    """A saved array, of whatever library, on the parameter's device."""
    return as_array(value.data if isinstance(value, Traced) else to_numpy(value), device=theta.device)


def put(values: Any, array: Any) -> None:
    """Write values over those of an array."""
    array[...] = values


def parts(z: Any) -> Any:
    """The real and imaginary parts of a complex array, along a last axis.   (...) -> (..., 2)"""
    xp = namespace(z)
    return xp.stack([xp.real(z), xp.imag(z)], axis=-1)


def whole(both: Any) -> Any:
    """The complex array of such parts.   (..., 2) -> (...)"""
    xp = namespace(both)
    real, imaginary = (xp.astype(both[..., place], complex_of(both.dtype)) for place in (0, 1))
    return real + 1j * imaginary
