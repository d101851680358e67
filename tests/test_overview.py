"""The summary's numbers are those one counts by hand, and the model is left as it was."""

from itertools import pairwise

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, summary
from tensorgrad.backend import default_device


def here(array, **keywords):
    return tg.asarray(array, device=default_device(), **keywords)


def rows(found):
    return {row.name: row for row in found.rows}


def test_a_linear_layer_counted_by_hand():
    found = summary(nn.Linear(784, 256), (32, 784))
    row = rows(found)[""]
    assert row.output == (32, 256)
    assert row.parameters == 784 * 256 + 256
    assert row.flops == 2 * 32 * 784 * 256 + 32 * 256
    assert row.gradient_bytes == 4 * row.parameters
    assert row.activation_bytes == 0, "what it keeps is the input and the weight, and both are there anyway"


def test_a_convolution_counted_by_hand():
    found = summary(nn.Conv2d(3, 16, 5, stride=2, padding=2), (4, 3, 32, 32))
    row = rows(found)[""]
    assert row.output == (4, 16, 16, 16)
    assert row.parameters == 16 * 3 * 5 * 5 + 16
    assert row.flops == 4 * 16 * 16 * 16 * (2 * 3 * 5 * 5 + 1)


def test_attention_counted_by_hand():
    class Attention(nn.Module):
        def forward(self, query, key):
            return tg.scaled_dot_product_attention(query, key, key)

    row = rows(summary(Attention(), (2, 8, 10, 16), key=(2, 8, 12, 16)))[""]
    assert row.output == (2, 8, 10, 16)
    # q k^T and p v, then scale, peak, difference, exp, sum and quotient for each score
    assert row.flops == 2 * 8 * 10 * 12 * (2 * 16 + 2 * 16 + 6)
    assert row.parameters == row.gradient_bytes == 0
    assert row.activation_bytes > 0


