"""The graph of a tape: what stands on its nodes, where they stand, and which arrows join them."""

import gc
import weakref

import pytest

import tensorgrad as tg
from tensorgrad.drawing.graph import NESTED, boxes, graph_of
from tensorgrad.tape import PlacedScope, page
from tests.drawing import nets


def graph(loss, names=None, **options):
    return graph_of(loss if isinstance(loss, list) else [loss], names, **options)


def by_title(drawn, title):
    (node,) = [node for node in drawn.nodes.values() if node.title == title]
    return node


def arrows(drawn):
    return {(drawn.nodes[edge.tail].title, drawn.nodes[edge.head].title, edge.label) for edge in drawn.edges}


def test_there_is_one_node_per_record_and_one_edge_per_use():
    x = nets.leaf(2)
    drawn = graph((tg.exp(x) * x).sum(), {"x": x})
    assert [node.title for node in drawn.nodes.values()] == ["x", "exp", "multiply", "sum"]
    assert arrows(drawn) == {("x", "exp", ""), ("exp", "multiply", ""), ("x", "multiply", ""), ("multiply", "sum", "")}
    assert drawn.records == len(drawn) == 4


def test_nodes_are_of_three_kinds():
    x = nets.leaf(2)
    y = tg.exp(x)
    drawn = graph([y.sum(), y], {"x": x})
    assert {node.title: node.kind for node in drawn.nodes.values()} == {"x": "leaf", "exp": "result", "sum": "result"}


def test_nodes_say_their_dtype_and_shape():
    x = tg.asarray(tg.ones((2, 3)), requires_grad=True)
    drawn = graph(tg.astype(x, tg.float64).sum(axis=0), {"x": x})
    assert by_title(drawn, "x").result == "float32[2, 3]"
    assert by_title(drawn, "sum").result == "float64[3]"


def test_numbers_and_attributes_stand_in_the_node_and_defaults_do_not():
    x = nets.leaf(2, 3)
    drawn = graph(((x * 2.5).sum(axis=1, keepdims=True) / 3**0.5)[0, :])
    assert len(drawn) == 5
    assert by_title(drawn, "multiply").lines == ["x2 = 2.5"]
    assert by_title(drawn, "sum").lines == ["axis = 1, keepdims = True"]
    assert by_title(drawn, "divide").lines == ["x2 = 1.73205"]
    assert by_title(drawn, "getitem").lines == ["key = [0, :]"]


def test_constant_arrays_stand_in_the_node_with_what_is_known_of_them():
    x, seen, lost = nets.leaf(2), tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0])
    drawn = graph((x * seen) + lost, {"scale": seen})
    assert by_title(drawn, "multiply").lines == ["x2 = scale float32[2]"]
    assert by_title(drawn, "add").lines == ["x2 = const"]  # no rule of add asks for it, so the tape has let it go
    assert by_title(graph(x * seen), "multiply").lines == ["x2 = const float32[2]"]


def test_constant_parts_are_counted():
    x = nets.leaf(2)
    drawn = graph(tg.concat([x, tg.ones(2), tg.ones(2)]))
    (node,) = [node for node in drawn.nodes.values() if node.kind == "result"]
    assert node.lines == ["axis = 0, parts: 2 const"]


def test_edges_are_labelled_where_the_order_of_operands_matters():
    x, y = nets.leaf(2), nets.leaf(2)
    names = {"x": x, "y": y}
    assert arrows(graph(x - y, names)) == {("x", "subtract", "x1"), ("y", "subtract", "x2")}
    assert arrows(graph(x + y, names)) == {("x", "add", ""), ("y", "add", "")}
    assert arrows(graph(x / 2.0, names)) == {("x", "divide", "")}


def test_a_value_used_twice_by_one_op_is_one_edge_that_says_so():
    x = nets.leaf(2)
    assert arrows(graph(x * x, {"x": x})) == {("x", "multiply", "x1 and x2")}
    many = graph(tg.concat([x] * 5), {"x": x})
    assert "5 times" in {edge.label for edge in many.edges}


def test_parts_are_labelled_by_their_place():
    x, y = nets.leaf(2), nets.leaf(2)
    drawn = graph(tg.concat([x, y, x]), {"x": x, "y": y})
    assert {(tail, label) for tail, _, label in arrows(drawn)} == {("x", "0 and 2"), ("y", "1")}


