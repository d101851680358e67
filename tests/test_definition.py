"""What is known of an op: which parameters are arrays, what rules may name, what is kept for them."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.definition import GATHER, IDENTITY, NOTHING, ONE, PARTS, TWO
from tensorgrad.primitive import registry
from tests.small_ops import leaf

pytestmark = pytest.mark.usefixtures("registry_as_it_was")


# ── what counts as an array ─────────────────────────────────────────────────────────────────────────────────


def test_arrays_are_the_parameters_without_default_or_those_annotated_so():
    @tg.op
    def bare(xp, x, y, n=2):
        return x * y * n

    @tg.op
    def annotated(xp, x: np.ndarray, n: int, y: "Array" = None, z: tg.Tensor = None):  # noqa: F821
        return x * n

    assert bare.op.arrays == ["x", "y"]
    assert annotated.op.arrays == ["x", "y", "z"]


def test_a_missing_array_may_be_none():
    x = leaf([5.0])
    assert tg.clip(x, None, 3.0).tolist() == [3.0]
    assert tg.clip(x, None, None).tolist() == [5.0]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(xp, n=2): return n", "f has no array parameter"),
        ("def f(xp): return 2", "f has no array parameter"),
        ("def f(xp, x, out): return x", "a parameter of an op may not be called 'out'"),
        ("def f(xp, x, _y): return x", "a parameter of an op may not be called '_y'"),
        ("def f(xp, x, **more): return x", r"cannot take \*\*more"),
    ],
)
def test_what_cannot_be_an_op_is_refused_when_it_is_defined(source, message):
    made = {"__name__": __name__}
    exec(source, made)
    with pytest.raises(TypeError, match=message):
        tg.op(made["f"])


@pytest.mark.parametrize(
    "name",
    [
        *("kernel", "values", "result", "record", "tensor", "scope", "kept", "op", "current", "index", "needed"),
        *("saved", "split", "function", "error", "fill", "x_data", "x_record", "x_shape", "parts", "results", "Record"),
        *("used", "Tensor", "Traced", "tick", "new", "defaults", "object", "g", "self"),
    ],
)
def test_a_parameter_may_have_nearly_any_name(name):
    made = {"__name__": __name__}
    exec(f"def f(xp, x, {name}=2.0): return x * {name}\nrule = lambda g_, {name}: g_ * {name}", made)
    function = tg.op(made["f"]).vjp(x=made["rule"])
    x = leaf(3.0)
    y = function(x, **{name: 5.0})
    y.backward()
    assert (y.item(), x.grad.item()) == (15.0, 5.0)


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_misspelt_name_in_a_rule_is_refused_with_the_names_there_are():
    @tg.op(saves=("twice",))
    def double(xp, x, n=1):
        return x, x + x

    with pytest.raises(TypeError, match="the rule of double for x asks for 'y'; it may ask for x, n, out, twice"):
        double.vjp(x=lambda g, y: g)
    with pytest.raises(TypeError, match="asks for 'index'"):
        double.vjp(x=lambda g, index: g)
    with pytest.raises(TypeError, match="asks for 'needed'"):
        double.vjp(x=lambda g, needed: g)
    with pytest.raises(TypeError, match="asks for 'used'"):
        double.vjp(x=lambda g, used: g)
    with pytest.raises(TypeError, match=r"double has no array parameter 'n' to give a rule for; it has \['x'\]"):
        double.vjp(n=lambda g: g)
    with pytest.raises(TypeError, match="takes no argument; the first is the gradient g"):
        double.vjp(x=lambda: 0)


def test_a_rule_may_name_parameters_attributes_the_result_and_shapes():
    seen = {}

    @tg.op
    def scaled(xp, x, y, n=3.0):
        return x * n + y * 0.0

    def rule(g, y, n, out, x_shape, y_shape):
        seen.update(y=y.shape, n=n, out=out.shape, x_shape=tuple(x_shape), y_shape=tuple(y_shape))
        return g * n

    scaled.vjp(x=rule)
    x = leaf([1.0])
    scaled(x, tg.ones((2, 1), dtype="float64")).sum().backward()
    assert seen == {"y": (2, 1), "n": 3.0, "out": (2, 1), "x_shape": (1,), "y_shape": (2, 1)}
    assert x.grad.tolist() == [6.0]


def test_how_the_sweep_calls_each_rule():
    hows = {
        name: {entry[2] for entry in function.op.rules}
        for name, function in {
            "add": tg.add,
            "negative": tg.negative,
            "multiply": tg.multiply,
            "divide": tg.divide,
            "sum": tg.sum,
        }.items()
    }
    assert hows == {
        "add": {IDENTITY},
        "negative": {NOTHING},
        "multiply": {ONE},
        "divide": {ONE, TWO},
        "sum": {GATHER},
    }
    assert {entry[2] for entry in registry["tensorgrad.ops.products.einsum_parts"].rules} == {PARTS}


def test_what_no_rule_names_is_not_kept():
    x, y = leaf([1.0]), leaf([2.0])
    constant = tg.asarray([3.0], dtype="float64")
    assert (x + y).record.kept == ()
    assert tg.relu(x).record.kept[0].shape == (1,)
    assert len(tg.relu(x).record.kept) == 1
    by_constant = (x * constant).record
    kept = dict(zip(by_constant.op.kept_names, by_constant.kept, strict=True))
    assert kept["x1"] is None  # only the rule of the constant would want it
    assert kept["x2"] is constant.data


def test_an_op_without_a_rule_refuses_what_requires_a_gradient():
    @tg.op
    def ruleless(xp, x, y):
        return x * y

    x, c = leaf([1.0]), tg.ones(1, dtype="float64")
    with pytest.raises(TypeError, match=r"ruleless has no gradient with respect to y.*pass y.detach\(\).*no_grad"):
        ruleless(c, x)
    assert ruleless(c, c).tolist() == [1.0]
    with tg.no_grad():
        assert ruleless(c, x).tolist() == [1.0]
    ruleless.vjp(x=lambda g, y: g * y)
    with pytest.raises(TypeError, match="with respect to y"):
        ruleless(x, x)
    assert ruleless(x, c).requires_grad


def test_a_result_without_fractions_needs_no_rule():
    x = leaf([1.0, 2.0])
    for result in (tg.argmax(x), x > 1.0, tg.isnan(x), tg.searchsorted(x, x), x.astype("int64")):
        assert not result.requires_grad


def test_a_constant_op_is_never_recorded():
    assert not tg.zeros_like(leaf([1.0])).requires_grad

    @tg.op(constant=True)
    def ranks(xp, x):
        return xp.zeros_like(x)

    assert not ranks(leaf([1.0])).requires_grad
