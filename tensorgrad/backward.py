"""The reverse sweep: from a result back to the leaves, newest record first.

No list is built and nothing is sorted: pending records wait in a heap by serial, and while only one gradient is
pending the sweep goes straight on to that record, so a chain costs no heap and no dictionary. Plain arrays flow
unless higher orders are wanted; then the same rules run on tensors and record themselves.

Inside the sweep a gradient g is bilinear: dL = sum(g * dz) for complex z too, so rules of holomorphic functions need
no conjugates. The conjugate that makes it PyTorch's convention is taken once, at the doors (docs/conventions.md).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import repeat
from math import prod
from threading import RLock
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import (
    LARGE,
    NUMPY,
    Follower,
    add_into,
    as_array,
    beside,
    device_of,
    follower,
    is_array,
    is_inexact,
    refuse_two_devices,
    rules_in_blocks,
    settle,
    shares_nothing,
)
from tensorgrad.definition import GATHER, IDENTITY, NOTHING, ONE, PARTS, READY, TWO
from tensorgrad.precision import without_autocast
from tensorgrad.shortage import explained
from tensorgrad.tape import (
    CONSTANT,
    SWEPT,
    Fan,
    HookedRecord,
    Keeper,
    Leaf,
    Record,
    Sweep,
    Traced,
    Watcher,
    describe,
    page,
    suspended,
)
from tensorgrad.writes import latest_write, was_written

_ndarray: Any = NUMPY.array_type


class Pending:
    """Gradients that wait for their record's turn.

    `owned` has the ids of the large arrays among them that this sweep has made and handed to one record only, so that
    it may write over them. They leave it when their record's turn comes.
    """

    __slots__ = ("gradients", "heap", "large", "owned")

    def __init__(self) -> None:
        self.gradients: dict[Record, Any] = {}
        self.heap: list[Record] = []
        self.large = False  # whether there has been a large one
        self.owned: set[int] = set()

    def add(self, record: Record, gradient: Any) -> None:
        waiting = self.gradients.get(record)
        if waiting is None:
            self.gradients[record] = gradient
            heappush(self.heap, record)
        else:
            self.gradients[record] = self.plus(waiting, gradient) if self.large else waiting + gradient

    def plus(self, a: Any, b: Any) -> Any:
        """The sum of two gradients, over one of them where it is large and owned."""
        if type(a) is not _ndarray or a.size < LARGE:
            with beside(a):
                return a + b
        owned = self.owned
        mine = [each for each in (a, b) if id(each) in owned]
        owned.discard(id(b))
        owned.discard(id(a))
        if type(b) is not _ndarray or a.shape != b.shape or a.dtype != b.dtype:
            return a + b
        total = add_into(a, b, mine[0] if mine else None)
        owned.add(id(total))
        return total

    def add_result(self, record: Record, place: int, gradient: Any) -> None:
        """The gradient of one of several results; they wait together in a dictionary by place."""
        waiting = self.gradients.get(record)
        if waiting is None:
            self.gradients[record] = {place: gradient}
            heappush(self.heap, record)
        else:
            waiting[place] = gradient  # a fan is younger than its record and older than all uses: it comes once


def sweep(
    pending: Pending,
    wrap: type[Traced] | None = None,
    retain: bool = False,
    needed: set[Record] | None = None,
    wanted: Iterable[Record] = (),
    watchers: Sequence[Watcher] = (),
    follow: Follower | None = None,
) -> list[tuple[Record, Any]]:
    """The (record, gradient) of each leaf below what is pending; of the wanted records instead, where some are.

    wrap: the class that kept values are handed over as, for a sweep that records itself; None for plain arrays.
    retain: leave what the rules keep in place for another sweep.
    needed: sweep only through these records; None for all.
    follow: keeps the device of the gradient in hand the current one, where there are several; closed in the end.
    """
    gradients, heap = pending.gradients, pending.heap
    wanted = frozenset(wanted)
    choosing, watching = bool(wanted), bool(watchers)  # asked at every record: a flag answers sooner than a container
    # Below these lies nothing that is needed: their rules are not asked, and what they keep stays for others.
    ends = frozenset(() if needed is None else [each for each in wanted if needed.isdisjoint(each.parents())])
    latest = latest_write()
    state = Sweep()
    found: list[tuple[Record, Any]] = []
    if not heap:
        return found
    owned = pending.owned
    # The last shape that was looked at, and whether its arrays are large. The records of a chain share one tuple.
    known: Any = None
    large = False
    record = heappop(heap)
    g = g_in = gradients.pop(record)
    try:
        while True:
            kind = type(record)
            straight = None
            if follow is not None:
                follow(_array_of(g))
            if owned:
                mine = id(g) in owned
                owned.discard(id(g))
            else:
                mine = False
            if kind is not Record or choosing:
                g = _arrive(record, g, found, wanted)
                mine = mine and record not in wanted
                if record in ends:
                    kind = Leaf
            if kind is Leaf:
                pass
            elif kind is Fan:
                pending.add_result(record.inputs[0], record.inputs[1], g)
            else:
                op, inputs, kept = record.op, record.inputs, record.kept
                if type(kept) is not tuple:
                    kept = _recall(record, kept)
                if latest > record.serial:
                    _refuse_stale(record, kept)
                if wrap is not None:
                    kept = _rejoin(record, kept, wrap)
                elementwise = op.elementwise
                shape = record.shape
                if elementwise and shape is not known:
                    known, large = shape, wrap is None and prod(shape) >= LARGE
                if elementwise and large:
                    pending.large = True
                    rules = _in_blocks(record, g, kept, needed, mine and kind is Record, None if watching else owned)
                else:
                    rules = op.rules if op.one_by_one else _asked(record, g, kept, needed)
                for place, rule, how, sources in rules:
                    parent = inputs[place]
                    if parent is CONSTANT:
                        continue
                    of = type(parent)  # isinstance is slow to say no
                    if of is not Record and of is not Leaf and of is not HookedRecord and of is not Fan:
                        continue
                    if needed is not None and parent not in needed:
                        continue
                    if how == ONE:
                        g_in = rule(g, kept[sources])
                    elif how == IDENTITY:
                        g_in = g
                    elif how == NOTHING:
                        g_in = rule(g)
                    elif how == TWO:
                        g_in = rule(g, kept[sources[0]], kept[sources[1]])
                    elif how == GATHER:
                        g_in = rule(g, *_gather(record, kept, sources))
                    else:
                        g_in = rule  # the gradient itself
                    if elementwise:  # the gradient is as the result is: the records tell, without asking an array
                        its = parent.shape  # often the same tuple as the record's
                        if (its is not shape and its != shape) or record.dtype is not parent.dtype:
                            if owned:
                                owned.discard(id(g_in))
                            g_in = _fit(g_in, parent)
                    elif g_in.shape != parent.shape or g_in.dtype is not parent.dtype:
                        g_in = _fit(g_in, parent)
                    if watching:
                        for watcher in watchers:
                            watcher.swept(record, place, g_in)
                    if straight is None and not heap:
                        straight, g_straight = parent, g_in
                    elif parent is straight:
                        g_straight = pending.plus(g_straight, g_in) if pending.large else g_straight + g_in
                    else:
                        if straight is not None:
                            pending.add(straight, g_straight)
                            straight = None
                        pending.add(parent, g_in)
                if not retain:
                    record.kept = state
                if large:  # let go of what may be used again
                    rules, kept, g_in = (), (), g
                if straight is not None:
                    if not heap:
                        record, g = straight, g_straight
                        continue
                    pending.add(straight, g_straight)
            if not heap:
                break
            record = heappop(heap)
            g = gradients.pop(record)
        state.failure = SWEPT
        return found
    except BaseException as error:
        state.failure = f"an earlier sweep over this tape failed ({type(error).__name__}: {error}); record it again"
        if not retain and record.op is not None and not isinstance(record.kept, Sweep):
            record.kept = state
        if isinstance(error, MemoryError):
            device = device_of(g) if is_array(g) else None
            gradients.clear()
            heap.clear()
            kept = rules = g = g_in = g_straight = None  # an error keeps its frames
            raise explained(error, f"the sweep of {describe(record)}", device) from None
        if isinstance(error, AttributeError) and not hasattr(g_in, "shape"):
            raise TypeError(
                f"a gradient rule of {record.op.name} returned a {type(g_in).__name__} where an array belongs "
                f"({describe(record)})"
            ) from error
        if isinstance(error, Exception) and not isinstance(error, RuntimeError):
            error.add_note(f"while sweeping {describe(record)}")
        raise
    finally:
        if follow is not None:
            follow.close()


def _recall(record: Record, kept: Any) -> tuple[Any, ...]:
    """What a record kept, where it is not there as a tuple: swept already, or forgotten by a checkpoint."""
    if isinstance(kept, Sweep):
        raise kept.complain(record)
    recalled: tuple[Any, ...] = kept.recall(record)
    return recalled


def _arrive(record: Record, g: Any, found: list[tuple[Any, Any]], wanted: Any) -> Any:
    """A gradient is complete at a leaf, a hooked record, or where one may be wanted: note it, as the hooks leave it."""
    kind = type(record)
    if kind is Leaf:
        g = _fit(g, record)
    kept_for = None if wanted else found
    if kind is Fan:  # its hooks wait at the record of all results, which a sweep that wants the fan may not come to
        source, place = record.inputs
        if type(source) is HookedRecord:
            g = _run_hooks(source, {place: g}, kept_for)[place]
    elif kind is Leaf or (kind is HookedRecord and record.op.results == 1):
        g = _run_hooks(record, g, kept_for)
    if record in wanted if wanted else kind is Leaf:
        found.append((record, g))
    return g


def _run_hooks(record: Record, g: Any, found: list[tuple[Any, Any]] | None) -> Any:
    """The gradient as the hooks leave it. It is found for the keepers among them, as for a leaf."""
    keepers = []
    for hook in list(record.hooks):
        if isinstance(hook, Keeper):
            keepers.append(hook)
            continue
        changed = hook(record, g)
        if changed is not None:
            g = changed
    if found is not None:
        for keeper in keepers:
            if keeper.place is None:
                found.append((keeper, g))
            elif keeper.place in g:
                found.append((keeper, g[keeper.place]))
    return g


def _gather(record: Record, kept: tuple[Any, ...], sources: Any, index: int | None = None) -> list[Any]:
    """The arguments of a rule, each from where it is: what was kept, an attribute, or an input's shape."""
    found = []
    for source, place in sources:
        if source == "kept":
            found.append(kept[place])
        elif source == "input":
            found.append(record.inputs[place])
        elif source == "shape":
            found.append(record.inputs[place].shape)
        else:
            found.append(index)
    return found


