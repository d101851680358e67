"""Averaged weights are PyTorch's, for a list of tensors and for whatever has parameters and buffers."""

import copy

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tests.optim.lr_scheduler.rates import import_torch, optimizer, settings, stepped
from tests.optim.trajectories import batches, descend, leaves, starts


def here(array):
    return tg.asarray(array, device=default_device())


class Scaled:
    """A model with nothing of ours in it: a parameter, a running mean and a count."""

    def __init__(self):
        (self.scale,) = leaves([np.ones(2)])
        self.running, self.count = here(np.zeros(2)), here(np.asarray(0))

    def parameters(self):
        return iter([self.scale])

    def named_buffers(self):
        return iter([("running", self.running), ("count", self.count)])

    def buffers(self):
        return iter([self.running, self.count])

    def __call__(self, x):
        return x * self.scale


def paths(steps=12):
    """Values of parameters over time, as a descent leaves them."""
    theta = leaves(starts())
    sgd = tg.optim.SGD(theta, lr=0.1)
    found = []
    for each in batches(steps):
        descend(sgd, theta, [each])
        found.append([np.asarray(t.tolist()) for t in theta])
    return found


def put(theta, values):
    with tg.no_grad():
        for each, value in zip(theta, values, strict=True):
            each[...] = here(value)


@pytest.mark.parametrize("kind", ["swa", "ema"])
def test_the_averages_are_those_of_pytorch(kind):
    torch = import_torch()
    from torch.optim import swa_utils

    model = torch.nn.Linear(3, 4).double()
    other = swa_utils.AveragedModel(model, avg_fn=None if kind == "swa" else swa_utils.get_ema_avg_fn(0.9))
    theta = leaves(starts()[:2])
    mine = tg.optim.AveragedModel(theta, None if kind == "swa" else tg.optim.get_ema_avg_fn(0.9))
    for values in paths():
        with torch.no_grad():
            model.weight.copy_(torch.tensor(values[0][:, :3]))
            model.bias.copy_(torch.tensor(values[0][:, 0]))
        put(theta, [values[0], values[1]])
        other.update_parameters(model)
        mine.update_parameters(theta)
        np.testing.assert_allclose(mine.module[0].tolist(), other.module.weight.detach().numpy(), rtol=1e-12)
    assert mine.n_averaged == int(other.n_averaged) == 12


def test_the_mean_of_a_path_is_its_mean():
    theta = leaves(starts())
    mean = tg.optim.AveragedModel(theta)
    seen = paths()
    for values in seen:
        put(theta, values)
        mean.update_parameters(theta)
    for place, averaged in enumerate(mean.parameters()):
        np.testing.assert_allclose(averaged.tolist(), np.mean([each[place] for each in seen], axis=0), rtol=1e-12)
    assert [each.tolist() for each in theta] == [each.tolist() for each in seen[-1]], "the model itself was changed"


@pytest.mark.parametrize("use_buffers", [False, True])
def test_buffers_are_copied_or_averaged_and_counts_always_copied(use_buffers):
    model = Scaled()
    mean = tg.optim.AveragedModel(model, use_buffers=use_buffers)
    for value in (1.0, 2.0, 6.0):
        put([model.running, model.count], [np.full(2, value), np.asarray(int(value))])
        mean.update_parameters(model)
    assert mean.module.running.tolist() == ([3.0, 3.0] if use_buffers else [6.0, 6.0])
    assert mean.module.count.tolist() == 6
    assert mean(here(np.asarray([2.0, 3.0]))).tolist() == [2.0, 3.0]


def test_it_goes_on_from_its_state():
    seen = paths()
    theta = leaves(starts())
    whole = tg.optim.AveragedModel(theta, tg.optim.get_ema_avg_fn(0.8))
    for values in seen[:6]:
        put(theta, values)
        whole.update_parameters(theta)
    saved = whole.state_dict()
    assert sorted(saved) == ["module.0", "module.1", "module.2", "n_averaged"]
    resumed = tg.optim.AveragedModel(leaves(starts()), tg.optim.get_ema_avg_fn(0.8))
    resumed.load_state_dict(saved)
    for values in seen[6:]:
        put(theta, values)
        whole.update_parameters(theta)
        resumed.update_parameters(theta)
    assert str(resumed.state_dict()) == str(whole.state_dict())
    assert str(saved) != str(whole.state_dict()), "later updates changed the snapshot"


def test_another_models_weights_and_states_are_refused():
    mean = tg.optim.AveragedModel(leaves(starts()))
    others = leaves([starts()[0], np.zeros(7), starts()[2]])
    with pytest.raises(ValueError, match="model and average differ in their parameters: 1"):
        mean.update_parameters(others)
    with pytest.raises(ValueError, match="differ in their parameters: 2"):
        mean.update_parameters(leaves(starts())[:2])
    saved = mean.state_dict()
    with pytest.raises(ValueError, match=r"they differ in module\.2"):
        mean.load_state_dict({name: value for name, value in saved.items() if name != "module.2"})
    with pytest.raises(ValueError, match=r"module\.0 is saved with the shape \(3,\), and has \(4, 3\)"):
        mean.load_state_dict({**saved, "module.0": saved["module.1"]})
    assert str(mean.state_dict()) == str(saved)
    with pytest.raises(TypeError, match=r"write \[theta\], not theta"):
        tg.optim.AveragedModel(leaves(starts())[0])
    with pytest.raises(ValueError, match=r"decay is 1\.5; it must be from 0 to 1"):
        tg.optim.get_ema_avg_fn(1.5)


