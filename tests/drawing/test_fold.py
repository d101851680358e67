"""Folding: a large graph becomes a small one that says what it left out, and whose arrows still run forwards."""

import pytest

import tensorgrad as tg
from tensorgrad.drawing.fold import Repeat, closed, folded, in_stretches, repeats, with_bunches
from tensorgrad.drawing.graph import boxes, graph_of
from tests.drawing import nets


def titles(graph):
    return [node.title for node in graph.nodes.values()]


def folds(graph):
    return [node for node in graph.nodes.values() if node.folded]


def runs_forwards(graph):
    """Whether every arrow leads to a node that stands later."""
    place = {key: number for number, key in enumerate(graph.nodes)}
    return all(place[edge.tail] < place[edge.head] for edge in graph.edges)


def is_whole(graph):
    """Whether drawn and folded nodes together are all records, and every edge joins nodes that are there."""
    counted = sum(node.folded or 1 for node in graph.nodes.values())
    keys = graph.nodes.keys()
    return counted == graph.records and all({edge.tail, edge.head} <= keys for edge in graph.edges)


def test_a_graph_within_the_limit_is_left_alone():
    graph = graph_of([nets.chain(20)])
    assert folded(graph, limit=len(graph)) is graph
    assert folded(graph, limit=None) is graph


def test_a_residual_chain_of_a_thousand_ops_shows_one_step_and_counts_the_rest():
    graph = graph_of([nets.chain(333)])
    assert len(graph) == 333 * 4 + 2
    small = folded(graph)
    assert titles(small) == ["leaf", "leaf", "multiply", "relu", "add", "332 times more", "sum"]
    (rest,) = folds(small)
    assert rest.lines == ["multiply, relu, add", "996 ops", "332 leaves, 664 numbers"]
    assert rest.result == "float32[2]"
    assert (rest.folded, rest.ops, rest.leaves) == (332 * 4, 996, 332)
    assert is_whole(small)
    assert runs_forwards(small)


def test_repeated_blocks_show_the_first_and_name_the_others():
    small = folded(graph_of([nets.blocks(100)]))
    (rest,) = folds(small)
    assert rest.title == "block.1 … block.99"
    assert rest.lines[0] == "99 more like block.0"
    assert rest.scope == "block"
    (block, head) = boxes(small).inside
    assert [box.name for box in block.inside] == ["block.0"]
    assert block.inside[0].inside[0].name == "block.0.product"
    assert head.name == "head"
    assert is_whole(small)
    assert runs_forwards(small)


def test_blocks_of_another_shape_are_no_repeats():
    h = nets.leaf(2, 3)
    for number in range(60):
        with tg.scope(f"block.{number}"):
            h = tg.tanh(h @ nets.leaf(3, 3)) if number != 30 else tg.tanh(tg.exp(h) @ nets.leaf(3, 3))
    small = folded(graph_of([h.sum()]), limit=40)
    names = [node.title for node in folds(small)]
    assert names == ["block.1 … block.29", "block.32 … block.59"]
    assert is_whole(small)


def test_scopes_with_what_stands_between_them_repeat_together():
    h = nets.leaf(2)
    for number in range(50):
        with tg.scope(f"block.{number}"):
            h = tg.tanh(h * 2.0)
        h = h + 1.0  # outside of every block
    small = folded(graph_of([h.sum()]), limit=20)
    assert is_whole(small)
    assert len(small) <= 20


def test_only_as_much_is_folded_as_the_limit_asks_for():
    x = nets.leaf(2)
    y = x
    for _ in range(40):
        y = tg.tanh(tg.sin(y))
    for _ in range(5):
        y = tg.cos(y)
    graph = graph_of([y.sum()])
    assert len(folds(folded(graph, limit=20))) == 1  # the long repeat; the short one may stay
    assert titles(folded(graph, limit=20)).count("cos") == 5


def test_results_are_never_folded_into_repeats():
    h, results = nets.leaf(2), []
    for number in range(60):
        h = tg.tanh(h)
        if number % 20 == 10:
            results.append(h)
    small = folded(graph_of([*results, h]), limit=15)
    assert [node.title for node in small.nodes.values() if node.kind == "result"] == ["tanh"] * 4
    assert is_whole(small)


def test_a_weight_shared_by_open_and_folded_stages_stays_drawn():
    h, w = nets.leaf(2), nets.leaf(2)
    for _ in range(100):
        h = tg.tanh(h * w)
    small = folded(graph_of([h.sum()], {"w": w}), limit=10)
    (rest,) = folds(small)
    (key,) = [key for key, node in small.nodes.items() if node.title == "w"]
    assert {(edge.tail, edge.head) for edge in small.edges} >= {(key, rest.key)}