def _asked(
    record: Record, g: Any, kept: tuple[Any, ...], needed: set[Record] | None
) -> list[tuple[int, Any, int, Any]]:
    """The rule table of an op whose rules are not one per input: joint and part rules asked, their answers in it."""
    op = record.op
    if op.joint is not None:
        return _joint(record, g, kept, needed)
    table = []
    for place, rule, how, sources in op.rules:
        if how != PARTS:
            table.append((place, rule, how, sources))
            continue
        for index, parent in enumerate(record.inputs[place:]):
            if isinstance(parent, Record) and (needed is None or parent in needed):
                answer = rule(g, *_gather(record, kept, sources, index))
                table.append((place + index, answer, READY, None))
    return table


def _in_blocks(
    record: Record, g: Any, kept: tuple[Any, ...], needed: set[Record] | None, mine: bool, owned: set[int] | None
) -> Any:
    """The rule table of an elementwise record with a large gradient, its rules asked in one pass over blocks.

    mine: g may be written over. owned: where the ids of gradients that nobody else holds are noted.
    """
    op, inputs = record.op, record.inputs
    if not op.one_by_one or not op.in_blocks or type(g) is not _ndarray:
        return op.rules if op.one_by_one else _asked(record, g, kept, needed)
    asked, work = [], []
    for entry in op.rules:
        place, rule, how, sources = entry
        parent = inputs[place]
        if not isinstance(parent, Record) or (needed is not None and parent not in needed):
            continue
        asked.append(entry)
        if how == IDENTITY:
            continue
        if how == NOTHING:
            taken: list[Any] = []
        elif how == ONE:
            taken = [kept[sources]]
        elif how == TWO:
            taken = [kept[sources[0]], kept[sources[1]]]
        elif any(kind == "shape" or (kind == "kept" and at >= len(op.kept_names)) for kind, at in sources):
            return op.rules  # blocks have other shapes
        else:
            taken = _gather(record, kept, sources)
        work.append((rule, taken))
    if not work:
        if mine and owned is not None and len(asked) == 1:
            owned.add(id(g))
        return op.rules
    answers = rules_in_blocks(work, g, mine and len(work) == len(asked))
    if answers is None:
        return op.rules
    if owned is not None:
        owned.update(map(id, answers))
    rest = iter(answers)
    return [entry if entry[2] == IDENTITY else (entry[0], next(rest), READY, None) for entry in asked]


