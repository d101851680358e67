"""Derivatives of functions: what they are, how they nest, and what they leave untouched."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.tape import Tape, is_recording
from tensorgrad.transforms import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp


def leaf(values, dtype="float64"):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype, requires_grad=True)


def const(values, dtype="float64"):
    return tg.asarray(np.asarray(values).tolist(), dtype=dtype)


def close(tensor, expected, tolerance=1e-10):
    np.testing.assert_allclose(np.asarray(tensor.detach().tolist()), expected, rtol=tolerance, atol=tolerance)


def rosenbrock(x):
    """Sum of 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2; Rosenbrock, 1960."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def rosenbrock_gradient(x):
    g = np.zeros_like(x)
    g[:-1] += -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    g[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return g


def rosenbrock_hessian(x):
    h = np.diag(-400 * x[:-1], 1)
    h = h + h.T
    h[np.arange(x.size - 1), np.arange(x.size - 1)] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    h[np.arange(1, x.size), np.arange(1, x.size)] += 200
    return h


POINT = np.array([0.7, -0.4, 1.3])


# ── grad ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_grad_gives_a_tuple_also_for_one_input_and_leaves_grad_alone():
    x = leaf([1.0, 2.0])
    answer = grad((x * x).sum(), x)
    assert isinstance(answer, tuple)
    assert len(answer) == 1
    close(answer[0], [2.0, 4.0])
    assert not answer[0].requires_grad
    assert x.grad is None


def test_grad_is_of_the_weighted_sum_of_several_outputs():
    x = leaf([1.0, 2.0])
    (slope,) = grad([x * x, x.sum()], [x], grad_outputs=[const([3.0, 5.0]), None])
    close(slope, [2 * 1 * 3 + 1, 2 * 2 * 5 + 1])
    (slope,) = grad(x * x, x, grad_outputs=[const([1.0, 0.0])])
    close(slope, [2.0, 0.0])
    (slope,) = grad(x * x, x, grad_outputs=[0.0, 1.0])
    close(slope, [0.0, 4.0])


def test_grad_with_respect_to_intermediate_results_and_leaves_at_once():
    x = leaf([1.0, 2.0])
    y = x * x
    z = y * 3.0
    slopes = grad((z * y).sum(), [z, x, y])
    close(slopes[0], [1.0, 4.0])
    close(slopes[2], [6.0, 24.0])  # through z too
    close(slopes[1], [12.0, 96.0])


def test_grad_with_respect_to_a_result_leaves_what_lies_below_it_for_another_sweep():
    x = leaf([1.0, 2.0])
    h = tg.tanh(x) * x
    (at_h,) = grad((h * h).sum(), h)
    h.backward(at_h)
    t = np.tanh([1.0, 2.0])
    close(x.grad, 2 * t * [1.0, 2.0] * (t + (1 - t * t) * [1.0, 2.0]))


def test_grad_with_respect_to_one_of_several_results():
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    q, r = tg.qr(x)
    (at_r,) = grad((r * r).sum(), r)
    close(at_r, 2 * np.asarray(r.detach().tolist()))
    at_q, at_x = grad((q * r).sum() + q.sum(), [q, x], retain_graph=True)
    close(at_q, np.asarray(r.detach().tolist()) + 1)
    assert at_x.shape == (2, 2)
    ((q * r).sum() + q.sum()).backward()
    close(at_x, x.grad.tolist())


def test_an_output_that_is_the_input_has_gradient_one():
    x = leaf(2.0)
    close(grad(x, x)[0], 1.0)
    y = x * x
    close(grad(y, y)[0], 1.0)


def test_an_unused_input_is_named_by_position_unless_allowed():
    x, y = leaf([1.0]), leaf([2.0])
    z = (x * 2.0).sum()
    with pytest.raises(RuntimeError, match=r"no output rests on input 1, a tensor of shape \(1,\).*allow_unused"):
        grad(z, [x, y])
    slopes = grad(z, [x, y], allow_unused=True)
    close(slopes[0], [2.0])
    assert slopes[1] is None


def test_an_input_that_is_not_recorded_is_named_by_position():
    x = leaf([1.0])
    with pytest.raises(RuntimeError, match=r"input 1, .* is not recorded.*requires_grad=True"):
        grad((x * 2.0).sum(), [x, const([1.0])], allow_unused=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: grad(x * x, x), RuntimeError, r"shape \(2,\).*single number"),
        (lambda x: grad((x * x).sum(), "x"), TypeError, "sequence of Tensors as inputs, got a str"),
        (lambda x: grad((x * x).sum(), [x, 1.0]), TypeError, "input 1 must be a Tensor, got a float"),
        (lambda x: grad((x * x).sum(), []), ValueError, "at least one input"),
        (lambda x: grad([x.sum(), x.sum()], x, grad_outputs=[1.0]), ValueError, "sequence of 2 gradients"),
        (lambda x: grad(x, x, grad_outputs=const([1.0])), ValueError, "must agree"),
        (lambda x: grad(const(1.0), x), RuntimeError, "was not recorded"),
        (lambda x: grad((x.astype(tg.complex128) * 1j).sum(), x), RuntimeError, r"complex128 number.*real\(x\)"),
    ],
)
def test_misuse_of_grad_is_explained(call, error, words):
    with pytest.raises(error, match=words):
        call(leaf([1.0, 2.0]))


