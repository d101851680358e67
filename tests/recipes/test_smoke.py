"""Every recipe's preset `smoke`, one after another in the process of the tests. No time is asserted."""

import math
from dataclasses import replace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.recipes import RECIPES
from tensorgrad.train import Trainer
from tensorgrad.train.callback import Callback
from tensorgrad.train.recipe import Paused, Run, train_recipe
from tests.recipes.extras import need_extras


def after_one_step(recipe, folder):
    """The weights after the first step of training, or of all where a recipe takes none."""
    run = Run(recipe, recipe.settings("smoke"), "smoke", 0, folder, quiet=True, minutes=1e-9)
    data = recipe.data(run)
    model = recipe.model(run)
    try:
        recipe.train(run, model, data)
    except Paused:
        assert [trainer.step for trainer in run.trainers.values()] == [1]
    return {name: theta.numpy() for name, theta in model.state_dict().items()}


def differing(recipe, folder):
    """The names of weights that two beginnings of a training do not share, bit for bit."""
    one, other = (after_one_step(recipe, folder / name) for name in ("one", "other"))
    assert one.keys() == other.keys()
    return [name for name in one if one[name].tobytes() != other[name].tobytes()]


@pytest.mark.numpy_only(reason="each recipe's own tests run its smoke preset on the strict library")
@pytest.mark.parametrize("name", RECIPES)
def test_a_smoke_run_is_offline_complete_and_begins_in_the_same_way_twice(name, tmp_path, monkeypatch):
    need_extras()
    monkeypatch.delenv("TENSORGRAD_DATA", raising=False)
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a smoke test went to the network"))
    recipe = RECIPES[name]
    card = train_recipe(recipe, preset="smoke", out=tmp_path / "runs", quiet=True)
    figures = {each: value for each, value in card["metrics"].items() if each != "baselines"}
    assert recipe.headline in figures
    assert all(math.isfinite(value) for value in figures.values()), figures
    (folder,) = (tmp_path / "runs").iterdir()
    for each in ("card.json", "run.json", "weights.safetensors", "graph.svg"):
        assert (folder / each).stat().st_size > 0, each
    drawn = [path for path in (folder / "figures").iterdir() if path.suffix in (".png", ".gif", ".svg")]
    assert drawn
    assert all(path.stat().st_size > 1000 for path in drawn)
    assert differing(recipe, tmp_path) == []


def test_a_training_that_begins_differently_each_time_is_found(tmp_path):
    need_extras()
    draws = np.random.default_rng()

    def build(run):
        model = RECIPES["mlp"].model(run)
        with tg.no_grad():
            model.layers[0].bias[0] = float(draws.random())
        return model

    assert "layers.0.bias" in differing(replace(RECIPES["mlp"], model=build), tmp_path)


class First(Callback):
    """Looks at the first steps of a training, and ends it."""

    def __init__(self, steps):
        super().__init__("first steps")
        self.steps, self.losses, self.least = steps, [], {}

    def before_update(self, trainer):
        for name, theta in trainer.model.named_parameters():
            g = np.zeros(theta.shape) if theta.grad is None else abs(theta.grad.numpy())
            self.least[name] = np.minimum(self.least.get(name, np.inf), g)

    def after_step(self, trainer):
        self.losses.append(dict(trainer.last_figures))
        if trainer.step == self.steps:
            raise Paused


def first_steps(recipe, folder, data, compiled, monkeypatch):
    """The weights and the callback after three steps of the recipe's trainer, and that trainer."""
    made = []

    class Other(Trainer):
        def __init__(self, *args, callbacks=(), **options):
            made.append((self, First(3)))
            super().__init__(*args, callbacks=[*callbacks, made[-1][1]], **options | {"compile": compiled})

    run = Run(recipe, recipe.settings("smoke"), "smoke", 0, folder, quiet=True)
    model = recipe.model(run)
    with monkeypatch.context() as patch:
        patch.setattr("tensorgrad.train.recipe.Trainer", Other)
        tg.random.manual_seed(0)
        with pytest.raises(Paused):
            recipe.train(run, model, data)
    (trainer, seen), *_ = made
    return {name: theta.numpy() for name, theta in trainer.model.named_parameters()}, seen, trainer


NOT_TRAINED = {"residual-vs-plain"}  # its gradients are compared in its own tests


@pytest.mark.numpy_only(reason="programs are made of calls on ndarrays")
@pytest.mark.parametrize("name", sorted(RECIPES.keys() - NOT_TRAINED))
def test_a_compiled_training_begins_as_the_eager_one(name, tmp_path, monkeypatch):
    need_extras()
    monkeypatch.delenv("TENSORGRAD_DATA", raising=False)
    monkeypatch.setenv("TENSORGRAD_CACHE", str(tmp_path / "cache"))
    recipe = RECIPES[name]
    data = recipe.data(Run(recipe, recipe.settings("smoke"), "smoke", 0, tmp_path, quiet=True))
    eager, seen, _ = first_steps(recipe, tmp_path / "eager", data, False, monkeypatch)
    ours, found, trainer = first_steps(recipe, tmp_path / "compiled", data, True, monkeypatch)
    assert len(seen.losses) == 3
    for figures, expected in zip(found.losses, seen.losses, strict=True):
        assert figures == pytest.approx(expected, rel=1e-4)
    programs = [trainer.swept] if trainer.optimizer is None else [trainer.swept, trainer.updates.step]
    assert [program.reason for program in programs] == [None] * len(programs)
    assert programs[-1].replays > 0
    largest = max([g.max() for g in seen.least.values()], default=0.0)
    for each, theta in eager.items():
        # Of what is smaller, and but rounding, Adam makes whole steps.
        learnt = seen.least.get(each, np.inf) > 1e-5 * largest
        close = {"rtol": 2e-3, "atol": 2e-3 * abs(theta).max(), "err_msg": each}
        np.testing.assert_allclose(ours[each][learnt], theta[learnt], **close)
