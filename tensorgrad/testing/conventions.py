"""What the engine promises where mathematics leaves a choice, one function per line of docs/conventions.md.

Laws compare derivatives with differences, so they see nothing at a kink, at a tie, at a pole or in a dtype. A
convention is a function without arguments whose docstring is the sentence promised and whose body tries it on the
default device. `CONVENTIONS` lists them by the op they are about, or by a subject that is no single op.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad import backend, ops
from tensorgrad.backend import default_device
from tensorgrad.tensor import Tensor

Convention = Callable[[], None]

CONVENTIONS: dict[str, list[Convention]] = {}
# Those that say for which arguments or modes a public function has no gradient: docs/coverage.md repeats them.
LIMITS: dict[str, list[Convention]] = {}


def convention(*names: str) -> Callable[[Convention], Convention]:
    """File a function as a convention of the ops, or of the subject, named."""

    def file(promise: Convention) -> Convention:
        for name in names:
            CONVENTIONS.setdefault(name, []).append(promise)
        return promise

    return file


def limit(*names: str) -> Callable[[Convention], Convention]:
    """File a convention as one that says where these public functions have no gradient."""

    def file(promise: Convention) -> Convention:
        for name in names:
            LIMITS.setdefault(name, []).append(promise)
        return promise

    return file


def _leaf(values: Any, dtype: Any = None) -> Tensor:
    dtype = ("complex128" if np.iscomplexobj(values) else "float64") if dtype is None else dtype
    return Tensor(values, requires_grad=True, dtype=dtype, device=default_device())


def _slopes(function: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of sum(function(*leaves)) at these values, as numbers in lists."""
    leaves = [_leaf(each) for each in values]
    ops.sum(function(*leaves)).backward()
    return [leaf.grad.tolist() for leaf in leaves]