def test_a_second_sweep_needs_retain_graph_which_follows_create_graph():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    grad(y, x, retain_graph=True)
    grad(y, x, create_graph=True)
    grad(y, x)
    with pytest.raises(RuntimeError, match="already swept"):
        grad(y, x)


def test_branches_that_do_not_lead_to_the_inputs_are_not_swept():
    @tg.op
    def thorn(xp, x):
        return +x

    def prick(g):
        raise AssertionError("the sweep came here")

    thorn.vjp(x=lambda g: prick(g))
    x, y = leaf([1.0]), leaf([2.0])
    loss = (x * x + thorn(y) * x).sum()
    close(grad(loss, x)[0], [4.0])


def test_a_leaf_written_in_place_is_refused_also_where_only_another_gradient_is_asked_for():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    joint = [leaf(np.ones((2, 3, 2))), leaf(np.ones(3)), leaf(np.ones(3))]
    losses = [(x * w).sum(), tg.einsum("i,i->", x, w), tg.ops.batch_norm_train(*joint)[0].sum()]
    with tg.no_grad():
        w += 1.0
        joint[1] += 1.0
    for loss, wanted in zip(losses, [x, x, joint[0]], strict=True):
        with pytest.raises(RuntimeError, match="written in place"):
            grad(loss, wanted)


@pytest.mark.numpy_only(reason="looks at the memory of ndarrays")
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_share_memory_with_nothing(create_graph):
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = const([1.0, 1.0])
    total = x + y
    slopes = [
        *grad(total, [x, y, x, total], grad_outputs=seed, create_graph=create_graph),
        *grad(((x + y) * 2.0).sum(), [x, y], create_graph=create_graph),
        *grad(x.sum(), x, create_graph=create_graph),
        *grad(x[::-1], x, grad_outputs=seed, create_graph=create_graph),
    ]
    arrays = [each.data for each in (*slopes, seed, x, y, total)]
    for place, array in enumerate(arrays):
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in arrays[:place])


def test_a_recorded_seed_is_differentiated_too():
    x, seed = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    (slope,) = grad(x * x, x, grad_outputs=seed, create_graph=True)
    close(grad(slope.sum(), seed)[0], [2.0, 4.0])


def test_create_graph_records_even_under_no_grad():
    x = leaf([1.0, 2.0])
    y = (x**3).sum()
    with tg.no_grad():
        (slope,) = grad(y, x, create_graph=True)
        assert not is_recording()
    close(grad(slope.sum(), x)[0], [6.0, 12.0])


def test_a_gradient_of_late_records_does_not_walk_the_tape_before_them(monkeypatch):
    x = leaf(1.0)
    for _ in range(500):
        x = x * 1.0
    y = x * x
    visited = []
    parents = type(y.record).parents
    monkeypatch.setattr(type(y.record), "parents", lambda record: visited.append(record) or parents(record))
    close(grad(y, x)[0], 2.0)
    assert len(visited) < 10


def test_a_chain_of_a_hundred_thousand_ops_has_a_gradient():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    close(grad(y, x)[0], 1.0)