class Norm:
    """A batch norm as far as update_bn looks: it keeps a cumulative mean where its momentum is None."""

    def __init__(self):
        self.momentum, self.running_mean, self.seen = 0.1, 5.0, 0

    def reset_running_stats(self):
        self.running_mean, self.seen = 0.0, 0

    def __call__(self, x, training):
        if training:
            self.seen += 1
            share = 1 / self.seen if self.momentum is None else self.momentum
            self.running_mean += share * (float(x.mean()) - self.running_mean)
        return x


class Model:
    def __init__(self):
        self.norm, self.training = Norm(), False

    def modules(self):
        return [self, self.norm]

    def train(self, mode=True):
        self.training = mode

    def __call__(self, x):
        assert not tg.tape.is_recording()
        return self.norm(x, self.training)


def test_statistics_are_taken_anew_from_all_batches_alike():
    model = Model()
    data = [here(np.full((2, 2), value)) for value in (1.0, 2.0, 6.0)]
    tg.optim.update_bn(data[:1] + [(each, "label") for each in data[1:]], model)
    assert model.norm.running_mean == pytest.approx(3.0)
    assert (model.norm.momentum, model.training) == (0.1, False)


def test_the_mode_is_put_back_where_the_loader_fails():
    model = Model()

    def broken():
        yield here(np.ones((2, 2)))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        tg.optim.update_bn(broken(), model)
    assert (model.norm.momentum, model.training) == (0.1, False)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_swalr_has_the_rates_of_pytorch(strategy, epochs):
    torch = import_torch()
    mine = optimizer()
    other = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": lr} for lr in (0.5, 0.2)])
    ours = tg.optim.SWALR(mine, [0.05, 0.1], epochs, strategy)
    theirs = torch.optim.swa_utils.SWALR(other, [0.05, 0.1], epochs, strategy)
    stepped(mine)
    other.step()
    for _ in range(20):
        expected = [group["lr"] for group in other.param_groups]
        assert [lr for lr, _ in settings(mine)] == pytest.approx(expected, rel=1e-10)
        ours.step()
        theirs.step()


def test_swalr_refuses_what_is_out_of_range():
    with pytest.raises(ValueError, match="anneal_strategy is 'exp'"):
        tg.optim.SWALR(optimizer(), 0.1, anneal_strategy="exp")
    with pytest.raises(ValueError, match="anneal_epochs is -1"):
        tg.optim.SWALR(optimizer(), 0.1, -1)
    with pytest.raises(ValueError, match="swa_lr has 1 values, and the optimizer 2"):
        tg.optim.SWALR(optimizer(), [0.1])


def test_an_average_can_be_copied():
    mean = tg.optim.AveragedModel(leaves(starts()))
    twin = copy.deepcopy(mean)
    mean.update_parameters(leaves(starts(seed=8)))
    assert twin.n_averaged == 0
    assert str(twin.state_dict()) != str(mean.state_dict())


def test_a_module_with_batch_norm_is_averaged_and_measured_anew_as_in_pytorch():
    torch = import_torch()
    from torch.optim import swa_utils

    def layers(library):
        return library.Sequential(library.Linear(3, 4, bias=False), library.BatchNorm1d(4), library.Linear(4, 2))

    model, reference = layers(nn), layers(torch.nn)
    reference.load_state_dict({name: torch.tensor(each.numpy().copy()) for name, each in model.state_dict().items()})
    mean, expected = tg.optim.AveragedModel(model), swa_utils.AveragedModel(reference)
    sgd = tg.optim.SGD(model.parameters(), lr=0.1), torch.optim.SGD(reference.parameters(), lr=0.1)
    rng = np.random.default_rng(4)
    data = [rng.normal(size=(8, 3)).astype("float32") for _ in range(6)]
    for x in data:
        for made, each, batch in ((sgd[0], model, here(x)), (sgd[1], reference, torch.tensor(x))):
            made.zero_grad()
            (each(batch) ** 2).mean().backward()
            made.step()
        mean.update_parameters(model)
        expected.update_parameters(reference)
    tg.optim.update_bn([here(x) for x in data], mean.module)
    swa_utils.update_bn([torch.tensor(x) for x in data], expected)
    mine, other = mean.state_dict(), expected.state_dict()
    assert set(mine) == set(other)
    for name, value in other.items():
        found = mine[name] if name == "n_averaged" else mine[name].tolist()
        np.testing.assert_allclose(found, value.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)
    assert mean.module.training
    again = tg.optim.AveragedModel(layers(nn))
    again.load_state_dict(mine)
    x = here(data[0])
    assert again(x).tolist() == mean(x).tolist()
