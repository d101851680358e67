"""Folding: a graph too large to read becomes one that fits, with what repeats shown once.

The steps, gentlest first, each only while the graph is still too large: stretches that repeat keep their first
occurrence open (a hundred equal blocks, an unrolled loop, a long chain); leaves with the same user become one;
scopes are closed from the innermost outwards; what is left is cut into stretches of equal length. A fold takes
neighbours in the order recorded, so that no arrow has to run backwards, and never takes a result.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tensorgrad.drawing.graph import LINE, Edge, Graph, Node, label_in

PERIOD = 64  # items: the longest stretch that is looked for as a repeat
REPEATS = 3  # times that a stretch must stand in a row to be folded
BUNCH = 3  # leaves with the same user that make a bunch


def folded(graph: Graph, limit: int | None = 300, depth: int | None = None) -> Graph:
    """The graph with at most about `limit` nodes.

    depth: close every scope that stands deeper than this many scopes in. limit: None folds no further.
    """
    if depth is not None:
        graph = closed(graph, depth)
    if limit is None or len(graph) <= limit:
        return graph
    graph = without_repeats(graph, limit)
    if len(graph) > limit:
        graph = with_bunches(graph)
    deepest = max((len(node.scope.split(".")) for node in graph.nodes.values() if node.scope), default=0)
    open_graph = graph
    for level in reversed(range(deepest)):
        if len(graph) <= limit:
            break
        graph = without_repeats(with_bunches(closed(open_graph, level)), limit)
    if len(graph) > limit:
        graph = in_stretches(graph, limit)
    return graph


# ── merging ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Group:
    """Nodes that become one: their keys, what the one is called (else by its count), and the scope it stands in.

    with_leaves: leaves that only these nodes use become part of it too.
    """

    members: Sequence[str]
    title: str
    scope: str
    lines: tuple[str, ...] = ()
    with_leaves: bool = True


def merged(graph: Graph, groups: Iterable[Group]) -> Graph:
    """The graph with each group as one node."""
    into: dict[str, str] = {}
    called: dict[str, Group] = {}
    for group in groups:
        key = f"f{group.members[0]}"
        called[key] = group
        into.update(dict.fromkeys(group.members, key))
    users: dict[str, set[str]] = {}
    for edge in graph.edges:
        users.setdefault(edge.tail, set()).add(into.get(edge.head, ""))
    for key, node in graph.nodes.items():
        if not _is_leaf(node) or key in into or len(users.get(key, ())) != 1:
            continue
        (user,) = users[key]
        if user and called[user].with_leaves:
            into[key] = user

    members: dict[str, list[Node]] = {}
    for key, node in graph.nodes.items():
        if key in into:
            members.setdefault(into[key], []).append(node)
    # A folded node stands where the last of its members stood: after everything it uses.
    last = {into[key]: key for key in graph.nodes if key in into}
    nodes: dict[str, Node] = {}
    for key, node in graph.nodes.items():
        home = into.get(key)
        if home is None:
            nodes[key] = node
        elif last[home] == key:
            nodes[home] = _merged_node(home, called[home], members[home])
    return Graph(nodes, _merged_edges(graph.edges, into), graph.records)


def _merged_node(key: str, group: Group, members: Sequence[Node]) -> Node:
    ops, leaves, size = sum(n.ops for n in members), sum(n.leaves for n in members), sum(n.size for n in members)
    made = [node for node in members if node.ops]
    last = made[-1] if made else members[-1]
    count = f"{ops:,} ops" if ops > 1 else "1 op"
    title = group.title or count
    node = Node(key, "op" if made else "leaf", title, "", group.scope, f"folded {title}")
    if any(each.kind == "result" for each in members):
        node.kind = "result"
    if made:
        node.result = last.result
        node.lines = [*group.lines, *([count] if group.title else [])]
        if leaves:
            node.lines.append(f"{leaves:,} {'leaves' if leaves > 1 else 'leaf'}, {size:,} numbers")
    else:
        node.lines = [*group.lines, f"{size:,} numbers"]
    node.alarm = any(each.alarm for each in members)
    node.folded = sum(each.folded or 1 for each in members)
    node.ops, node.leaves, node.size = ops, leaves, size
    measured = [each.heat for each in members if each.heat is not None]
    node.heat = sum(measured) if measured else None
    node.tooltip = f"{node.folded:,} records: " + _listed(made or members)
    return node


def _merged_edges(edges: Iterable[Edge], into: dict[str, str]) -> list[Edge]:
    found: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        tail, head = into.get(edge.tail, edge.tail), into.get(edge.head, edge.head)
        if tail == head:
            continue
        label = edge.label if head == edge.head and tail == edge.tail else ""
        before = found.get((tail, head))
        if before is None:
            found[tail, head] = Edge(tail, head, label)
        elif label and label not in before.label.split(", "):
            before.label = f"{before.label}, {label}" if before.label else label
    return list(found.values())


def _is_leaf(node: Node) -> bool:
    return not node.ops and node.kind != "result"


def _listed(nodes: Iterable[Node]) -> str:
    """What kinds of nodes there are, the most frequent first: "12 add, 6 relu, 1 mean"."""
    counted = Counter(node.op or node.title for node in nodes).most_common(6)
    return ", ".join(f"{count} {name}" for name, count in counted) + (", ..." if len(counted) == 6 else "")


def _cut(text: str) -> str:
    return text if len(text) <= LINE else text[: LINE - 1] + "…"


# ── scopes closed at a depth ────────────────────────────────────────────────────────────────────────────────


def closed(graph: Graph, depth: int) -> Graph:
    """Every scope more than `depth` scopes in as one node."""
    if depth < 0:
        raise ValueError(f"render: depth is the number of nested scopes drawn open, 0 or more, not {depth}")
    members: dict[str, list[str]] = {}
    for key, node in graph.nodes.items():
        parts = node.scope.split(".") if node.scope else []
        if len(parts) > depth:
            members.setdefault(".".join(parts[: depth + 1]), []).append(key)
    groups = []
    for name, keys in members.items():
        outer = name.rpartition(".")[0]
        groups.append(Group(keys, label_in(name, outer), outer, with_leaves=False))  # they are in it by name
    return merged(graph, groups)


# ── what repeats ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Item:
    """What one scope holds, in order: a node of its own, or a scope inside with all its nodes."""

    scope: str
    members: list[str]
    sign: Hashable = None


def items_of(graph: Graph) -> dict[str, list[Item]]:
    """For each scope its items in the order recorded, without leaves."""
    levels: dict[str, dict[str, Item]] = {}
    for key, node in graph.nodes.items():
        if _is_leaf(node):
            continue
        parts = node.scope.split(".") if node.scope else []
        for depth in range(len(parts)):
            outer, name = ".".join(parts[:depth]), ".".join(parts[: depth + 1])
            levels.setdefault(outer, {}).setdefault(f"{name}.", Item(name, [])).members.append(key)
        levels.setdefault(node.scope, {})[key] = Item("", [key])
    for outer, items in levels.items():
        for item in items.values():
            item.sign = _sign(graph, item, outer)
    return {scope: list(items.values()) for scope, items in levels.items()}


def _sign(graph: Graph, item: Item, outer: str) -> Hashable:
    """What two repeats have in common: their ops, results and inner scopes; their own numbers aside."""
    nodes = [graph.nodes[key] for key in item.members]
    if any(node.kind == "result" for node in nodes):
        return item.members[0]  # like nothing else
    signs = tuple([(node.scope[len(item.scope) :] if item.scope else "", node.op, node.result) for node in nodes])
    return (_numberless(item.scope[len(outer) :]), signs)


def _numberless(name: str) -> str:
    return re.sub(r"\d+", "#", name)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A stretch of `period` items from `start` that stands `times` times in a row."""

    start: int
    period: int
    times: int


