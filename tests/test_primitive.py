"""`op`: from a kernel and its rules to a function with the kernel's signature."""

import inspect
import linecache
import traceback

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import primitive
from tensorgrad.primitive import GATHER, IDENTITY, NOTHING, ONE, PARTS, TWO, Op, registry


@pytest.fixture(autouse=True)
def _leave_the_registry_as_it_was():
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


def leaf(values, dtype="float64"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


def make_cube():
    @tg.op
    def cube(xp, x):
        """The third power.   (...) -> (...)"""
        return x * x * x

    return cube.vjp(x=lambda g, x: 3.0 * g * x * x)


def make_affine():
    @tg.op
    def affine(xp, x, weight, scale=2.0, *, shift: float = 0.0):
        """Product, scaled and shifted.   (...), (...) -> broadcast"""
        return x * weight * scale + shift

    return affine.vjp(x=lambda g, weight, scale: g * weight * scale, weight=lambda g, x, scale: g * x * scale)


# ── the function that op makes ──────────────────────────────────────────────────────────────────────────────


def test_an_op_is_a_function_with_the_kernels_name_signature_and_docstring():
    affine = make_affine()
    assert inspect.isfunction(affine)
    assert (affine.__name__, affine.__module__) == ("affine", __name__)
    assert affine.__doc__.startswith("Product, scaled and shifted.")
    signature = inspect.signature(affine)
    assert list(signature.parameters) == ["x", "weight", "scale", "shift"]
    assert signature.parameters["scale"].default == 2.0
    assert signature.parameters["shift"].kind is inspect.Parameter.KEYWORD_ONLY
    assert isinstance(affine.op, Op)
    assert repr(affine.op) == "<op affine>"


def test_arguments_are_taken_by_place_and_by_name():
    affine, x, w = make_affine(), leaf([1.0, 2.0]), leaf([3.0, 4.0])
    expected = [7.0, 17.0]
    assert affine(x, w, 2.0, shift=1.0).tolist() == expected
    assert affine(weight=w, x=x, shift=1.0).tolist() == expected
    with pytest.raises(TypeError, match=r"affine\(\) missing 1 required positional argument: 'weight'"):
        affine(x)
    with pytest.raises(TypeError, match=r"affine\(\) got an unexpected keyword argument 'wieght'"):
        affine(x, wieght=w)


def test_positional_only_parameters_stay_positional_only():
    with pytest.raises(TypeError, match="positional-only"):
        tg.exp(x=leaf([1.0]))
    assert "/" in str(inspect.signature(tg.add))


def test_an_op_of_arrays_alone_gives_an_array():
    array = tg.ones(2).data
    out = make_cube()(array)
    assert type(out) is type(array)
    scalar = tg.ones(()).data
    assert type(make_cube()(scalar)) is type(scalar)


def test_an_op_on_a_subclass_of_tensor_gives_a_plain_tensor():
    class Parameter(tg.Tensor):
        __slots__ = ()

    p = Parameter([1.0, 2.0], requires_grad=True)
    assert type(p) is Parameter
    assert type(make_cube()(p)) is tg.Tensor
    assert type(p + 1.0) is tg.Tensor
    (p * 2.0).sum().backward()
    assert type(p.grad) is tg.Tensor


def test_an_op_binds_as_a_method():
    assert tg.Tensor.exp is tg.exp
    assert tg.Tensor.__add__ is tg.add
    assert leaf([0.0]).exp().tolist() == [1.0]


def test_a_users_op_has_gradients_of_every_order():
    x = leaf([2.0, -1.0])
    (first,) = tg_grad(make_cube()(x).sum(), x)
    (second,) = tg_grad(first.sum(), x)
    (third,) = tg_grad(second.sum(), x)
    assert first.tolist() == [12.0, 3.0]
    assert second.tolist() == [12.0, -6.0]
    assert third.tolist() == [6.0, 6.0]


def tg_grad(result, *inputs):
    """Recorded gradients through backward alone."""
    before = [each.grad for each in inputs]
    for each in inputs:
        each.grad = None
    result.backward(create_graph=True)
    found = [each.grad for each in inputs]
    for each, grad in zip(inputs, before, strict=True):
        each.grad = grad
    return found


def test_an_op_defined_again_takes_the_old_ones_place():
    key = f"{__name__}.cube"
    first = make_cube()
    x = leaf([2.0])
    y = first(x)
    assert registry[key] is first.op
    second = make_cube()
    assert registry[key] is second.op
    assert second.op is not first.op
    y.backward(second(x).detach())  # what the old one recorded still has its gradient
    assert x.grad.tolist() == [96.0]


def test_rules_may_be_given_anew():
    cube = make_cube()
    cube.vjp(x=lambda g, x: g * 0.0 + x)
    x = leaf([2.0])
    cube(x).backward()
    assert x.grad.tolist() == [2.0]


def test_the_body_is_where_debuggers_and_tracebacks_look():
    affine = make_affine()
    affine(1.0, 2.0)  # written at the first call
    filename = affine.__code__.co_filename
    assert filename == f"<op {__name__}.affine>"
    assert linecache.getline(filename, 1).startswith("def affine(x, weight, scale=")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the traceback is what is looked at
        affine(leaf([1.0, 2.0]), leaf([1.0, 2.0, 3.0]))
    assert "_kernel(_xp" in "".join(traceback.format_exception(caught.value)) or tg.ones(1).device != "cpu"


@pytest.mark.numpy_only(reason="on other libraries a kernel is always called through the general body")
def test_a_kernel_that_is_one_call_is_called_as_the_librarys_own_function():
    def direct(function):
        function(*[np.ones(1)] * len(function.op.arrays))
        return function.__globals__["_function"]

    assert direct(tg.exp) is np.exp
    assert direct(tg.multiply) is np.multiply
    assert direct(make_cube()) is None
    assert direct(tg.where) is None

    @tg.op
    def swapped(xp, x, y):
        return xp.subtract(y, x)

    assert direct(swapped) is None
    assert swapped(np.ones(1), np.zeros(1)).tolist() == [-1.0]

    @tg.op
    def missing(xp, x):
        return xp.there_is_no_such_function(x)

    with pytest.raises(AttributeError, match="there_is_no_such_function"):
        missing(np.ones(1))


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
        *("Tensor", "Traced", "tick", "new", "defaults", "object", "g", "self"),
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
    assert {entry[2] for entry in registry["tensorgrad.ops.shape.concat_parts"].rules} == {PARTS}


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


# ── several results, saved values, joint rules, parts ───────────────────────────────────────────────────────


def make_halves():
    @tg.op(results=2)
    def halves(xp, x):
        """Both halves of the last axis.   (..., 2 n) -> (..., n), (..., n)"""
        n = x.shape[-1] // 2
        return x[..., :n] * 1.0, x[..., n:] * 1.0

    def joint(g):
        return (tg.concat(list(g), axis=-1),)

    return halves.vjp(joint=joint)


def test_several_results_come_as_a_tuple_and_unused_ones_count_as_zero():
    halves, x = make_halves(), leaf([1.0, 2.0, 3.0, 4.0])
    first, second = halves(x)
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    (second * second).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 6.0, 8.0]
    first, second = halves(x.data)
    assert type(first) is type(x.data)
    assert [each.requires_grad for each in halves(x.detach())] == [False, False]


