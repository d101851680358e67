"""Derivatives of functions: grad and value_and_grad, vjp, jvp and hvp, jacobian and hessian.

Every transform here behaves as an op does: what it returns is recorded exactly if recording is on and something
recorded went into it, be it through an argument or through a variable that the function captured. So transforms
nest to any order, inside one another and inside an ordinary forward pass, and cost a recorded sweep only there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import as_array, is_array, is_floating, is_inexact, refuse_two_devices, settle
from tensorgrad.backward import run, seed_of
from tensorgrad.tape import Record, Traced, enable_grad, is_recording
from tensorgrad.tensor import Tensor, of_array

# ── gradients of results ────────────────────────────────────────────────────────────────────────────────────


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    retain_graph: bool | None = None,
) -> tuple[Any, ...]:
    """Gradients of results with respect to tensors they rest on, leaving every `.grad` as it is.   -> shapes of inputs

    outputs: a Tensor or a sequence of them; the gradient is of their sum, each weighted by its `grad_outputs`.
    inputs: a Tensor or a sequence of them: leaves, or results of ops, one of several results too.
    grad_outputs: one gradient per output, of its shape, or None for a single real number, where it is 1.
    create_graph: record the sweep itself, so that the gradients can be differentiated.
    allow_unused: give None for an input that no output rests on, instead of raising.
    retain_graph: keep what the rules need for another sweep. `create_graph` keeps it anyway.
    Returns a tuple with one Tensor per input, also for a single one; complex gradients are dL/dRe + i dL/dIm. They
    share memory with nothing. The sweep passes only through records that lead to the inputs.
    Raises RuntimeError for an input that is not recorded or not used, a result of several elements without a
    gradient, a tape that was swept before, and a leaf that was written in place after its value was used; ValueError
    where shapes or counts differ.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 2.0], requires_grad=True)
    >>> slope, = tg.grad((x * x * x).sum(), x, create_graph=True)
    >>> curvature, = tg.grad(slope.sum(), x)
    >>> slope.detach(), curvature
    (Tensor([ 3., 12.], dtype=float32), Tensor([ 6., 12.], dtype=float32))
    """
    results = _tensors("grad", "output", outputs)
    wanted = _tensors("grad", "input", inputs)
    ends = [_record_of(tensor, place) for place, tensor in enumerate(wanted)]
    if grad_outputs is None:
        grad_outputs = [None] * len(results)
    elif isinstance(outputs, Traced) and not _is_sequence_of_one(grad_outputs):
        grad_outputs = [grad_outputs]
    if not isinstance(grad_outputs, (list, tuple)) or len(grad_outputs) != len(results):
        raise ValueError(f"grad: grad_outputs must be a sequence of {len(results)} gradients, one per output")
    seeds = [seed_of(result, seed, "grad") for result, seed in zip(results, grad_outputs, strict=True)]
    needed, _ = _paths(results, ends)
    for place, record in enumerate(ends):
        if record not in needed and not allow_unused:
            raise RuntimeError(
                f"grad: no output rests on input {place}, a tensor of shape {wanted[place].shape}, so it has no "
                "gradient; leave it out, or pass allow_unused=True to get None for it"
            )
    return tuple(_gradients(results, seeds, ends, needed, create_graph, bool(retain_graph)))


def _tensors(what: str, role: str, given: Any) -> list[Any]:
    tensors = [given] if isinstance(given, Traced) else list(given) if isinstance(given, (list, tuple)) else None
    if tensors is None:
        raise TypeError(f"{what}: expected a Tensor or a sequence of Tensors as {role}s, got a {type(given).__name__}")
    if not tensors:
        raise ValueError(f"{what}: expected at least one {role}, got an empty sequence")
    for place, each in enumerate(tensors):
        if not isinstance(each, Traced):
            raise TypeError(f"{what}: {role} {place} must be a Tensor, got a {type(each).__name__}")
    return tensors


def _is_sequence_of_one(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], Traced)


def _record_of(tensor: Any, place: int) -> Record:
    if tensor.record is None:
        raise RuntimeError(
            f"grad: input {place}, a tensor of shape {tensor.shape}, is not recorded, so nothing has a gradient with "
            "respect to it; make it with requires_grad=True before the forward pass"
        )
    record: Record = tensor.record
    return record


def _paths(results: Iterable[Traced], ends: Sequence[Record]) -> tuple[set[Record], bool]:
    """The records on the ways from results to `ends`, both included; and whether results rest on anything older.

    Records older than every end cannot lead to one, so the walk stops there: a gradient of a few late records does
    not pay for the tape before them.
    """
    floor = min(end.serial for end in ends)
    elsewhere = False
    found: set[Record] = set()
    todo = [result.record for result in results if result.record is not None]
    while todo:
        record = todo.pop()
        if record.serial < floor:
            elsewhere = True
        elif record not in found:
            found.add(record)
            todo.extend(record.parents())
    needed = found.intersection(ends)
    for record in sorted(found, key=attrgetter("serial")):
        if not needed.isdisjoint(record.parents()):
            needed.add(record)
    return needed, elsewhere


def _gradients(
    results: Sequence[Traced],
    seeds: Sequence[Any],
    ends: Sequence[Record],
    needed: set[Record],
    create_graph: bool,
    retain: bool,
) -> list[Any]:
    """The gradient at each end, as a tensor that shares memory with nothing; None where none arrives."""
    pairs = zip(results, seeds, strict=True)
    starts = [(result, seed) for result, seed in pairs if seed is not None and result.record in needed]
    if not starts:
        return [None] * len(ends)
    found = dict(run(starts, Tensor, create_graph, retain, needed, ends))
    taken = {id(seed.data if isinstance(seed, Traced) else seed) for seed in seeds}
    return [_apart(found[end], taken) if end in found else None for end in ends]


def _apart(g: Any, taken: set[int]) -> Tensor:
    """A gradient as a tensor whose array is no view, and not among those `taken` already."""
    data = g.data if isinstance(g, Traced) else settle(g)
    if id(data) in taken or getattr(data, "base", None) is not None:
        data = ops.copy(data)
    taken.add(id(data))
    tensor = of_array(data)
    tensor.record = g.record if isinstance(g, Traced) else None
    return tensor


# ── functions on stand-ins of their arguments ───────────────────────────────────────────────────────────────


class _Pull:
    """The way back from a function's results to the stand-ins of its arguments, walked as often as wanted.

    `connected` says whether the results, and so their gradients, are recorded outside too.
    """

    def __init__(self, results: Sequence[Any], stand_ins: Sequence[Tensor], recording: bool) -> None:
        self.results, self.stand_ins = results, stand_ins
        self.ends = [_record_of(each, place) for place, each in enumerate(stand_ins)]
        self.needed, elsewhere = _paths(results, self.ends)
        self.connected = recording and elsewhere

    def __call__(self, seeds: Sequence[Any], create_graph: bool = False, retain: bool = True) -> list[Any]:
        """One gradient per stand-in for one seed (or None) per result; None where no result rests on it."""
        recorded = self.connected or any(map(_is_recorded, seeds))
        create_graph = create_graph or (recorded and is_recording())
        return _gradients(self.results, seeds, self.ends, self.needed, create_graph, retain)

    def filled(self, gradients: Sequence[Any]) -> list[Tensor]:
        """The gradients, zeros in place of None: a result that does not rest on an argument is constant in it."""
        pairs = zip(gradients, self.stand_ins, strict=True)
        return [of_array(ops.zeros_like(each.data)) if g is None else g for g, each in pairs]

    def outward(self, result: Any) -> Any:
        """A tensor that the function returned, as its caller gets it."""
        floor = min(end.serial for end in self.ends)
        if self.connected or not isinstance(result, Traced) or result.record is None or result.record.serial < floor:
            return result
        return of_array(result.data)


def _stand_in(value: Any, recording: bool) -> Tensor:
    """A tensor of its own for an argument, so that only this use of its value is differentiated.

    A recorded argument stays connected, through a record of its own; any other becomes a leaf.
    """
    if isinstance(value, Traced) and value.record is not None and recording:
        view: Tensor = ops.reshape(value, tuple(value.data.shape))  # the cheapest op that changes nothing
        return view
    return of_array(value.data if isinstance(value, Traced) else as_array(value)).requires_grad_()


def _has_gradient(value: Any) -> bool:
    """Whether a value in an argument is differentiated: floating and complex tensors, arrays and numbers."""
    if isinstance(value, Traced):
        return is_inexact(value.data.dtype)
    return is_inexact(value.dtype) if is_array(value) else isinstance(value, (float, complex))


def _stand_ins(what: str, x: Any, recording: bool) -> list[Tensor]:
    """Stand-ins for one argument, or for each of a tuple of them."""
    values = x if isinstance(x, tuple) else (x,)
    if not values:
        raise ValueError(f"{what}: expected at least one argument to differentiate with respect to")
    for place, value in enumerate(values):
        if not _has_gradient(value):
            kind = value.dtype if hasattr(value, "dtype") else f"a {type(value).__name__}"
            raise TypeError(
                f"{what}: argument {place} must be a floating or complex Tensor, array or number, got {kind}"
            )
    return [_stand_in(value, recording) for value in values]


def _results(what: str, outputs: Any) -> list[Any]:
    """What a function returned, as a list of tensors."""
    results = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    for each in results:
        if not isinstance(each, Traced):
            raise TypeError(f"{what}: the function must return a Tensor or a tuple of Tensors, got {_kind(each)}")
    return results


def _kind(value: Any) -> str:
    if isinstance(value, Traced):
        return f"{value.data.dtype}{list(value.data.shape)}"
    return f"a {type(value).__name__}"


def _like(outputs: Any, results: Sequence[Any]) -> Any:
    """Results in the form in which a function returned them: alone, or as a tuple."""
    return tuple(results) if isinstance(outputs, (tuple, list)) else results[0]


def _number(what: str, value: Any) -> Tensor:
    """A function's result, which must be a single real number."""
    if not isinstance(value, Tensor) or value.size != 1 or not is_floating(value.dtype):
        raise TypeError(
            f"{what}: the function must return a Tensor of a single real number, got {_kind(value)}; reduce it, for "
            "example with .sum()"
        )
    return value