def test_several_results_are_one_node_with_labelled_edges():
    loss, names = nets.two_results()
    drawn = graph(loss, names)
    assert by_title(drawn, "qr_parts").result == "result 0: float32[3, 2]\nresult 1: float32[2, 2]"
    assert ("qr_parts", "multiply", "result 0") in arrows(drawn)
    assert ("qr_parts", "matmul", "result 1 as x1 and x2") in arrows(drawn)
    assert not any("fan" in node.title for node in drawn.nodes.values())


def test_a_result_of_several_can_be_drawn_and_named():
    q, r = tg.qr(nets.leaf(2, 2))
    assert by_title(graph(q), "qr_parts").kind == "result"
    assert ("qr_parts", "exp", "R") in arrows(graph(tg.exp(r), {"R": r}))


def test_a_recorded_tensor_can_be_named():
    x = nets.leaf(2)
    hidden = tg.exp(x)
    loss = hidden.sum()
    titles = [node.title for node in graph(loss, {"x": x, "hidden": hidden, "loss": loss}).nodes.values()]
    assert titles == ["x", "hidden = exp", "loss = sum"]


def test_a_leaf_takes_the_name_its_own_class_carries():
    class Weight(tg.Tensor):
        name = "kernel"

    w = Weight([1.0], requires_grad=True)
    assert by_title(graph(w * 2.0), "kernel").kind == "leaf"
    assert by_title(graph(w * 2.0, {"mine": w}), "mine").kind == "leaf"


def test_a_leaf_without_a_name_or_a_tensor_is_drawn_as_a_leaf():
    y = tg.asarray([1.0], requires_grad=True) * 2.0
    gc.collect()
    assert by_title(graph(y), "leaf").result == "float32[1]"


def test_names_that_are_no_tensors_are_refused():
    x = nets.leaf(2)
    with pytest.raises(TypeError, match=r"named_parameters.*'x' is a list"):
        graph(x * 2.0, {"x": [1.0]})


def test_the_tooltip_has_the_whole_call_and_the_scope():
    with tg.scope("outer"):
        y = nets.leaf(2) * 2.0
    assert by_title(graph(y), "multiply").tooltip == "%1 = multiply(%0, 2.0)  float32[2]  in outer"


def test_the_tooltip_has_the_line_where_it_is_known():
    before = page.get()
    page.set(PlacedScope(before, "model.py:7"))
    try:
        y = nets.leaf(2) * 2.0
    finally:
        page.set(before)
    assert by_title(graph(y), "multiply").tooltip.endswith("float32[2]  at model.py:7")


def test_the_graph_of_a_gradient_is_drawn_like_any_other():
    x = nets.leaf(2)
    (x**3.0).sum().backward(create_graph=True)
    drawn = graph(x.grad.sum(), {"x": x}, with_values=True)
    assert {node.kind for node in drawn.nodes.values()} == {"leaf", "op", "result"}
    assert by_title(drawn, "sum").lines == ["1.5"]


def test_scopes_are_boxes_within_boxes():
    loss, names = nets.mlp()
    drawn = graph(loss, names)
    root = boxes(drawn)
    assert [drawn.nodes[key].title for key in root.nodes] == ["mean"]
    (layers,) = root.inside
    assert (layers.name, layers.label, layers.nodes) == ("layers", "layers", [])
    assert [(box.name, box.label) for box in layers.inside] == [("layers.0", "layers.0"), ("layers.1", "layers.1")]
    titles = [sorted(drawn.nodes[key].title for key in box.nodes) for box in layers.inside]
    assert titles[0] == ["add", "bias", "matmul", "matrix_transpose", "relu", "weight"]
    assert titles[1] == ["add", "bias", "matmul", "matrix_transpose", "weight"]


def test_a_box_around_nothing_but_one_box_is_left_out():
    with tg.scope("model"), tg.scope("encoder"), tg.scope("3"):
        y = tg.exp(nets.leaf(2))
    root = boxes(graph(y))
    assert [(box.name, box.label) for box in root.inside] == [("model.encoder.3", "model.encoder.3")]


