"""Golden error messages: each names the op, the shapes, what was expected and what to do; none leaves a trace."""

import contextlib
import copy
import operator
import pickle
import re

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.primitive import registry
from tensorgrad.tape import is_recording

HERE, ELSEWHERE = (default_device(), "strict" if default_device() == "cpu" else "cpu")
pytestmark = pytest.mark.usefixtures("registry_as_it_was")
LINE = "run the forward pass under tensorgrad.debug() to see the line that recorded it"


@pytest.fixture
def x():
    """A leaf of three numbers, with a gradient."""
    made = tg.asarray([1.0, 2.0, 3.0], requires_grad=True)
    (made * 2.0).sum().backward()
    return made


def matrix(rows=2, columns=3):
    return tg.ones((rows, columns))


def identity(rule):
    @tg.op
    def passing(xp, x):
        return x * 1.0

    return passing.vjp(x=rule)


def swept_twice(x):
    y = tg.exp(x).sum()
    with _untouched(x):
        y.backward()
    y.backward()


def swept_after_failure(x):
    y = identity(lambda g: 1 / 0)(x).sum()
    with contextlib.suppress(ZeroDivisionError):
        y.backward()
    y.backward()


def stale(x):
    y = (x * x).sum()
    with tg.no_grad():
        x[0] = x[0] * 1.0
    y.backward()


@contextlib.contextmanager
def _untouched(x):
    before = x.grad
    yield
    x.grad = before


def misspelt(x):
    @tg.op
    def scaled(xp, x, y, factor=2.0):
        return x * y * factor

    scaled.vjp(x=lambda g, z: g * z)


def ruleless(x):
    @tg.op
    def blackbox(xp, x):
        return x * 1.0

    blackbox(x)


def joint_with_one(x):
    @tg.op
    def product(xp, x, y):
        return x * y

    product.vjp(joint=lambda g: (g,))
    product(x, x).sum().backward()


def chained(x):
    table = matrix(2, 2)
    table[0][1] = 1.0


def write_fraction(x):
    whole = tg.asarray([1, 2])
    whole[0] = 1.5


def write_leaf(x):
    x[0] = 1.0


def write_in_place(x):
    x += 1.0


def grow_in_place(x):
    y = x * 1.0
    y += matrix()


def wrong_hook(x):
    y = x * 2.0
    y.register_hook(lambda g: g[:1])
    y.sum().backward()