def _joint(
    record: Record, g: Any, kept: tuple[Any, ...], needed: set[Record] | None
) -> list[tuple[int, Any, int, Any]]:
    """Ask a joint rule; its gradients, as entries of the rule table that need no further call."""
    op = record.op
    used = tuple([place in g for place in range(op.results)]) if op.results > 1 else (True,)
    if op.results > 1:
        g = _complete(record, g)
    rule, sources = op.joint
    parents = [record.inputs[op.place(name)] for name in op.arrays] + list(record.inputs[len(op.names) :])
    asked = tuple([isinstance(each, Record) and (needed is None or each in needed) for each in parents])
    told = {("needed", None): asked, ("used", None): used}
    arguments = [told[each] if each in told else _gather(record, kept, [each])[0] for each in sources]
    answers = rule(g, *arguments)
    if not isinstance(answers, tuple) or len(answers) != len(parents):
        raise TypeError(
            f"the joint rule of {op.name} must return a tuple of {len(parents)} gradients, one per array parameter"
        )
    places = [op.place(name) for name in op.arrays] + list(range(len(op.names), len(record.inputs)))
    return [(place, answer, READY, None) for place, answer in zip(places, answers, strict=True) if answer is not None]


def _array_of(gradient: Any) -> Any:
    """An array of a gradient: of those of several results any one."""
    one = next(iter(gradient.values())) if isinstance(gradient, dict) else gradient
    return one.data if isinstance(one, Traced) else one


