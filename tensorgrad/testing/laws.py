"""The laws that every op obeys, each written once. A law takes a trial and raises AssertionError where it is broken."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.backend import is_inexact
from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.effects import Builder
from tensorgrad.program.reach import Reach
from tensorgrad.program.recording import Recording
from tensorgrad.program.writing import MisfitError, Writer
from tensorgrad.recompute import checkpoint
from tensorgrad.tensor import Tensor
from tensorgrad.testing.case import Case
from tensorgrad.testing.differences import STEP, as_tuple, central_difference, gradients, inner, leaf

# Four-point differences of float64 are right to about 1e-10; ops whose fifth derivative is large lose some of it.
DIFFERENCE = 2e-6
# Two ways of computing the same thing in float64, in another order of summation.
EXACT = 1e-9


class Trial:
    """One draw of a case on one device: its arguments, and fixed random directions to differentiate along."""

    def __init__(self, case: Case, args: dict[str, Any], device: str, order: int = 2) -> None:
        self.case, self.args, self.device, self.order = case, args, device, min(order, case.order)
        self.rng = np.random.default_rng(7)
        self.places: list[tuple[str, int | None]] = []
        for name in case.array_names:
            if case.is_constant(name):
                continue
            many = args[name]
            self.places += [(name, k) for k in range(len(many))] if isinstance(many, list) else [(name, None)]

    def values(self) -> list[Any]:
        """The differentiable arguments, flat."""
        return [self.args[name] if k is None else self.args[name][k] for name, k in self.places]

    def call(self, values: list[Any], wrap: Callable[[Any], Any], function: Callable[..., Any] | None = None) -> Any:
        """Call the op with these values in the differentiable places, and the other arrays, both wrapped."""
        args = {}
        for name, value in self.args.items():
            if name not in self.case.array_names:
                args[name] = value
            else:
                args[name] = [wrap(each) for each in value] if isinstance(value, list) else wrap(value)
        for (name, k), value in zip(self.places, values, strict=True):
            if k is None:
                args[name] = value
            else:
                args[name][k] = value
        return self.case.call(function or self.case.op, args)

    def tensor(self, value: Any) -> Tensor:
        return Tensor(np.array(value) if self.device != "cpu" else value, device=self.device)

    def array(self, value: Any) -> Any:
        return backend.move(value, self.device)

    def evaluate(self, values: list[Any]) -> list[Any]:
        """The inexact results, as ndarrays, at these values."""
        return [
            backend.to_numpy(each.data) for each in self.inexact(self.call([*map(self.tensor, values)], self.tensor))
        ]

    def inexact(self, results: Any) -> list[Any]:
        return [each for each in as_tuple(results) if is_inexact(each.dtype)]

    def recorded(
        self, values: list[Any], function: Callable[..., Any] | None = None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """(leaves, inexact results) of a recorded call."""
        leaves = [leaf(each, self.device) for each in values]
        return leaves, self.inexact(self.call(list(leaves), self.tensor, function))

    def direction(self, like: Any) -> Any:
        """A random array in the shape and dtype of another, no element above 1."""
        values = self.rng.uniform(-1, 1, like.shape)
        return values + 1j * self.rng.uniform(-1, 1, like.shape) if like.dtype.kind == "c" else values

    def directions(self, likes: list[Any]) -> list[Any]:
        return [self.direction(each) for each in likes]

    def seeds(self, seeds: list[Any], leaves: bool = False) -> list[Any]:
        return [leaf(each, self.device) if leaves else self.tensor(each) for each in seeds]


def host(gradient: Any, like: Any) -> Any:
    """A gradient as an ndarray; zeros where there is none."""
    if gradient is None:
        return np.zeros(like.shape, like.dtype)
    return backend.to_numpy(gradient.data if isinstance(gradient, Tensor) else gradient)


def pairing(first: list[Any], second: list[Any]) -> float:
    return sum(inner(a, b) for a, b in zip(first, second, strict=True))


def size_of(first: list[Any], second: list[Any]) -> float:
    """The sum of the sizes of a pairing's terms: what its rounding is relative to."""
    return sum(float(np.sum(np.abs(np.asarray(a) * np.asarray(b)))) for a, b in zip(first, second, strict=True))