def lenet():
    """LeCun et al., 1998, with the full connections and tanh of today's text books: 61,706 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )


def test_lenet_has_the_numbers_that_are_known_of_it():
    found = summary(lenet(), (1, 1, 28, 28))
    assert found.total.parameters == 61_706
    products = 117_600 + 240_000 + 48_000 + 10_080 + 840  # multiplications and additions, layer by layer
    biases = 28 * 28 * 6 + 10 * 10 * 16 + 120 + 84 + 10
    named = rows(found)
    assert sum(named[name].flops for name in ("0", "3", "7", "9", "11")) == 2 * products + biases
    assert [named[name].output for name in ("0", "2", "3", "5", "6")] == [
        (1, 6, 28, 28),
        (1, 6, 14, 14),
        (1, 16, 10, 10),
        (1, 16, 5, 5),
        (1, 400),
    ]
    assert named["1"].flops == 6 * 28 * 28
    assert named["1"].activation_bytes == 4 * 6 * 28 * 28, "tanh keeps its result"


def test_resnet_18_has_the_numbers_that_are_published_of_it():
    """He et al., 2015, table 1: 1.8e9 multiplications and additions, for 224 x 224 pixels; 11.7 million parameters."""

    def conv(c_in, c_out, size, stride):
        return [nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False), nn.BatchNorm2d(c_out)]

    class Block(nn.Module):
        def __init__(self, c_in, c_out, stride):
            self.body = nn.Sequential(*conv(c_in, c_out, 3, stride), nn.ReLU(), *conv(c_out, c_out, 3, 1))
            self.shortcut = nn.Sequential(*conv(c_in, c_out, 1, stride)) if stride > 1 else nn.Identity()

        def forward(self, x):
            return tg.relu(self.body(x) + self.shortcut(x))

    widths = [64, 64, 128, 256, 512]
    stages = [
        block
        for c_in, c_out in pairwise(widths)
        for block in (Block(c_in, c_out, 1 if c_in == c_out else 2), Block(c_out, c_out, 1))
    ]
    model = nn.Sequential(
        *conv(3, 64, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, 1000),
    )
    small = summary(model, (1, 3, 32, 32))  # a seventh of the side
    assert small.total.parameters == 11_689_512
    products = sum(row.flops for row in small.rows if row.kind in ("Conv2d", "Linear")) - 1000  # its biases
    linear = 2 * 512 * 1000
    assert (products - linear) * 49 + linear == pytest.approx(2 * 1.8141e9, rel=1e-3)


def test_columns_add_up_and_a_shared_parameter_is_counted_once():
    class Tied(nn.Module):
        def __init__(self):
            self.first = nn.Linear(5, 5)
            self.second = nn.Linear(5, 5)
            self.second.weight = self.first.weight

        def forward(self, x):
            return tg.relu(self.second(self.first(x))) + 1.0

    found = summary(Tied(), (3, 5))
    named = rows(found)
    assert (named["first"].parameters, named["second"].parameters) == (30, 5)
    assert named[""].flops == 15 + 15, "relu and a sum are the module's own"
    assert found.total.flops == sum(row.flops for row in found.rows) == 2 * (2 * 3 * 25 + 15) + 30
    assert found.parameter_bytes == 35 * 4


def test_a_module_called_twice_costs_twice_and_one_that_is_not_called_nothing():
    class Twice(nn.Module):
        def __init__(self):
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.used(self.used(x))

    named = rows(summary(Twice(), (2, 4)))
    assert named["used"].flops == 2 * (2 * 2 * 16 + 8)
    assert (named["idle"].flops, named["idle"].output, named["idle"].parameters) == (0, None, 20)


def test_the_model_and_what_it_is_given_are_left_as_they_were():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))
    model[0].weight.requires_grad_(False)
    model[1].eval()
    before = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    x = here(np.ones((3, 1, 8, 8), np.float32))
    with tg.no_grad():
        found = summary(model, x)
        assert not tg.tape.is_recording()
    assert {name: tensor.tolist() for name, tensor in model.state_dict().items()} == before
    assert [module.training for module in model.modules()] == modes
    assert not x.requires_grad
    assert not model[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(getattr(module, "_forward_hooks", None) for module in model.modules())
    named = rows(found)
    assert named["0"].flops > 0, "a frozen layer costs as much"
    assert named["0"].gradient_bytes == 4 * 4, "the bias alone has a gradient"
    assert "36 of them frozen" in str(found)


def test_it_is_left_as_it_was_where_forward_fails():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="linear"):
        summary(model, (4, 7))
    assert model.training
    assert not model.weight.requires_grad


def test_integers_go_into_an_embedding_and_several_outputs_are_shown():
    class Words(nn.Module):
        def __init__(self):
            self.table = nn.Embedding(10, 4)

        def forward(self, words):
            found = self.table(words)
            return {"mean": found.mean(axis=1), "all": (found, None)}

    found = summary(Words(), here(np.zeros((2, 3), np.int64)))
    assert rows(found)["table"].output == (2, 3, 4)
    assert rows(found)[""].output == {"mean": (2, 4), "all": [(2, 3, 4), None]}
    assert "mean (2, 4), all (2, 3, 4), -" in str(found)


def test_the_table_is_printed_with_units():
    text = str(summary(lenet(), (64, 1, 28, 28)))
    lines = text.splitlines()
    assert lines[0].split() == ["module", "output", "parameters", "FLOPs", "activations", "gradients"]
    assert lines[2].split() == ["Sequential", "(64,", "10)"]
    assert lines[3].split() == [
        "0:",
        "Conv2d",
        "(64,",
        "6,",
        "28,",
        "28)",
        "156",
        "15.35",
        "M",
        "624",  # gradients; nothing is kept but the image that was given and the parameters
        "B",
    ]
    assert lines[-3].startswith("total")
    assert lines[-1] == "parameters: 246.8 kB"
    assert max(map(len, lines)) < 100


def test_it_takes_a_module():
    with pytest.raises(TypeError, match="a function has no named_modules"):
        summary(lambda x: x, (3,))