def _complete(record: Record, gradients: dict[int, Any]) -> tuple[Any, ...]:
    """One gradient per result; zeros for the results that nothing used."""
    like = next(iter(gradients.values()))
    return tuple(
        [
            gradients[place] if place in gradients else ops.zeros(shape, dtype=dtype, device=ops.device_of(like))
            for place, (shape, dtype) in enumerate(zip(record.shape, record.dtype, strict=True))
        ]
    )


def _rejoin(record: Record, kept: tuple[Any, ...], wrap: type[Traced]) -> tuple[Any, ...]:
    """Kept arrays as tensors on the records they came from, so that rules on them record themselves.

    An input goes onto its parent record, the result onto the record itself. Saved values are taken from the op's
    composition, run again over the ops.
    """
    op, inputs = record.op, record.inputs
    joined: dict[str, Any] = {}
    for name, value in zip(op.kept_names, kept, strict=False):
        if name == "out":
            joined[name] = _rejoin_result(record, value, wrap)
        elif name == op.parts:
            parents = inputs[len(op.names) :]
            joined[name] = tuple([_on(each, parent, wrap) for each, parent in zip(value, parents, strict=True)])
        elif name not in op.saves:
            joined[name] = _on(value, inputs[op.place(name)], wrap)
    if op.saves:
        values = [joined.get(name, inputs[op.place(name)]) for name in op.names]
        values += joined.get(op.parts, ()) if op.parts else ()
        _, saved = op.split(op.run(ops, tuple(values)))
        joined.update(zip(op.saves, saved, strict=True))
    return (*[joined[name] for name in op.kept_names], *kept[len(op.kept_names) :])


def _rejoin_result(record: Record, value: Any, wrap: type[Traced]) -> Any:
    if not isinstance(value, tuple):
        return _on(value, record, wrap)
    return tuple(
        [_on(each, Fan.of(record, place) if is_inexact(each.dtype) else None, wrap) for place, each in enumerate(value)]
    )


def _on(value: Any, parent: Any, wrap: type[Traced]) -> Any:
    if not isinstance(parent, Record) or value is None:
        return value
    tensor = wrap.__new__(wrap)
    tensor.data, tensor.record, tensor.grad = settle(value), parent, None
    return tensor


