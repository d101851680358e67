"""On a GPU: every law to second order, and every value and gradient against NumPy's: `pytest -m gpu`.

What can be tried without one is tried without: the same comparison with the stand-in in the GPU's place.
"""

import contextlib

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.models.gpt import GPT
from tensorgrad.models.sampling import next_tokens
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import run_case
from tests.cuda_on_cpu import cublas_on_cpu, on_cpu
from tests.pretended_gpu import pretended_gpu, with_kernels
from tests.proof import prove, same_as_numpy

__all__ = ["cublas_on_cpu", "on_cpu", "pretended_gpu", "with_kernels"]

GPU = "cuda:0"
EVERY = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.mark.gpu
@EVERY
def test_every_law_holds_on_the_gpu(case):
    prove(case, GPU)


@pytest.mark.gpu
@EVERY
def test_values_and_gradients_on_the_gpu_are_numpys(case):
    same_as_numpy(case, GPU)


@pytest.mark.parametrize("case", CASES[::7], ids=str)
def test_the_comparison_holds_between_numpy_and_the_stand_in(case):
    same_as_numpy(case, "strict", draws=2)


def test_the_comparison_notices_a_wrong_value_and_a_wrong_gradient(registry_as_it_was):
    from tensorgrad.testing.case import case

    @tg.op
    def doubled(xp, x):
        return x * 2.0

    doubled.vjp(x=lambda g: g * 2.0)
    same_as_numpy(case(doubled, None), "strict")

    @doubled.kernel("strict")
    def wrong(xp, x):
        return x * 2.001

    with pytest.raises(AssertionError, match="value 0 on 'strict' is not NumPy's"):
        same_as_numpy(case(doubled, None), "strict")

    @tg.op
    def tripled(xp, x):
        return x * 3.0

    tripled.vjp(x=lambda g: g * (3.0 if isinstance(g, np.ndarray) else 2.9))
    with pytest.raises(AssertionError, match="gradient 0 on 'strict' is not NumPy's"):
        same_as_numpy(case(tripled, None), "strict")


def trained(device, steps=5):
    """The weights of a small net after some steps of Adam, on a device."""
    rng = tg.random.Generator(0, device="cpu")
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False, device="cpu", generator=rng),  # a bias before a norm has a gradient of noise
        nn.BatchNorm2d(4, device="cpu"),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 36, 3, device="cpu", generator=rng),
    ).to(device)
    data = TensorDataset(rng.normal(size=(40, 1, 8, 8)), rng.integers(3, size=40))
    loader = DataLoader(data, 8, shuffle=True, prefetch=2, device=device, generator=tg.random.Generator(1))
    optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
    for _, (x, y) in zip(range(steps), loader, strict=False):
        loss = tg.cross_entropy(model(x), y)
        loss.backward()
        tg.optim.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


@pytest.mark.parametrize("device", [pytest.param(GPU, marks=pytest.mark.gpu), "strict", "strict:1"])
def test_a_net_trained_on_a_device_is_the_one_trained_on_the_cpu(device, tmp_path):
    """Carried by the loader, clipped, stepped, saved there and loaded here."""
    pytest.importorskip("safetensors")
    here, _ = trained("cpu")
    there, optimizer = trained(device)
    tg.save(tmp_path / "state.safetensors", {"model": there.state_dict(), "optimizer": optimizer.state_dict()})
    state = tg.load(tmp_path / "state.safetensors", device="cpu")
    for name, value in here.state_dict().items():
        np.testing.assert_allclose(state["model"][name].numpy(), value.numpy(), rtol=1e-4, atol=1e-5)
    back, other = trained("cpu", steps=1)
    back.load_state_dict(state["model"])
    other.load_state_dict(state["optimizer"])
    again, last = trained(device, steps=1)
    again.load_state_dict(back.state_dict())
    last.load_state_dict(other.state_dict())
    assert all(each.device == device for each in again.state_dict().values())
    kept = next(iter(last.state.values()))["exp_avg"]
    assert tg.asarray(kept).device == device