def close(found: float, expected: float, scale: float, tolerance: float, what: str) -> None:
    """Raise unless two figures agree to a tolerance relative to the terms they are made of."""
    if np.isnan(found) or np.isnan(expected) or abs(found - expected) > tolerance * (1 + abs(expected) + scale):
        raise AssertionError(f"{what}: {found:.12g}, expected {expected:.12g}")


def same(found: Any, expected: Any, what: str, tolerance: float = EXACT) -> None:
    """Raise unless two arrays have one shape and the same values."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{what}: shape {found.shape}, expected {expected.shape}")
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=what)


def unsettled(trial: Trial) -> bool:
    """Whether there is nothing to differentiate in this trial."""
    return not trial.places or trial.case.order < 1


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


def value(trial: Trial) -> None:
    """op(Tensor(x)) equals op(x) and the NumPy reference, and changes no argument."""
    before = [np.array(each) for each in trial.values()]
    results = as_tuple(trial.call([*map(trial.tensor, trial.values())], trial.tensor))
    for old, now in zip(before, trial.values(), strict=True):
        np.testing.assert_array_equal(old, now, err_msg="an argument was written to")
    arrays = as_tuple(trial.call([*map(trial.array, trial.values())], trial.array))
    for each, array in zip(results, arrays, strict=True):
        if not isinstance(each, Tensor) or isinstance(array, Tensor) or each.requires_grad:
            raise AssertionError("tensors in must give tensors out, arrays in arrays out, and neither may be recorded")
        np.testing.assert_array_equal(
            backend.to_numpy(each.data), backend.to_numpy(array), err_msg="tensor and array differ"
        )
        if not backend.is_array(each.data):
            raise AssertionError(f"a tensor holds a {type(each.data).__name__}, which is no array")
    if trial.case.reference is not None:
        expected = as_tuple(trial.call(trial.values(), lambda array: array, trial.case.reference))
        for each, reference in zip(results, expected, strict=True):
            same(backend.to_numpy(each.data), reference, "the value differs from the reference")


def library(trial: Trial) -> None:
    """Values and gradients on this device equal those on the CPU."""
    if trial.device == "cpu":
        return
    on_cpu = Trial(trial.case, trial.args, "cpu")
    for ours, theirs in zip(trial.evaluate(trial.values()), on_cpu.evaluate(on_cpu.values()), strict=True):
        same(ours, theirs, "the libraries differ in the value")
    if unsettled(trial):
        return
    seeds = trial.directions(on_cpu.evaluate(on_cpu.values()))
    for ours, theirs in zip(first_order(trial, seeds), first_order(on_cpu, seeds), strict=True):
        same(ours, theirs, "the libraries differ in the gradient")


# ── first derivatives ───────────────────────────────────────────────────────────────────────────────────────


def first_order(trial: Trial, seeds: list[Any], values: list[Any] | None = None) -> list[Any]:
    """The gradients of <seeds, results>, as ndarrays."""
    values = trial.values() if values is None else values
    leaves, results = trial.recorded(values)
    found = gradients(results, trial.seeds(seeds), leaves)
    return [host(each, value) for each, value in zip(found, values, strict=True)]


def moved(values: list[Any], t: float, directions: list[Any]) -> list[Any]:
    return [value + t * direction for value, direction in zip(values, directions, strict=True)]


def direction(trial: Trial) -> None:
    """<vjp(u), v> is the derivative of <u, f> along v."""
    if unsettled(trial):
        return
    values = trial.values()
    seeds, along = trial.directions(trial.evaluate(values)), trial.directions(values)
    numeric = central_difference(lambda t: pairing(seeds, trial.evaluate(moved(values, t, along))), STEP)
    found = first_order(trial, seeds)
    close(pairing(found, along), numeric, size_of(found, along), DIFFERENCE, "the gradient along a direction")


def shape_dtype(trial: Trial) -> None:
    """Each gradient has its input's shape and dtype, for single precision too."""
    if unsettled(trial):
        return
    single = {"f": np.float32, "c": np.complex64}
    values = [each.astype(single[each.dtype.kind]) for each in trial.values()]
    args = dict(trial.args)
    for name in trial.case.array_names:
        given = args[name]
        for_all = given if isinstance(given, list) else [given]
        cast = [each.astype(single[each.dtype.kind]) if each.dtype.kind in "fc" else each for each in for_all]
        args[name] = cast if isinstance(given, list) else cast[0]
    leaves, results = Trial(trial.case, args, trial.device).recorded(values)
    for each in results if "dtype" not in args else ():
        if each.dtype.itemsize not in (4, 8) or each.dtype == np.dtype("float64"):
            raise AssertionError(f"a result of single-precision arguments is {each.dtype}")
    seeds = [each.astype(result.dtype) for each, result in zip(trial.directions(results), results, strict=True)]
    for found, of in zip(gradients(results, trial.seeds(seeds), leaves), leaves, strict=True):
        if found is not None and (found.shape != of.shape or found.dtype != of.dtype):
            raise AssertionError(
                f"the gradient of a {of.dtype}{list(of.shape)} argument is {found.dtype}{list(found.shape)}"
            )


