"""GradScaler: PyTorch's rule, step for step, and what it protects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.optim import SGD, Adam, GradScaler

no_halves = pytest.mark.skipif(default_device() == "strict", reason="array-api-strict has no float16")


def with_gradient(value: Any, lr: float = 0.1) -> tuple[Any, Any]:
    theta = tg.zeros(np.shape(value), requires_grad=True)
    theta.grad = tg.asarray(value, dtype=tg.float32)
    return theta, SGD([theta], lr=lr)


SERIES = [0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(("bad", "interval", "growth", "backoff"), [(np.inf, 3, 2.0, 0.5), (np.nan, 4, 1.5, 0.25)])
def test_it_grows_and_backs_off_as_pytorchs_does(bad: float, interval: int, growth: float, backoff: float) -> None:
    torch = pytest.importorskip("torch")
    ours = GradScaler(1024.0, growth, backoff, interval)
    theirs = torch.amp.GradScaler("cpu", 1024.0, growth, backoff, interval)
    theta, sgd = with_gradient([0.0, 0.0])
    weight = torch.zeros(2, requires_grad=True)
    reference = torch.optim.SGD([weight], lr=0.1)
    for overflowed in SERIES:
        theirs.scale(torch.ones(()))
        g = np.asarray([2.0, bad if overflowed else 3.0], np.float32) * np.float32(ours.get_scale())
        theta.grad, weight.grad = tg.asarray(g.tolist(), dtype=tg.float32), torch.tensor(g)
        ours.step(sgd)
        ours.update()
        theirs.step(reference)
        theirs.update()
        assert ours.get_scale() == pytest.approx(theirs.get_scale(), rel=1e-6)
        assert ours._growth_tracker == theirs._get_growth_tracker()
        np.testing.assert_allclose(theta.numpy(), weight.detach().numpy(), rtol=1e-6)
    assert ours.skipped_steps == sum(SERIES)
    assert {**theirs.state_dict(), "skipped_steps": sum(SERIES)} == pytest.approx(ours.state_dict(), rel=1e-6)
    other = GradScaler()
    other.load_state_dict(theirs.state_dict())
    assert other.get_scale() == theirs.get_scale()


def test_gradients_are_divided_once_and_before_they_are_clipped() -> None:
    theta, sgd = with_gradient([8.0, -16.0])
    scaler = GradScaler(4.0)
    scaler.unscale_(sgd)
    assert theta.grad.tolist() == [2.0, -4.0]
    scaler.step(sgd)
    np.testing.assert_allclose(theta.numpy(), [-0.2, 0.4], rtol=1e-6)
    with pytest.raises(RuntimeError, match=r"unscale_\(\) is being called after step"):
        scaler.unscale_(sgd)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called since the last update"):
        scaler.step(sgd)
    scaler.update()
    scaler.unscale_(sgd)
    with pytest.raises(RuntimeError, match="already been called on this optimizer since the last update"):
        scaler.unscale_(sgd)


def test_one_overflow_among_two_optimizers_skips_its_own_step_and_lowers_the_factor() -> None:
    good, one = with_gradient([8.0])
    bad, other = with_gradient([np.inf])
    scaler = GradScaler(8.0)
    scaler.step(one)
    assert scaler.step(other) is None
    scaler.update()
    assert (good.tolist(), bad.tolist()) == ([np.float32(-0.1)], [0.0])
    assert (scaler.get_scale(), scaler.skipped_steps) == (4.0, 1)


def test_a_sum_that_overflows_is_no_gradient_that_does() -> None:
    _, sgd = with_gradient([3e38, 3e38])
    scaler = GradScaler(2.0)
    scaler.step(sgd)
    assert scaler.skipped_steps == 0


def test_the_factor_never_outgrows_float32() -> None:
    _, sgd = with_gradient([1.0])
    scaler = GradScaler(2.0**127, growth_interval=1)
    scaler.step(sgd)
    scaler.update()
    assert scaler.get_scale() == 2.0**127


@no_halves
def test_what_would_vanish_in_float16_arrives() -> None:
    w = tg.asarray([[1e-4]], dtype=tg.float32, requires_grad=True)
    x = tg.asarray([[1e-4]], dtype=tg.float32)

    def slope(scaler: GradScaler) -> float:
        w.grad = None
        with tg.autocast("float16"):
            loss = (x @ w).sum() * 1e-4
        scaler.scale(loss).backward()
        scaler.unscale_(SGD([w], lr=0.1))
        return float(w.grad.item())

    assert slope(GradScaler(enabled=False)) == 0.0
    assert slope(GradScaler()) == pytest.approx(1e-8, rel=2e-3)


@no_halves
def test_a_float16_loss_becomes_float32_before_it_is_scaled() -> None:
    scaled = GradScaler().scale(tg.asarray(4.0, dtype=tg.float16))
    assert (scaled.dtype, scaled.item()) == (tg.float32, 262144.0)
    assert [each.item() for each in GradScaler(2.0).scale([tg.asarray(1.0), tg.asarray(2.0)])] == [2.0, 4.0]


@no_halves
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_an_overflow_in_float16_skips_the_step() -> None:
    w = tg.asarray([[2.0]], requires_grad=True)
    sgd, scaler = SGD([w], lr=0.1), GradScaler()
    with tg.autocast("float16"):
        loss = (w @ w).sum()
    scaler.scale(loss).backward()
    scaler.step(sgd)
    scaler.update()
    assert (w.item(), scaler.get_scale(), scaler.skipped_steps) == (2.0, 32768.0, 1)


def test_a_disabled_scaler_does_nothing() -> None:
    theta, sgd = with_gradient([8.0])
    scaler = GradScaler(enabled=False)
    loss = tg.asarray(1.0)
    assert scaler.scale(loss) is loss
    scaler.unscale_(sgd)
    scaler.step(sgd)
    scaler.update()
    assert theta.tolist() == [np.float32(-0.8)]
    assert (scaler.get_scale(), scaler.state_dict(), scaler.is_enabled()) == (1.0, {}, False)
    scaler.load_state_dict({})


def test_a_state_goes_on_where_it_was() -> None:
    def run(scaler: GradScaler, theta: Any, adam: Any, series: list[int]) -> None:
        for overflowed in series:
            theta.grad = tg.asarray([np.inf if overflowed else scaler.get_scale()], dtype=tg.float32)
            scaler.step(adam)
            scaler.update()

    whole, left = GradScaler(64.0, growth_interval=3), GradScaler(64.0, growth_interval=3)
    theta, other = (tg.asarray([1.0], requires_grad=True) for _ in range(2))
    adam, half_way = Adam([theta]), Adam([other])
    run(whole, theta, adam, SERIES)
    run(left, other, half_way, SERIES[:14])
    taken_up, resumed = GradScaler(2.0), Adam([other])
    taken_up.load_state_dict(left.state_dict())
    resumed.load_state_dict(half_way.state_dict())
    run(taken_up, other, resumed, SERIES[14:])
    assert taken_up.state_dict() == whole.state_dict()
    assert other.item() == theta.item()


def test_what_it_is_set_to_can_be_changed() -> None:
    scaler = GradScaler()
    scaler.set_growth_factor(3.0)
    scaler.set_backoff_factor(0.25)
    scaler.set_growth_interval(7)
    assert (scaler.get_growth_factor(), scaler.get_backoff_factor(), scaler.get_growth_interval()) == (3.0, 0.25, 7)
    scaler.update(new_scale=16.0)
    assert scaler.get_scale() == 16.0
    assert repr(scaler) == "GradScaler(scale=16.0, enabled=True)"


def test_mistakes_are_named() -> None:
    for wrong in ({"growth_factor": 1.0}, {"backoff_factor": 1.0}, {"init_scale": 0.0}, {"growth_interval": 0}):
        with pytest.raises(ValueError, match=f"GradScaler: .*{next(iter(wrong))}"):
            GradScaler(**wrong)  # type: ignore[arg-type]
    theta, sgd = with_gradient([1.0])
    scaler = GradScaler()
    with pytest.raises(RuntimeError, match="no gradients were looked at"):
        scaler.update()
    with pytest.raises(TypeError, match="takes a tensor"):
        scaler.scale(3.0)
    with pytest.raises(RuntimeError, match="takes no closure"):
        scaler.step(sgd, closure=lambda: theta)
    with pytest.raises(ValueError, match="there is no 'scale' in it"):
        scaler.load_state_dict({})


@no_halves
def test_gradients_of_float16_are_refused() -> None:
    theta = tg.zeros(2, dtype=tg.float16, requires_grad=True)
    theta.grad = tg.zeros(2, dtype=tg.float16)
    with pytest.raises(ValueError, match="keep parameters in float32"):
        GradScaler().unscale_(SGD([theta], lr=0.1))