def repeats(signs: Sequence[Hashable], widths: Sequence[int] | None = None) -> list[Repeat]:
    """All stretches that repeat, as long as they go; they may overlap.

    widths: for each item, how many values cross the gap after it. Where a stretch may begin at several places, it
    begins where the fewest cross, so that the first occurrence is a piece with one arrow in and one out.

    >>> repeats("xabababy")
    [Repeat(start=1, period=2, times=3)]
    """
    number: dict[Hashable, int] = {}
    codes = np.asarray([number.setdefault(sign, len(number)) for sign in signs])
    found = []
    for period in range(1, min(PERIOD, len(codes) // REPEATS) + 1):
        same = np.concatenate([[0], codes[period:] == codes[:-period], [0]]).astype(np.int8)
        steps = np.diff(same)
        for start, end in zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True):
            length = end - start + period
            if length < REPEATS * period:
                continue
            shifts = range(min(period, length - REPEATS * period + 1))
            shift = min(shifts, key=lambda s: widths[start + s + period - 1]) if widths is not None else 0
            found.append(Repeat(start + shift, period, (length - shift) // period))
    return found


def _widths(graph: Graph, items: Sequence[Item]) -> list[int]:
    """How many values made by an item up to each place are still used after it."""
    place = {key: number for number, item in enumerate(items) for key in item.members}
    last: dict[str, int] = {}
    for edge in graph.edges:
        if edge.tail in place:
            user = place.get(edge.head, len(items) - 1)
            last[edge.tail] = max(last.get(edge.tail, 0), user)
    change = np.zeros(len(items) + 1, dtype=np.int64)
    for key, user in last.items():
        if user > place[key]:
            change[place[key]] += 1
            change[user] -= 1
    widths: list[int] = np.cumsum(change)[:-1].tolist()
    return widths


def without_repeats(graph: Graph, limit: int) -> Graph:
    """Each repeating stretch once, and a node for the rest of it; as few stretches as bring the graph to `limit`."""
    levels = items_of(graph)
    candidates = []
    for scope, items in levels.items():
        if len(items) < REPEATS:
            continue
        for repeat in repeats([item.sign for item in items], _widths(graph, items)):
            rest = items[repeat.start + repeat.period : repeat.start + repeat.period * repeat.times]
            members = [key for item in rest for key in item.members]
            candidates.append((len(members) - 1, -repeat.period, scope, repeat, members))
    candidates.sort(key=lambda each: each[:2], reverse=True)

    size, taken, groups = len(graph), set[str](), []
    for saved, _, scope, repeat, members in candidates:
        if size <= limit:
            break
        if saved > 1 and taken.isdisjoint(members):
            taken.update(members)
            groups.append(_rest(graph, levels[scope], repeat, scope, members))
            size -= saved
    return merged(graph, groups)


def _rest(graph: Graph, items: Sequence[Item], repeat: Repeat, scope: str, members: Sequence[str]) -> Group:
    """The repeats of a stretch after the first, as a group."""
    first = items[repeat.start : repeat.start + repeat.period]
    more = repeat.times - 1
    words = [label_in(item.scope, scope) if item.scope else graph.nodes[item.members[0]].title for item in first]
    if repeat.period == 1 and first[0].scope:
        begin, end = items[repeat.start + 1], items[repeat.start + more]
        title = f"{label_in(begin.scope, scope)} … {label_in(end.scope, scope)}"
        return Group(members, title, scope, (f"{more:,} more like {words[0]}",))
    return Group(members, f"{more:,} times more", scope, (_cut(", ".join(words)),))


# ── leaves, and what is left ────────────────────────────────────────────────────────────────────────────────


def with_bunches(graph: Graph) -> Graph:
    """Leaves with the same users as one node each."""
    users: dict[str, list[str]] = {}
    for edge in graph.edges:
        users.setdefault(edge.tail, []).append(edge.head)
    bunches: dict[tuple[str, ...], list[str]] = {}
    for key, node in graph.nodes.items():
        if _is_leaf(node):
            bunches.setdefault(tuple(users.get(key, ())), []).append(key)
    groups = [
        Group(keys, f"{len(keys):,} leaves", graph.nodes[keys[0]].scope)
        for keys in bunches.values()
        if len(keys) >= BUNCH
    ]
    return merged(graph, groups)


def in_stretches(graph: Graph, limit: int) -> Graph:
    """Neighbours in the same scope as one node per stretch, cut where few values cross."""
    levels = items_of(graph)
    count = sum(not _is_leaf(node) for node in graph.nodes.values())
    length = max(2, -(-2 * count // max(1, limit)))
    groups = []
    for scope, items in levels.items():
        widths = _widths(graph, items)
        start = 0
        while start < len(items):
            end = start
            while end < len(items) and end - start < length and _is_plain(graph, items[end]):
                end += 1
            if end - start == length:  # the narrowest gap in the second half of the stretch
                end = min(range(start + (length + 1) // 2, end + 1), key=lambda gap: (widths[gap - 1], -gap))
            if end - start >= 2:
                members = [key for item in items[start:end] for key in item.members]
                listed = _cut(_listed(graph.nodes[key] for key in members))
                groups.append(Group(members, "", scope, (listed,)))
            start = max(end, start + 1)
    return merged(graph, groups)


def _is_plain(graph: Graph, item: Item) -> bool:
    return not item.scope and graph.nodes[item.members[0]].kind != "result"