def _bends(function: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of the sum of all first gradients: the rows of the Hessian, each summed."""
    leaves = [_leaf(each) for each in values]
    ops.sum(function(*leaves)).backward(create_graph=True)
    firsts = [leaf.grad for leaf in leaves]
    total = ops.sum(firsts[0])
    for each in firsts[1:]:
        total = total + ops.sum(each)
    for leaf in leaves:
        leaf.grad = None
    if total.requires_grad:
        total.backward()
    return [np.zeros(leaf.shape).tolist() if leaf.grad is None else leaf.grad.tolist() for leaf in leaves]


def _expect(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-12, atol=0)


def _refuses(kind: type[Exception], function: Callable[[], Any]) -> None:
    try:
        function()
    except kind:
        return
    raise AssertionError(f"expected a {kind.__name__}")


# ── kinks ───────────────────────────────────────────────────────────────────────────────────────────────────


@convention("relu")
def relu_at_zero() -> None:
    """`relu` at 0 has gradient 0."""
    _expect(_slopes(ops.relu, [-1.0, 0.0, 1.0]), [[0, 0, 1]])


@convention("leaky_relu")
def leaky_relu_at_zero() -> None:
    """`leaky_relu` at 0 has the gradient from below, `negative_slope`."""
    _expect(_slopes(lambda x: ops.leaky_relu(x, 0.3), [-1.0, 0.0, 1.0]), [[0.3, 0.3, 1]])


@convention("elu")
def elu_at_zero() -> None:
    """`elu` at 0 has the derivatives from below: `alpha`, and `alpha` again in second order."""
    _expect(_slopes(lambda x: ops.elu(x, 1.7), [0.0]), [[1.7]])
    _expect(_bends(lambda x: ops.elu(x, 1.7), [0.0]), [[1.7]])


@convention("hardtanh")
def hardtanh_at_its_bounds() -> None:
    """`hardtanh` at its bounds has gradient 0."""
    _expect(_slopes(lambda x: ops.hardtanh(x, -1.0, 2.0), [-1.0, 0.0, 2.0]), [[0, 1, 0]])


@convention("abs")
def abs_at_zero() -> None:
    """`abs` at 0 has gradient 0, for complex numbers too."""
    _expect(_slopes(ops.abs, [-2.0, 0.0, 2.0]), [[-1, 0, 1]])
    _expect(_slopes(ops.abs, [0j, 3 + 4j]), [[0, 0.6 + 0.8j]])


@convention("sign")
def sign_at_zero() -> None:
    """`sign` of a real number has gradient 0 everywhere; of a complex one, z / |z|, at 0."""
    _expect(_slopes(ops.sign, [-2.0, 0.0, 2.0]), [[0, 0, 0]])
    _expect(_slopes(lambda z: ops.imag(ops.sign(z)), [0j, 2 + 0j]), [[0, 0.5j]])


@convention("floor", "ceil", "trunc", "round", "floor_divide")
def steps_are_flat() -> None:
    """`floor`, `ceil`, `trunc`, `round` and `floor_divide` have gradient 0, at their steps too."""
    for function in (ops.floor, ops.ceil, ops.trunc, ops.round):
        _expect(_slopes(function, [-1.0, 0.5, 0.7]), [[0, 0, 0]])
    _expect(_slopes(ops.floor_divide, [4.0, 5.0], [2.0, 2.0]), [[0, 0], [0, 0]])


@convention("copysign", "nextafter")
def the_second_operand_only_points() -> None:
    """`copysign` and `nextafter` pass no gradient to their second operand."""
    _expect(_slopes(ops.copysign, [2.0, 2.0], [-1.0, 1.0]), [[-1, 1], [0, 0]])
    _expect(_slopes(ops.nextafter, [1.0], [2.0]), [[1], [0]])


@convention("clip")
def clip_at_its_bounds() -> None:
    """`clip` on a bound passes the gradient to x; beyond a bound, to that bound, also where both are the same."""
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = _slopes(ops.clip, x, [-1.0] * 5, [1.0] * 5)
    _expect(found, [[0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    _expect(_slopes(ops.clip, [-2.0, 1.0, 2.0], [1.0] * 3, [1.0] * 3), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    _expect(_slopes(ops.clip, [-np.inf, np.inf], [-1.0] * 2, [1.0] * 2), [[0, 0], [1, 0], [0, 1]])


# ── ties ────────────────────────────────────────────────────────────────────────────────────────────────────


@convention("maximum", "minimum")
def two_that_tie_share() -> None:
    """`maximum` and `minimum` give each operand half of the gradient in a tie."""
    _expect(_slopes(ops.maximum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), [[0.5, 0, 1], [0.5, 1, 0]])
    _expect(_slopes(ops.minimum, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]), [[0.5, 1, 0], [0.5, 0, 1]])


@convention("max", "min", "max_windows", "min_windows")
def many_that_tie_share() -> None:
    """`max`, `min` and pooling by them share the gradient equally among the elements that tie."""
    x = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]
    third = 1 / 3
    _expect(_slopes(lambda x: ops.max(x, axis=1), x), [[[0, 0.5, 0.5], [third, third, third]]])
    _expect(_slopes(lambda x: ops.min(x, axis=1, keepdims=True), x), [[[1, 0, 0], [third, third, third]]])
    _expect(_slopes(ops.max, x), [[[0, 0.5, 0.5], [0, 0, 0]]])
    _expect(_slopes(lambda x: ops.max_pool2d(x, 2), [[[[1.0, 4.0], [4.0, 0.0]]]]), [[[[[0, 0.5], [0.5, 0]]]]])
    _expect(_slopes(lambda x: ops.min_pool2d(x, (1, 2), stride=1), [[[[1.0, 1.0, 1.0]]]]), [[[[[0.5, 1, 0.5]]]]])


@convention("running_places", "argsort", "largest_of_segments", "unique_places")
def some_ties_have_a_winner() -> None:
    """`cummax` and `cummin` give the last of equals the gradient, `sort` and `topk` the first; `segment_max` shares."""
    _expect(_slopes(lambda x: ops.cummax(x)[0], [1.0, 1.0, 0.0]), [[1, 2, 0]])
    _expect(_slopes(lambda x: ops.cummin(x)[0], [1.0, 1.0, 2.0]), [[1, 2, 0]])
    _expect(_slopes(lambda x: ops.topk(x, 1)[0], [1.0, 3.0, 3.0]), [[0, 1, 0]])
    _expect(_slopes(lambda x: ops.sort(x)[:2], [3.0, 3.0, 3.0]), [[1, 1, 0]])
    _expect(_slopes(lambda x: ops.segment_max(x, np.asarray([0, 0, 1])), [3.0, 3.0, 1.0]), [[0.5, 0.5, 1]])
    _expect(_slopes(ops.unique_values, [2.0, 1.0, 2.0]), [[1, 1, 0]])


@convention("searchsorted")
def lines_end_at_their_samples() -> None:
    """`interp` has at a sample the slope of the line after it; outside the samples, and at the last one, slope 0."""
    found = _slopes(
        lambda x, fp: ops.interp(x, _leaf([0.0, 1.0, 3.0]), fp), [-1.0, 0.0, 1.0, 3.0, 4.0], [0.0, 2.0, 8.0]
    )
    _expect(found[0], [0, 2, 3, 0, 0])
    _expect(found[1], [2, 1, 2])
    jump = ops.interp(_leaf([0.5, 1.0, 2.0]), _leaf([0.0, 1.0, 1.0]), _leaf([0.0, 2.0, 5.0]))
    _expect(jump.tolist(), [1, 5, 5])


# ── zeros ───────────────────────────────────────────────────────────────────────────────────────────────────


@convention("safe_sqrt")
def roots_at_zero() -> None:
    """`std` of equal elements and `safe_sqrt` at 0 have gradient 0; that of `sqrt` at 0 is infinite."""
    _expect(_slopes(ops.safe_sqrt, [0.0, 4.0]), [[0, 0.25]])
    _expect(_slopes(ops.std, [2.0, 2.0]), [[0, 0]])
    with np.errstate(divide="ignore"):
        _expect(_slopes(ops.sqrt, [0.0]), [[np.inf]])


@convention("hypot")
def hypot_at_the_origin() -> None:
    """`hypot` at (0, 0) has gradient 0, and second derivatives 0."""
    _expect(_slopes(ops.hypot, [0.0, 3.0], [0.0, 4.0]), [[0, 0.6], [0, 0.8]])
    _expect(_bends(ops.hypot, [0.0], [0.0]), [[0], [0]])


@convention("pow")
def powers_at_zero() -> None:
    """`x ** 0` has gradient 0, at x = 0 too; `0 ** y` has gradient 0 with respect to y."""
    _expect(_slopes(lambda x: x**0, [0.0, 2.0]), [[0, 0]])
    _expect(_slopes(ops.pow, [0.0, 2.0], [0.0, 0.0]), [[0, 0], [0, np.log(2.0)]])
    _expect(_slopes(lambda y: 0.0**y, [0.0, 2.0]), [[0, 0]])
    _expect(_slopes(ops.pow, [0.0, 0.0], [1.0, 2.0]), [[1, 0], [0, 0]])


@convention("pow")
def powers_that_cross_zero() -> None:
    """`x ** y` has at y = 0, x > 0 the mixed second derivative 1 / x."""
    x, y = _leaf([2.0]), _leaf([0.0])
    ops.sum(x**y).backward(create_graph=True)
    slope = x.grad
    y.grad = None
    ops.sum(slope).backward()
    _expect(y.grad.tolist(), [0.5])


@convention("prod", "cumulative_prod")
def products_with_zeros() -> None:
    """`prod` and `cumulative_prod` have the right derivatives, to any order, where factors are 0."""
    _expect(_slopes(ops.prod, [0.0, 2.0, 3.0]), [[6, 0, 0]])
    _expect(_slopes(ops.prod, [0.0, 2.0, 0.0]), [[0, 0, 0]])
    _expect(_bends(ops.prod, [0.0, 2.0, 0.0]), [[2, 0, 2]])
    _expect(_slopes(ops.cumulative_prod, [2.0, 0.0, 3.0]), [[1, 8, 0]])
    _expect(_bends(ops.cumulative_prod, [2.0, 0.0, 3.0]), [[4, 6, 2]])


@convention("mean")
def means_of_nothing() -> None:
    """`mean` of no elements has an empty gradient, and nothing is divided by 0 for it."""
    x = Tensor(ops.zeros((0, 2)), requires_grad=True)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # the value is NaN, as NumPy says
        y = ops.mean(x, axis=0)
    with np.errstate(all="raise"):
        y.backward(Tensor([1.0, 1.0]))
    if x.grad.shape != (0, 2):
        raise AssertionError(f"the gradient has the shape {x.grad.shape}")


@convention("clamped_log")
def logarithms_that_stop() -> None:
    """`binary_cross_entropy` takes no logarithm below -100, and none with a slope above 1e12: `clamped_log` at 0."""
    with np.errstate(all="raise"):
        _expect(ops.clamped_log(_leaf([0.0, 1e-300, 1.0])).tolist(), [-100, -100, 0])
        _expect(_slopes(ops.clamped_log, [0.0, 1e-13, 0.5]), [[1e12, 1e12, 2]])


@convention("softmax_cross_entropy")
def losses_of_nothing() -> None:
    """`cross_entropy` and `nll_loss` are 0, with gradient 0, where the index of every place is the ignored one."""
    labels = Tensor([-100, -100])
    for loss in (ops.cross_entropy, ops.nll_loss):
        x = _leaf([[1.0, 2.0], [3.0, 4.0]])
        y = loss(x, labels)
        y.backward()
        _expect(y.tolist(), 0)
        _expect(x.grad.tolist(), [[0, 0], [0, 0]])


@convention("layer_norm_rows", "rms_norm_rows", "batch_norm_train")
def normalisations_of_equal_numbers() -> None:
    """`layer_norm`, `rms_norm` and `batch_norm` of nothing but zeros are 0 with a finite gradient, g over sqrt(eps)."""
    with np.errstate(all="raise"):
        _expect(_slopes(lambda x: ops.rms_norm_rows(x, eps=0.25), [[0.0, 0.0]]), [[[2, 2]]])
        _expect(_slopes(lambda x: ops.layer_norm_rows(x, eps=0.25)[..., 0], [[0.0, 0.0]]), [[[1, -1]]])
        _expect(_slopes(lambda x: ops.batch_norm_train(x, eps=0.25)[0][0], [[0.0], [0.0]]), [[[1], [-1]]])


@convention("safe_sqrt")
def zero_vectors() -> None:
    """`normalize` divides a vector shorter than eps by eps: zero stays zero, with the gradient g / eps."""
    _expect(_slopes(lambda x: ops.normalize(x, eps=0.25), [[0.0, 0.0]]), [[[4, 4]]])


@convention("attention")
def queries_that_see_nothing() -> None:
    """A query that may look nowhere gets zeros from `scaled_dot_product_attention`, and gradients of 0 to any order."""
    see = Tensor([[True, False], [False, False]])

    def look(x: Any) -> Any:
        return ops.scaled_dot_product_attention(x, x, x * Tensor([[1.0, 2.0], [3.0, 4.0]], dtype="float64"), see)

    with np.errstate(all="raise"):
        x = _leaf([[1.0, 2.0], [3.0, 4.0]])
        _expect(look(x).tolist(), [[1, 4], [0, 0]])
        _expect(_slopes(look, x.tolist()), [[[1, 2], [0, 0]]])
        _expect(_bends(look, x.tolist()), [[[0, 0], [0, 0]]])


# ── NaN and infinities ──────────────────────────────────────────────────────────────────────────────────────


@convention("where")
def where_keeps_nan_where_it_is() -> None:
    """`where` passes exactly 0 to the branch not taken, whatever value or gradient is there, NaN and infinity too.

    What was computed before it may still make NaN of that 0, as the infinite slope of `sqrt` at 0 does: make its
    operand safe, `where(x > 0, sqrt(where(x > 0, x, 1)), 0)`.
    """
    condition = Tensor([True, False])
    _expect(_slopes(lambda x, y: ops.where(condition, x, y), [2.0, np.nan], [np.nan, 3.0]), [[1, 0], [0, 1]])
    safe = _slopes(lambda x: ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1.0)), 0.0), [0.0, 4.0])
    _expect(safe, [[0, 0.25]])
    for wild in (np.nan, np.inf):
        x, y = _leaf([2.0, 2.0]), _leaf([3.0, 3.0])
        ops.where(condition, x, y).backward(Tensor([wild, 1.0], dtype="float64"))
        _expect([x.grad.tolist(), y.grad.tolist()], [[wild, 0], [0, 1]])


@convention("maximum", "minimum", "max", "min", "max_windows", "min_windows")
def a_nan_wins_nothing() -> None:
    """Where `maximum`, `minimum`, `max` or `min` is NaN, the gradient is 0."""
    with np.errstate(invalid="ignore"):
        for two in (ops.maximum, ops.minimum):
            _expect(_slopes(two, [np.nan, 1.0], [1.0, np.nan]), [[0, 0], [0, 0]])
        for many in (ops.max, ops.min):
            _expect(_slopes(lambda x, many=many: many(x, axis=1), [[np.nan, 1.0], [2.0, 2.0]]), [[[0, 0], [0.5, 0.5]]])
        for pool in (ops.max_pool2d, ops.min_pool2d):
            image = [[[[np.nan, 1.0, 2.0, 2.0]]]]
            _expect(_slopes(lambda x, pool=pool: pool(x, (1, 2)), image), [[[[[0, 0, 0.5, 0.5]]]]])


@convention("logsumexp")
def sums_of_no_weight() -> None:
    """`logsumexp` of minus infinities alone has gradient 0; a minus infinity beside others has gradient 0."""
    with np.errstate(divide="ignore"):
        x = [[-np.inf, -np.inf], [-np.inf, 2.0]]
        _expect(_slopes(lambda x: ops.logsumexp(x, axis=1), x), [[[0, 0], [0, 1]]])


@convention("running_logsumexp")
def running_sums_of_no_weight() -> None:
    """`logcumsumexp` gives minus infinities gradient 0, and terms that later ones dwarf a finite one."""
    _expect(_slopes(ops.logcumsumexp, [-np.inf, -np.inf, 2.0]), [[0, 0, 1]])
    _expect(_slopes(ops.logcumsumexp, [-np.inf, 2.0, -np.inf]), [[0, 2, 0]])
    _expect(_slopes(ops.logcumsumexp, [-1000.0, 1000.0, 1000.0]), [[1, 1.5, 0.5]])


@convention("argsort", "largest_of_segments", "running_places")
def a_nan_among_the_elements() -> None:
    """`median`, `quantile` and `segment_max` of elements with a NaN are NaN, with gradient 0; `sort` puts NaN last."""
    _expect(_slopes(lambda x: ops.median(x, axis=1), [[np.nan, 1.0, 2.0], [1.0, 4.0, 2.0]]), [[[0, 0, 0], [0, 0, 1]]])
    _expect(ops.median(_leaf([np.nan, 1.0, 2.0])).tolist(), np.nan)
    _expect(_slopes(lambda x: ops.segment_max(x, np.asarray([0, 0, 1])), [np.nan, 3.0, 1.0]), [[0, 0, 1]])
    _expect(ops.sort(_leaf([np.nan, 1.0, 2.0])).tolist(), [1, 2, np.nan])
    _expect(ops.cummax(_leaf([1.0, np.nan, 2.0]))[0].tolist(), [1, np.nan, np.nan])


@convention("elu")
def elu_far_above_zero() -> None:
    """`elu` has finite derivatives where exp(x) would overflow."""
    with np.errstate(over="raise"):
        _expect(_slopes(ops.elu, [1000.0]), [[1]])
        _expect(_bends(ops.elu, [1000.0]), [[0]])


# ── where there is none ─────────────────────────────────────────────────────────────────────────────────────


@limit("qr", "svd")
@convention("qr_parts", "svd_parts")
def vectors_that_a_matrix_does_not_fix_have_no_gradient() -> None:
    """`qr` with mode="complete" of a tall matrix, and `svd` with full_matrices where m and n differ, have values but no
    gradient, and say so when they are called.
    """
    tall = [[1.0], [2.0]]
    _refuses(TypeError, lambda: ops.qr(_leaf(tall), mode="complete"))
    _refuses(TypeError, lambda: ops.svd(_leaf(tall)))


@convention("add_at")
def histograms_have_no_gradient() -> None:
    """`histogram` refuses a tensor that requires a gradient; its weights have one, as those of `bincount` have."""
    _refuses(TypeError, lambda: ops.histogram(_leaf([1.0, 2.0])))
    places = Tensor([0.5, 1.5, 1.7])
    _expect(
        _slopes(lambda w: ops.histogram(places, np.arange(3.0), weight=w)[0] ** 2.0, [1.0, 2.0, 3.0]), [[2, 10, 10]]
    )


@convention("integers")
def integers_never_record() -> None:
    """Integer and boolean tensors never record: no leaves, and no results, as of `x > 0`, `argmax`, `astype`."""
    _refuses(TypeError, lambda: Tensor([1, 2], requires_grad=True))
    x = _leaf([1.0, 2.0])
    for result in (x > 0, ops.argmax(x), ops.astype(x, ops.int64), ops.isnan(x), ops.argsort(x)):
        if result.requires_grad:
            raise AssertionError(f"a {result.dtype} tensor is recorded")


@limit("eigh", "svd")
@convention("eigh", "svd_parts")
def vectors_have_arbitrary_phases() -> None:
    """`eigh` and `svd` of complex matrices: a loss that depends on the phases of the vectors is refused in a sweep."""
    values = [[2.0, 0.5 + 0.3j], [0.5 - 0.3j, 4.0]]
    for name in ("U", "Vh", "eigenvectors"):
        for size in (1.0, 1e-4):
            x = _leaf(values)
            vectors = getattr(ops.eigh(x) if name == "eigenvectors" else ops.svd(x), name)
            _refuses(ValueError, ops.sum((ops.real(vectors) + ops.imag(vectors)) * size).backward)
        for size in (0.0, 1e9):  # what no phase changes, and beside it rounding
            x = _leaf(values)
            vectors = getattr(ops.eigh(x) if name == "eigenvectors" else ops.svd(x), name)
            squares = ops.abs(vectors) ** 2
            ops.sum(squares * size + (squares - ops.real(vectors * ops.conj(vectors)))).backward()


# ── matrices ────────────────────────────────────────────────────────────────────────────────────────────────


def _three_derivatives(function: Callable[..., Any], values: Any) -> list[Any]:
    """The gradient, and those of its sum and of that one's, with weights that tell elements apart."""
    x = _leaf(values)
    weights = np.cos(np.arange(x.size)).reshape(x.shape)
    found, total = [], ops.sum(function(x))
    for _ in range(3):
        total.backward(create_graph=True)
        found.append(x.grad.tolist())
        total, x.grad = ops.sum(x.grad * _leaf(weights).detach()), None
        if not total.requires_grad:
            break
    return found


@convention("det")
def det_of_singular_matrices() -> None:
    """`det` of a singular matrix, or of one near it, has its cofactors for a gradient, to any order."""

    def polynomial(x: Any) -> Any:
        a, b, c = (x[..., place, :] for place in range(3))
        return ops.sum(a * ops.cross(b, c), axis=-1)

    regular = np.asarray([[1.0, 2.0, 3.0], [2.0, 1.0, 1.0], [1.0, 3.0, 1.0]])
    rank_one = np.asarray([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]])
    rank_two = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]])
    near = np.diag([1.0, 2.0, 1e-12])
    stack = np.stack([regular, rank_two, rank_one])
    for x in (rank_one, rank_two, 0 * regular, near, 1e9 * near, 1e-9 * rank_two, stack):
        size = np.abs(x).max() or 1.0
        found, expected = (_three_derivatives(f, x) for f in (ops.det, polynomial))
        for power, first, second in zip((2, 1, 0), found, expected, strict=True):
            np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-12 * size**power)
    _expect(_slopes(ops.det, [[1e-200, 0.0], [0.0, 1e-200]]), [[[1e-200, 0], [0, 1e-200]]])  # det itself is 0


