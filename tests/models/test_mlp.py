"""The multilayer perceptron."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models import MLP
from tensorgrad.random import Generator

MLP_PARAMETERS = 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3


def values(tensor):
    return np.asarray(tensor.tolist())


def test_logits_are_what_the_equations_say():
    model = MLP((5, 7, 6, 3), Generator(0))
    rng = Generator(1)
    with tg.no_grad():
        for bias in (layer.bias for layer in model.layers):
            bias[:] = rng.normal(size=bias.shape)  # at 0, as they start, a bias left out would not show
    x = rng.normal(size=(4, 5))
    (w1, b1), (w2, b2), (w3, b3) = ((values(layer.weight), values(layer.bias)) for layer in model.layers)
    h = np.maximum(values(x) @ w1.T + b1, 0)
    h = np.maximum(h @ w2.T + b2, 0)
    np.testing.assert_allclose(values(model(x).detach()), h @ w3.T + b3, rtol=1e-5, atol=1e-5)  # float32 rounding


def test_a_single_layer_has_no_rectifier():
    model = MLP((4, 8), Generator(0))
    assert (values(model(tg.ones((1, 4))).detach()) < 0).any()


def test_parameters_are_leaves_in_pytorchs_layout_from_input_to_output():
    model = MLP((5, 7, 3), Generator(0))
    assert [(name, theta.shape) for name, theta in model.named_parameters()] == [
        ("layers.0.weight", (7, 5)),
        ("layers.0.bias", (7,)),
        ("layers.1.weight", (3, 7)),
        ("layers.1.bias", (3,)),
    ]
    assert all(theta.is_leaf and theta.requires_grad for theta in model.parameters())
    assert repr(model) == "MLP(5-7-3, 66 parameters)"


def test_weights_are_drawn_as_he_et_al_say_and_biases_start_at_zero():
    model = MLP((200, 300, 100), Generator(0))
    for weight, bias in ((layer.weight, layer.bias) for layer in model.layers):
        drawn = values(weight)
        sigma = np.sqrt(2 / weight.shape[1])
        spread = sigma / np.sqrt(2 * drawn.size)  # of the standard deviation of so many normal draws
        assert abs(drawn.std() - sigma) < 5 * spread
        assert abs(drawn.mean()) < 5 * sigma / np.sqrt(drawn.size)
        assert not values(bias).any()


def test_the_size_of_activations_survives_many_layers():
    model = MLP((256,) * 20, Generator(0))
    x = Generator(1).normal(size=(64, 256))
    # eq. 10 keeps E[h^2] of the layer before its rectifier at 2 per unit of input variance, up to chance of width 256
    assert 0.3 < float((model(x) ** 2).mean()) / 2 < 3


def test_the_generator_decides_the_weights():
    first, again, other = (MLP((4, 3), Generator(seed)).layers[0].weight.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_parameters_live_where_the_generator_draws():
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    model = MLP((4, 3), Generator(0, device="strict"))
    assert {theta.device for theta in model.parameters()} == {"strict"}


def test_parameters_take_the_default_dtype():
    tg.set_default_dtype("float64")
    try:
        model = MLP((4, 3), Generator(0))
    finally:
        tg.set_default_dtype("float32")
    assert {str(theta.dtype) for theta in model.parameters()} == {"float64"}


def test_a_gradient_reaches_every_parameter():
    model = MLP((6, 5, 4), Generator(0))
    tg.cross_entropy(model(Generator(1).normal(size=(8, 6))), tg.asarray([0, 1, 2, 3, 0, 1, 2, 3])).backward()
    for name, theta in model.named_parameters():
        assert theta.grad.shape == theta.shape, name
        assert values(theta.grad).any(), name


def test_each_layer_is_recorded_under_its_own_scope():
    model = MLP((6, 5, 4), Generator(0))
    calls = [(record.scope.name, record.op.name) for record in tg.Tape(model(tg.ones((2, 6)))) if record.op]
    assert calls == [("layers.0", "linear"), ("", "relu"), ("layers.1", "linear")]


def test_normalised_units_have_mean_0_and_variance_1_before_the_rectifier():
    model = MLP((5, 7, 6, 3), Generator(0), batch_norm=True)
    x = Generator(1).normal(size=(40, 5))
    z = values(x)
    for layer in [*model.layers][:-1]:
        z = z @ values(layer.weight).T
        z = np.maximum((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5), 0)
    np.testing.assert_allclose(values(model(x).detach()), z @ values(model.layers[-1].weight).T, rtol=1e-4, atol=1e-4)
    assert sum(theta.size for theta in model.parameters()) == MLP_PARAMETERS + 2 * (7 + 6)


def test_dropout_is_of_hidden_units_and_in_training_only():
    model = MLP((4, 1000, 2), Generator(0), dropout=0.3)
    seen = []
    model.drops[0].register_forward_hook(lambda module, args, output: seen.append(output.detach().numpy()))
    x = tg.ones((1, 4))
    full = values(MLP((4, 1000, 2), Generator(0))(x).detach())
    assert values(model(x).detach()).tolist() != full.tolist()
    model.eval()
    assert values(model(x).detach()).tolist() == full.tolist()
    dropped, kept = seen
    assert (dropped[kept > 0] == 0).mean() == pytest.approx(0.3, abs=0.1)  # of some 500 units that are not 0 anyway


@pytest.mark.parametrize("widths", [(), (4,), (4, 0, 2)])
def test_widths_that_make_no_network_are_refused(widths):
    with pytest.raises(ValueError, match="at least two positive numbers"):
        MLP(widths, Generator(0))
