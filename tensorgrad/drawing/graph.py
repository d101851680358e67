"""A tape as plain data to draw: nodes with a few lines of text, edges, and the scopes they stand in.

Nothing here knows how a picture is made, and nothing holds a record or an array: a graph outlives its tape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorgrad.drawing import values
from tensorgrad.tape import CONSTANT, Fan, Leaf, PlacedScope, Record, Tape, Traced, call_of, kind_of, text_of

# Ops whose operands may change places: their edges need no names to be read.
SYMMETRIC = frozenset({"add", "multiply", "maximum", "minimum", "logaddexp", "hypot"})
LINE = 44  # characters; a longer line makes a box wider than the picture around it
UNNAMED = "leaf"
NESTED = 32  # boxes within boxes; a scope further in is drawn in the last of them


@dataclass(slots=True)
class Node:
    """One box: a record of the tape, or several folded into one.

    kind: "leaf", "op" or "result". title: the parameter's name or the op's. result: dtype and shape as text.
    lines: what else is known, one line each. op: what two nodes must share to be repeats of one another.
    alarm: a NaN or an infinity is in it. folded: how many records it stands for, 0 for one that is drawn itself.
    size: the number of elements of a leaf. heat: seconds that a profile found, None where it is not asked.
    """

    key: str
    kind: str
    title: str
    result: str
    scope: str = ""
    op: str = ""
    lines: list[str] = field(default_factory=list)
    tooltip: str = ""
    alarm: bool = False
    folded: int = 0
    ops: int = 1
    leaves: int = 0
    size: int = 0
    heat: float | None = None


@dataclass(slots=True)
class Edge:
    """An arrow from what was made to what used it, with a word where the place matters."""

    tail: str
    head: str
    label: str = ""


@dataclass(slots=True)
class Graph:
    """What is drawn: nodes by key in the order recorded, edges, and how many records there were."""

    nodes: dict[str, Node]
    edges: list[Edge]
    records: int

    def __len__(self) -> int:
        return len(self.nodes)


@dataclass(slots=True)
class Box:
    """The box of one scope: its own nodes and the boxes inside it. The outermost has no name."""

    name: str
    label: str
    nodes: list[str] = field(default_factory=list)
    inside: list[Box] = field(default_factory=list)


# ── from a tape ─────────────────────────────────────────────────────────────────────────────────────────────


def graph_of(
    results: Sequence[Traced],
    names: Mapping[str, Traced] | None = None,
    with_values: bool = False,
    with_gradients: bool = False,
    seconds: Mapping[float, float] | None = None,
) -> Graph:
    """The graph that results rest on. See `tensorgrad.render` for the arguments; seconds: of records, by serial."""
    tape = Tape(*results)
    known = Names(names or {})
    number = {record: place for place, record in enumerate(tape)}
    makers = {_maker(result.record) for result in results}
    about = values.summaries(tape, results) if with_values else {}

    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    key = {record: f"n{place}" for record, place in number.items()}
    for record in tape:
        if isinstance(record, Fan):
            continue
        node = _leaf(record, known) if isinstance(record, Leaf) else _op(record, known)
        node.key = key[record]
        if record in makers:
            node.kind = "result"
        if seconds is not None and not isinstance(record, Leaf):
            node.heat = seconds.get(record.serial, 0.0)
        said = about.get(record, [])
        for place, summary in enumerate(said):
            node.lines.append(f"{place}: {summary.text}" if len(said) > 1 else summary.text)
            node.alarm |= summary.alarm
        if with_gradients and isinstance(record, Leaf):
            summary = values.gradient_of(record)
            node.lines.append(summary.text)
            node.alarm |= summary.alarm
        node.tooltip = _tooltip(record, node, number)
        nodes[node.key] = node
        edges += _edges(record, key, known)
    graph = Graph(nodes, edges, sum(not isinstance(record, Fan) for record in tape))
    _place_leaves(graph)
    return graph


class Names:
    """What the user calls things: by record where they were recorded, by array where they were not."""

    def __init__(self, names: Mapping[str, Traced]) -> None:
        self.records: dict[Record, str] = {}
        self.arrays: dict[int, str] = {}
        for name, tensor in names.items():
            if not isinstance(tensor, Traced):
                raise TypeError(
                    f"render: names maps a name to a Tensor, as dict(model.named_parameters()) does; "
                    f"{name!r} is a {type(tensor).__name__}"
                )
            if tensor.record is None:
                self.arrays[id(tensor.data)] = str(name)
            else:
                self.records[tensor.record] = str(name)

    def leaf(self, leaf: Leaf) -> str:
        """The name given, or the one that the leaf's own tensor carries, or none."""
        own = getattr(leaf.owner(), "name", None)
        return self.records.get(leaf) or (own if isinstance(own, str) else "")