def test_several_results_have_second_derivatives():
    halves, x = make_halves(), leaf([1.0, 2.0, 3.0, 4.0])
    first, second = halves(x)
    (slope,) = tg_grad((first * first * second).sum(), x)
    assert slope.tolist() == [6.0, 16.0, 1.0, 4.0]
    (curvature,) = tg_grad(slope[0] + slope[2], x)
    assert curvature.tolist() == [8.0, 0.0, 2.0, 0.0]


def test_a_result_without_fractions_among_several_is_not_recorded():
    @tg.op(results=2)
    def with_sign(xp, x):
        return xp.abs(x), xp.astype(xp.sign(x), xp.int64)

    with_sign.vjp(joint=lambda g, x: (g[0] * tg.sign(x),))
    x = leaf([-2.0, 3.0])
    size, sign = with_sign(x)
    assert size.requires_grad
    assert not sign.requires_grad
    (size * sign.astype("float64")).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_saved_values_are_kept_for_the_rules_and_are_differentiated_through():
    @tg.op(saves=("root",))
    def twice_root(xp, x):
        root = xp.sqrt(x)
        return 2.0 * root, root

    twice_root.vjp(x=lambda g, root: g / root)
    x = leaf([4.0])
    y = twice_root(x)
    assert y.tolist() == [4.0]
    kept = dict(zip(y.record.op.kept_names, y.record.kept, strict=True))
    assert sorted(kept) == ["root", "x"]  # the input too: for higher orders the kernel runs again, over tensors
    (slope,) = tg_grad(y.sum(), x)
    assert slope.tolist() == [0.5]
    (curvature,) = tg_grad(slope.sum(), x)
    assert curvature.tolist() == [-0.0625]