def linearity(trial: Trial) -> None:
    """vjp(a u + b w) = a vjp(u) + b vjp(w)."""
    if unsettled(trial):
        return
    likes = trial.evaluate(trial.values())
    u, w = trial.directions(likes), trial.directions(likes)
    a, b = 0.7, -1.3
    both = first_order(trial, [a * each + b * other for each, other in zip(u, w, strict=True)])
    for found, one, other in zip(both, first_order(trial, u), first_order(trial, w), strict=True):
        same(found, a * one + b * other, "the gradient is not linear in what comes in", 1e-8)


def adjoint(trial: Trial) -> None:
    """For an op linear in an argument, <A v, u> = <v, A' u>."""
    definition = trial.case.definition
    if definition is None or not definition.linear or unsettled(trial):
        return
    values = trial.values()
    likes = trial.evaluate(values)
    seeds = trial.directions(likes)
    found = first_order(trial, seeds)
    for place, value in enumerate(values):
        zero = [np.zeros_like(each) if k == place else each for k, each in enumerate(values)]
        step = trial.direction(value)
        ahead = [step if k == place else each for k, each in enumerate(values)]
        image = [a - b for a, b in zip(trial.evaluate(ahead), trial.evaluate(zero), strict=True)]
        close(
            inner(found[place], step), pairing(seeds, image), size_of(seeds, image), EXACT, "<v, A' u> against <A v, u>"
        )


# ── second derivatives ──────────────────────────────────────────────────────────────────────────────────────


def second_order(trial: Trial) -> None:
    """The derivative of the gradient is right along a direction, and the Hessian is symmetric."""
    if unsettled(trial) or trial.order < 2:
        return
    values = trial.values()
    likes = trial.evaluate(values)
    seeds = trial.directions(likes)
    along, weights = trial.directions(values), trial.directions(values)
    seeds_along = trial.directions(likes)

    leaves, results = trial.recorded(values)
    seed_leaves = trial.seeds(seeds, leaves=True)
    firsts = gradients(results, seed_leaves, leaves, create_graph=True)
    plain = first_order(trial, seeds)
    for taped, array, of in zip(firsts, plain, values, strict=True):
        same(host(taped, of), array, "the gradient on tensors differs from the gradient on arrays")

    def hessian_times(weights: list[Any]) -> tuple[list[Any], list[Any]]:
        present = [(each, weight) for each, weight in zip(firsts, weights, strict=True) if each is not None]
        found = gradients(
            [each for each, _ in present],
            trial.seeds([weight for _, weight in present]),
            [*leaves, *seed_leaves],
            False,
        )
        at_leaves = [host(each, of) for each, of in zip(found[: len(leaves)], values, strict=True)]
        return at_leaves, [host(each, of) for each, of in zip(found[len(leaves) :], seeds, strict=True)]

    seconds, at_seeds = hessian_times(weights)
    exact = pairing(seconds, along) + pairing(at_seeds, seeds_along)
    scale = size_of(seconds, along) + size_of(at_seeds, seeds_along)
    numeric = central_difference(
        lambda t: pairing(weights, first_order(trial, moved(seeds, t, seeds_along), moved(values, t, along))), STEP
    )
    close(exact, numeric, scale, DIFFERENCE * 5, "the second derivative along two directions")
    others, _ = hessian_times(along)
    close(pairing(others, weights), pairing(seconds, along), scale, 1e-8, "<Hv, w> against <Hw, v>")