# (what, a call, the kind of error, the message). "{on}" stands for the device of an operand, "..." for any text.
ERRORS = [
    # shapes
    (
        "broadcast",
        lambda x: x + tg.ones(4),
        ValueError,
        "add: the shapes (3,), (4,) do not broadcast: on axis -1 they have the lengths 3 and 4; called with x1 "
        "float32[3]{on}, x2 float32[4]{on}. Axes are matched from the last; each pair must be equal or 1: "
        "reshape or expand_dims one of them",
    ),
    (
        "matmul",
        lambda x: x @ tg.ones((4, 2)),
        ValueError,
        "matmul: the last axis of x1 is 3 but the second-to-last axis of x2 is 4; they must be equal; called with x1 "
        "float32[3]{on}, x2 float32[4, 2]{on}",
    ),
    (
        "matmul by a number",
        lambda x: x @ tg.asarray(2.0),
        ValueError,
        "matmul: each operand needs at least one axis; multiply by a single number with *; called with x1 "
        "float32[3]{on}, x2 float32[]{on}",
    ),
    (
        "reshape",
        lambda x: x.reshape(2, 2),
        ValueError,
        "reshape: the 3 elements of shape (3,) do not fill the shape (2, 2); the lengths must multiply to that, "
        "one of them may be -1; called with x float32[3]{on}, shape (2, 2)",
    ),
    (
        "broadcast_to",
        lambda x: tg.broadcast_to(x, (2, 2)),
        ValueError,
        "broadcast_to: the shape (3,) does not broadcast to (2, 2); from the last axis on, each length must be "
        "the same or 1; called with x float32[3]{on}, shape (2, 2)",
    ),
    (
        "stack",
        lambda x: tg.stack([x, tg.ones(2)]),
        ValueError,
        "stack: the arrays must all have one shape, got (2,), (3,); use concat to join along an axis",
    ),
    (
        "stack of one tensor",
        lambda x: tg.stack(x),
        TypeError,
        "stack: expected a list or tuple of arrays, got one Tensor",
    ),
    (
        "concat",
        lambda x: tg.concat([matrix(), matrix(2, 2)]),
        ValueError,
        "concat: arrays joined along axis 0 must agree on all other axes, got the shapes (2, 3), (2, 2); called "
        "with axis 0, parts float32[2, 3]{on}, float32[2, 2]{on}",
    ),
    (
        "einsum letters",
        lambda x: tg.einsum("ij,jk->ik", matrix(), matrix()),
        ValueError,
        "einsum: the letter 'j' of 'ij,jk->ik' stands for axes of lengths 3 and 2; shapes (2, 3), (2, 3)",
    ),
    (
        "einsum operands",
        lambda x: tg.einsum("ij,jk->ik", matrix()),
        ValueError,
        "einsum: 'ij,jk->ik' names 2 operands, but 1 were given",
    ),
    (
        "conv2d channels",
        lambda x: tg.conv2d(tg.ones((1, 3, 4, 4)), tg.ones((2, 2, 3, 3))),
        ValueError,
        "conv2d: x has 3 channels and the weight (2, 2, 3, 3) with groups=1 is for 2...",
    ),
    (
        "conv2d kernel",
        lambda x: tg.conv2d(tg.ones((1, 1, 2, 2)), tg.ones((1, 1, 3, 3))),
        ValueError,
        "conv2d: the kernel (3, 3)... does not fit...2 x 2...",
    ),
    (
        "cross_entropy classes",
        lambda x: tg.cross_entropy(matrix(), tg.asarray([0, 5])),
        IndexError,
        "cross_entropy: there is no class 5 among 3; the last is 2",
    ),
    (
        "cross_entropy rows",
        lambda x: tg.cross_entropy(matrix(), tg.asarray([0, 1, 2])),
        ValueError,
        "cross_entropy: scores of shape (2, 3) need class indices of shape (2,), got the shape (3,)",
    ),
    (
        "cross_entropy of a list",
        lambda x: tg.cross_entropy(matrix(), [0, 1]),
        TypeError,
        "cross_entropy: target must be a Tensor or an array, got a list; make it one with tensorgrad.asarray(...)",
    ),
    (
        "mse_loss",
        lambda x: tg.mse_loss(x, matrix()),
        ValueError,
        "mse_loss: x has the shape (3,), the target (2, 3); they must agree, so reshape one of them",
    ),
    (
        "layer_norm",
        lambda x: tg.layer_norm(matrix(), 3, tg.ones(4), tg.ones(4)),
        ValueError,
        "layer_norm: the weight has the shape (4,); expected normalized_shape (3,)",
    ),
    (
        "squeeze",
        lambda x: matrix().squeeze(0),
        ValueError,
        "squeeze: axis 0 has length 2, not 1; called with x float32[2, 3]{on}, axis 0",
    ),
    (
        "largest of nothing",
        lambda x: tg.max(tg.ones((2, 0)), axis=1),
        ValueError,
        "max: there is no max of nothing, and an axis of (2, 0) that it is taken over has length 0; called with x "
        "float32[2, 0]{on}, axis 1, keepdims False",
    ),
    (
        "a shape below 0",
        lambda x: tg.zeros((2, -1)),
        ValueError,
        "zeros: the shape (2, -1) has a length below 0",
    ),
    # axes and indices
    (
        "axis",
        lambda x: x.sum(axis=3),
        ValueError,
        "sum: axis 3 is out of bounds for an array of 1 axis; called with x float32[3]{on}, axis 3, keepdims "
        "False. (3,) has the axes -1 to 0",
    ),
    (
        "axis twice",
        lambda x: matrix().mean(axis=(0, -2)),
        ValueError,
        "mean: the same axis is named twice in (0, -2); called with x float32[2, 3]{on}, axis (0, -2), keepdims False",
    ),
    (
        "axis that is none",
        lambda x: x.sum("rows"),
        TypeError,
        "sum: an axis is an integer, or a tuple of them, not 'rows'; called with x float32[3]{on}, axis 'rows', "
        "keepdims False",
    ),
    (
        "transpose",
        lambda x: matrix().transpose(0),
        ValueError,
        "permute_dims: (0,) names 1 axis of an array that has 2; name each; called with x float32[2, 3]{on}, axes (0,)",
    ),
    (
        "index",
        lambda x: x[7],
        IndexError,
        "getitem: index 7 is out of bounds for axis 0 with size 3; called with x float32[3]{on}, key 7. Indices "
        "count from 0, or from -1 backwards; the shape is (3,)",
    ),
    (
        "too many indices",
        lambda x: x[0, 0],
        IndexError,
        "getitem: too many indices for array...; called with x float32[3]{on}, key (0, 0). The shape is (3,): "
        "one index for each axis, None for a new one, ... for those between",
    ),
    (
        "index by fractions",
        lambda x: x[tg.asarray([0.5])],
        IndexError,
        "an index array holds integers or booleans, not float32; use astype first",
    ),
    (
        "embedding",
        lambda x: tg.embedding(tg.asarray([9]), matrix()),
        IndexError,
        "embedding: index 9 is out of bounds for an axis of length 2; the last index is 1",
    ),
    # dtypes and data
    (
        "gradient of integers",
        lambda x: tg.asarray([1, 2], requires_grad=True),
        TypeError,
        "requires_grad: a int64 tensor of shape (2,) has no gradient; floating and complex ones have: use "
        "astype, or pass dtype=",
    ),
    (
        "bits of fractions",
        lambda x: x & x,
        TypeError,
        "bitwise_and: it has no meaning for float32 values; called with x1 float32[3]{on}, x2 float32[3]{on}; "
        "use astype first",
    ),
    (
        "complex to real",
        lambda x: (x * 1j).astype("float32"),
        TypeError,
        "astype: complex values do not fit float32; take real(x) or abs(x) first; called with x "
        "complex64[3]{on}, dtype...",
    ),
    (
        "text",
        lambda x: tg.asarray("abc"),
        TypeError,
        "a tensor holds booleans, integers, floating or complex numbers, not <U3 (from a str)",
    ),
    (
        "ragged list",
        lambda x: tg.asarray([[1], [1, 2]]),
        ValueError,
        "a tensor is rectangular, and this list is ragged: its rows must have equal lengths; pad them first",
    ),
    (
        "list of recorded tensors",
        lambda x: tg.asarray([x.sum(), x.sum()]),
        RuntimeError,
        "Tensor: the values of a tensor of shape () that requires a gradient would lose it in a new tensor; join "
        "tensors with tensorgrad.stack([...]), or detach() them",
    ),
    (
        "list as an operand",
        lambda x: operator.add(x, [1.0, 2.0, 3.0]),
        TypeError,
        "add: expected an array, a Tensor or a number, got a list; make it one with tensorgrad.asarray(...); "
        "called with x1 float32[3]{on}, x2 [1.0, 2.0, 3.0]",
    ),
    (
        "None as an operand",
        lambda x: tg.exp(None),
        TypeError,
        "exp: expected an array, a Tensor or a number for x, got None; called with x None",
    ),
    (
        "default dtype",
        lambda x: tg.set_default_dtype("int8"),
        TypeError,
        "set_default_dtype: expected float32 or float64, got int8",
    ),
    (
        "bool of many",
        lambda x: bool(x > 1.0),
        ValueError,
        "bool: the truth of a tensor of shape (3,) is ambiguous, it has 3 elements; use any(x) or all(x), or "
        "compare one element",
    ),
    (
        "item of many",
        lambda x: x.item(),
        ValueError,
        "item: a tensor of shape (3,) has 3 elements, not one; index one of them, or use tolist()",
    ),
    # devices
    (
        "device",
        lambda x: x.to_device("gpu"),
        ValueError,
        "there is no device 'gpu' here; devices: 'cpu', 'cuda', 'strict'",
    ),
    (
        "two devices",
        lambda x: x * tg.ones(3, device=ELSEWHERE),
        TypeError,
        f"multiply: arrays on two devices, '{HERE}' and '{ELSEWHERE}'; move one of them: x.to('{HERE}'); "
        "called with x1 float32[3]..., x2 float32[3]...",
    ),
    # sweeps
    (
        "gradient of many",
        lambda x: (x * 2.0).backward(),
        RuntimeError,
        "backward: the result has shape (3,); a gradient is of a single number: reduce it, for example with "
        ".sum(), or pass a gradient of that shape",
    ),
    (
        "gradient of a complex number",
        lambda x: (x.sum() * 1j).backward(),
        RuntimeError,
        "backward: the result is a complex64 number; a gradient is of a real number: take real(x), imag(x) or "
        "abs(x), or pass a gradient",
    ),
    (
        "gradient of another shape",
        lambda x: (x * 2.0).backward([1.0]),
        ValueError,
        "backward: the gradient has shape (1,), the result (3,); they must agree",
    ),
    (
        "not recorded",
        lambda x: x.detach().sum().backward(),
        RuntimeError,
        "backward: the tensor of shape () was not recorded, so there is nothing to differentiate; an input must "
        "require a gradient (requires_grad=True) and the forward pass must not run under no_grad()",
    ),
    (
        "second sweep",
        swept_twice,
        RuntimeError,
        "this tape was already swept, and what its rules need is freed; call backward(retain_graph=True) the "
        f"first time to sweep twice (at sum -> float32[]; {LINE})",
    ),
    (
        "sweep after a failed one",
        swept_after_failure,
        RuntimeError,
        "an earlier sweep over this tape failed (ZeroDivisionError: division by zero); record it again (at sum -> "
        f"float32[]; {LINE})",
    ),
    (
        "stale parameter",
        stale,
        RuntimeError,
        "multiply: its operand x1, a leaf of shape (3,), was written in place after it was used here, so its "
        f"gradient would be wrong (multiply -> float32[3]; {LINE}); call backward() before the parameter is "
        "changed, or record the forward pass again",
    ),
    (
        "no gradient",
        ruleless,
        TypeError,
        "blackbox has no gradient with respect to x, and x requires one; pass x.detach(), or call it under "
        "tensorgrad.no_grad()",
    ),
    (
        "rule that returns nothing",
        lambda x: identity(lambda g: None)(x).sum().backward(),
        TypeError,
        f"a gradient rule of passing returned a NoneType where an array belongs (passing -> float32[3]; {LINE})",
    ),
    (
        "joint rule that returns too few",
        joint_with_one,
        TypeError,
        "the joint rule of product must return a tuple of 2 gradients, one per array parameter",
    ),
    (
        "hook of another shape",
        wrong_hook,
        ValueError,
        "register_hook: the hook returned a gradient of shape (1,) for a tensor of shape (3,)",
    ),
    (
        "hook without a gradient",
        lambda x: x.detach().register_hook(print),
        RuntimeError,
        "register_hook: the tensor of shape (3,) has no gradient; it must require one, or rest on what does",
    ),
    (
        "unused input",
        lambda x: tg.grad(x.sum(), tg.asarray([1.0], requires_grad=True)),
        RuntimeError,
        "grad: no output rests on input 0, a tensor of shape (1,), so it has no gradient; leave it out, or pass "
        "allow_unused=True to get None for it",
    ),
    # writes
    (
        "write into a leaf",
        write_leaf,
        RuntimeError,
        "x[key] = value: a leaf that requires a gradient (shape (3,)) cannot be written while recording; write "
        "under `with tensorgrad.no_grad():`, or make a new tensor",
    ),
    (
        "update of a leaf",
        write_in_place,
        RuntimeError,
        "x += y: a leaf that requires a gradient (shape (3,)) cannot be written while recording; write under `with "
        "tensorgrad.no_grad():`, or make a new tensor",
    ),
    (
        "chained write",
        chained,
        TypeError,
        "x[key] = value: this writes into a temporary and would be lost, as in x[i][j] = v; write x[i, j] = v, "
        "or name the tensor",
    ),
    (
        "write of a fraction",
        write_fraction,
        TypeError,
        "x[key] = value: float values do not fit into a tensor of dtype int64 and shape (2,); use astype first, "
        "on either",
    ),
    (
        "update to another shape",
        grow_in_place,
        ValueError,
        "x += y: the result has shape (2, 3) and does not fit into the tensor of shape (3,); write a new tensor "
        "instead",
    ),
    # ops of one's own
    (
        "misspelt rule",
        misspelt,
        TypeError,
        "the rule of scaled for x asks for 'z'; it may ask for x, y, factor, out, x_shape, y_shape",
    ),
    (
        "op without an array",
        lambda x: tg.op(lambda xp, n=2: n),
        TypeError,
        "<lambda> has no array parameter: leave its operands without annotation and without default, or annotate "
        "them as arrays",
    ),
    # out of the house
    (
        "NumPy function",
        lambda x: np.exp(x),
        TypeError,
        "numpy.exp was called on a Tensor of shape (3,) and would lose its gradient; use tensorgrad.exp, which "
        "records, or call numpy.exp on the values alone: t.detach().numpy()",
    ),
    (
        "NumPy function of a list",
        lambda x: np.concatenate([x, x]),
        TypeError,
        "numpy.concatenate was called on a Tensor of shape (3,) and would lose its gradient; use "
        "tensorgrad.concat, which records, or call numpy.concatenate on the values alone: t.detach().numpy()",
    ),
    (
        "NumPy conversion",
        lambda x: np.asarray(x * 2.0),
        RuntimeError,
        "a NumPy function was called on a tensor of shape (3,) that requires a gradient, which NumPy would lose; use "
        "tensorgrad's function of that name, or pass t.detach()",
    ),
    (
        "numpy()",
        lambda x: (x * 2.0).numpy(),
        RuntimeError,
        "numpy: the tensor of shape (3,) was recorded, and an ndarray would lose that; call detach() first: "
        "t.detach().numpy()",
    ),
    (
        "pickle",
        lambda x: pickle.dumps(x * 2.0),
        RuntimeError,
        "pickle: the tensor of shape (3,) was recorded, and its tape cannot go with it; pickle t.detach()",
    ),
    (
        "copy",
        lambda x: copy.deepcopy(x * 2.0),
        RuntimeError,
        "copy: the tensor of shape (3,) was recorded, and its tape cannot go with it; copy t.detach()",
    ),
    (
        "tape of a constant",
        lambda x: tg.Tape(x.detach()),
        TypeError,
        "Tape: expected the Tensor of a recorded result, got a tensor that was not recorded; an input must require a "
        "gradient: tensorgrad.asarray(x, requires_grad=True)",
    ),
]