@pytest.mark.gpu
def test_random_numbers_on_the_gpu_are_the_cpus():
    here, there = tg.random.Generator(7, device="cpu"), tg.random.Generator(7, device=GPU)
    for dtype in ("float32", "float64"):
        assert np.array_equal(here.random(1001, dtype=dtype).numpy(), there.random(1001, dtype=dtype).numpy())
        normal = there.standard_normal(1001, dtype=dtype)
        np.testing.assert_allclose(normal.numpy(), here.standard_normal(1001, dtype=dtype).numpy(), atol=1e-6, rtol=0)
    assert here.integers(1000, size=100).tolist() == there.integers(1000, size=100).tolist()
    assert there.get_state() == here.get_state()


@pytest.mark.gpu
def test_an_index_out_of_bounds_is_told_on_the_gpu():
    table = tg.ones((5, 3), device=GPU, requires_grad=True)
    rows = tg.take(table, tg.asarray([0, 9], device=GPU), axis=0)
    with pytest.raises(IndexError, match="index 9 is out of bounds for an axis with size 5"):
        rows.sum().item()
    with tg.debug(), pytest.raises(IndexError, match="take: index 9"):
        tg.take(table, tg.asarray([0, 9], device=GPU), axis=0)


@pytest.mark.gpu
def test_after_the_gpu_ran_out_of_memory_the_next_smaller_batch_works():
    free, _ = tg.cuda.mem_get_info()
    model = nn.Linear(1024, 1024, device=GPU)

    def step(rows):
        loss = (model(tg.ones((rows, 1024), device=GPU)) ** 2).mean()
        loss.backward()
        return loss.item()

    with pytest.raises(tg.cuda.OutOfMemoryError, match="out of memory on 'cuda:0'"):
        step(free // 4096)
    model.zero_grad()
    assert step(64) > 0


@pytest.mark.gpu
def test_arrays_are_shared_with_other_libraries_on_the_gpu():
    x = tg.arange(4, dtype="float32", device=GPU)
    assert tg.from_dlpack(x).tolist() == [0.0, 1.0, 2.0, 3.0]
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        theirs = torch.from_dlpack(x)
        theirs += 1
        assert x.tolist() == [1.0, 2.0, 3.0, 4.0]
        assert tg.from_dlpack(theirs).device == GPU
    assert np.from_dlpack(x, device="cpu").tolist() == x.tolist()


# ── the way to a GPU, on a pretended one ────────────────────────────────────────────────────────────────────


def test_tensors_go_to_a_gpu_and_back_with_their_gradients(pretended_gpu):
    assert tg.cuda.is_available()
    assert tg.cuda.device_count() == 2
    x = tg.asarray([1.0, 2.0], device="cpu", requires_grad=True)
    y = x.to("cuda")
    assert (y.device, y.cuda() is y, y.cuda(1).device, y.cpu().device) == ("cuda:0", True, "cuda:1", "cpu")
    assert repr(y.detach()) == "Tensor([1., 2.], dtype=float32, device='cuda:0')"
    (y.cuda(1) * y.cuda(1)).sum().backward()
    assert (x.grad.device, x.grad.tolist()) == ("cpu", [2.0, 4.0])
    with pytest.raises(TypeError, match="add: arrays on two devices, 'cuda:0' and 'cuda:1'; move one of them"):
        y + y.cuda(1)
    with pytest.raises(TypeError, match="add: arrays on two devices, 'cpu' and 'cuda:0'"):
        x + y
    with pytest.raises(ValueError, match="no device 'cuda:2' here; of this kind there are: 'cuda:0', 'cuda:1'"):
        x.to("cuda:2")
    assert tg.__array_namespace_info__().devices()[-2:] == ["cuda:0", "cuda:1"]


def test_creation_on_a_gpu_that_is_not_the_current_one(pretended_gpu):
    for make in (tg.zeros, tg.ones, tg.empty):
        assert make((2, 3), device="cuda:1").device == "cuda:1"
    assert tg.full(2, 7, device="cuda:1").tolist() == [7, 7]
    assert tg.arange(3, device="cuda:1").tolist() == [0, 1, 2]
    assert tg.linspace(0, 1, 3, device="cuda:1").tolist() == [0.0, 0.5, 1.0]
    assert tg.eye(2, device="cuda:1").tolist() == [[1.0, 0.0], [0.0, 1.0]]
    x = tg.ones(3, device="cuda:1")
    assert (tg.zeros_like(x).device, (x + 1).device, x.copy().device) == ("cuda:1",) * 3
    assert tg.random.Generator(0, device="cuda:1").normal(size=3).device == "cuda:1"
    assert tg.asarray(x.data).device == "cuda:1"


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_net_trains_on_either_gpu(device, pretended_gpu):
    here, _ = trained("cpu")
    there, optimizer = trained(device)
    for name, value in there.state_dict().items():
        assert value.device == device
        np.testing.assert_allclose(value.numpy(), here.state_dict()[name].numpy(), rtol=1e-4, atol=1e-5)
    there.to("cuda:1" if device == "cuda:0" else "cuda:0")
    there(tg.ones((2, 1, 8, 8), device=there[0].weight.device)).sum().backward()
    optimizer.step()


def test_a_tape_over_two_gpus_computes_on_each(pretended_gpu):
    first = nn.Linear(3, 4, device="cuda:0")
    second = nn.Linear(4, 2, device="cuda:1")
    x = tg.ones((5, 3), device="cuda:0")
    hidden = tg.tanh(first(x))
    loss = (second(hidden.to("cuda:1")) ** 2).sum() + (hidden * hidden).sum().to("cuda:1")
    loss.backward()
    assert first.weight.grad.device == "cuda:0"
    assert second.weight.grad.device == "cuda:1"
    tg.optim.clip_grad_norm_([*first.parameters(), *second.parameters()], 0.1)
    tg.optim.Adam([*first.parameters(), *second.parameters()], lr=0.1).step()


def test_batches_reach_a_gpu_behind_what_it_computes(pretended_gpu):
    carrier = pretended_gpu.Carrier("cuda:1")
    staged = carrier.stage(np.arange(3.0))
    parcel = carrier.send(staged)
    assert carrier.stream.told == ["wait", "copy", "record"]  # after what uses the memory, before what uses the values
    array = carrier.receive(parcel)
    assert pretended_gpu.cupy.cuda.get_current_stream().told == ["record", "wait"]
    assert (pretended_gpu.device_of(array), pretended_gpu.to_numpy(array).tolist()) == ("cuda:1", [0.0, 1.0, 2.0])
    assert carrier.receive(carrier.send(carrier.stage(np.zeros((0, 2))))).shape == (0, 2)
    assert carrier.receive(carrier.send(array)) is array
    carrier.close()
    assert carrier.stream.told == ["wait", "copy", "record", "synchronize"]


def test_pinned_memory_is_held_until_it_was_read(pretended_gpu):
    """Steps are queued long before they are computed: for the host an epoch may be over before its last batch flew."""
    carrier = pretended_gpu.Carrier("cuda:0")
    carrier.stream.done = False
    staged = [carrier.stage(np.full(3, place)) for place in range(3)]
    for each in staged:
        carrier.send(each)
    assert all(held is each for (held, *_), each in zip(carrier.flying, staged, strict=True))
    carrier.stream.told.clear()
    carrier.close()
    assert carrier.stream.told == ["synchronize"]
    assert not carrier.flying
    carrier.close()
    assert carrier.stream.told == ["synchronize"]


def test_a_batch_that_nobody_receives_stays_until_its_copy_is_done(pretended_gpu):
    carrier = pretended_gpu.Carrier("cuda:0")
    array, _ = carrier.send(carrier.stage(np.arange(3.0)))
    assert [each is array for each in carrier.flying[-1][:-1]] == [False, True]


def test_bfloat16_stays_where_the_library_has_none(pretended_gpu):
    xp, half = pretended_gpu.namespace, pytest.importorskip("ml_dtypes", reason="it has bfloat16").bfloat16
    values = np.asarray([[1.5, -2.0], [np.inf, 0.25]], half)
    x, zeros = (pretended_gpu.cupy.array(each) for each in (values, np.zeros((2, 2), half)))
    for found, expected in (
        (xp.where(x > 0, x, zeros), np.where(values > 0, values, half(0))),
        (xp.where(x > 0, x, -1.0), np.where(values > 0, values, half(-1))),
        (xp.where(x > 0, 0.5, x.T), np.where(values > 0, half(0.5), values.T)),
        (xp.tril(x), np.tril(values)),
        (xp.triu(x, k=1), np.triu(values, 1)),
        (xp.clip(x, -1.0, 1.0), np.clip(values, half(-1), half(1))),
    ):
        assert found.dtype == half
        np.testing.assert_array_equal(pretended_gpu.to_numpy(found), expected)
    both = xp.where(x > 0, x, pretended_gpu.cupy.array(np.zeros((2, 2), np.float32)))
    assert both.dtype == np.float32


def test_bfloat16_is_sorted_and_added_up_as_float32(pretended_gpu):
    half = pytest.importorskip("ml_dtypes", reason="it has bfloat16").bfloat16
    values = np.asarray([[1.5, -2.0, 3.0], [np.inf, 0.25, 1.5]], half)
    here, there = (tg.asarray(values, device=device) for device in ("cpu", "cuda"))
    for each in (
        lambda x: tg.sort(x, axis=0),
        lambda x: tg.argsort(x, descending=True),
        lambda x: tg.topk(x, 2)[0],
        tg.unique_values,
        lambda x: tg.searchsorted(tg.sort(x[0]), x[1]),
        lambda x: tg.cumulative_sum(x[0]),
        lambda x: tg.cumulative_prod(x, axis=1, dtype=x.dtype),
        lambda x: tg.cumulative_sum(x.to("float32"), axis=0, dtype=x.dtype),
    ):
        assert each(there).dtype == each(here).dtype
        np.testing.assert_array_equal(each(there).numpy(), each(here).numpy())


def test_sums_of_float16_are_taken_in_float32(pretended_gpu):
    xp, cupy = pretended_gpu.namespace, pretended_gpu.cupy
    asked = []
    for name in ("sum", "prod"):
        plain = getattr(np, name)
        reduce = pretended_gpu._in_float32(
            lambda x, plain=plain, **given: asked.append(given["dtype"]) or plain(x, **given)
        )
        x = np.asarray([[2.0, 1.0], [4.0, 0.5]], np.float16)
        assert reduce(x, axis=0).dtype == np.float16
        np.testing.assert_array_equal(reduce(x, axis=1, keepdims=True), plain(x, axis=1, keepdims=True))
        assert getattr(xp, name)(cupy.array(x)).dtype == np.float16
        assert reduce(x.astype(np.int8)).dtype == np.int64
    assert asked == [np.float32, np.float32, None] * 2


def test_clip_needs_no_mask(pretended_gpu):
    cupy, values = pretended_gpu.cupy, np.asarray([-300, -1, 5, 300])
    x, turned, small = (cupy.array(each) for each in (values, values[::-1].copy(), values.astype(np.int8)))

    def clipped(*given, **bounds):
        found = pretended_gpu.namespace.clip(*given, **bounds)
        assert found is not given[0]
        assert found.dtype == given[0].dtype
        return pretended_gpu.to_numpy(found).tolist()

    assert clipped(x, -2, 2) == [-2, -1, 2, 2]
    assert clipped(x, max=turned) == [-300, -1, -1, -300]
    assert clipped(x) == values.tolist()
    assert clipped(small, -1000, 1000) == values.astype(np.int8).tolist()


def test_arrays_of_others_are_taken_from_a_gpu(pretended_gpu):
    class Theirs:
        def __dlpack_device__(self):
            return (2, 0)

        def __dlpack__(self, **_):
            return np.arange(3.0).__dlpack__()

    assert pretended_gpu.from_dlpack is not None
    theirs = Theirs()
    pretended_gpu.cupy.from_dlpack = lambda x: pretended_gpu.cupy.array(np.arange(3.0))
    assert tg.from_dlpack(theirs).device == "cuda:0"


@pytest.mark.parametrize("case", [each for each in CASES if each.definition is not None][::12], ids=str)
def test_laws_hold_through_the_way_to_a_gpu(case, pretended_gpu):
    run_case(case, "cuda:0", draws=2, shrink=False)


def test_a_step_on_a_gpu_waits_for_nothing(pretended_gpu, monkeypatch):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).to("cuda")
    adam = tg.optim.Adam(model.parameters(), lr=0.01)
    x, y = tg.ones((6, 4), device="cuda"), tg.asarray([0, 1, 2, 0, 1, -100], device="cuda")
    asked = []
    waits = pretended_gpu.cupy.asnumpy
    monkeypatch.setattr(pretended_gpu.cupy, "asnumpy", lambda array: asked.append(array.shape) or waits(array))
    for loss_of in (tg.cross_entropy, lambda scores, y: tg.nll_loss(tg.log_softmax(scores), y)):
        loss = loss_of(model(x), y)
        loss.backward()
        tg.optim.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()
        # Of nll_loss, the gradient of take_along_axis asks, and then looks at the flag; CUDA's kernel does not.
        assert asked in ([], [(6, 1), (3,)])
        asked.clear()
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        tg.nll_loss(tg.zeros((2, 3), device="cuda"), tg.asarray([0, 3], device="cuda")).item()


