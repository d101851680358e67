"""The recipe `bigram`: which letter follows which."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import Generator
from tensorgrad.recipes.bigram import PRESETS, RECIPE, few_names, nll, nll_of, sample
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import need_extras


@pytest.fixture
def run(tmp_path):
    need_extras()
    return Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)


def test_the_table_counts_every_pair_of_every_name(run):
    data = RECIPE.data(run)
    expected = np.zeros((27, 27))
    code = {symbol: place for place, symbol in enumerate(".abcdefghijklmnopqrstuvwxyz")}
    for name in few_names():
        for first, second in zip(f".{name}", f"{name}.", strict=True):
            expected[code[first], code[second]] += 1
    assert data.table.tolist() == expected.tolist()
    assert expected.sum() == len(data.train)


def test_the_likelihood_of_logits_is_that_of_their_probabilities(run):
    data, model = RECIPE.data(run), RECIPE.model(run)
    weights = np.exp(np.asarray(model.weight.detach().tolist()))
    assert float(nll(model, data.table)) == pytest.approx(nll_of(np.asarray(data.table.tolist()), weights), rel=1e-5)
    x, y = data.train.tensors
    assert float(nll(model, data.table)) == pytest.approx(float(tg.cross_entropy(model(x[:, 0]), y)), rel=1e-5)


def test_what_never_comes_costs_nothing_and_what_is_certain_neither():
    counts = np.array([[0.0, 3.0], [1.0, 1.0]])
    assert nll_of(counts, counts) == pytest.approx(2 * np.log(2) / 5)


def test_names_follow_the_table_to_their_end():
    model = nn.Embedding(27, 27)
    with tg.no_grad():  # after the start an a, after a a b, after b the end
        model.weight[:] = -100.0
        for first, second in ((0, 1), (1, 2), (2, 0)):
            model.weight[first, second] = 100.0
    assert sample(model, few_names().alphabet, 3, Generator(0)) == ["ab", "ab", "ab"]


def test_a_short_run_comes_near_the_frequencies_which_nothing_is_below(tmp_path):
    need_extras()
    card = train_recipe(RECIPE, preset="smoke", out=tmp_path / "runs", quiet=True)
    found, known = card["metrics"]["train_nll"], card["metrics"]["baselines"]
    least = known["frequency of pairs"]["train_nll"]
    assert least < found < least + 0.05
    assert known["frequency of letters"]["train_nll"] > found
    assert len(card["samples"]) == 10
    assert "stand-in" in card["data"]["note"]
