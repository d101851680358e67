"""Module: what it finds, what it changes, how it runs."""

import copy
import threading

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import default_device
from tests.nn.beside import here


class Block(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(3, 3)
        self.heads = [nn.Linear(3, 2), nn.Linear(3, 2)]
        self.scale = tg.ones(1)

    def forward(self, x):
        x = tg.relu(self.inner(x))
        return self.heads[0](x) + self.heads[1](x) * self.scale


def scopes(result):
    return {record.scope.name for record in tg.Tape(result) if record.op is not None}


def batch(*shape):
    return here(np.ones(shape, np.float32))


# ── scopes and names ────────────────────────────────────────────────────────────────────────────────────────


def test_records_know_the_module_they_were_made_in() -> None:
    y = nn.Sequential(Block(), nn.Tanh())(batch(2, 3))
    assert scopes(y) == {"0", "0.inner", "0.heads.0", "0.heads.1", "1"}


def test_a_module_called_by_itself_has_no_box_and_a_users_scope_goes_around_it() -> None:
    with tg.scope("generator"):
        y = Block()(batch(2, 3))
    assert scopes(y) == {"generator", "generator.inner", "generator.heads.0", "generator.heads.1"}


def test_a_shared_module_is_named_by_who_calls_it() -> None:
    outer = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Sequential())
    outer[1].append(outer[0][0])
    assert scopes(outer(batch(1, 3))) == {"0.0", "1.0"}


def test_a_module_that_is_no_attribute_stays_in_its_callers_box() -> None:
    stranger = nn.Sequential(nn.Linear(3, 3))

    class Caller(nn.Module):
        def forward(self, x):
            return stranger(x) * 2.0

    y = nn.Sequential(Caller())(batch(1, 3))
    assert scopes(y) == {"0", "0.0"}


def test_names_follow_what_is_exchanged_and_what_is_appended() -> None:
    block = Block()
    assert "heads.1" in scopes(block(batch(1, 3)))
    block.heads[1] = nn.Linear(3, 2)
    assert "heads.1" in scopes(block(batch(1, 3)))
    block.first = block.inner
    del block.inner
    block.inner = nn.Linear(3, 3)
    assert "inner" in scopes(block(batch(1, 3)))


def test_the_caller_is_forgotten_after_an_error() -> None:
    block = Block()
    with pytest.raises(ValueError, match="linear") as error:
        nn.Sequential(block)(batch(2, 4))
    assert error.value.__notes__ == ["in the module 0.inner: Linear(in_features=3, out_features=3, bias=True)"]
    assert scopes(block(batch(2, 3))) == {"", "inner", "heads.0", "heads.1"}


def test_threads_call_modules_side_by_side() -> None:
    block, found = Block(), []

    def run():
        for _ in range(50):
            found.append(scopes(block(batch(2, 3))))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == {"", "inner", "heads.0", "heads.1"} for each in found)
    assert len(found) == 150


def test_parameters_know_their_names_for_drawings() -> None:
    model = nn.Sequential(Block())
    model(batch(1, 3))
    assert all(parameter.name == name for name, parameter in model.named_parameters())


# ── what is found ───────────────────────────────────────────────────────────────────────────────────────────


def test_names_and_identities() -> None:
    block = Block()
    names = ["inner.weight", "inner.bias", "heads.0.weight", "heads.0.bias", "heads.1.weight", "heads.1.bias"]
    assert [name for name, _ in block.named_parameters()] == names
    assert [name for name, _ in block.named_parameters("p")] == [f"p.{name}" for name in names]
    assert list(map(id, block.parameters())) == [id(each) for _, each in block.named_parameters()]
    assert list(block.parameters(recurse=False)) == []
    assert [name for name, _ in block.named_modules()] == ["", "inner", "heads.0", "heads.1"]
    assert [name for name, _ in block.named_children()] == ["inner", "heads.0", "heads.1"]
    assert list(block.children()) == list(block.modules())[1:]


def test_buffers_are_found_and_those_that_stay_are_saved() -> None:
    module = nn.Module()
    module.register_buffer("kept", tg.ones(1))
    module.register_buffer("gone", tg.ones(1), persistent=False)
    module.register_buffer("none", None)
    assert [name for name, _ in module.named_buffers()] == ["kept", "gone"]
    assert len(list(module.buffers())) == 2
    assert list(module.state_dict("at.")) == ["at.kept"]
    module.kept = tg.zeros(1)
    module.gone = tg.zeros(1)
    assert list(module.state_dict()) == ["kept"]
    assert module.kept.tolist() == [0.0]


def test_submodules_are_reached_by_name() -> None:
    block = Block()
    assert block.get_submodule("") is block
    assert block.get_submodule("heads.1") is block.heads[1]
    assert block.get_parameter("heads.1.bias") is block.heads[1].bias
    with pytest.raises(AttributeError, match="there is no '2' in list, which has: 0, 1"):
        block.get_submodule("heads.2")
    with pytest.raises(AttributeError, match="not a Module"):
        block.get_submodule("inner.weight")
    with pytest.raises(AttributeError, match="not a Parameter"):
        block.get_parameter("inner")


def test_registering_refuses_names_that_cannot_be() -> None:
    module = nn.Module()
    module.register_parameter("bias", None)
    module.add_module("part", nn.ReLU())
    assert module.bias is None
    assert [name for name, _ in module.named_modules()] == ["", "part"]
    for name in ("", "a.b", "forward"):
        with pytest.raises(KeyError):
            module.register_buffer(name, None)
    with pytest.raises(TypeError, match=r"expected nn\.Parameter"):
        module.register_parameter("weight", tg.ones(1))
    with pytest.raises(TypeError, match="expected a Module"):
        module.add_module("other", tg.relu)