@convention("eigh", "svd_parts")
def vectors_of_diagonal_and_singular_matrices() -> None:
    """`eigh` and `svd` have the right derivatives where gradients vanish, and where one singular value is 0."""

    def first_element(vectors: Any) -> Any:
        return vectors[..., :1, :1] ** 2

    x = [[1.0, 0.0], [0.0, 3.0]]  # cos^2 of an angle of (x01 + x10) / 2 over the gap of 2
    _expect(_bends(lambda x: first_element(ops.eigh(x).eigenvectors), x), [[[0, -0.25], [-0.25, 0]]])
    for name in ("U", "Vh"):
        singular = _slopes(lambda x, name=name: getattr(ops.svd(x), name) ** 2 * ops.eye(2), [[1.0, 0.0], [0.0, 0.0]])
        _expect(singular, [[[0, 0], [0, 0]]])


@limit("eigh", "svd")
@convention("eigh", "eigvalsh", "svd_parts", "svdvals")
def equal_eigenvalues() -> None:
    """Where eigenvalues or singular values are equal, to 4 eps of their sum, what is made of the values has a gradient,
    what is made of the vectors one of NaN, even where it would not depend on their choice.
    """
    one, eps = np.eye(2), float(np.finfo(np.float64).eps)
    for values in (ops.eigvalsh, ops.svdvals, lambda x: ops.eigh(x).eigenvalues, lambda x: ops.svd(x).S):
        _expect(_slopes(lambda x, values=values: ops.sum(values(x) ** 2), one), [[[2, 0], [0, 2]]])
    vectors = (lambda x: ops.eigh(x).eigenvectors, lambda x: ops.svd(x).U, lambda x: ops.svd(x).Vh)
    equal = (
        one,
        np.zeros((2, 2)),
        [[1.0, 1e-17], [1e-17, 1.0]],
        np.diag([1.0, 1 + 8 * eps]),
        np.diag([-1 - 8 * eps, -1]),
    )
    apart = np.stack([np.diag([1.0, 1 + 9 * eps]), np.diag([100.0, 200.0])])
    with np.errstate(divide="raise", invalid="ignore"):
        for function in vectors:
            for x in equal:
                _expect_nan(lambda x, function=function: ops.cumulative_sum(function(x), axis=0), x)
            if not np.isfinite(
                _slopes(lambda x, function=function: ops.cumulative_sum(function(x), axis=0), apart)
            ).all():
                raise AssertionError("no gradient where values differ")
        for x in equal:  # sin of x, whose gradient is finite
            _expect_nan(lambda x: _sine(x) * ops.asarray([[1.0, 2.0], [3.0, 4.0]]), x)