@pytest.mark.parametrize(
    ("options", "returned", "message"),
    [
        ({"saves": ("a",)}, lambda x: x, "must return a tuple of 2 arrays, 1 results and 1 saved, but returned one"),
        ({"saves": ("a",)}, lambda x: (x, x, x), "a tuple of 2 arrays.*but returned 3"),
        ({"results": 2}, lambda x: x, "a tuple of 2 arrays, 2 results and 0 saved, but returned one"),
        ({"results": 2, "saves": ("a",)}, lambda x: (x, x), "a tuple of 3 arrays.*but returned 2"),
    ],
)
def test_a_kernel_that_returns_the_wrong_number_is_told_so(options, returned, message):
    @tg.op(**options)
    def wrong(xp, x):
        return returned(x)

    with pytest.raises(TypeError, match=message):
        wrong(leaf([[1.0, 2.0], [3.0, 4.0]]))


def test_a_joint_rule_is_asked_once_and_told_what_is_needed():
    asked = []

    @tg.op
    def product(xp, x, y):
        return x * y

    def joint(g, x, y, needed):
        asked.append(needed)
        return g * y, (g * x if needed[1] else None)

    product.vjp(joint=joint)
    x, y = leaf([2.0]), leaf([3.0])
    product(x, y).backward()
    product(x, y.detach()).backward()
    assert asked == [(True, True), (True, False)]
    assert (x.grad.tolist(), y.grad.tolist()) == ([6.0], [2.0])


@pytest.mark.parametrize("answer", [lambda g: g, lambda g: (g,), lambda g: (g, g, g), lambda g: [g, g]])
def test_a_joint_rule_that_returns_the_wrong_number_is_told_so(answer):
    @tg.op
    def product(xp, x, y):
        return x * y

    product.vjp(joint=answer)
    x, y = leaf([2.0]), leaf([3.0])
    with pytest.raises(TypeError, match="the joint rule of product must return a tuple of 2 gradients"):
        product(x, y).backward()
    assert x.grad is None


@pytest.mark.parametrize("answer", [None, 2.0])
def test_a_rule_that_returns_no_array_is_told_so(answer):
    @tg.op
    def bad(xp, x):
        return x * 1.0

    bad.vjp(x=lambda g: answer)
    with pytest.raises(TypeError, match=f"a gradient rule of bad returned a {type(answer).__name__}"):
        bad(leaf([2.0])).backward()


def test_parts_have_one_rule_that_is_asked_for_each():
    @tg.op
    def weighted(xp, factor: float, *parts):
        total = parts[0] * 0.0
        for place, part in enumerate(parts):
            total = total + part * (place * factor)
        return total

    seen = []

    def rule(g, factor, index, parts_shape):
        seen.append((index, len(parts_shape)))
        return g * (index * factor)

    weighted.vjp(parts=rule)
    x, y = leaf([1.0, 1.0]), leaf([2.0, 2.0])
    out = weighted(10.0, x, tg.ones(2, dtype="float64"), y)
    assert out.tolist() == [50.0, 50.0]
    out.sum().backward()
    assert seen == [(0, 3), (2, 3)]  # the constant in between is not asked for
    assert (x.grad.tolist(), y.grad.tolist()) == ([0.0, 0.0], [20.0, 20.0])


# ── dtypes ──────────────────────────────────────────────────────────────────────────────────────────────────