def _stepped(optimizer, layer, x):
    def loss():
        optimizer.zero_grad()
        loss = (layer(x) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(loss)


def _averaged(layer, x):
    model = tg.optim.AveragedModel(layer)
    for _ in range(3):
        model.update_parameters(layer)
    return model(x)


def _watched(layer, x, watch):
    with watch():
        layer(x).sum().backward()


ON_ANY_GPU = {
    "LBFGS": lambda layer, x: _stepped(tg.optim.LBFGS(layer.parameters()), layer, x),
    "LBFGS that searches": lambda layer, x: _stepped(
        tg.optim.LBFGS(layer.parameters(), line_search_fn="strong_wolfe"), layer, x
    ),
    "AveragedModel": _averaged,
    "detect_anomaly": lambda layer, x: _watched(layer, x, tg.detect_anomaly),
    "debug": lambda layer, x: _watched(layer, x, tg.debug),
    "profile": lambda layer, x: _watched(layer, x, tg.profile),
    "summary": lambda layer, x: tg.summary(layer, tuple(x.shape)),
    "Dropout": lambda layer, x: nn.Dropout(0.5)(layer(x)).sum().backward(),
    "AlphaDropout": lambda layer, x: nn.AlphaDropout(0.5)(layer(x)).sum().backward(),
    "Dropout of attention": lambda layer, x: tg.scaled_dot_product_attention(
        x, x, x, dropout_p=0.5, generator=tg.random.Generator(0, device=x.device)
    ),
    "products with integers": lambda layer, x: (layer(x) * tg.ones(4, dtype="int64", device=x.device)).sum().backward(),
    "grid_sample": lambda layer, x: tg.grid_sample(layer(x)[None, None], x[None, :, None, :2]).sum().backward(),
    "attention, twice differentiable": lambda layer, x: tg.grad(
        tg.scaled_dot_product_attention(layer(x), x, x, is_causal=True).sum(), [layer.weight], create_graph=True
    ),
    "one result with two seeds, twice differentiable": lambda layer, x: tg.grad(
        [y := layer(x), y], [layer.weight], [x, x], create_graph=True
    ),
    "checkpoint": lambda layer, x: tg.checkpoint(lambda x: tg.exp(layer(x)), x).sum().backward(),
    "checkpoint, twice differentiable": lambda layer, x: tg.grad(
        tg.checkpoint(lambda x: tg.exp(layer(x)), x).sum(), [layer.weight], create_graph=True
    ),
    "local_response_norm": lambda layer, x: tg.local_response_norm(layer(x)[:, :, None], 3).sum().backward(),
    "max_pool with places, and back": lambda layer, x: nn.MaxUnpool1d(2)(
        *nn.MaxPool1d(2, return_indices=True)(x[None])
    ),
    "causal attention with a mask of padding": lambda layer, x: nn.MultiheadAttention(4, 2, device=x.device)(
        x,
        x,
        x,
        tg.zeros(6, dtype=tg.bool, device=x.device),
        attn_mask=tg.zeros((6, 6), device=x.device),
        is_causal=True,
    ),
    "sampling of the likeliest": lambda layer, x: next_tokens(x, tg.full((6,), 0.5, device=x.device), 1.0, top_k=2),
    "Embedding with padding": lambda layer, x: nn.Embedding(5, 3, padding_idx=0, device=x.device)(tg.argmax(x, axis=1)),
    "Embedding that is cut": lambda layer, x: nn.Embedding(
        5, 3, max_norm=0.1, scale_grad_by_freq=True, device=x.device
    )(tg.argmax(x, axis=1)),
}


@pytest.mark.parametrize("what", ON_ANY_GPU)
def test_what_computes_without_ops_computes_on_the_gpu_of_its_arrays(what, pretended_gpu):
    """The pretended GPU asserts that operands are on the current device, which CuPy computes on."""
    layer = nn.Linear(4, 4, device="cuda:1")
    ON_ANY_GPU[what](layer, tg.random.Generator(1, device="cpu").normal(size=(6, 4)).to("cuda:1"))


def test_a_scaler_asks_each_gpu_once_whether_gradients_overflowed(pretended_gpu, monkeypatch):
    near, far = nn.Linear(4, 8, device="cuda:0"), nn.Linear(8, 3, device="cuda:1")
    sgd = tg.optim.SGD([*near.parameters(), *far.parameters()], lr=0.1)
    scaler = tg.GradScaler(8.0)
    scaler.scale(far(tg.relu(near(tg.ones((2, 4), device="cuda:0"))).to("cuda:1")).sum()).backward()
    asked = []
    waits = pretended_gpu.cupy.asnumpy
    monkeypatch.setattr(pretended_gpu.cupy, "asnumpy", lambda array: asked.append(array.shape) or waits(array))
    scaler.step(sgd)
    scaler.update()
    assert asked == [(), ()]
    assert scaler.skipped_steps == 0
    near.weight.grad = tg.full((8, 4), np.inf, device="cuda:0")
    before = far.weight.tolist()
    scaler.step(sgd)
    assert (scaler.skipped_steps, far.weight.tolist()) == (1, before)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 3.0]])
