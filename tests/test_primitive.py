"""`op`: from a kernel and its rules to a function with the kernel's signature."""

import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.definition import Op, describe_operand
from tensorgrad.primitive import registry
from tests.small_ops import leaf, make_affine, make_cube

pytestmark = pytest.mark.usefixtures("registry_as_it_was")


# ── the function that op makes ──────────────────────────────────────────────────────────────────────────────


def test_an_op_is_a_function_with_the_kernels_name_signature_and_docstring():
    affine = make_affine()
    assert inspect.isfunction(affine)
    assert (affine.__name__, affine.__module__) == ("affine", make_affine.__module__)
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
    key = f"{make_cube.__module__}.cube"
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


def test_several_results_come_as_a_named_tuple_where_a_class_of_those_is_given():
    class Parts(NamedTuple):
        whole: Any
        rest: Any

    @tg.op(results=Parts)
    def parted(xp, x):
        return xp.floor(x), x - xp.floor(x)

    parted.vjp(joint=lambda g: (g[1],))
    x = leaf([1.25, 2.5])
    assert [type(parted(each)) for each in (x, x.detach(), x.detach().data)] == [Parts] * 3
    parted(x).rest.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


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
    return describe_operand(leaf(values))


def test_an_interruption_is_no_error_of_the_op():
    with pytest.raises(KeyboardInterrupt):
        failing(KeyboardInterrupt())(leaf([1.0]))


def test_operands_are_described_by_dtype_shape_and_device():
    assert describe([1.0, 2.0]).startswith("float64[2]")
    assert ("strict" in describe([1.0])) == (tg.ones(1).device == "strict")
    assert describe_operand("x" * 100) == "'" + "x" * 56 + "..."


def test_an_op_may_be_defined_where_nothing_says_which_module_it_is():
    there = {"tg": tg}
    exec("@tg.op\ndef bare(xp, x):\n    return xp.negative(x)\n", there)
    assert there["bare"](tg.asarray([1.0])).tolist() == [-1.0]
    assert "__main__.bare" in registry