def replay(trial: Trial) -> None:
    """A checkpointed call gives the same value and gradients, to second order."""
    if unsettled(trial) or not trial.order:
        return
    seeds = trial.directions(trial.evaluate(trial.values()))
    plain, plain_results = trial.recorded(trial.values())
    again = leaves_of(trial)
    stretch = trial.inexact(checkpoint(lambda *xs: trial.call(list(xs), trial.tensor), *again))
    for ours, theirs in zip(stretch, plain_results, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(ours.data), backend.to_numpy(theirs.data), "checkpoint value")
    twice = trial.order > 1
    found = gradients(stretch, trial.seeds(seeds), again, create_graph=twice)
    expected = gradients(plain_results, trial.seeds(seeds), plain, create_graph=twice)
    for ours, theirs, of in zip(found, expected, trial.values(), strict=True):
        same(host(ours, of), host(theirs, of), "the gradient through a checkpoint")
    if not twice:
        return
    weights = trial.directions(trial.values())
    pairs = [(a, b, w) for a, b, w in zip(found, expected, weights, strict=True) if a is not None and b is not None]
    seconds = gradients([a for a, _, _ in pairs], trial.seeds([w for _, _, w in pairs]), again)
    plain_seconds = gradients([b for _, b, _ in pairs], trial.seeds([w for _, _, w in pairs]), plain)
    for first, second, of in zip(seconds, plain_seconds, trial.values(), strict=True):
        same(host(first, of), host(second, of), "the second derivative through a checkpoint")


def program(trial: Trial) -> None:
    """As `as_a_program` says, on NumPy, in a seventh of the draws: tracing takes longer than most ops."""
    values = trial.values()
    if trial.device != "cpu" or not values or sum([zlib.crc32(each.tobytes()) for each in values]) % 7:
        return
    with suppress(UntraceableError):  # a step that no program can hold stays eager, and its answer is right
        as_a_program(trial)


def as_a_program(trial: Trial) -> None:
    """A program gives the eager value and gradients, its rows in blocks of three, for other values than it was made of.

    Barriers between loops and ragged last blocks so come about in small draws. Raises UntraceableError for an op that
    no program can hold.
    """
    values = trial.values()
    learns, count = trial.case.order > 0, len(values)
    seeds = trial.directions(trial.evaluate(values)) if learns else []
    others: list[Any] = []  # the arrays that are not differentiated

    def note(array: Any) -> None:
        others.append(trial.tensor(array))

    trial.call(values, note, lambda *_, **__: None)

    def step(*given: Any) -> list[Any]:
        constants = iter(given[count + len(seeds) :])
        results = trial.inexact(trial.call(list(given[:count]), lambda _: next(constants)))
        found = gradients(results, given[count : count + len(seeds)], given[:count]) if learns else []
        return [each if each is None else each.detach() for each in [*results, *found]]

    def arguments(values: list[Any]) -> list[Any]:
        return [*[leaf(each) if learns else trial.tensor(each) for each in values], *trial.seeds(seeds), *others]

    leaves = arguments(values)
    recording = Recording(step, leaves, lambda given: (given, {}), Reach({}))
    writer = Writer(recording, block=3)
    run = writer.function()

    def agrees(at: list[Any]) -> bool:
        fresh = arguments(at)
        given = {id(source): fresh[source.number].data for _, source in recording.inputs}
        try:
            found = dict(zip(writer.outputs, run(*given.values()), strict=True))
        except MisfitError:
            return False
        places = (lambda source: fresh[source.number]), (lambda source: given[id(source)])
        for ours, theirs in zip(
            Builder(found.__getitem__, *places).build(recording.template), step(*fresh), strict=True
        ):
            if (ours is None) != (theirs is None):
                raise AssertionError("the program and the eager step have gradients at other places")
            if ours is not None:
                same(ours.data, theirs.data, "the program differs from the eager step", 1e-8)
        return True

    agrees(moved(values, STEP, trial.directions(values)))  # where these take another branch, it says so
    if not agrees(values):
        raise AssertionError("the program does not fit the values that it was made of")


def leaves_of(trial: Trial) -> list[Tensor]:
    return [leaf(each, trial.device) for each in trial.values()]