def test_the_label_of_a_numbered_scope_has_a_word_before_the_number():
    x = nets.leaf(2)
    with tg.scope("layers"):
        y = tg.exp(x)
        with tg.scope("0"):
            y = tg.exp(y)
        with tg.scope("norm"):
            y = tg.exp(y)
    (layers,) = boxes(graph(y)).inside
    assert [box.label for box in layers.inside] == ["layers.0", "norm"]


def test_a_leaf_stands_where_its_name_says_and_an_unnamed_one_with_its_users():
    x, shared, own = nets.leaf(2), nets.leaf(2), nets.leaf(2)
    with tg.scope("model"), tg.scope("first"):
        y = x * shared
        with tg.scope("inner"):
            y = y * own
    with tg.scope("model"), tg.scope("second"):
        y = y * shared
    named = graph(y.sum(), {"x": x, "first.own": own})
    assert by_title(named, "x").scope == ""
    assert by_title(named, "own").scope == "model.first"  # used in model.first.inner, but named as first's own
    assert by_title(named, "leaf").scope == "model"  # used in both
    unnamed = graph(y.sum())
    assert sorted(node.scope for node in unnamed.nodes.values() if node.kind == "leaf") == [
        "model",
        "model.first",
        "model.first.inner",
    ]


@pytest.mark.parametrize("name", ["", ".", "a.", "first.", "..", "first"])
def test_odd_names_are_shown_whole(name):
    x = nets.leaf(2)
    with tg.scope("first"):
        drawn = graph(tg.exp(x), {name: x})
    assert [node.title for node in drawn.nodes.values() if node.kind == "leaf"] == [name or "leaf"]


def test_scopes_nested_beyond_reason_end_in_one_box():
    with tg.scope(".".join(["a"] * 5000)):
        y = tg.exp(nets.leaf(2))
    drawn = graph(y)
    assert by_title(drawn, "exp").scope == ".".join(["a"] * NESTED)
    assert boxes(drawn).inside[0].nodes


def test_a_long_chain_is_read_without_recursion():
    assert len(graph(nets.chain(2000))) == 3 * 2000 + 2000 + 2


def test_a_graph_keeps_neither_tape_nor_tensors_alive():
    x = nets.leaf(2)
    loss = tg.exp(x).sum()
    drawn = graph(loss, {"x": x}, with_values=True, with_gradients=True)
    kept = [weakref.ref(x), weakref.ref(loss)]
    del x, loss
    assert [each() for each in kept] == [None, None]
    assert len(drawn) == 3


def test_values_and_gradients_are_lines_of_their_nodes():
    x = tg.asarray([3.0, 4.0], requires_grad=True)
    loss = (x * x).sum() / 2.0
    loss.backward()
    drawn = graph(loss, {"x": x}, with_values=True, with_gradients=True)
    assert by_title(drawn, "x").lines == ["[3, 4]", "gradient norm 5"]
    assert by_title(drawn, "divide").lines == ["x2 = 2.0", "12.5"]


def test_values_of_several_results_are_numbered():
    loss, names = nets.two_results()
    lines = by_title(graph(loss, names, with_values=True), "qr_parts").lines
    assert [line[:3] for line in lines] == ["0: ", "1: "]


def test_a_node_with_a_nan_raises_an_alarm():
    x = tg.asarray([1.0, float("nan")], requires_grad=True)
    drawn = graph(tg.exp(x), {"x": x}, with_values=True)
    assert by_title(drawn, "exp").alarm
    assert not any(node.alarm for node in graph(tg.exp(x)).nodes.values())


def test_a_list_of_boxes_with_something_between_them_has_no_box_of_its_own():
    y = nets.leaf(2)
    for place in range(3):
        with tg.scope(f"model.layers.{place}"):
            y = tg.exp(tg.sin(y))
        y = tg.relu(y)
    root = boxes(graph(y))
    assert [box.name for box in root.inside] == ["model.layers.0", "model.layers.1", "model.layers.2"]
    assert len(root.nodes) == 3  # what stands between and after


def test_a_module_that_is_used_again_keeps_its_box():
    y = nets.leaf(2)
    for _ in range(2):
        with tg.scope("cell"):
            y = tg.exp(y)
        y = tg.relu(y)
    assert [box.name for box in boxes(graph(y)).inside] == ["cell"]