COMPLEX = np.array([1.0 + 2.0j, -0.5 + 0.3j])


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda z: tg.real(z * tg.conj(z)).sum(), 2 * COMPLEX),
        (lambda z: tg.real(z**3).sum(), np.conj(3 * COMPLEX**2)),
        (lambda z: tg.imag(tg.exp(z)).sum(), np.conj(-1j * np.exp(COMPLEX))),
        (lambda z: tg.abs(z).sum(), COMPLEX / np.abs(COMPLEX)),
    ],
    ids=["abs2", "real_cube", "imag_exp", "abs"],
)
def test_complex_gradients_are_the_real_part_plus_i_times_the_imaginary_part(f, expected):
    z = leaf(COMPLEX, "complex128")
    (slope,) = grad(f(z), z, create_graph=True)
    close(slope, expected)
    _, slope = value_and_grad(f)(const(COMPLEX, "complex128"))
    close(slope, expected)
    h = 1e-6
    for direction in (1.0, 1j):
        plus, minus = (f(const(COMPLEX + sign * h * direction, "complex128")).item() for sign in (1, -1))
        change = (plus - minus) / (2 * h)
        assert abs(np.sum(np.real(np.conj(expected) * direction)) - change) < 1e-6


def test_third_derivatives_of_a_sum_of_powers():
    x = leaf([2.0, 3.0])
    (first,) = grad((x**5).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x, create_graph=True)
    (third,) = grad(second.sum(), x)
    close(third, [60 * 2.0**2, 60 * 3.0**2])


# ── a SIREN's Laplacian loss: a gradient, in the parameters, of second derivatives in the input ────────────


OMEGA = 3.0


def siren_parameters():
    rng = np.random.default_rng(0)
    sizes = [(2, 6), (6, 6), (6, 1)]
    return [each for n, m in sizes for each in (rng.normal(size=(n, m)) / np.sqrt(n), 0.1 * rng.normal(size=m))]


def siren(x, parameters):
    """Sitzmann et al., "Implicit neural representations with periodic activation functions", 2020, eq. 3."""
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        x = tg.sin(OMEGA * (x @ weight + bias))
    return x @ parameters[-2] + parameters[-1]


def laplacian_loss(xy, parameters):
    """Mean squared Laplacian, by differentiating twice."""
    (slope,) = grad(siren(xy, parameters).sum(), xy, create_graph=True)
    laplacian = sum(grad(slope[:, axis].sum(), xy, create_graph=True)[0][:, axis] for axis in range(2))
    return (laplacian**2).mean()


def reference_laplacian_loss(xy, parameters):
    """The same in float64, with value, slope and Laplacian carried forward: (sin u)'' = cos(u) u'' - sin(u) u'^2."""
    value, slope, laplacian = xy, np.broadcast_to(np.eye(2), (len(xy), 2, 2)), np.zeros_like(xy)
    for place in range(0, len(parameters), 2):
        weight, bias = parameters[place : place + 2]
        value, slope, laplacian = value @ weight + bias, slope @ weight, laplacian @ weight
        if place + 2 < len(parameters):
            value, slope, laplacian = OMEGA * value, OMEGA * slope, OMEGA * laplacian
            laplacian = np.cos(value) * laplacian - np.sin(value) * (slope**2).sum(1)
            slope = np.cos(value)[:, None, :] * slope
            value = np.sin(value)
    return (laplacian**2).mean()


def test_the_gradient_of_a_sirens_laplacian_loss_matches_the_reference():
    xy = np.random.default_rng(1).uniform(-1, 1, (5, 2))
    arrays = siren_parameters()
    parameters = [leaf(each) for each in arrays]
    loss = laplacian_loss(leaf(xy), parameters)
    assert loss.item() == pytest.approx(reference_laplacian_loss(xy, arrays), rel=1e-12)
    slopes = grad(loss, parameters, allow_unused=True)
    assert slopes[-1] is None  # the last bias is not in any derivative
    h = 1e-5
    for place, slope in enumerate(slopes[:-1]):
        numeric = np.zeros_like(arrays[place])
        for index in np.ndindex(numeric.shape):
            shifted = [[each.copy() for each in arrays] for _ in range(2)]
            shifted[0][place][index] += h
            shifted[1][place][index] -= h
            plus, minus = (reference_laplacian_loss(xy, each) for each in shifted)
            numeric[index] = (plus - minus) / (2 * h)
        # A central difference is wrong by h^2 f'''/6 and by rounding eps f / h.
        np.testing.assert_allclose(np.asarray(slope.tolist()), numeric, rtol=1e-6, atol=1e-5 * np.abs(numeric).max())


