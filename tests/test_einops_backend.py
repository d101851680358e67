"""einops on tensors: its functions as they are, after nothing but imports, with gradients."""

import subprocess
import sys

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.einops_backend import Lookout, Vocabulary, meet_einops
from tensorgrad.testing import gradcheck

einops = pytest.importorskip("einops")

VALUES = np.random.default_rng(5).normal(size=(2, 6, 4))
CALLS = {
    "rearrange": lambda x: einops.rearrange(x, "b (h k) w -> k w (b h)", k=3),
    "rearrange into rows": lambda x: einops.rearrange(x, "... w -> (...) w"),
    "rearrange a list": lambda x: einops.rearrange([x, x * 2.0], "new b h w -> (b new) h w"),
    "reduce by max": lambda x: einops.reduce(x, "b (h k) w -> b h w", "max", k=2),
    "reduce by min": lambda x: einops.reduce(x, "b h w -> h", "min"),
    "reduce by sum": lambda x: einops.reduce(x, "b h w -> b", "sum"),
    "reduce by mean": lambda x: einops.reduce(x, "b h w -> b 1 1", "mean"),
    "reduce by prod": lambda x: einops.reduce(x, "b h w -> h w", "prod"),
    "repeat": lambda x: einops.repeat(x, "b h w -> b (h k) w new", k=2, new=3),
    "einsum": lambda x: einops.einsum(x, x * x, "b h w, b k w -> h k"),
    "pack": lambda x: einops.pack([x, x[:, 0, :] * 3.0], "b * w")[0],
    "unpack": lambda x: einops.unpack(x, [(2, 2), (2,)], "b * w")[0],
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_einops_gives_a_tensor_the_values_of_its_array(call):
    found = call(tg.Tensor(VALUES, device=default_device()))
    assert type(found) is tg.Tensor
    expected = call(VALUES)
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.array(found.tolist()), expected, rtol=1e-12)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_einops_carries_the_gradient(call):
    assert gradcheck(call, tg.Tensor(VALUES, device=default_device(), requires_grad=True))


def test_the_array_api_form_of_einops_agrees():
    from einops import array_api

    x = tg.Tensor(VALUES, device=default_device(), requires_grad=True)
    for pattern, reduction, lengths in (("b (h k) w -> k w (b h)", "rearrange", {"k": 3}), ("b h w -> h 1", "max", {})):
        found, expected = (form.reduce(x, pattern, reduction, **lengths) for form in (array_api, einops))
        assert found.tolist() == expected.tolist()
        assert found.requires_grad


def test_two_imports_at_once_do_not_trip_over_the_lookout():
    lookout = Lookout()
    assert lookout not in sys.meta_path
    lookout.find_spec("einops.packing")
    assert lookout not in sys.meta_path


def test_pack_and_unpack_undo_each_other():
    x, y = (tg.Tensor(VALUES[:, 0], device=default_device()), tg.Tensor(VALUES, device=default_device()))
    packed, shapes = einops.pack([x, y], "b * w")
    assert shapes == [(), (6,)]
    again = einops.unpack(packed, shapes, "b * w")
    assert [each.tolist() for each in again] == [x.tolist(), y.tolist()]


def test_booleans_are_reduced_and_shapes_are_read():
    x = tg.Tensor([[True, False], [True, True]], device=default_device())
    assert einops.reduce(x, "a b -> a", "all").tolist() == [False, True]
    assert einops.reduce(x, "a b -> a", "any").tolist() == [True, True]
    assert einops.parse_shape(x, "a _") == {"a": 2}
    with pytest.raises(NotImplementedError, match="not available for non-floating tensors"):
        einops.reduce(x, "a b -> a", "mean")


@pytest.mark.numpy_only(reason="numpy() shares memory on the CPU only")
def test_asnumpy_is_numpy_and_refuses_a_recorded_result():
    x = tg.asarray([1.0, 2.0])
    assert np.shares_memory(einops.asnumpy(x), x.data)
    with pytest.raises(RuntimeError, match="detach"):
        einops.asnumpy(x.requires_grad_() * 2.0)


@pytest.mark.parametrize(
    "imports", ["import einops, tensorgrad as tg", "import tensorgrad as tg; x = tg.ones((2, 3)); import einops"]
)
def test_the_order_of_the_imports_does_not_matter(imports):
    code = (
        f"{imports}\nimport sys\nassert einops.rearrange(tg.ones((2, 3)), 'a b -> (b a)').shape == (6,)\n"
        "assert einops.rearrange(einops.asnumpy(tg.ones((2, 3))), 'a b -> (b a)').shape == (6,)\n"
        "assert not any(type(each).__name__ == 'Lookout' for each in sys.meta_path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tensorgrad_does_not_import_einops_and_waits_for_it_once():
    code = (
        "import sys, tensorgrad.einops_backend as room\nassert 'einops' not in sys.modules\nroom.meet_einops()\n"
        "assert sum(isinstance(each, room.Lookout) for each in sys.meta_path) == 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_is_one_backend_of_ours():
    meet_einops()
    assert not any(isinstance(each, Lookout) for each in sys.meta_path)
    ours = [each for each in einops._backends.AbstractBackend.__subclasses__() if issubclass(each, Vocabulary)]
    assert len(ours) == 1
