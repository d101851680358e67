"""What all optimizers share: groups, steps, what is refused, and states that go to PyTorch and back."""

import copy
import json

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tests.optim.trajectories import (
    batches,
    descend,
    descend_torch,
    import_torch,
    leaves,
    loss_of,
    same,
    starts,
    torch_leaves,
)

# Every optimizer, with what makes it remember all it can.
KINDS = {
    "SGD": {"lr": 0.05, "momentum": 0.9},
    "ProximalSGD": {"lr": 0.05},
    "Adagrad": {"lr": 0.05},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adadelta": {},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "LAMB": {},
    "Lion": {"lr": 1e-3},
}
IN_TORCH = [name for name in KINDS if name not in ("ProximalSGD", "LAMB", "Lion")]
every_kind = pytest.mark.parametrize("name", KINDS)


def make(name, theta, **more):
    return getattr(tg.optim, name)(theta, **{**KINDS[name], **more})


def here(array):
    return tg.asarray(array, device=default_device())


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────


@every_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_and_object_stay_and_the_loss_falls(name, dtype):
    theta = leaves([each.astype(dtype) for each in starts()])
    optimizer = make(name, theta, **({"lr": 0.01} if name != "Adadelta" else {}))
    x, y = (here(each.astype(dtype)) for each in batches(1)[0])
    before = float(loss_of(tg, theta, x, y))
    for _ in range(20):
        optimizer.zero_grad()
        loss = loss_of(tg, theta, x, y)
        loss.backward()
        optimizer.step()
    assert float(loss) < before
    assert {str(each.dtype) for each in theta} == {dtype}
    assert all(each.requires_grad and each.is_leaf for each in theta)


@every_kind
def test_a_step_is_refused_to_a_tape_that_needs_the_old_values(name):
    (theta,) = leaves([np.ones(3)])
    optimizer = make(name, [theta])
    loss = (theta * theta).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"changed|written"):
        loss.backward()


def test_a_gradient_is_not_changed_by_a_step():
    for name in KINDS:
        theta = leaves(starts())
        optimizer = make(name, theta, weight_decay=0.1)
        for _ in range(2):
            sum((each * each).sum() for each in theta).backward()
            before = [each.grad.tolist() for each in theta]
            optimizer.step()
            assert [each.grad.tolist() for each in theta] == before, name


def test_a_closure_is_called_once_records_and_its_loss_comes_back():
    (theta,) = leaves([np.asarray([2.0])])
    sgd = tg.optim.SGD([theta], lr=0.25)
    calls = []

    def closure():
        calls.append(1)
        sgd.zero_grad()
        loss = (theta * theta).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        loss = sgd.step(closure)
    assert (float(loss), theta.tolist(), len(calls)) == (4.0, [1.0], 1)


def test_a_parameter_without_a_gradient_and_a_frozen_one_are_left_alone():
    moving, unused, frozen = leaves([np.ones(2)] * 3)
    adam = tg.optim.Adam([moving, unused, frozen], lr=0.5)
    (moving * 1.0 + frozen * 1.0).sum().backward()
    frozen.requires_grad_(False)
    adam.step()
    assert [each.tolist() for each in (unused, frozen)] == [[1.0, 1.0], [1.0, 1.0]]
    assert moving.tolist() != [1.0, 1.0]
    assert list(adam.state_dict()["state"]) == [0]


def test_a_step_without_any_gradient_says_what_is_missing():
    with pytest.raises(RuntimeError, match=r"no parameter has a gradient.*loss\.backward"):
        tg.optim.SGD(leaves(starts())).step()


def test_a_gradient_of_another_shape_or_dtype_changes_nothing():
    good, bad = leaves([np.ones(2), np.ones(3)])
    (good.sum() + bad.sum()).backward()
    sgd = tg.optim.SGD([good, bad], lr=1.0)
    bad.grad = here(np.ones(2))
    with pytest.raises(ValueError, match=r"shape \(3,\), float64, has a gradient of shape \(2,\), float64"):
        sgd.step()
    bad.grad = here(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="float32"):
        sgd.step()
    assert good.tolist() == [1.0, 1.0]


