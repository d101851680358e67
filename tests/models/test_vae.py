"""The variational autoencoder: against PyTorch, in closed form, and against draws."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.vae import VAE, divergence, elbo, importance_bound, log_likelihood, reparameterised
from tensorgrad.random import Generator


def values(x):
    return np.asarray(x.detach().tolist())


def float64(model):
    with tg.no_grad():
        return model.to(tg.float64)


def drawn(*shape, seed=1):
    return Generator(seed).normal(size=shape, dtype=tg.float64)


def leaf(*shape, seed=1):
    return drawn(*shape, seed=seed).requires_grad_()


# ── against PyTorch ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_loss_and_all_gradients_are_pytorch_s():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    f = torch.nn.functional
    model = float64(VAE(12, (9, 7), 3, Generator(0)))
    w = {name: torch.tensor(values(theta), requires_grad=True) for name, theta in model.named_parameters()}
    x, noise = Generator(2).bernoulli(0.4, size=(6, 12), dtype=tg.float64), drawn(6, 3)
    loss = -elbo(x, *model(x, noise)).mean()
    loss.backward()

    def linear(name, x):
        return f.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    pixels = torch.tensor(values(x))
    h = f.relu(linear("encoder.layers.1", f.relu(linear("encoder.layers.0", pixels))))
    q = torch.distributions.Normal(linear("mean", h), torch.exp(linear("log_variance", h) / 2))
    z = q.loc + q.scale * torch.tensor(values(noise))
    hidden = f.relu(linear("decoder.layers.1", f.relu(linear("decoder.layers.0", z))))
    p = torch.distributions.Bernoulli(logits=linear("decoder.layers.2", hidden))
    prior = torch.distributions.Normal(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    kl = torch.distributions.kl_divergence(q, prior).sum(dim=1)
    theirs = -(p.log_prob(pixels).sum(dim=1) - kl).mean()
    theirs.backward()
    assert float(loss) == pytest.approx(theirs.item(), rel=1e-9)
    assert len(w) == 14
    for name, theta in model.named_parameters():
        np.testing.assert_allclose(values(theta.grad), w[name].grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=name)


# ── closed forms ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_divergence_has_the_gradients_mu_and_sigma_squared_less_one():
    mu, log_sigma = leaf(4, 3), leaf(4, 3, seed=2)
    divergence(mu, 2 * log_sigma).sum().backward()
    np.testing.assert_allclose(values(mu.grad), values(mu), rtol=1e-12)
    np.testing.assert_allclose(values(log_sigma.grad), np.exp(2 * values(log_sigma)) - 1, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_code_goes_on_to_mu_and_times_noise_and_sigma_to_log_sigma():
    mu, log_sigma, noise, g = leaf(4, 3), leaf(4, 3, seed=2), drawn(4, 3, seed=3), drawn(4, 3, seed=4)
    (reparameterised(mu, 2 * log_sigma, noise) * g).sum().backward()
    np.testing.assert_allclose(values(mu.grad), values(g), rtol=1e-12)
    expected = values(g) * values(noise) * np.exp(values(log_sigma))
    np.testing.assert_allclose(values(log_sigma.grad), expected, rtol=1e-12)


def test_the_gradient_of_a_squared_error_comes_through_the_code_as_written_by_hand():
    # 1/2 sum (x - x')^2 with x' = z A^T, and the divergence: both parts of a loss whose gradients are known.
    mu, log_sigma, noise = leaf(4, 3), leaf(4, 3, seed=2), drawn(4, 3, seed=3)
    a, x = drawn(5, 3, seed=4), drawn(4, 5, seed=5)
    z = reparameterised(mu, 2 * log_sigma, noise)
    (0.5 * ((x - z @ a.mT) ** 2).sum() + divergence(mu, 2 * log_sigma).sum()).backward()
    dz = (values(z) @ values(a).T - values(x)) @ values(a)
    sigma = np.exp(values(log_sigma))
    np.testing.assert_allclose(values(mu.grad), dz + values(mu), rtol=1e-10)
    np.testing.assert_allclose(values(log_sigma.grad), dz * values(noise) * sigma + sigma**2 - 1, rtol=1e-10)


def test_the_prior_has_no_divergence_from_itself():
    assert divergence(tg.zeros((2, 5)), tg.zeros((2, 5))).tolist() == [0.0, 0.0]


def test_the_divergence_is_the_mean_of_log_q_over_p():
    mu, log_variance = tg.asarray([[0.5, -1.0]], dtype=tg.float64), tg.asarray([[-0.7, 0.4]], dtype=tg.float64)
    count = 200_000
    noise = drawn(count, 2)
    z = reparameterised(mu + tg.zeros((count, 2)), log_variance + tg.zeros((count, 2)), noise)
    ratio = values(0.5 * (z * z - noise * noise - log_variance).sum(axis=1))  # log q(z) - log p(z)
    error = ratio.std() / np.sqrt(count)
    assert error < 0.01
    assert abs(ratio.mean() - float(divergence(mu, log_variance)[0])) < 4 * error


def test_the_likelihood_is_that_of_each_pixel():
    p = np.array([[0.9, 0.2, 0.5]])
    logits = tg.asarray(np.log(p / (1 - p)).tolist(), dtype=tg.float64)
    x = tg.asarray([[1.0, 0.0, 1.0]], dtype=tg.float64)
    assert log_likelihood(x, logits).tolist() == pytest.approx([np.log(0.9 * 0.8 * 0.5)])


def test_the_bounds_meet_the_likelihood_where_it_is_known():
    # A decoder that does not look at its code: log p(x) is log p(x|z), and q = p(z) has no divergence.
    model = float64(VAE(6, (4,), 2, Generator(0)))
    with tg.no_grad():
        for head in (model.mean, model.log_variance):
            head.weight[...], head.bias[...] = 0.0, 0.0
        model.decoder.layers[0].weight[...] = 0.0
    x = Generator(2).bernoulli(0.4, size=(5, 6), dtype=tg.float64)
    exact = values(log_likelihood(x, model.decode(tg.zeros((5, 2), dtype=tg.float64))))
    np.testing.assert_allclose(values(elbo(x, *model(x, drawn(5, 2)))), exact, rtol=1e-12)
    np.testing.assert_allclose(values(importance_bound(model, x, drawn(4, 5, 2))), exact, rtol=1e-12)


def test_more_codes_make_a_tighter_bound_and_many_the_likelihood():
    model = float64(VAE(5, (8,), 1, Generator(3)))
    x = Generator(2).bernoulli(0.5, size=(1, 5), dtype=tg.float64)
    with tg.no_grad():
        z = tg.linspace(-8, 8, 4001, dtype=tg.float64)  # log of the integral of p(x|z) p(z), by the trapezoidal rule
        rows = log_likelihood(x + tg.zeros((4001, 5)), model.decode(z.reshape((-1, 1)))) - 0.5 * z * z
        exact = float(tg.log(tg.trapezoid(tg.exp(rows), z))) - 0.5 * np.log(2 * np.pi)
        many = x + tg.zeros((3000, 5))
        one, ten, most = (float(importance_bound(model, many, drawn(k, 3000, 1)).mean()) for k in (1, 10, 400))
        single = float(elbo(many, *model(many, drawn(3000, 1))).mean())
    assert one < ten < most < exact + 1e-3
    assert most == pytest.approx(exact, abs=3e-3)
    assert one == pytest.approx(single, abs=0.05)  # in the mean of many draws both are the same bound


# ── the network ─────────────────────────────────────────────────────────────────────────────────────────────


def test_heads_are_linear_so_means_have_both_signs_and_codes_start_near_the_prior():
    model = VAE(784, (400,), 20, Generator(0))
    mu, log_variance = model.encode(Generator(1).bernoulli(0.2, size=(50, 784)))
    for head in (values(mu), values(log_variance)):
        assert head.min() < -0.05 < 0.05 < head.max()
        assert np.abs(head).max() < 3


def test_what_does_not_fit_is_refused():
    model = VAE(12, (9,), 3, Generator(0))
    with pytest.raises(ValueError, match=r"VAE: the images have the shape \(2, 11\); expected \(n, 12\)"):
        model(tg.zeros((2, 11)), tg.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"VAE: the images have the shape \(2, 3, 4\)"):
        model(tg.zeros((2, 3, 4)), tg.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"VAE: the codes have the shape \(2, 4\); expected \(n, 3\)"):
        model.decode(tg.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"VAE: the noise has the shape \(1, 3\); expected \(2, 3\), that of mu"):
        model(tg.zeros((2, 12)), tg.zeros((1, 3)))