def test_leaves_with_one_user_become_a_bunch():
    graph = graph_of([tg.concat([nets.leaf(2) for _ in range(500)]).sum()])
    small = with_bunches(graph)
    assert titles(small) == ["500 leaves", "concat_parts", "sum"]
    assert small.nodes["fn0"].lines == ["1,000 numbers"]
    assert small.nodes["fn0"].kind == "leaf"
    assert len(folded(graph)) == 3
    assert is_whole(small)


def test_depth_closes_the_scopes_below_it():
    loss, names = nets.mlp()
    graph = graph_of([loss], names)
    assert titles(closed(graph, 0)) == ["layers", "mean"]
    once = closed(graph, 1)
    assert titles(once) == ["layers.0", "layers.1", "mean"]
    assert [node.scope for node in once.nodes.values()] == ["layers", "layers", ""]
    assert once.nodes["fn0"].lines == ["4 ops", "2 leaves, 20 numbers"]
    assert titles(closed(graph, 2)) == titles(graph)
    assert all(is_whole(closed(graph, depth)) and runs_forwards(closed(graph, depth)) for depth in range(3))


def test_a_negative_depth_is_refused():
    loss, _ = nets.mlp()
    with pytest.raises(ValueError, match="0 or more, not -1"):
        folded(graph_of([loss]), depth=-1)


def test_a_closed_scope_with_the_result_inside_is_a_result():
    x = nets.leaf(2)
    with tg.scope("model"):
        y = tg.exp(x).sum()
    small = closed(graph_of([y], {"x": x}), 0)
    assert [(node.title, node.kind) for node in small.nodes.values()] == [("x", "leaf"), ("model", "result")]


def test_a_scope_entered_again_and_again_is_one_node_when_closed():
    h = nets.leaf(2)
    for _ in range(5):
        with tg.scope("cell"):
            h = tg.tanh(h)
        h = h + 1.0
    small = closed(graph_of([h.sum()]), 0)
    assert titles(small).count("cell") == 1
    assert is_whole(small)


def test_scopes_are_closed_before_what_has_none_is_cut():
    x, functions = nets.leaf(2), [tg.tanh, tg.sin, tg.cos, tg.sigmoid, tg.atan]
    h, state = x, 1
    for number in range(20):
        with tg.scope("abcdefghijklmnopqrst"[number]):
            for _ in range(number + 3):
                state = state * 75 % 65537
                h = functions[state % 5](h)
    small = folded(graph_of([h.sum()], {"x": x}), limit=30)
    assert titles(small) == ["x", *"abcdefghijklmnopqrst", "sum"]


def test_a_long_net_without_repeats_is_cut_into_stretches():
    graph = graph_of([nets.irregular(1000)])
    small = in_stretches(graph, 100)
    assert len(small) <= 100
    assert is_whole(small)
    assert runs_forwards(small)
    assert len(folded(graph)) <= 300
    assert titles(small)[-1] == "sum"


def test_folding_a_net_keeps_arrows_forward_at_every_limit():
    graph = graph_of([nets.blocks(12)])
    for limit in (5, 10, 20, 40, 80):
        small = folded(graph, limit)
        assert is_whole(small)
        assert runs_forwards(small)
        assert len(small) <= max(limit, 8)


def test_an_alarm_is_still_seen_from_outside():
    h = tg.asarray([1.0, float("nan")], requires_grad=True)
    for _ in range(50):
        h = tg.tanh(h)
    small = folded(graph_of([h.sum()], with_values=True), limit=10)
    (rest,) = folds(small)
    assert rest.alarm


def test_edges_into_a_fold_are_drawn_once():
    x = nets.leaf(2)
    h = x
    for _ in range(100):
        h = h * x
    small = folded(graph_of([h.sum()], {"x": x}), limit=10)
    pairs = [(edge.tail, edge.head) for edge in small.edges]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("abc", []),
        ("aabb", []),
        ("aaa", [Repeat(0, 1, 3)]),
        ("xabcabcabcay", [Repeat(1, 3, 3)]),
        ("aaaaxbbb", [Repeat(0, 1, 4), Repeat(5, 1, 3)]),
        ("abababab", [Repeat(0, 2, 4)]),
    ],
)
def test_repeats_are_found_where_a_stretch_stands_three_times(text, expected):
    assert repeats(text) == expected


def test_a_repeat_begins_where_the_fewest_values_cross():
    signs = "abcabcabcab"
    widths = [3, 3, 1] * 4
    assert repeats(signs) == [Repeat(0, 3, 3)]
    assert repeats(signs, widths[:11]) == [Repeat(0, 3, 3)]
    shifted = [1, 3, 3] * 4  # the narrow gap is after the first item, so a stretch begins at the second
    assert repeats(signs, shifted[:11]) == [Repeat(1, 3, 3)]


def test_ten_thousand_steps_fold_into_one():
    assert len(folded(graph_of([nets.chain(10_000)]))) == 7