def test_a_parameter_is_not_lost_to_a_plain_tensor() -> None:
    layer = nn.Linear(1, 1)
    with pytest.raises(TypeError, match="no longer be trained"):
        layer.weight = tg.ones((1, 1))
    layer.weight = nn.Parameter(tg.ones((1, 1)))
    layer.bias = None
    assert list(layer.state_dict()) == ["weight"]


def test_an_attribute_that_is_not_there_is_named_and_a_failing_property_speaks_for_itself() -> None:
    class Failing(nn.Module):
        @property
        def length(self):
            return self.missing_part

    with pytest.raises(AttributeError, match="Linear has no attribute 'wieght'"):
        _ = nn.Linear(1, 1).wieght
    with pytest.raises(AttributeError, match="missing_part"):
        _ = Failing().length


# ── changes to all of it ────────────────────────────────────────────────────────────────────────────────────


def test_training_reaches_all_modules() -> None:
    block = Block()
    assert block.training
    assert block.eval() is block
    assert not any(module.training for module in block.modules())
    assert all(module.training for module in block.train().modules())
    with pytest.raises(TypeError, match="True or False"):
        block.train(1)


def test_freezing_keeps_parameters_and_zero_grad_forgets() -> None:
    layer = nn.Linear(3, 1)
    layer(batch(1, 3)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None
    layer.requires_grad_(False)
    assert len(list(layer.parameters())) == 2
    assert not layer(batch(1, 3)).requires_grad
    assert layer.requires_grad_()(batch(1, 3)).requires_grad


def test_apply_goes_from_children_to_parents() -> None:
    seen = []
    block = Block()
    assert block.apply(lambda module: seen.append(type(module).__name__)) is block
    assert seen == ["Linear", "Linear", "Linear", "Block"]


def test_a_dtype_reaches_floating_tensors_and_the_objects_stay() -> None:
    block = Block()
    block.count = nn.Buffer(np.array(3), device=default_device())
    block.phase = nn.Parameter(np.ones(1, np.complex64))
    weight = block.inner.weight
    block(batch(1, 3)).sum().backward()
    block.double()
    assert block.inner.weight is weight
    assert weight.dtype == weight.grad.dtype == block.scale.dtype == np.float64
    assert block.count.dtype == np.int64
    assert block.phase.dtype == np.complex128
    block(here(np.ones((1, 3)))).sum().backward()
    assert block.float().to(tg.float32).inner.weight.dtype == np.float32
    with pytest.raises(TypeError, match="floating or complex"):
        block.to(tg.int64)


def test_a_device_takes_parameters_buffers_and_constants() -> None:
    block = Block()
    block.mean = nn.Buffer([0.0])
    block.inner.weight.requires_grad_(False)
    for where in ("strict", "cpu", default_device()):
        assert block.to(where) is block
        tensors = [*block.parameters(), *block.buffers(), block.scale]
        assert {each.device for each in tensors} == {where}
        assert not block.inner.weight.requires_grad
        assert block.inner.bias.requires_grad
    with pytest.raises(ValueError, match="there is no device"):
        block.to("nowhere")


def test_a_copy_of_a_module_is_one_of_its_own() -> None:
    block = Block()
    block(batch(1, 3))
    twin = copy.deepcopy(block)
    with tg.no_grad():
        twin.inner.weight[...] = 0.0
    assert block.inner.weight.tolist() != twin.inner.weight.tolist()
    assert scopes(twin(batch(1, 3))) == {"", "inner", "heads.0", "heads.1"}


# ── hooks ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_hooks_see_and_replace_what_goes_in_and_out() -> None:
    layer, seen = nn.Identity(), []
    first = layer.register_forward_pre_hook(lambda module, args: seen.append(args) or args[0] + 1.0)
    second = layer.register_forward_hook(lambda module, args, output: output * 10.0)
    assert layer(batch(1)).tolist() == [20.0]
    assert seen[0][0].tolist() == [1.0]
    first.remove()
    first.remove()
    assert layer(batch(1)).tolist() == [10.0]
    with second:
        assert layer(batch(1)).tolist() == [10.0]
    assert layer(batch(1)).tolist() == [1.0]


def test_hooks_see_keywords_where_they_ask_for_them() -> None:
    class Power(nn.Module):
        def forward(self, x, times=1.0):
            return x * times

    power, seen = Power(), []
    power.register_forward_pre_hook(lambda module, args, keywords: (args, {"times": 3.0}), with_kwargs=True)
    power.register_forward_hook(lambda module, args, keywords, output: seen.append(keywords), with_kwargs=True)
    assert power(batch(1), times=2.0).tolist() == [3.0]
    assert seen == [{"times": 3.0}]


def test_a_hook_that_is_a_module_is_no_part_of_the_model() -> None:
    layer = nn.Identity()
    layer.register_forward_hook(lambda module, args, output: None)
    layer.register_forward_pre_hook(nn.Linear(1, 1))
    assert list(layer.parameters()) == []


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_repr_shows_the_tree() -> None:
    assert repr(Block()) == (
        "Block(\n"
        "  (inner): Linear(in_features=3, out_features=3, bias=True)\n"
        "  (heads.0): Linear(in_features=3, out_features=2, bias=True)\n"
        "  (heads.1): Linear(in_features=3, out_features=2, bias=True)\n"
        ")"
    )


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        nn.Module()(1)


def test_nn_is_loaded_when_it_is_named() -> None:
    import subprocess
    import sys

    code = "import sys, tensorgrad as tg; before = 'tensorgrad.nn' in sys.modules; tg.nn.Linear; print(before)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