def _maker(record: Record | None) -> Record | None:
    """The record that is drawn for a result: of a fan, the one that has all results."""
    maker: Record | None = record.inputs[0] if isinstance(record, Fan) else record
    return maker


def _leaf(leaf: Leaf, known: Names) -> Node:
    size = 1
    for length in leaf.shape:
        size *= length
    return Node("", "leaf", known.leaf(leaf) or UNNAMED, _results(leaf), ops=0, leaves=1, size=size)


def _op(record: Record, known: Names) -> Node:
    name = record.op.name
    scope = ".".join(record.scope.name.split(".")[:NESTED])
    given = known.records.get(record)
    node = Node("", "op", f"{given} = {name}" if given else name, _results(record), scope, name)
    node.lines += _wrapped(_arguments(record, known))
    return node


def _results(record: Record) -> str:
    """What a record made, as dtype and shape; of several results each on a line of its own."""
    if not isinstance(record.dtype, tuple):
        return kind_of(record)
    pairs = zip(record.dtype, record.shape, strict=True)
    return "\n".join(f"result {place}: {dtype}{list(shape)}" for place, (dtype, shape) in enumerate(pairs))


def _tooltip(record: Record, node: Node, number: dict[Record, int]) -> str:
    call = node.title if isinstance(record, Leaf) else call_of(record, number)
    text = f"%{number[record]} = {call}  {kind_of(record)}"
    if record.scope.name:
        text += f"  in {record.scope.name}"
    if isinstance(record.scope, PlacedScope):
        text += f"  at {record.scope.line}"
    return text


# ── what a node says of the arguments that are not drawn ────────────────────────────────────────────────────


def _arguments(record: Record, known: Names) -> list[str]:
    """Constants and attributes that are not the default: "x2 = 2.0", "axis = -1", "x1 = const float32[64, 3]"."""
    op = record.op
    kept = dict(zip(op.kept_names, record.kept, strict=False)) if isinstance(record.kept, tuple) else {}
    defaults = {parameter.name: parameter.default for parameter in op.parameters}
    said = []
    for name, value in zip(op.names, record.inputs, strict=False):
        if isinstance(value, Record) or value is None or text_of(value, {}) == text_of(defaults.get(name), {}):
            continue
        said.append(f"{name} = {_constant(kept.get(name), known) if value is CONSTANT else _number(value)}")
    parts = [each for each in record.inputs[len(op.names) :] if not isinstance(each, Record)]
    if parts:
        said.append(f"{op.parts}: {len(parts)} const")
    return said


def _number(value: Any) -> str:
    """An attribute as the tape prints it, but no more than six digits of a float: 1e-05, 2.0, 2.82843."""
    text = text_of(value, {})
    return f"{value:.6g}" if isinstance(value, float) and len(text) > 8 else text


def _constant(array: Any, known: Names) -> str:
    if array is None:
        return "const"
    return f"{known.arrays.get(id(array), 'const')} {array.dtype}{list(array.shape)}"


def _wrapped(said: Iterable[str]) -> list[str]:
    """Short texts side by side, as many as fit on a line."""
    lines: list[str] = []
    for text in said:
        text = text if len(text) <= LINE else text[: LINE - 1] + "…"
        if lines and len(lines[-1]) + len(text) + 2 <= LINE * 2 // 3:
            lines[-1] += f", {text}"
        else:
            lines.append(text)
    return lines


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────────


def _edges(record: Record, key: Mapping[Record, str], known: Names) -> list[Edge]:
    """One edge per thing a record used, however often it used it."""
    if isinstance(record, Leaf):
        return []
    variadic = len(record.op.names)
    places: dict[Record, list[str]] = {}
    for place, (name, parent) in enumerate(zip(record.op.places(record), record.inputs, strict=True)):
        if isinstance(parent, Record):
            places.setdefault(parent, []).append(name if place < variadic else str(place - variadic))
    ordered = len(places) > 1 and record.op.name not in SYMMETRIC
    edges = []
    for parent, used_as in places.items():
        words = []
        if isinstance(parent, Fan):
            words.append(known.records.get(parent) or f"result {parent.inputs[1]}")
        if ordered or len(used_as) > 1:
            words.append(" and ".join(used_as) if len(used_as) <= 3 else f"{len(used_as)} times")
        tail = parent.inputs[0] if isinstance(parent, Fan) else parent
        edges.append(Edge(key[tail], key[record], " as ".join(words)))
    return edges