def test_the_gradient_of_a_sirens_laplacian_loss_matches_torch_in_double_precision():
    torch = pytest.importorskip("torch")
    xy = np.random.default_rng(1).uniform(-1, 1, (5, 2))
    arrays = siren_parameters()
    theirs = [torch.tensor(each, requires_grad=True) for each in arrays]
    x = torch.tensor(xy, requires_grad=True)
    y = x
    for place in range(0, 4, 2):
        y = torch.sin(OMEGA * (y @ theirs[place] + theirs[place + 1]))
    y = y @ theirs[4] + theirs[5]
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    parts = [torch.autograd.grad(slope[:, axis].sum(), x, create_graph=True)[0][:, axis] for axis in range(2)]
    (sum(parts) ** 2).mean().backward()
    parameters = [leaf(each) for each in arrays]
    laplacian_loss(leaf(xy), parameters).backward()
    for ours, each in zip(parameters[:-1], theirs[:-1], strict=True):
        close(ours.grad, each.grad.numpy(), 1e-9)


# ── value_and_grad ──────────────────────────────────────────────────────────────────────────────────────────


def test_gradients_come_back_in_the_structure_of_the_argument():
    parameters = {"layers": [(const([[1.0, 2.0]]), 0.5), [const([3.0]), tg.asarray([1, 2])]], "name": "net", "n": 2}
    (weight, bias), (scale, steps) = parameters["layers"]

    def loss(p, x):
        (w, b), (s, k) = p["layers"]
        assert k is steps
        return ((x @ w.T + b) * s).sum() * p["n"]

    value, slopes = value_and_grad(loss)(parameters, const([[1.0, 1.0]]))
    assert value.item() == 21.0
    assert set(slopes) == {"layers", "name", "n"}
    assert slopes["name"] is None
    assert slopes["n"] is None
    close(slopes["layers"][0][0], [[6.0, 6.0]])
    close(slopes["layers"][0][1], 6.0)
    close(slopes["layers"][1][0], [7.0])
    assert slopes["layers"][1][1] is None
    assert isinstance(slopes["layers"][0], tuple)
    assert isinstance(slopes["layers"][1], list)
    assert not weight.requires_grad
    assert not scale.requires_grad
    assert bias == 0.5


def test_neither_value_nor_gradient_is_recorded_where_nothing_outside_is():
    x = const([1.0, 2.0])
    value, slope = value_and_grad(lambda x: (x * x).sum())(x)
    assert not value.requires_grad
    assert not slope.requires_grad
    assert not x.requires_grad


@pytest.mark.numpy_only(reason="passes ndarrays, which live on the host")
def test_arrays_and_numpy_numbers_are_arguments_too():
    array = np.array([1.0, 2.0])
    value, (slope, other) = value_and_grad(lambda x, y: (x * x).sum() * y, argnums=(0, 1))(array, np.float64(3.0))
    close(slope, [6.0, 12.0])
    close(other, 5.0)
    assert value.dtype == np.float64
    assert not np.shares_memory(slope.data, array)


def test_several_argnums_give_a_tuple_and_negative_ones_count_from_the_end():
    f = lambda a, b, c: (a * b * c).sum()  # noqa: E731
    _, slopes = value_and_grad(f, argnums=(0, -1))(2.0, 3.0, 5.0)
    assert [each.item() for each in slopes] == [15.0, 6.0]
    _, slope = value_and_grad(f, argnums=-2)(2.0, 3.0, 5.0)
    assert slope.item() == 10.0


def test_the_same_tensor_in_two_places_has_two_partial_derivatives():
    x = leaf([2.0, 3.0])
    for argument in (x, const([2.0, 3.0])):
        _, (first, second) = value_and_grad(lambda a, b: (a**2 * b).sum(), argnums=(0, 1))(argument, argument)
        close(first, [8.0, 18.0])
        close(second, [4.0, 9.0])