def test_zero_grad_clears_to_none_or_to_zeros():
    used, unused = leaves([np.ones(2), np.ones(2)])
    sgd = tg.optim.SGD([used, unused], lr=1.0)
    used.sum().backward()
    kept = used.grad
    sgd.zero_grad(set_to_none=False)
    assert used.grad.tolist() == [0.0, 0.0]
    assert kept.tolist() == [1.0, 1.0], "somebody else's gradient was written over"
    assert unused.grad is None
    sgd.zero_grad()
    assert used.grad is None


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_complex_parameter_is_updated_as_in_pytorch(name):
    torch = import_torch()
    start = np.asarray([[1.0 + 2.0j, -0.5 + 0.25j]])
    (theta,) = leaves([start])
    reference = torch.tensor(start, requires_grad=True)
    mine, other = make(name, [theta]), getattr(torch.optim, name)([reference], **KINDS[name])
    goal = np.asarray([[0.3 - 1.0j, 2.0 + 0.5j]])
    for _ in range(20):
        for optimizer, leaf, target in ((mine, theta, here(goal)), (other, reference, torch.tensor(goal))):
            optimizer.zero_grad()
            (abs(leaf - target) ** 2).sum().backward()
            optimizer.step()
    np.testing.assert_allclose(theta.tolist(), reference.detach().numpy(), rtol=1e-6 if name == "NAdam" else 1e-10)
    saved = make(name, leaves([start]))
    saved.load_state_dict(mine.state_dict())
    for key, value in saved.state_dict()["state"][0].items():
        if isinstance(value, tg.Tensor):
            assert value.shape == theta.shape, key
            assert value.dtype == theta.dtype, key


def test_a_read_only_array_is_replaced_by_one_that_can_be_written():
    theta = tg.asarray(np.ones(2), requires_grad=True)
    array = np.ones(2)
    array.flags.writeable = False
    if theta.device == "cpu":
        theta.data = array
    sgd = tg.optim.SGD([theta], lr=0.5)
    theta.sum().backward()
    sgd.step()
    assert theta.tolist() == [0.5, 0.5]
    assert array.tolist() == [1.0, 1.0]


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_groups_have_hyperparameters_of_their_own():
    fast, slow, late = leaves([np.ones(1)] * 3)
    sgd = tg.optim.SGD([{"params": fast}, {"params": [slow], "lr": 0.1}], lr=0.5)
    sgd.add_param_group({"params": [("late", late)], "lr": 0.25})
    (fast + slow + late).sum().backward()
    sgd.step()
    assert [each.tolist()[0] for each in (fast, slow, late)] == [0.5, 0.9, 0.75]
    assert sgd.param_groups[2]["param_names"] == ["late"]


def test_what_cannot_be_optimized_is_refused():
    theta, other = leaves([np.ones(2), np.ones(2)])

    class Model:
        def parameters(self):
            return iter([theta])

    SGD = tg.optim.SGD
    with pytest.raises(TypeError, match=r"write \[theta\], not theta"):
        SGD(theta)
    with pytest.raises(TypeError, match=r"not a Model: pass model.parameters\(\)"):
        SGD(Model())
    with pytest.raises(TypeError, match="a set has no order"):
        SGD({theta, other})
    with pytest.raises(ValueError, match="got no parameters"):
        SGD(iter([]))
    with pytest.raises(TypeError, match="parameter 1 of group 0 is a ndarray"):
        SGD([theta, np.ones(2)])
    with pytest.raises(ValueError, match=r"parameter 'doubled', of shape \(2,\), was computed by an op"):
        SGD([("doubled", theta * 2)])
    with pytest.raises(ValueError, match="parameter 0 of group 0 is int64; only floating ones have gradients"):
        SGD([here(np.arange(3))])
    with pytest.raises(ValueError, match="given twice"):
        SGD([theta, other, theta])
    with pytest.raises(ValueError, match="name all parameters of a group or none"):
        SGD([("theta", theta), other])
    sgd = SGD([theta])
    with pytest.raises(ValueError, match="given twice"):
        sgd.add_param_group({"params": theta})
    with pytest.raises(TypeError, match="a parameter group is a dict with the key 'params'"):
        sgd.add_param_group([other])
    assert len(sgd.param_groups) == 1


def test_the_repr_names_the_hyperparameters_of_each_group():
    theta, other = leaves([np.ones(2), np.ones(2)])
    text = repr(tg.optim.SGD([{"params": [theta]}, {"params": [("w", other)], "lr": 0.1}], lr=0.5))
    assert text.splitlines()[:2] == ["SGD (", "Parameter Group 0"]
    assert "    lr: 0.1" in text
    assert "    lr: 0.5" in text


# ── states ──────────────────────────────────────────────────────────────────────────────────────────────────


@every_kind
def test_a_state_goes_on_where_it_was_taken_bit_for_bit(name):
    data = batches(12)
    theta = leaves(starts())
    whole = make(name, theta)
    descend(whole, theta, data[:6])
    snapshot, values = whole.state_dict(), [np.asarray(each.tolist()) for each in theta]
    descend(whole, theta, data[6:])
    again = leaves(values)
    resumed = make(name, again, lr=0.77)
    resumed.load_state_dict(snapshot)
    descend(resumed, again, data[6:])
    assert [each.tolist() for each in again] == [each.tolist() for each in theta]
    resumed.load_state_dict(snapshot)  # later steps have not changed the snapshot
    assert str(resumed.state_dict()) == str(snapshot)