def test_losses_of_classes_are_the_cpus_with_rows_that_are_ignored(weight, reduction, pretended_gpu):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(5, 3))
    for labels in ([0, 1, 2, 2, 1], [0, -100, 2, -100, 1]):
        for smoothing in (0.0, 0.1):
            found = []
            for device in ("cpu", "cuda"):
                x = tg.asarray(scores, device=device).requires_grad_()
                options = {"reduction": reduction, "label_smoothing": smoothing}
                options["weight"] = None if weight is None else tg.asarray(weight, dtype="float64", device=device)
                loss = tg.cross_entropy(x, tg.asarray(labels, device=device), **options)
                loss.sum().backward()
                found.append((loss.numpy() if loss.is_leaf else loss.detach().numpy(), x.grad.numpy()))
            for ours, theirs in zip(*found, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-12)


# ── our kernels on the way to a GPU ─────────────────────────────────────────────────────────────────────────


def classifier(device):
    """Losses and parameters of a few steps of a net with most of what our kernels are for."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False, generator=tg.random.Generator(0, device="cpu")),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, groups=4, generator=tg.random.Generator(1, device="cpu")),
        nn.GroupNorm(2, 4),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.LayerNorm(16),
        nn.Linear(16, 5, generator=tg.random.Generator(2, device="cpu")),
    ).to(device)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.01)
    images = tg.asarray(rng.normal(size=(6, 1, 8, 8)), dtype=tg.float32, device="cpu").to(device)
    classes = tg.asarray(rng.integers(0, 5, 6), device="cpu").to(device)
    losses = []
    for _ in range(3):
        loss = tg.cross_entropy(net(images), classes)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach().cpu().item())
    return losses, {name: value.cpu().numpy() for name, value in net.state_dict().items()}


@pytest.mark.numpy_only("the pretended GPU computes by NumPy")
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_net_trained_by_our_kernels_is_the_one_trained_on_the_cpu(device, with_kernels):
    losses, state = classifier("cpu")
    assert not with_kernels
    ours, there = classifier(device)
    np.testing.assert_allclose(ours, losses, rtol=1e-4)
    for name, value in state.items():
        np.testing.assert_allclose(there[name], value, rtol=1e-3, atol=2e-4, err_msg=name)
    assert set(with_kernels) >= {
        *("unfold", "correlate", "correlate_x", "correlate_weight", "max_windows", "spread_windows"),
        *("moments", "scale_rows", "mix_rows", "normalize_rows", "normalize_rows_back", "stretch"),
        *("cross_entropy", "cross_entropy_back", "together", "adam", "apart"),
    }


@pytest.mark.numpy_only("the pretended GPU computes by NumPy")
@pytest.mark.parametrize("half", [None, "float16"])
def test_a_small_gpt_trained_by_our_kernels_is_the_one_trained_on_the_cpu(half, with_kernels):
    tokens = np.random.default_rng(0).integers(0, 7, (2, 6))

    def losses(device):
        model = GPT(7, 5, 8, 2, 2, tg.random.Generator(0, device="cpu")).to(device)
        optimizer = tg.optim.AdamW(model.parameters(), lr=0.01)
        seen, following = (tg.asarray(each, device="cpu").to(device) for each in (tokens[:, :-1], tokens[:, 1:]))
        found = []
        for _ in range(3):
            with tg.autocast(half) if half else contextlib.nullcontext():
                loss = tg.cross_entropy(model(seen).reshape((-1, 7)), following.reshape((-1,)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.detach().cpu().item())
        return found

    np.testing.assert_allclose(losses("cuda:1"), losses("cpu"), rtol=1e-2 if half else 1e-4)
    assert set(with_kernels) >= {"gather", "add_runs", "add_heads", "weigh", "weigh_back", "normalize_rows"}


@pytest.mark.numpy_only("the pretended GPU computes by NumPy")
def test_scattering_and_picking_by_indices_of_a_gpu_waits_for_nothing(with_kernels, pretended_gpu, monkeypatch):
    rng = np.random.default_rng(0)
    x, ids, places = rng.normal(size=(6, 3)), np.array([0, 2, 2, 0, 1, 2]), rng.integers(0, 3, (6, 2))

    def ways(device):
        value = tg.asarray(x, device="cpu").to(device).requires_grad_()
        segments, index = (tg.asarray(each, device="cpu").to(device) for each in (ids, places))
        yield tg.segment_sum(value, segments, 4), value
        yield tg.segment_mean(value, segments, 4), value
        yield tg.segment_max(value, segments, 3), value
        yield tg.scatter_add(value, 1, index, value * 2), value
        yield tg.take_along_axis(value, index, axis=1), value
        yield tg.nll_loss(tg.log_softmax(value), segments), value

    expected = []
    for found, value in ways("cpu"):
        value.grad = None
        (found**2).sum().backward()
        expected += [found.detach().numpy(), value.grad.numpy()]
    asked, waits, found_there = [], pretended_gpu.cupy.asnumpy, []
    monkeypatch.setattr(pretended_gpu.cupy, "asnumpy", lambda array: asked.append(array.shape) or waits(array))
    for found, value in ways("cuda"):
        value.grad = None
        (found**2).sum().backward()
        found_there += [found.detach(), value.grad]
    assert asked == []
    for one, two in zip(found_there, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), two, rtol=1e-9)
    with pytest.raises(IndexError, match="index 5 is out of bounds for an axis with size 4"):
        tg.segment_sum(tg.ones(2, device="cuda"), tg.asarray([0, 5], device="cpu").to("cuda"), 4).numpy()