def test_a_captured_tensor_is_not_the_argument_of_the_same_value():
    x = const([2.0])
    _, slope = value_and_grad(lambda a: (a * x).sum())(x)
    close(slope, [2.0])


def test_what_f_does_not_depend_on_has_gradient_zero():
    value, slopes = value_and_grad(lambda p: (p[0] * 2.0).sum())([const([1.0]), const([[1.0, 2.0]])])
    close(slopes[1], [[0.0, 0.0]])
    value, slope = value_and_grad(lambda x: const(4.0))(const([1.0, 2.0]))
    assert value.item() == 4.0
    close(slope, [0.0, 0.0])


def test_keywords_pass_through_and_aux_comes_back_detached():
    def loss(x, *, power):
        y = x**power
        return y.sum(), {"y": y, "note": "kept", "x": 3}

    (value, aux), slope = value_and_grad(loss, has_aux=True)(const([1.0, 2.0]), power=3)
    assert value.item() == 9.0
    close(slope, [3.0, 12.0])
    close(aux["y"], [1.0, 8.0])
    assert not aux["y"].requires_grad
    assert aux["note"] == "kept"


def test_value_and_grad_nests_to_the_fourth_order():
    def derivative(f):
        return lambda x: value_and_grad(f)(x)[1]

    f, x = tg.sin, 0.3
    expected = [np.sin(x), np.cos(x), -np.sin(x), -np.cos(x), np.sin(x)]
    for value in expected:
        assert f(const(x)).item() == pytest.approx(value, rel=1e-12)
        f = derivative(f)
    assert not f(const(x)).requires_grad


def test_an_inner_gradient_is_differentiated_through_what_it_captures():
    # d/dx [x d/dy (x y^2)] at y = x: x * 2 x y as a function of x alone is 2 x^2 y; with y = x captured, 2 x^3.
    def f(x):
        return x * value_and_grad(lambda y: x * y * y)(x)[1]

    value, slope = value_and_grad(f)(const(1.5))
    assert value.item() == pytest.approx(2 * 1.5**3)
    assert slope.item() == pytest.approx(6 * 1.5**2)

    def g(w):  # the argument of the inner function is a constant, only the captured w matters
        return (value_and_grad(lambda a: (a * a * w).sum())(const([1.0, 2.0]))[1] ** 2).sum()

    _, slope = value_and_grad(g)(const([3.0, 5.0]))
    close(slope, [8 * 3.0, 32 * 5.0])


def test_the_gradient_of_a_linear_function_is_constant():
    _, slope = value_and_grad(lambda x: value_and_grad(lambda x: 3.0 * x)(x)[1])(const(2.0))
    assert slope.item() == 0.0


def test_a_recorded_argument_stays_connected_and_is_not_swept_itself():
    w = leaf([2.0, 3.0])
    value, slope = value_and_grad(lambda w: (w**3).sum())(w)
    assert w.grad is None
    (value + slope.sum()).backward()
    close(w.grad, [12.0 + 12.0, 27.0 + 18.0])


def test_under_no_grad_the_numbers_come_without_a_record():
    w = leaf([2.0, 3.0])
    with tg.no_grad():
        (value, aux), slope = value_and_grad(lambda x: ((x**2 * w).sum(), [x * w, w]), has_aux=True)(w)
        assert not is_recording()
    assert not value.requires_grad
    assert not aux[0].requires_grad
    assert aux[1] is w  # from outside, and left as it is
    assert not slope.requires_grad
    close(slope, [8.0, 18.0])