# ── scopes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _place_leaves(graph: Graph) -> None:
    """Put each leaf in the scope that its name says, or else the innermost that holds everything that uses it."""
    used_in: dict[str, list[str]] = {}
    for edge in graph.edges:
        if graph.nodes[edge.tail].kind == "leaf":
            parts = _parts(graph.nodes[edge.head].scope)
            before = used_in.setdefault(edge.tail, parts)
            same = 0
            while same < min(len(before), len(parts)) and before[same] == parts[same]:
                same += 1
            used_in[edge.tail] = parts[:same]
    for key, parts in used_in.items():
        node = graph.nodes[key]
        node.scope, node.title = _home(node.title, parts)


def _home(name: str, parts: list[str]) -> tuple[str, str]:
    """Where a leaf of this name stands that is used inside these scopes, and what it is called there.

    >>> _home("layers.0.weight", ["mlp", "layers", "0", "product"])
    ('mlp.layers.0', 'weight')
    >>> _home("images", ["layers", "0"])
    ('', 'images')
    """
    prefix, _, last = name.rpartition(".")
    if not (prefix and last):
        return ("" if name != UNNAMED else ".".join(parts)), name
    for depth in range(len(parts), 0, -1):
        scope = ".".join(parts[:depth])
        if f".{scope}".endswith(f".{prefix}"):
            return scope, last
    return ".".join(parts), name


def _parts(scope: str) -> list[str]:
    return scope.split(".") if scope else []


def boxes(graph: Graph) -> Box:
    """The scopes of a graph, nested.

    A box that would hold nothing but one other box is left out, and so is one that holds nothing but boxes when a path
    leaves it and comes back, as between the layers of a list: no picture with all arrows one way can have it.
    """
    root = Box("", "")
    found = {"": root}
    for node in graph.nodes.values():
        parts = _parts(node.scope)
        for depth in range(len(parts)):
            name = ".".join(parts[: depth + 1])
            if name not in found:
                found[name] = Box(name, "")
                found[".".join(parts[:depth])].inside.append(found[name])
        found[node.scope].nodes.append(node.key)
    for box in reversed(found.values()):  # children stand after their parents, so go from the inside out
        box.inside = [_only_child(child) for child in box.inside]
    left = _followers(graph)
    for box in reversed(found.values()):
        box.inside = [
            each
            for child in box.inside
            for each in (child.inside if not child.nodes and _is_entered_again(child, left) else [child])
        ]
    todo = [root]
    while todo:
        box = todo.pop()
        for child in box.inside:
            child.label = label_in(child.name, box.name)
        todo += box.inside
    return root


def _only_child(box: Box) -> Box:
    return box.inside[0] if len(box.inside) == 1 and not box.nodes else box


def _followers(graph: Graph) -> dict[str, list[str]]:
    """The nodes that use what each node made."""
    following: dict[str, list[str]] = {}
    for edge in graph.edges:
        following.setdefault(edge.tail, []).append(edge.head)
    return following


def _is_entered_again(box: Box, following: Mapping[str, list[str]]) -> bool:
    """Whether a path leads from a node of this box to a node outside and back into the box."""
    todo, own = [box], set()
    while todo:
        each = todo.pop()
        own.update(each.nodes)
        todo += each.inside
    outside = {head for key in own for head in following.get(key, []) if head not in own}
    ahead = list(outside)
    while ahead:
        for head in following.get(ahead.pop(), []):
            if head in own:
                return True
            if head not in outside:
                outside.add(head)
                ahead.append(head)
    return False


def label_in(name: str, outer: str) -> str:
    """The name of a scope inside another: the rest of it, with one word more where the rest is a bare number.

    >>> label_in("encoder.layers.0", "encoder.layers")
    'layers.0'
    >>> label_in("encoder.layers.0", "encoder")
    'layers.0'
    """
    parts, known = _parts(name), len(_parts(outer))
    if known and known < len(parts) and parts[known].isdigit():
        known -= 1
    return ".".join(parts[known:])