@limit("svd")
@convention("svd_parts")
def singular_values_of_zero() -> None:
    """What is made of the vectors of `svd` has a gradient of NaN where a singular value is 0, to 4 eps of their sum,
    and the matrix is complex or not square; of a real square matrix it has one.
    """
    with np.errstate(divide="raise", invalid="ignore"):
        for small in (0.0, 1e-17):
            tall = np.asarray([[1.0, 0.0], [0.0, small], [0.0, 0.0]])
            for x in (tall, tall.T, tall[:2] * (1 + 0j)):
                _expect_nan(lambda x: ops.real(_product(ops.svd(x, full_matrices=False))), x)
            _expect(_slopes(lambda x: _product(ops.svd(x)), tall[:2]), [[[1, 1], [1, 1]]])


def _expect_nan(function: Callable[..., Any], x: Any) -> None:
    if not np.isnan(_slopes(function, x)).all():
        raise AssertionError("a gradient where the rule cannot know it")


def _sine(x: Any) -> Any:
    w, v = ops.eigh(x)
    return ops.matmul(v * ops.sin(w)[..., None, :], v.mT)


def _product(parts: Any) -> Any:
    u, s, vh = parts
    return ops.matmul(u * s[..., None, :], vh)


@convention("slogdet")
def slogdet_of_singular_matrices() -> None:
    """`slogdet` of a singular matrix is (0, -inf) with a gradient of NaN; the other matrices of a stack keep theirs."""
    with np.errstate(all="ignore"):
        found = np.asarray(
            _slopes(lambda x: ops.slogdet(x).logabsdet, [[[2.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
        )
    if not np.isnan(found[..., 1, :, :]).all():
        raise AssertionError("a gradient where there is none")
    np.testing.assert_array_equal(found[..., 0, :, :], np.asarray([[[0.5, 0.0], [0.0, 0.25]]]))


@convention("svdvals", "safe_sqrt")
def norms_of_nothing() -> None:
    """`vector_norm`, `matrix_norm` and `svdvals` of zeros have gradient 0, and so has an element that is 0."""
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    for order in (2, 1, 3, 1.5, 0.5, 0, -1, np.inf, -np.inf):
        _expect(_slopes(lambda x, order=order: ops.vector_norm(x, ord=order), nothing), [nothing])
    for order in ("fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf):  # type: ignore[assignment]
        _expect(_slopes(lambda x, order=order: ops.matrix_norm(x, ord=order), nothing), [nothing])


@convention("cholesky", "eigh", "eigvalsh")
def only_the_hermitian_part_is_read() -> None:
    """`cholesky`, `eigh` and `eigvalsh` read the Hermitian part of a matrix, and have a Hermitian gradient."""
    for f in (ops.cholesky, ops.eigvalsh, lambda x: ops.eigh(x).eigenvalues):
        found = _slopes(lambda x, f=f: f(x) ** 2, [[2.0, 1.0], [0.0, 3.0]])
        alike = _slopes(lambda x, f=f: f(x) ** 2, [[2.0, 0.5], [0.5, 3.0]])
        # What should be 0 may be the rounding of the library's factorisation, which no relative bound allows for.
        np.testing.assert_allclose(found, alike, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found[0], np.transpose(found[0]), rtol=1e-12, atol=1e-15)


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────


@convention("setitem")
def the_last_value_stands() -> None:
    """`x[i] = v` with a place named twice: the last value stands, and only it has a gradient; x has none there."""
    places = np.asarray([1, 0, 1])
    found = _slopes(lambda x, v: ops.setitem(x, v, places) * 2.0, [1.0, 2.0, 3.0], [5.0, 6.0, 7.0])
    _expect(found, [[0, 0, 2], [0, 2, 2]])
    _expect(ops.setitem(Tensor([1.0, 2.0, 3.0]), Tensor([5.0, 6.0, 7.0]), places).tolist(), [6, 7, 3])


@convention("getitem", "take", "add_at")
def repeated_places_add_up() -> None:
    """`x[i]`, `take` and `embedding` with a place named twice: its gradients add up, always in the same order."""
    places = np.asarray([1, 0, 1])
    _expect(_slopes(lambda x: x[places], [1.0, 2.0, 3.0]), [[1, 2, 0]])
    _expect(_slopes(lambda x: ops.take(x, Tensor([1, 0, 1])), [1.0, 2.0, 3.0]), [[1, 2, 0]])
    _expect(_slopes(lambda x: ops.embedding(Tensor([1, 1]), x), [[1.0], [2.0]]), [[[0], [2]]])


@convention("to_device")
def gradients_travel_back() -> None:
    """`to_device` brings the gradient back to where its operand is, to any order."""
    x = Tensor([2.0], requires_grad=True, dtype="float64", device="cpu")
    y = ops.to_device(x, "strict", "cpu")
    ops.sum(y * y * y).backward(create_graph=True)
    slope = x.grad
    x.grad = None
    slope.backward()
    if (y.device, slope.device, x.grad.device) != ("strict", "cpu", "cpu"):
        raise AssertionError(f"the gradients are on {slope.device} and {x.grad.device}")
    _expect([slope.tolist(), x.grad.tolist()], [[12], [12]])


# ── complex numbers ─────────────────────────────────────────────────────────────────────────────────────────


@convention("complex")
def complex_gradients_are_conjugate() -> None:
    """The gradient of a real L at a complex z is dL/dRe z + i dL/dIm z, as in PyTorch: that of |z|^2 is 2 z."""
    z = 3 + 4j
    _expect(_slopes(lambda z: ops.real(z * ops.conj(z)), [z]), [[2 * z]])
    _expect(_slopes(ops.real, [z]), [[1]])
    _expect(_slopes(ops.imag, [z]), [[1j]])
    _expect(_slopes(lambda z, w: ops.real(z * w), [z], [1 - 2j]), [[1 + 2j], [3 - 4j]])


@convention("complex")
def rules_know_no_conjugate() -> None:
    """Inside rules g is bilinear, dL = sum(g dz): the conjugate is taken once, where gradients come in and go out."""
    z, seed = 1 + 2j, 0.5 - 1j
    leaf = _leaf([z])
    ops.exp(leaf).backward(Tensor([seed]))
    _expect(leaf.grad.tolist(), [seed * np.conj(np.exp(z))])


@convention("complex")
def real_operands_have_real_gradients() -> None:
    """A real operand has a real gradient: what is imaginary in it is dropped."""
    x = _leaf([2.0])
    ops.real(x * Tensor([1 + 3j])).backward(Tensor([1.0], dtype="float64"))
    if x.grad.dtype != ops.float64:
        raise AssertionError(f"the gradient of a real operand is {x.grad.dtype}")
    _expect(x.grad.tolist(), [1])


# ── dtypes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _is(x: Any, dtype: Any) -> None:
    if x.dtype != np.dtype(dtype):
        raise AssertionError(f"the dtype is {x.dtype}, expected {dtype}")


@convention("dtypes")
def float32_is_the_default() -> None:
    """Python floats become float32, integers int64, complex numbers complex64; `set_default_dtype` says otherwise."""
    _is(Tensor([1.0]), "float32")
    _is(Tensor([1]), "int64")
    _is(Tensor([1j]), "complex64")
    before = backend.get_default_dtype()
    try:
        backend.set_default_dtype("float64")
        _is(Tensor([1.0]), "float64")
    finally:
        backend.set_default_dtype(before)


@convention("dtypes")
def scalars_are_weak() -> None:
    """Python scalars are weak: float32 times 2.5 is float32, an integer tensor times 2.5 has the default dtype."""
    _is(Tensor([1.0], dtype="float32") * 2.5, "float32")
    _is(Tensor([1.0], dtype="float32") * 2, "float32")
    _is(Tensor([1.0], dtype="float64") * 2.5, "float64")
    _is(Tensor([1.0], dtype="float32") * 2j, "complex64")
    _is(Tensor([1]) * 2.5, "float32")
    _is(Tensor([1]) * 2, "int64")


@convention("dtypes")
def floating_operands_decide() -> None:
    """An integer tensor beside a floating one takes the floating one's dtype: int64 times float32 is float32."""
    _is(Tensor([1]) * Tensor([1.0], dtype="float32"), "float32")
    _is(Tensor([1.0], dtype="float64") + Tensor([1], dtype="int32"), "float64")
    _is(Tensor([True]) * Tensor([1.0], dtype="float32"), "float32")
    _is(Tensor([1.0], dtype="float32") * Tensor([1.0], dtype="float64"), "float64")


@convention("dtypes")
def integers_alone_become_floating() -> None:
    """Integers alone become the default dtype where the result is floating: `divide`, `exp`, `mean`, `softmax`."""
    whole = Tensor([1, 2])
    for result in (whole / whole, ops.exp(whole), ops.mean(whole), ops.softmax(whole)):
        _is(result, "float32")
    _is(ops.sum(whole), "int64")


@convention("dtypes")
def gradients_have_their_operands_dtype() -> None:
    """A gradient has the dtype and the shape of what it is the gradient of, whatever it met on its way."""
    x = Tensor([1.0, 2.0], requires_grad=True, dtype="float32")
    ops.sum(ops.astype(x, ops.float64) * Tensor([[3.0], [4.0]], dtype="float64")).backward()
    _is(x.grad, "float32")
    _expect(x.grad.tolist(), [7, 7])


__all__ = ["CONVENTIONS", "convention"]