def test_a_decorated_function_keeps_its_name():
    assert value_and_grad(rosenbrock).__name__ == "rosenbrock"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: value_and_grad(lambda x: x)(const([1.0, 2.0])), TypeError, r"single real number, got float64\[2\]"),
        (lambda: value_and_grad(lambda x: 3.0)(const(1.0)), TypeError, "got a float"),
        (lambda: value_and_grad(lambda x: x)(const(1j, "complex128")), TypeError, r"got complex128\[\]"),
        (lambda: value_and_grad(lambda x: x)(2), TypeError, r"nothing that has a gradient.*2\.0 for 2"),
        (lambda: value_and_grad(lambda x: x, argnums=1)(2.0), ValueError, "names argument 1, but 1 were given"),
        (lambda: value_and_grad(lambda x: x, argnums=(0, 0))(2.0), ValueError, "each once"),
        (lambda: value_and_grad(lambda x: x, has_aux=True)(const(2.0)), TypeError, r"must return \(value, aux\)"),
        (lambda: vjp(lambda x: x, tg.asarray([1])), TypeError, "argument 0 must be a floating or complex.*int64"),
        (lambda: vjp(lambda: const(1.0)), ValueError, "at least one argument"),
        (lambda: vjp(lambda x: 3.0, const(1.0)), TypeError, "must return a Tensor or a tuple"),
        (lambda: vjp(lambda x: (x, x), const(1.0))[1](const(1.0)), ValueError, "2 results"),
        (lambda: vjp(lambda x: x, const(1.0))[1](const([1.0])), ValueError, "must agree"),
        (lambda: jvp(lambda x: x, const([1.0]), const([1.0, 2.0])), ValueError, r"direction 0 has shape \(2,\)"),
        (lambda: jvp(lambda x, y: x, (const(1.0), const(1.0)), const(1.0)), ValueError, "2 arguments"),
        (lambda: jvp(lambda x: x, const(1.0), const(1j, "complex128")), TypeError, "direction 0 is complex"),
        (lambda: hvp(lambda x: x, const([1.0, 2.0]), const([1.0, 2.0])), TypeError, "hvp: .*single real number"),
        (lambda: jacobian(lambda x: (x, x))(const(1.0)), TypeError, "one real Tensor, got a tuple"),
        (lambda: jacobian(lambda x: x)(const(1j, "complex128")), TypeError, "one real Tensor, got complex128"),
    ],
)
def test_misuse_of_a_transform_is_explained_and_leaves_the_mode_alone(call, error, words):
    with pytest.raises(error, match=words):
        call()
    assert is_recording()


# ── vjp, jvp, hvp ───────────────────────────────────────────────────────────────────────────────────────────


def pair(x, y):
    """Two results of two arguments, one of which does not depend on y."""
    return tg.sin(x) @ y, x * x


def test_vjp_gives_results_and_a_function_that_may_be_called_again():
    x, y = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([1.0, -2.0])
    (first, second), pull = vjp(pair, const(x), const(y))
    close(first, np.sin(x) @ y)
    close(second, x * x)
    assert not first.requires_grad
    for scale in (1.0, 2.0):
        u, w = scale * np.array([1.0, 3.0]), scale * np.ones((2, 2))
        at_x, at_y = pull((const(u), const(w)))
        close(at_x, np.cos(x) * np.outer(u, y) + 2 * x * w)
        close(at_y, np.sin(x).T @ u)


def test_jvp_is_the_derivative_along_a_direction():
    x, y = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([1.0, -2.0])
    v, w = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([3.0, 4.0])
    (first, _), (along, square) = jvp(pair, (const(x), const(y)), (const(v), const(w)))
    close(first, np.sin(x) @ y)
    close(along, (np.cos(x) * v) @ y + np.sin(x) @ w)
    close(square, 2 * x * v)


def test_a_result_that_does_not_move_has_derivative_zero():
    _, (along, still, whole) = jvp(lambda x: (x, const([1.0]), tg.argmax(x)), const([1.0, 2.0]), const([1.0, 1.0]))
    close(along, [1.0, 1.0])
    close(still, [0.0])
    assert whole.item() == 0


def test_jvp_and_vjp_of_complex_functions():
    z, v, u = COMPLEX, np.array([0.5 - 1j, 2.0 + 1j]), np.array([1.0 + 1j, -1j])
    y, along = jvp(tg.exp, const(z, "complex128"), const(v, "complex128"))
    close(y, np.exp(z))
    close(along, np.exp(z) * v)
    _, pull = vjp(tg.exp, const(z, "complex128"))
    close(pull(const(u, "complex128"))[0], np.conj(np.exp(z)) * u)