def test_there_are_more_than_thirty():
    names = [name for name, *_ in ERRORS]
    assert len(names) == len(set(names)) >= 30


@pytest.mark.parametrize(("call", "kind", "message"), [each[1:] for each in ERRORS], ids=[each[0] for each in ERRORS])
def test_the_message_is_as_it_was(x, call, kind, message):
    on = "" if HERE == "cpu" else f" on {HERE}"
    pattern = re.escape(message.replace("{on}", on)).replace(re.escape("..."), ".*")
    with pytest.raises(kind) as caught:
        call(x)
    assert type(caught.value) is kind
    found = str(caught.value)
    assert re.fullmatch(pattern, found), f"\nexpected {message}\nfound    {found}"


@pytest.mark.parametrize("call", [each[1] for each in ERRORS], ids=[each[0] for each in ERRORS])
@pytest.mark.parametrize("mode", [tg.enable_grad, tg.no_grad])
def test_a_failing_call_leaves_values_gradients_modes_and_the_default_as_they_were(x, call, mode):
    value, grad, record = x.tolist(), x.grad, x.record
    given = grad.tolist()
    with mode(), tg.scope("outside"):
        recording = is_recording()
        with contextlib.suppress(Exception):
            call(x)
        assert is_recording() is recording
        with tg.enable_grad():
            assert (x * 1.0).record.scope.name == "outside"
    assert is_recording()
    if mode is tg.enable_grad:  # under no_grad some of these calls are allowed
        assert x.tolist() == value
        assert x.grad is grad
    assert grad.tolist() == given
    assert x.record is record
    assert tg.get_default_dtype() == tg.float32