def make_lifting(lift):
    @tg.op(lift=lift)
    def plus(xp, x, y):
        return xp.add(x, y)

    return plus.vjp(x=lambda g: g, y=lambda g: g)


def test_an_integer_array_beside_a_floating_one_takes_its_dtype():
    plus = make_lifting("operands")
    whole = tg.asarray([1, 2])
    for dtype in ("float32", "float64"):
        x = leaf([0.5, 0.5], dtype)
        for result in (plus(x, whole), plus(whole, x)):
            assert result.dtype == dtype
            assert result.tolist() == [1.5, 2.5]
    assert plus(whole, whole).dtype == tg.int64
    assert plus(whole, 1).dtype == tg.int64
    assert plus(whole, 0.5).dtype == tg.get_default_dtype()
    assert make_lifting("floating")(whole, whole).dtype == tg.get_default_dtype()


def test_python_numbers_are_weak():
    x = leaf([1.0], "float32")
    for number in (2, 2.0):
        assert (x * number).dtype == tg.float32
        assert (number * x).dtype == tg.float32
    assert (x * 2j).dtype == tg.complex64
    assert (leaf([1.0], "float64") * 2j).dtype == tg.complex128


# ── running elsewhere ───────────────────────────────────────────────────────────────────────────────────────


def test_a_kernel_registered_for_a_library_runs_there_alone():
    cube = make_cube()

    @cube.kernel("numpy")
    def _(xp, x):
        return np.full_like(x, 8.0)

    assert cube(tg.asarray([1.0], device="cpu")).tolist() == [8.0]
    assert cube(tg.asarray([1.0], device="strict")).tolist() == [1.0]


def test_a_users_op_named_like_ours_does_not_get_our_kernels():
    @tg.op
    def getitem(xp, x, key=None):
        return x * 2.0

    assert getitem(tg.ones(1)).tolist() == [2.0]


def test_a_kernel_runs_over_the_ops_themselves():
    x = leaf([0.0, 1.0])
    out, p = tg.ops.softmax_cross_entropy.op.split(
        tg.ops.softmax_cross_entropy.op.run(tg, (tg.stack([x, x]), tg.asarray([0, 1])))
    )
    assert (out.shape, p[0].shape) == ((2,), (2, 2))
    assert out.requires_grad


# ── errors ──────────────────────────────────────────────────────────────────────────────────────────────────


def failing(error):
    @tg.op
    def fails(xp, x, n=1):
        raise error

    return fails


def test_an_error_in_a_kernel_names_the_op_and_what_it_was_given():
    with pytest.raises(ValueError, match=r"^fails: too small; called with x float64\[2\].*, n 1$") as caught:
        failing(ValueError("too small"))(leaf([1.0, 2.0]))
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match=r"^fails: already named; called with"):
        failing(ValueError("fails: already named"))(leaf([1.0]))
    with pytest.raises(TypeError, match=r"x \[1, 2\], n 'aaa"):
        failing(TypeError("no"))([1, 2], "a" * 100)


def test_an_error_of_a_kind_of_its_own_keeps_its_kind():
    class MineError(ValueError):
        pass

    for error in (MineError("mine"), OSError("disk")):
        with pytest.raises(type(error)) as caught:
            failing(error)(leaf([1.0]))
        assert caught.value is error
        assert error.__notes__ == [f"in the op fails, called with x {describe([1.0])}, n 1"]


def describe(values):
    return primitive._describe(leaf(values))


def test_an_interruption_is_no_error_of_the_op():
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt())(leaf([1.0]))


def test_operands_are_described_by_dtype_shape_and_device():
    assert describe([1.0, 2.0]).startswith("float64[2]")
    assert ("strict" in describe([1.0])) == (tg.ones(1).device == "strict")
    assert primitive._describe("x" * 100) == "'" + "x" * 56 + "..."


def test_an_op_may_be_defined_where_nothing_says_which_module_it_is():
    there = {"tg": tg}
    exec("@tg.op\ndef bare(xp, x):\n    return xp.negative(x)\n", there)
    assert there["bare"](tg.asarray([1.0])).tolist() == [-1.0]
    assert "__main__.bare" in registry
