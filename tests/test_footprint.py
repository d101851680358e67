"""The memory of a step is predicted from small batches, to within what the docs say, and measured."""

import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.footprint import Footprint, measure_memory, predict_memory

BOUND = 0.2  # of the measured peak, as docs/profiling.md says


def mlp():
    rng = tg.random.Generator(0)
    model = nn.Sequential(nn.Linear(64, 256, generator=rng), nn.ReLU(), nn.Linear(256, 10, generator=rng))
    return lambda x, y: tg.cross_entropy(model(x), y), rng.normal(size=(512, 64)), rng.integers(10, size=512)


def cnn():
    rng = tg.random.Generator(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, generator=rng),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, generator=rng),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 64, 10, generator=rng),
    )
    return lambda x, y: tg.cross_entropy(model(x), y), rng.normal(size=(48, 3, 16, 16)), rng.integers(10, size=48)


def gpt_block():
    rng = tg.random.Generator(0)
    block = nn.TransformerEncoderLayer(64, 4, 256, 0.0, norm_first=True, batch_first=True, generator=rng)
    return lambda x: (block(x, is_causal=True) ** 2).mean(), rng.normal(size=(32, 64, 64))


@pytest.mark.parametrize("net", [mlp, cnn, gpt_block])
def test_the_prediction_is_within_its_bound(net):
    step, *inputs = net()
    predicted, measured = predict_memory(step, *inputs), measure_memory(step, *inputs)
    assert measured.step > 1e6
    assert abs(predicted.peak - measured.peak) <= BOUND * measured.peak
    assert predicted.parameters == measured.parameters
    assert predicted.inputs == measured.inputs == sum(each.size * each.dtype.itemsize for each in inputs)


def test_the_peak_is_what_is_alive_at_once():
    """y, its gradient and that of x are 8 MB each and alive together; what is made of them in between is too."""
    x = tg.ones(2_000_000, requires_grad=True)
    found = measure_memory(lambda more: tg.exp(x).sum() + more.sum(), tg.ones(1))
    assert 16e6 <= found.step < 33e6
    assert found.parameters == 8_000_000


def test_a_small_batch_is_run_whole_and_other_inputs_are_passed_as_they_are():
    shapes = []

    def step(x, scale, flag):
        shapes.append((x.shape, scale.shape, flag))
        return (x * scale).sum()

    x, scale = tg.ones((16, 3), requires_grad=True), tg.ones(3)
    predict_memory(step, x, scale, True)
    assert set(shapes) == {((4, 3), (3,), True), ((8, 3), (3,), True)}
    shapes.clear()
    predict_memory(step, tg.ones((5, 3), requires_grad=True), scale, True)
    assert set(shapes) == {((5, 3), (3,), True)}


def test_an_input_that_gets_a_gradient_is_counted_once():
    x, w = tg.ones((64, 100), requires_grad=True), tg.ones((100, 10), requires_grad=True)
    for found in (found_of(lambda x: tg.tanh(x @ w).sum(), x) for found_of in (measure_memory, predict_memory)):
        assert (found.parameters, found.inputs) == (4_000, 25_600)


def test_gradients_are_left_as_they_were():
    w, x = tg.ones(3, requires_grad=True), tg.ones((8, 3), requires_grad=True)
    (w * 2.0).sum().backward()
    gradient = w.grad
    predict_memory(lambda x: (w * x).sum(), x)
    assert w.grad is gradient
    assert gradient.tolist() == [2.0, 2.0, 2.0]
    assert x.grad is None


def test_what_cannot_be_swept_is_refused():
    with pytest.raises(TypeError, match="it returned a tensor that was not recorded"):
        predict_memory(lambda x: x.sum(), tg.ones(3))
    with pytest.raises(TypeError, match="it returned a float"):
        measure_memory(lambda x: 1.0, tg.ones(3))
    with pytest.raises(ValueError, match="the first one a batch"):
        predict_memory(lambda: tg.ones(3, requires_grad=True).sum())


def test_printed_it_is_a_table_in_megabytes():
    text = str(Footprint(3_000_000, 2_000_000, 500_000, 7_000_000))
    assert text.splitlines()[0].split() == ["peak", "5.5", "MB"]
    assert text.splitlines()[-1].split() == ["resident", "7.0", "MB"]