def _refuse_stale(record: Record, kept: tuple[Any, ...]) -> None:
    """Raise when an array that the op keeps lies in the memory of a leaf that was written in place since."""
    op = record.op
    for name, value in zip(op.kept_names, kept, strict=False):
        for index, array in enumerate(value if isinstance(value, tuple) else (value,)):
            if not is_array(array) or not was_written(array, record.serial):
                continue
            parent = record.inputs[op.place(name) + index] if name in op.names or name == op.parts else None
            what = "result" if name == "out" else f"operand {name}"
            whose = "a leaf" if isinstance(parent, Leaf) else "a view of a leaf"
            raise RuntimeError(
                f"{op.title}: its {what}, {whose} of shape {tuple(array.shape)}, was written in place after it was "
                f"used here, so its gradient would be wrong ({describe(record)}); call backward() before the parameter "
                "is changed, or record the forward pass again"
            )


def _fit(g: Any, parent: Record) -> Any:
    """A gradient in its input's shape and dtype: broadcast axes summed, a real input's imaginary part dropped."""
    if g.shape != parent.shape:
        g = ops.sum_to(g, tuple(parent.shape))
    if g.dtype != parent.dtype:
        if g.dtype.kind == "c" and parent.dtype.kind != "c":
            g = ops.real(g)
        if g.dtype != parent.dtype:
            g = ops.astype(g, parent.dtype)
    return g


def outward(g: Any) -> Any:
    """A gradient as users see it: for complex values, the conjugate of the sweep's own."""
    return ops.conj(g) if g.dtype.kind == "c" else g


# ── seeds ───────────────────────────────────────────────────────────────────────────────────────────────────


def seed_of(result: Traced, gradient: Any, what: str) -> Any:
    """The gradient that a sweep starts with at a result, as the sweep's own convention has it.

    Raises RuntimeError when the result was not recorded, or is not a single real number and no gradient is given;
    ValueError when the gradient's shape is not the result's.
    """
    if not isinstance(result, Traced):
        raise TypeError(f"{what}: expected a Tensor, got a {type(result).__name__}")
    data = result.data
    if result.record is None:
        raise RuntimeError(
            f"{what}: the tensor of shape {tuple(data.shape)} was not recorded, so there is nothing to differentiate; "
            "an input must require a gradient (requires_grad=True) and the forward pass must not run under no_grad()"
        )
    if gradient is None:
        if data.size != 1:
            raise RuntimeError(
                f"{what}: the result has shape {tuple(data.shape)}; a gradient is of a single number: reduce it, for "
                f"example with .sum(), or pass a gradient of that shape"
            )
        if data.dtype.kind == "c":
            raise RuntimeError(
                f"{what}: the result is a {data.dtype} number; a gradient is of a real number: take real(x), "
                "imag(x) or abs(x), or pass a gradient"
            )
        return ops.ones(data.shape, dtype=data.dtype, device=ops.device_of(data))
    if isinstance(gradient, Traced):
        refuse_two_devices(data, gradient.data, f"{what}: the result and the gradient given are ")
        shape, given = gradient.data.shape, gradient
    else:
        given = as_array(gradient, device=ops.device_of(data))
        shape = given.shape
    if shape != data.shape:
        raise ValueError(
            f"{what}: the gradient has shape {tuple(shape)}, the result {tuple(data.shape)}; they must agree"
        )
    return given


def run(
    results: Sequence[tuple[Traced, Any]],
    wrap: type[Traced],
    create_graph: bool,
    retain: bool,
    needed: set[Record] | None = None,
    wanted: Iterable[Record] = (),
) -> list[tuple[Record, Any]]:
    """Sweep from results, each with its seed, and return the gradients of the leaves or of the wanted records.

    Nothing outside is changed by a sweep that fails: gradients are handed over by the caller, after the whole sweep.
    """
    before = page.get()
    watchers = before.watchers if before is not None else ()
    within = None
    if create_graph:
        within = suspended.get() if before is None else before
    # As enable_grad and no_grad do. Not `with`: Ctrl-C may come at the first line of an __exit__, and leave the mode.
    # Tokens rather than the values of before: they leave the thread's context empty again, and NumPy, which asks it
    # for its error state at every call, finds that out sooner than it finds another variable.
    mode = paused = None
    try:
        if before is not None and not create_graph:
            paused = suspended.set(before)
        mode = page.set(within)
        pending = Pending()
        follow = follower()
        pending.large = follow is not None  # sums are made with care
        for result, seed in results:
            record = result.record
            assert record is not None
            if create_graph and not isinstance(seed, Traced):
                tensor = wrap.__new__(wrap)
                tensor.data, tensor.record, tensor.grad = settle(seed), None, None
                seed = tensor
            elif not create_graph and isinstance(seed, Traced):
                seed = seed.data
            if seed.dtype.kind == "c":
                seed = ops.conj(seed)
            pending.add(record, _fit(seed, record))
        wrapped = wrap if create_graph else None
        swept = partial(sweep, pending, wrapped, retain or create_graph, needed, wanted, watchers, follow)
        found = without_autocast(swept) if create_graph else swept()
        return [(record, outward(g)) for record, g in found]
    finally:
        # The mode first: Python looks for signals after a call, so Ctrl-C here can only keep the second from running,
        # and a `suspended` of before is what it would be set to again.
        if mode is not None:
            page.reset(mode)
        else:  # Ctrl-C came between the setting and its token
            page.set(before)
        if paused is not None:
            suspended.reset(paused)