def to_torch(value):
    """Our state dict with PyTorch's tensors in it."""
    if isinstance(value, tg.Tensor):
        return import_torch().tensor(value.numpy().copy())
    if isinstance(value, dict):
        return {key: to_torch(each) for key, each in value.items()}
    return [to_torch(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", IN_TORCH)
def test_states_go_to_pytorch_and_back_and_the_path_goes_on(name):
    torch = import_torch()
    torch.set_default_dtype(torch.float64)  # NAdam's product of momenta has the default dtype there
    try:
        data = batches(60)
        theta = leaves(starts())
        mine = make(name, theta)
        descend(mine, theta, data[:20])
        reference = torch_leaves([np.asarray(each.tolist()) for each in theta])
        other = getattr(torch.optim, name)(reference)
        other.load_state_dict(to_torch(mine.state_dict()))
        descend(mine, theta, data[20:40])
        descend_torch(other, reference, data[20:40])
        same(theta, reference)
        back = leaves([each.detach().numpy() for each in reference])
        returned = getattr(tg.optim, name)(back)
        returned.load_state_dict(other.state_dict())
        descend(mine, theta, data[40:])
        descend(returned, back, data[40:])
        descend_torch(other, reference, data[40:])
        same(back, reference)
        same(back, [np.asarray(each.tolist()) for each in theta])
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_groups_of_a_state_dict_are_plain():
    """Everything but the arrays goes through JSON, where tuples become lists and places become strings."""
    theta = leaves(starts())
    adam = make("Adam", theta)
    descend(adam, theta, batches(3))
    saved = adam.state_dict()
    groups = json.loads(json.dumps(saved["param_groups"]))
    other = make("Adam", leaves(starts()), lr=0.5)
    other.load_state_dict({"param_groups": groups, "state": {str(key): each for key, each in saved["state"].items()}})
    assert other.param_groups[0]["betas"] == (0.9, 0.999)
    assert str(other.state_dict()) == str(saved)


def test_states_that_do_not_fit_are_refused_and_nothing_is_loaded():
    theta = leaves(starts())
    adam = make("Adam", theta)
    descend(adam, theta, batches(1))
    saved = adam.state_dict()
    before = str(saved)

    def refused(change, message):
        wrong = copy.deepcopy(saved)
        change(wrong)
        with pytest.raises(ValueError, match=message):
            adam.load_state_dict(wrong)
        assert str(adam.state_dict()) == before

    refused(lambda it: it["param_groups"].append(it["param_groups"][0]), r"groups of \[3, 3\] parameters.* has \[3\]")
    refused(lambda it: it["param_groups"][0]["params"].pop(), r"groups of \[2\] parameters")
    refused(lambda it: it["param_groups"][0].pop("betas"), "no 'betas' in its parameter groups; it is another optim")
    refused(lambda it: it["param_groups"][0].update(lr=-1), "lr is -1")
    refused(lambda it: it["state"][2].pop("exp_avg"), r"of parameter 2 the state remembers \['exp_avg_sq'")
    refused(
        lambda it: it["state"][1].update(exp_avg=it["state"][0]["exp_avg"]),
        r"exp_avg of a parameter of shape \(3,\) is saved with the shape \(4, 3\)",
    )
    refused(lambda it: it["state"].update({7: it["state"][0]}), "parameter 7.*3 parameters")
    sgd = make("SGD", leaves(starts()))
    with pytest.raises(ValueError, match="SGD: the state has no 'momentum'"):
        sgd.load_state_dict(saved)


def test_a_deep_copy_has_parameters_and_state_of_its_own():
    theta = leaves(starts())
    adam = make("Adam", theta)
    descend(adam, theta, batches(2))
    twin = copy.deepcopy(adam)
    before = [each.tolist() for each in twin.param_groups[0]["params"]]
    descend(adam, theta, batches(2))
    assert [each.tolist() for each in twin.param_groups[0]["params"]] == before
    descend(twin, twin.param_groups[0]["params"], batches(2))
    assert [each.tolist() for each in twin.param_groups[0]["params"]] == [each.tolist() for each in theta]


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "LBFGS"])
def test_what_is_remembered_follows_a_parameter_to_another_device(name):
    def train(moves):
        model = tg.nn.Linear(3, 1, generator=tg.random.Generator(0))
        options = {"momentum": 0.9} if name == "SGD" else {}
        optimizer = getattr(tg.optim, name)(model.parameters(), lr=0.1, **options)
        for there in moves:
            model.to(there)
            x = tg.asarray([[1.0, -2.0, 0.5], [0.3, 1.0, 2.0]]).to(there)

            def closure(x=x):
                optimizer.zero_grad()
                loss = (model(x) ** 2).sum()
                loss.backward()
                return loss

            optimizer.step(closure)
            assert model.weight.device == there
        return model.weight.to("cpu").tolist()

    home = tg.zeros(1).device
    other = "strict" if home == "cpu" else "cpu"
    expected = train([home] * 5)
    assert np.allclose(train([home, other, "strict:1", home, home]), expected, rtol=1e-5)