@given(st.integers(0, 10_000))
def test_vjp_and_jvp_are_adjoint(seed):
    rng = np.random.default_rng(seed)
    a, b, v = rng.normal(size=(3, 4)), rng.normal(size=(4,)), rng.normal(size=(4,))
    u = rng.normal(size=(3,))
    f = lambda x: tg.tanh(const(a) @ x) * x.sum()  # noqa: E731
    _, pull = vjp(f, const(b))
    _, along = jvp(f, const(b), const(v))
    left = np.dot(u, along.tolist())
    assert left == pytest.approx(np.dot(pull(const(u))[0].tolist(), v), rel=1e-9, abs=1e-9)


def test_hvp_of_a_quadratic_form_is_the_matrix_times_the_vector():
    a = np.array([[2.0, 1.0, 0.0], [3.0, -1.0, 4.0], [0.5, 0.0, 1.0]])
    v = np.array([1.0, -2.0, 0.5])
    value, product = hvp(lambda x: x @ (const(a) @ x), const(POINT), const(v))
    assert value.item() == pytest.approx(POINT @ a @ POINT)
    close(product, (a + a.T) @ v)
    assert not value.requires_grad
    assert not product.requires_grad


def test_hvp_of_rosenbrock_is_the_hessian_times_the_vector():
    v = np.array([1.0, -2.0, 0.5])
    close(hvp(rosenbrock, const(POINT), const(v))[1], rosenbrock_hessian(POINT) @ v)


def test_hvp_of_several_arguments_has_the_mixed_terms():
    x, y, v, w = 2.0, 3.0, 0.5, -1.0
    value, (at_x, at_y) = hvp(lambda x, y: x**2 * y**3, (const(x), const(y)), (const(v), const(w)))
    assert value.item() == x**2 * y**3
    close(at_x, 2 * y**3 * v + 6 * x * y**2 * w)
    close(at_y, 6 * x * y**2 * v + 6 * x**2 * y * w)


def test_hvp_of_functions_that_are_not_curved_is_zero():
    for f in (lambda x: x.sum(), lambda x: const(1.0)):
        close(hvp(f, const(POINT), const(POINT))[1], np.zeros(3))


def test_hvp_of_a_complex_argument_is_the_change_of_its_gradient():
    f = lambda z: (tg.abs(z) ** 2).sum() + tg.real(z**3).sum()  # noqa: E731
    v = np.array([0.5 - 1j, 2.0 + 1j])
    _, product = hvp(f, const(COMPLEX, "complex128"), const(v, "complex128"))
    close(product, 2 * v + np.conj(6 * COMPLEX * v))


# ── jacobian, hessian ───────────────────────────────────────────────────────────────────────────────────────


def test_the_jacobian_has_the_axes_of_the_result_then_those_of_the_argument():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    matrix = jacobian(lambda x, y: x @ y)(const(x), const(y))
    assert matrix.shape == (2, 4, 2, 3)
    close(matrix, np.einsum("ij,kl->iljk", np.eye(2), y))
    assert not matrix.requires_grad


def test_jacobians_of_numbers_of_constants_and_of_empty_results():
    close(jacobian(rosenbrock)(const(POINT)), rosenbrock_gradient(POINT))
    close(jacobian(lambda x: const([1.0, 2.0]))(const(POINT)), np.zeros((2, 3)))
    assert jacobian(lambda x: x[:0])(const(POINT)).shape == (0, 3)
    close(jacobian(lambda x: x * x)(3.0), 6.0)
    close(jacobian(lambda z: tg.abs(z) ** 2)(const(COMPLEX, "complex128")), np.diag(2 * COMPLEX))


def test_the_jacobian_runs_the_function_once():
    calls = []
    jacobian(lambda x: calls.append(x) or x * x)(const(POINT))
    assert len(calls) == 1


def test_the_hessian_of_a_quadratic_form_and_of_rosenbrock():
    a = np.array([[2.0, 1.0, 0.0], [3.0, -1.0, 4.0], [0.5, 0.0, 1.0]])
    close(hessian(lambda x: x @ (const(a) @ x))(const(POINT)), a + a.T)
    close(hessian(rosenbrock)(const(POINT)), rosenbrock_hessian(POINT))
    assert hessian(lambda x: (x**3).sum())(const(np.ones((2, 2)))).shape == (2, 2, 2, 2)


