"""The recipes `mnist-cnn-small`, `mnist-cnn-deeper` and `mnist-cnn-tiny`, on enlarged digits."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.recipes.small_cnns import RECIPES
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras

BY_NAME = {recipe.name: recipe for recipe in RECIPES}


@pytest.mark.parametrize(
    ("name", "parameters"), [("mnist-cnn-small", 15_770), ("mnist-cnn-deeper", 9_682), ("mnist-cnn-tiny", 5_258)]
)
def test_the_network_is_the_rows(name, parameters, tmp_path):
    recipe = BY_NAME[name]
    model = recipe.model(Run(recipe, recipe.settings("smoke"), "smoke", 0, tmp_path))
    assert sum(theta.size for theta in model.parameters()) == parameters
    assert model(tg.zeros((2, 1, 28, 28))).shape == (2, 10)


def test_the_deeper_network_agrees_with_pytorch(tmp_path):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    recipe = BY_NAME["mnist-cnn-deeper"]
    model = recipe.model(Run(recipe, recipe.settings("smoke"), "smoke", 0, tmp_path))
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(784, 10),
    )
    theirs.load_state_dict({name: torch.tensor(theta.tolist()) for name, theta in model.state_dict().items()})
    x = np.random.default_rng(0).uniform(size=(3, 1, 28, 28)).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    # float32: sums of 784 products
    np.testing.assert_allclose(model(tg.asarray(x.tolist())).tolist(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_run_learns_and_leaves_its_pictures(name, tmp_path):
    need_extras()
    card = train_recipe(BY_NAME[name], preset="smoke", out=tmp_path, quiet=True)
    assert card["metrics"]["test_accuracy"] > 3 * card["metrics"]["baselines"]["majority class"]["test_accuracy"]
    assert "stand-in" in card["data"]["note"]
    assert not any(title.startswith("row") for title in card["metrics"]["baselines"])  # figures of other data
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "confusion.png", "mistakes.png"}


def test_settings_are_chosen_on_training_images(tmp_path):
    recipe = BY_NAME["mnist-cnn-small"]
    whole, split = (
        recipe.data(Run(recipe, recipe.settings("smoke", changes), "smoke", 0, tmp_path))
        for changes in ((), ("held_out=100",))
    )
    images = np.concatenate([part.tensors[0].tolist() for part in (split.train, split.test)])
    assert (len(split.train), len(split.test)) == (300, 100)
    assert np.array_equal(images, np.asarray(whole.train.tensors[0].tolist()))