def backward(self: Any, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
    """Add the gradient of this tensor to `.grad` of every leaf it rests on.   () or, with `gradient`, (...)

    gradient: dL/d(this tensor), of its shape; may be left out for a single number, where it is 1.
    retain_graph: keep what the rules need, to sweep this tape again. create_graph: record the sweep itself, so that
    gradients can be differentiated.
    Raises RuntimeError for a result of several elements without `gradient`, one that was not recorded, a tape that
    was swept before, and a leaf that was written in place after its value was used.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    Tensor([2., 4.], dtype=float32)
    """
    seed = seed_of(self, gradient, "backward")
    found = run([(self, seed)], self.plain, create_graph, retain_graph)
    hand_over(found, self.plain, seed)


def hand_over(found: list[tuple[Any, Any]], kind: type[Traced], seed: Any) -> None:
    """Add gradients to the tensors of leaves and keepers, all of them or none. Each gets an array of its own."""
    given: set[int] = {id(seed.data) if isinstance(seed, Traced) else id(seed)}
    with _handing_over:
        tensors, gradients = [], []
        for leaf, g in found:
            tensor = leaf.owner()
            if tensor is not None:
                array = g.data if isinstance(g, Traced) else g
                if type(array) is not _ndarray or type(tensor.data) is not _ndarray:
                    _refuse_what_moved(tensor, array)
                tensors.append(tensor)
                gradients.append(added(tensor.grad, g, kind, given))
        # One call in C: neither Ctrl-C nor another thread comes in between two leaves.
        deque(map(setattr, tensors, repeat("grad"), gradients), maxlen=0)


def _refuse_what_moved(tensor: Traced, g: Any) -> None:
    """Raise where a leaf is not on the device it was on when its value was used."""
    here, there = device_of(tensor.data), device_of(g)
    if here != there:
        raise RuntimeError(
            f"backward: a tensor of shape {tuple(g.shape)} was on {there!r} when its value was used, and is on "
            f"{here!r} now; move it before the forward pass or after backward()"
        )


_handing_over = RLock()  # two threads may sweep to one leaf at once, and neither's gradient be lost


def _new_lock() -> None:
    global _handing_over
    _handing_over = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)  # a thread that held it is not there in the child


def added(before: Any, g: Any, kind: type[Traced], given: set[int]) -> Any:
    """`before` plus a gradient, as a tensor that shares its array with nothing: not with those in `given` either."""
    if before is not None and not (isinstance(before, Traced) and before.data.shape == g.shape):
        what = f"has the shape {tuple(before.data.shape)}" if isinstance(before, Traced) else type(before).__name__
        raise TypeError(
            f"backward: .grad of a tensor of shape {tuple(g.shape)} is to be a Tensor of that shape or None, not "
            + (f"one that {what}" if isinstance(before, Traced) else f"a {what}")
        )
    record = None
    if before is not None:
        array = g.data if isinstance(g, Traced) else g
        refuse_two_devices(before.data, array, "backward: .grad and the gradient to be added to it are ")
    if isinstance(g, Traced):
        if before is not None:
            return ops.add(before, g)
        data, record = ops.copy(g.data), g.record
    elif before is not None:
        if before.record is not None:
            return ops.add(before, g)
        with beside(g):
            data = before.data + g
    else:
        data = settle(g)
        if id(data) in given or not shares_nothing(data):
            data = ops.copy(data)
    given.add(id(data))
    tensor = kind.__new__(kind)
    tensor.data, tensor.record, tensor.grad = settle(data), record, None
    return tensor