@pytest.mark.parametrize("call", [each[1] for each in ERRORS], ids=[each[0] for each in ERRORS])
def test_after_a_failing_call_everything_still_works(x, call):
    with contextlib.suppress(Exception):
        call(x)
    x.grad = None
    ((x + 1.0) * x).sum().backward()
    assert x.grad.tolist() == [3.0, 5.0, 7.0]


def test_errors_under_debug_name_the_line(x):
    with tg.debug():
        y = (x * x).sum()
    with tg.no_grad():
        x += 1.0
    with pytest.raises(RuntimeError, match=r"multiply -> float32\[3\], recorded at .*test_errors.py:\d+"):
        y.backward()


def test_errors_name_the_scope(x):
    with tg.scope("encoder"):
        y = tg.exp(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"\(at sum -> float32\[\] in encoder;"):
        y.backward()


def test_the_errors_of_rules_say_where_the_sweep_was(x):
    def rule(g):
        raise ZeroDivisionError("in the rule")

    with tg.scope("encoder"):
        y = identity(rule)(x)
    with pytest.raises(ZeroDivisionError, match="in the rule") as caught:
        y.sum().backward()
    assert caught.value.__notes__ == [f"while sweeping passing -> float32[3] in encoder; {LINE}"]


def test_every_op_names_itself_when_its_operand_is_no_array():
    """One sweep over the vocabulary: a text for an operand is refused by name, never by an error of Python's own."""
    silent = []
    for definition in registry.values():
        if not definition.module.startswith("tensorgrad.ops.") or not definition.arrays:
            continue
        function = getattr(tg.ops, definition.name)
        arguments = ["text"] * sum(p.default is p.empty for p in definition.parameters)
        try:
            function(*arguments)
        except TypeError as error:
            if not str(error).startswith(f"{definition.title}: expected an array, a Tensor or a number, got a str"):
                silent.append(f"{definition.name}: {error}")
        except Exception as error:
            silent.append(f"{definition.name}: {error!r}")
        else:
            silent.append(definition.name)
    assert silent == []