# ── kernels ─────────────────────────────────────────────────────────────────────────────────────────────────


def _in_places(trial: Trial, wrap: Callable[[Any], Any], at: list[Any] | None = None) -> tuple[Any, ...]:
    """The arguments in the order of a record's inputs, as the op's kernels take them."""
    definition = trial.case.definition
    assert definition is not None
    args = dict(trial.args)
    differentiable = list(trial.values()) if at is None else at
    for name in trial.case.array_names:
        args[name] = [wrap(each) for each in args[name]] if isinstance(args[name], list) else wrap(args[name])
    for (name, k), each in zip(trial.places, differentiable, strict=True):
        if at is None:
            each = wrap(each)
        if k is None:
            args[name] = each
        else:
            args[name][k] = each
    defaults = {p.name: p.default for p in definition.parameters}
    parts = tuple(args.get(definition.parts, ())) if definition.parts else ()
    return (*[args.get(name, defaults[name]) for name in definition.names], *parts)


def decomposition(trial: Trial) -> None:
    """The composition, run over the ops, gives the op's own value and gradient."""
    definition = trial.case.definition
    if definition is None or unsettled(trial):
        return
    seeds = trial.directions(trial.evaluate(trial.values()))
    leaves, results = trial.recorded(trial.values())
    again = leaves_of(trial)
    composed = trial.inexact(definition.split(definition.run(ops, _in_places(trial, trial.tensor, list(again))))[0])
    for ours, theirs in zip(results, composed, strict=True):
        same(backend.to_numpy(ours.data), backend.to_numpy(theirs.data), "the op differs from its composition")
    found = gradients(results, trial.seeds(seeds), leaves)
    expected = gradients(composed, trial.seeds(seeds), again)
    for ours, theirs, of in zip(found, expected, trial.values(), strict=True):
        same(host(ours, of), host(theirs, of), "the gradient differs from the composition's", 1e-8)


def kernels(trial: Trial) -> None:
    """Each kernel registered for a library equals the composition, saved values too."""
    definition = trial.case.definition
    target = backend.on_device(trial.device)
    if definition is None or target.name not in definition.kernels:
        return
    values = _in_places(trial, trial.array)
    fast = as_tuple(definition.run(target.namespace, values, definition.kernels[target.name]))
    slow = as_tuple(definition.run(target.namespace, values))
    for ours, theirs in zip(fast, slow, strict=True):
        same(backend.to_numpy(ours), backend.to_numpy(theirs), f"the {target.name} kernel differs from the composition")


def slices(trial: Trial) -> None:
    """f of a slice is the slice of f, for an op marked elementwise or row-wise."""
    definition = trial.case.definition
    if definition is None or definition.blocks is None or not trial.places:
        return
    args = dict(trial.args)
    names = trial.case.array_names
    if definition.blocks == "all":
        shape = np.broadcast_shapes(*[args[name].shape for name in names if not isinstance(args[name], list)])
        rows = [name for name in names if args[name].shape[: len(shape)] != () and args[name].ndim == len(shape)]
        rows = [name for name in rows if args[name].shape[0] == (shape[0] if shape else 0)]
    else:
        rows = list(trial.case.rows)
        shape = args[rows[0]].shape if rows else ()
        if not rows:
            raise AssertionError(f"{trial.case} is marked row-wise; its case must name the rows: _rows=(...)")
    if not shape or shape[0] < 2 or not rows:
        return
    half = shape[0] // 2
    whole = trial.evaluate(trial.values())
    for part in (slice(0, half), slice(half, None)):
        some = Trial(
            trial.case, {name: each[part] if name in rows else each for name, each in args.items()}, trial.device
        )
        for ours, theirs in zip(some.evaluate(some.values()), whole, strict=True):
            same(ours, theirs[part], "f of a slice differs from the slice of f")


LAWS: dict[str, Callable[[Trial], None]] = {
    "value": value,
    "direction": direction,
    "second order": second_order,
    "linearity": linearity,
    "adjoint": adjoint,
    "shape and dtype": shape_dtype,
    "decomposition": decomposition,
    "kernels": kernels,
    "slices": slices,
    "replay": replay,
    "program": program,
    "library": library,
}