def test_the_jacobian_of_a_hessian_is_the_third_derivative():
    third = jacobian(hessian(lambda x: x[0] ** 2 * x[1] * x[2]))(const(POINT))
    expected = np.zeros((3, 3, 3))
    for order in [(0, 0, 1), (0, 1, 0), (1, 0, 0)]:
        expected[order] = 2 * POINT[2]
    for order in [(0, 0, 2), (0, 2, 0), (2, 0, 0)]:
        expected[order] = 2 * POINT[1]
    for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        expected[order] = 2 * POINT[0]
    close(third, expected)


def test_every_transform_can_be_differentiated():
    v = const([1.0, -2.0, 0.5])
    h = 1e-6
    cases = [
        lambda x: hvp(rosenbrock, x, v)[1].sum(),
        lambda x: jvp(lambda y: y**3 * x, x, v)[1].sum(),
        lambda x: vjp(lambda y: y**3 * x, x)[1](v)[0].sum(),
        lambda x: vjp(lambda y: y**3, v)[1](x)[0].sum(),
        lambda x: (jacobian(lambda y: tg.sin(y) * x.sum())(x) ** 2).sum(),
        lambda x: tg.trace(hessian(rosenbrock)(x) @ hessian(rosenbrock)(x)) * 1e-4,
        lambda x: hvp(rosenbrock, v, x)[1].sum(),
        lambda x: jvp(lambda y: y**3, v, x * x)[1].sum(),
        lambda x: value_and_grad(lambda y: (y**3 * x).sum())(x)[1].sum(),
    ]
    for place, f in enumerate(cases):
        _, slope = value_and_grad(f)(const(POINT))
        numeric = [
            (f(const(POINT + h * e)).item() - f(const(POINT - h * e)).item()) / (2 * h) for e in np.eye(POINT.size)
        ]
        np.testing.assert_allclose(np.asarray(slope.tolist()), numeric, rtol=1e-5, atol=1e-5, err_msg=f"case {place}")
        assert np.any(np.abs(numeric) > 1e-3)


def test_results_are_recorded_exactly_if_something_outside_is():
    x, w = const(POINT), leaf(2.0)
    f, by_w = (lambda x: (x**2).sum()), (lambda x: (x**2 * w).sum())
    for recorded, each in ((False, f), (True, by_w)):
        results = [
            *value_and_grad(each)(x),
            *jvp(each, x, x),
            *hvp(each, x, x),
            jacobian(each)(x),
            hessian(each)(x),
            vjp(each, x)[0],
            vjp(each, x)[1](1.0)[0],
        ]
        assert [result.requires_grad for result in results] == [recorded] * len(results)
    _, pull = vjp(by_w, x)
    with tg.no_grad():
        assert not hessian(by_w)(x).requires_grad
        assert not vjp(by_w, x)[0].requires_grad
        assert not vjp(by_w, x)[1](1.0)[0].requires_grad
        assert not pull(1.0)[0].requires_grad
    assert pull(1.0)[0].requires_grad


def test_transforms_leave_no_gradients_and_no_marks():
    x, w = const(POINT), leaf(2.0)
    for transform in (value_and_grad, jacobian, hessian):
        transform(lambda x: (x**2 * w).sum())(x)
    hvp(lambda x: (x**2 * w).sum(), x, x)
    assert w.grad is None
    assert x.record is None
    assert x.grad is None


def test_transforms_run_in_threads_at_once_and_leave_each_threads_mode():
    expected, wrong = rosenbrock_hessian(POINT), []

    def work(quiet):
        try:
            if quiet:
                with tg.no_grad():
                    found = hessian(rosenbrock)(const(POINT))
                    assert not is_recording()
            else:
                found = hessian(rosenbrock)(const(POINT))
                assert is_recording()
            close(found, expected)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(place % 2 == 0,)) for place in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_one_tape_may_be_differentiated_in_several_threads():
    x = leaf(POINT)
    y = rosenbrock(x)
    found, expected = [], rosenbrock_gradient(POINT)
    threads = [
        threading.Thread(target=lambda: found.append(grad(y, x, retain_graph=True)[0].tolist())) for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 4
    np.testing.assert_allclose(found, [expected] * 4)
    assert len(Tape(y)) > 1