def _directions(what: str, v: Any, stand_ins: Sequence[Tensor]) -> list[Any]:
    """One direction per argument, of its shape."""
    values = list(v) if isinstance(v, tuple) else [v]
    if len(values) != len(stand_ins):
        raise ValueError(f"{what}: {len(stand_ins)} arguments need as many directions v, got {len(values)}")
    for place, (value, each) in enumerate(zip(values, stand_ins, strict=True)):
        if not isinstance(value, Traced):
            values[place] = value = of_array(as_array(value, device=each.device))
        refuse_two_devices(each.data, value.data, f"{what}: argument {place} and its direction are ")
        if tuple(value.data.shape) != each.shape:
            raise ValueError(
                f"{what}: direction {place} has shape {tuple(value.data.shape)}, its argument {each.shape}; they must "
                "agree"
            )
        if value.data.dtype.kind == "c" and each.dtype.kind != "c":
            raise TypeError(f"{what}: direction {place} is complex, its argument {each.dtype}")
    return values


def _map(structure: Any, change: Callable[[Any], Any]) -> Any:
    """Nested lists, tuples and dicts with each value in them changed."""
    if isinstance(structure, dict):
        return {key: _map(value, change) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        values = [_map(value, change) for value in structure]
        return type(structure)(*values) if hasattr(structure, "_fields") else type(structure)(values)
    return change(structure)


# ── value and gradient ──────────────────────────────────────────────────────────────────────────────────────


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """A function that gives f's value, a single real number, and its gradient with respect to some arguments.

    argnums: the place of the argument to differentiate with respect to, or several places.
    has_aux: f returns (value, aux), and so does the new function in place of the value; aux is not differentiated.
    The arguments may be Tensors, arrays, numbers, or nested lists, tuples and dicts of them. The gradient has the
    same structure: a Tensor for each floating or complex value, zeros where f does not depend on it, and None for
    everything else. With several places it is a tuple with one such structure each.
    Arguments are neither marked nor changed: f is called with stand-ins for them. Value and gradient are recorded
    themselves, at the price of a recorded sweep, if recording is on and f uses something recorded, an argument that
    requires a gradient included; call it under `no_grad()` where only the numbers are wanted.
    Raises TypeError when f returns anything but one real number, and when there is nothing to differentiate.

    >>> import tensorgrad as tg
    >>> loss = lambda p, x: ((p["w"] * x + p["b"]) ** 2).sum()
    >>> value, slopes = tg.value_and_grad(loss)({"w": tg.asarray([1.0, 2.0]), "b": 0.5}, tg.asarray([3.0, 4.0]))
    >>> value.item(), slopes["w"].tolist(), slopes["b"].item()
    (84.5, [21.0, 68.0], 24.0)

    It nests: here is a second derivative.

    >>> slope = lambda x: tg.value_and_grad(lambda x: x ** 3)(x)[1]
    >>> [each.item() for each in tg.value_and_grad(slope)(2.0)]
    [12.0, 12.0]
    """
    several = not isinstance(argnums, int)
    numbers: tuple[int, ...] = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(f)
    def call(*args: Any, **keywords: Any) -> tuple[Any, Any]:
        recording = is_recording()
        places = _places(numbers, len(args))
        stand_ins: list[Tensor] = []

        def stand_in(value: Any) -> Any:
            if not _has_gradient(value):
                return value
            stand_ins.append(_stand_in(value, recording))
            return stand_ins[-1]

        given = list(args)
        for place in places:
            given[place] = _map(args[place], stand_in)
        if not stand_ins:
            raise TypeError(
                f"value_and_grad: argument {', '.join(map(str, numbers))} holds nothing that has a gradient; floating "
                "and complex Tensors, arrays and numbers have one (write 2.0 for 2)"
            )
        with enable_grad():
            outputs = f(*given, **keywords)
            value, aux = _value_and_aux(outputs, has_aux)
            tensors: list[Tensor] = [value]
            _map(aux, lambda each: tensors.append(each) if isinstance(each, Tensor) else None)
            pull = _Pull(tensors, stand_ins, recording)
        seeds: list[Any] = [None] * len(tensors)
        if value.record is not None:
            seeds[0] = seed_of(value, None, "value_and_grad")
        gradients: Iterator[Tensor] = iter(pull.filled(pull(seeds, retain=False)))
        structures = [
            _map(args[place], lambda each: next(gradients) if _has_gradient(each) else None) for place in places
        ]
        shown = (pull.outward(value), _map(aux, pull.outward)) if has_aux else pull.outward(value)
        return shown, tuple(structures) if several else structures[0]

    return call


def _places(numbers: Sequence[int], count: int) -> list[int]:
    for number in numbers:
        if not -count <= number < count:
            raise ValueError(f"value_and_grad: argnums names argument {number}, but {count} were given by position")
    places = [number % count for number in numbers]
    if len(set(places)) != len(places) or not places:
        raise ValueError(f"value_and_grad: argnums must name at least one argument, and each once; got {numbers}")
    return places


def _value_and_aux(outputs: Any, has_aux: bool) -> tuple[Tensor, Any]:
    if not has_aux:
        return _number("value_and_grad", outputs), None
    if not isinstance(outputs, tuple) or len(outputs) != 2:
        raise TypeError(f"value_and_grad: with has_aux the function must return (value, aux), got {_kind(outputs)}")
    return _number("value_and_grad", outputs[0]), outputs[1]


# ── products with the Jacobian and the Hessian ──────────────────────────────────────────────────────────────


def vjp(f: Callable[..., Any], *x: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Results of f at x, and the function that takes cotangents u to u^T J.   (...) x n -> results, (u -> (...) x n)

    f takes the Tensors x and returns a Tensor or a tuple of them; u is of the same form, shape by shape. The
    function returns a tuple with one Tensor per x and may be called any number of times. Complex values follow
    `grad`: u^T J is the gradient of Re(sum(conj(u) f)).
    Raises TypeError when an x is not floating or complex, or f returns no Tensors; ValueError when shapes differ.

    >>> import tensorgrad as tg
    >>> y, pull = tg.vjp(lambda a, b: a * b, tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0]))
    >>> pull(tg.asarray([1.0, 10.0]))
    (Tensor([ 3., 40.], dtype=float32), Tensor([ 1., 20.], dtype=float32))
    """
    recording = is_recording()
    stand_ins = _stand_ins("vjp", x, recording)
    with enable_grad():
        outputs = f(*stand_ins)
    pull = _Pull(_results("vjp", outputs), stand_ins, recording)

    def vjp_function(cotangents: Any) -> tuple[Any, ...]:
        given = _results_like("vjp", outputs, cotangents)
        seeds = [
            None if result.record is None else seed_of(result, each, "vjp")
            for result, each in zip(pull.results, given, strict=True)
        ]
        return tuple(pull.filled(pull(seeds)))

    return _like(outputs, [pull.outward(each) for each in pull.results]), vjp_function


def _results_like(what: str, outputs: Any, given: Any) -> list[Any]:
    """Cotangents as a list, one per result."""
    if not isinstance(outputs, (tuple, list)):
        return [given]
    if not isinstance(given, (tuple, list)) or len(given) != len(outputs):
        raise ValueError(f"{what}: the function has {len(outputs)} results and needs a tuple of as many cotangents")
    return list(given)


def jvp(f: Callable[..., Any], x: Any, v: Any) -> tuple[Any, Any]:
    """Results of f at x, and their derivative along v, J v.   (...), (...) -> results, the same shapes

    x: a Tensor, or a tuple of the Tensors that f takes; v: of the same form, shape by shape.
    Reverse mode twice: u^T J is linear in u, and its own vjp with v is J v. It costs two sweeps, whatever the sizes.
    Raises TypeError when x is not floating or complex, or f returns no Tensors; ValueError when shapes differ.
    Christianson, "Automatic Hessians by reverse accumulation", 1992, has the idea.

    >>> import tensorgrad as tg
    >>> tg.jvp(lambda x: x * x, tg.asarray([1.0, 2.0]), tg.asarray([1.0, 10.0]))
    (Tensor([1., 4.], dtype=float32), Tensor([ 2., 40.], dtype=float32))
    """
    recording = is_recording()
    stand_ins = _stand_ins("jvp", x, recording)
    directions = _directions("jvp", v, stand_ins)
    with enable_grad():
        outputs = f(*stand_ins)
    pull = _Pull(_results("jvp", outputs), stand_ins, recording)
    moving = [place for place, each in enumerate(pull.results) if each.record in pull.needed]
    dummies = [_stand_in(ops.zeros_like(pull.results[place].data), False) for place in moving]
    derivatives = [of_array(ops.zeros_like(each.data)) for each in pull.results]
    if moving:
        seeds: list[Any] = [None] * len(pull.results)
        for place, dummy in zip(moving, dummies, strict=True):
            seeds[place] = dummy
        products = pull(seeds, create_graph=True)
        push = _push(products, dummies, pull)
        found = push([d for d, g in zip(directions, products, strict=True) if _is_recorded(g)], retain=False)
        for place, derivative in zip(moving, push.filled(found), strict=True):
            derivatives[place] = derivative
    return _like(outputs, [pull.outward(each) for each in pull.results]), _like(outputs, derivatives)


def _push(products: Sequence[Any], stand_ins: Sequence[Tensor], pull: _Pull) -> _Pull:
    """The way back from recorded gradients, connected to the outside as the sweep that made them is."""
    push = _Pull([g for g in products if _is_recorded(g)], stand_ins, False)
    push.connected = pull.connected
    return push


def _is_recorded(g: Any) -> bool:
    return isinstance(g, Traced) and g.record is not None


def hvp(f: Callable[..., Any], x: Any, v: Any) -> tuple[Any, Any]:
    """The value of f, a single real number, and its Hessian at x times v.   (...), (...) -> (), (...)

    x: a Tensor, or a tuple of the Tensors that f takes; v and the product: of the same form, shape by shape.
    The gradient's gradient along v: two sweeps, and the Hessian is never formed.
    Raises TypeError when f returns anything but one real number; ValueError when shapes differ.
    Pearlmutter, "Fast exact multiplication by the Hessian", 1994.

    >>> import tensorgrad as tg
    >>> value, product = tg.hvp(lambda x: (x ** 3).sum(), tg.asarray([1.0, 2.0]), tg.asarray([1.0, 10.0]))
    >>> value.item(), product
    (9.0, Tensor([  6., 120.], dtype=float32))
    """
    recording = is_recording()
    stand_ins = _stand_ins("hvp", x, recording)
    directions = _directions("hvp", v, stand_ins)
    with enable_grad():
        value = _number("hvp", f(*stand_ins))
    pull = _Pull([value], stand_ins, recording)
    products: list[Any] = [None] * len(stand_ins)
    if value.record in pull.needed:
        slopes = pull([seed_of(value, None, "hvp")], create_graph=True)
        push = _push(slopes, stand_ins, pull)
        products = push([d for d, g in zip(directions, slopes, strict=True) if _is_recorded(g)], retain=False)
    filled = pull.filled(products)
    return pull.outward(value), tuple(filled) if isinstance(x, tuple) else filled[0]


# ── whole matrices ──────────────────────────────────────────────────────────────────────────────────────────


def jacobian(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives all partial derivatives of f's result by its first argument.   (in) -> (out + in)

    f takes a Tensor, and whatever else is passed on to it, and returns a real Tensor. Element [i, j] is d f_i / d x_j,
    where i and j stand for all axes of the result and of the argument; by a complex x it is dRe + i dIm, as in `grad`.
    f runs once, then one sweep per element of the result: for many results of few arguments take `jvp` along each.
    Raises TypeError when f returns anything but one real Tensor.

    >>> import tensorgrad as tg
    >>> tg.jacobian(lambda x: x * x.sum())(tg.asarray([1.0, 2.0]))
    Tensor([[4., 1.],
            [2., 5.]], dtype=float32)
    """

    @functools.wraps(f)
    def call(x: Any, *args: Any, **keywords: Any) -> Tensor:
        recording = is_recording()
        stand_ins = _stand_ins("jacobian", (x,), recording)
        with enable_grad():
            result = f(*stand_ins, *args, **keywords)
        if not isinstance(result, Tensor) or result.dtype.kind == "c":
            raise TypeError(
                f"jacobian: the function must return one real Tensor, got {_kind(result)}; take real(y) and imag(y) "
                "apart, and stack several results"
            )
        pull = _Pull([result], stand_ins, recording)
        shape = result.shape + stand_ins[0].shape
        if result.record not in pull.needed or result.size == 0:
            return of_array(ops.zeros(shape, dtype=stand_ins[0].dtype, device=stand_ins[0].device))
        rows = []
        for place in range(result.size):
            one = ops.eye(1, result.size, k=place, dtype=result.dtype, device=result.device)
            rows += pull.filled(pull([ops.reshape(one, result.shape)], retain=place + 1 < result.size))
        stacked: Tensor = ops.reshape(ops.stack(rows), shape)
        return stacked

    return call


def hessian(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives all second derivatives of f by its first argument.   (in) -> (in + in)

    f takes a Tensor, and whatever else is passed on to it, and returns a single real number. Element [i, j] is
    d^2 f / dx_i dx_j. One recorded sweep, then one sweep per element of the argument; for a product take `hvp`.
    Raises TypeError when f returns anything but one real number, and when x is complex.

    >>> import tensorgrad as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(tg.asarray([1.0, 2.0]))
    Tensor([[4., 2.],
            [2., 0.]], dtype=float32)
    """

    @functools.wraps(f)
    def slope(*args: Any, **keywords: Any) -> Any:
        return value_and_grad(f)(*args, **keywords)[1]

    return jacobian(slope)


__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
