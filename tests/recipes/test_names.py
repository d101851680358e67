"""The recipes `names-mlp` and `names-gru`: what is averaged, what stands beside it, and how names are drawn."""

import math
from dataclasses import replace

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import Alphabet, Words
from tensorgrad.random import Generator
from tensorgrad.recipes.bigram import few_names
from tensorgrad.recipes.names import IGNORED, RECIPES, counted_nll, cut, frequency, in_rows, logits_after, sample
from tensorgrad.train.recipe import Run, train_recipe
from tests.recipes.extras import assert_resumes, need_extras

BY_NAME = {each.name: each for each in RECIPES}


def run_of(name, folder, **changes):
    need_extras()
    recipe = BY_NAME[name]
    settings = replace(recipe.presets["smoke"], **changes)
    return Run(recipe, settings, "smoke", 0, folder, quiet=True)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_character_and_every_end_counts_once_in_the_same_way(name, tmp_path):
    run = run_of(name, tmp_path)
    data, model = run.recipe.data(run), run.recipe.model(run)
    model.eval()
    total, count = 0.0, 0
    for word in data.words["test"].words:  # by the definition: one character after another
        beginning = [0]
        for number in [*data.alphabet.encode(word).tolist(), 0]:
            p = tg.softmax(logits_after(model, np.asarray([beginning])), axis=1)
            total -= math.log(float(p[0, number].detach()))
            count += 1
            beginning.append(number)
    assert count == sum(len(word) + 1 for word in data.words["test"].words)
    assert run.recipe.measure(run, model, data)["test_nll"] == pytest.approx(total / count, rel=1e-5)


def test_both_recipes_have_the_same_names_held_out(tmp_path):
    first, second = (run_of(name, tmp_path) for name in BY_NAME)
    ours, theirs = (run.recipe.data(run).words for run in (first, second))
    assert {part: each.words for part, each in ours.items()} == {part: each.words for part, each in theirs.items()}
    assert [len(ours[part]) for part in ("train", "validation", "test")] == [32, 4, 4]
    assert sorted(name for part in ("train", "validation", "test") for name in ours[part].words) == sorted(few_names())
    assert not set(ours["new"].words) & set(ours["train"].words)
    closed = run_of("names-mlp", tmp_path, held_out=True)
    words = closed.recipe.data(closed).words
    assert words["test"].words == words["validation"].words == ours["validation"].words


def test_counts_say_how_often_one_was_added():
    alphabet = Alphabet(".ab")
    train, test = Words(["ab", "b"], alphabet), Words(["b"], alphabet)
    # characters and ends: a, b, end, b, end of 5, and one for each of 3; pairs: .b once of 2, b. twice of 2
    assert counted_nll(train, test, 0) == pytest.approx(-math.log(3 / 8))
    assert counted_nll(train, test, 1) == pytest.approx(-(math.log(2 / 5) + math.log(3 / 5)) / 2)
    # after two boundaries b once of 2, after a boundary and b the end once of 1
    assert counted_nll(train, test, 2) == pytest.approx(-(math.log(2 / 5) + math.log(2 / 4)) / 2)


def test_frequencies_are_of_characters_and_ends():
    assert frequency(Words(["ab", "b"], Alphabet(".ab"))).tolist() == [0.4, 0.2, 0.4]


def test_what_is_cut_off_is_what_no_name_of_the_batch_has():
    x, y = Words(["a", "abb", "ab"], Alphabet(".ab")).sequences(ignored=IGNORED).tensors
    shorter, _ = cut((x[0:1], y[0:1]), Generator(0))
    assert shorter.shape == (1, 2)
    same, targets = cut((x, y), Generator(0))
    assert same.tolist() == x.tolist()
    assert targets.tolist() == y.tolist()


class Counting:
    """After the start an a, after a a b, after b the end."""

    def eval(self):
        return self

    def __call__(self, x):
        follows = tg.asarray([1, 2, 0])[x]
        return 50.0 * (tg.expand_dims(follows, axis=-1) == tg.arange(3)).astype("float32")


def test_names_are_drawn_to_their_end():
    assert sample(Counting(), Alphabet(".ab"), 3, Generator(0)) == ["ab", "ab", "ab"]
    assert sample(Counting(), Alphabet(".ab"), 1, Generator(0), longest=1) == ["a"]


def test_rows_are_characters(tmp_path):
    run = run_of("names-gru", tmp_path)
    data, model = run.recipe.data(run), run.recipe.model(run)
    x, y = data.train.tensors
    logits, targets = in_rows(model, (x, y))
    assert logits.shape == (y.size, 27)
    assert targets.tolist() == y.flatten().tolist()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_short_run_learns_something_and_leaves_samples(name, tmp_path):
    need_extras()
    card = train_recipe(BY_NAME[name], preset="smoke", out=tmp_path, quiet=True)
    metrics = card["metrics"]
    assert metrics["train_nll"] < metrics["baselines"]["frequency of characters"]["test_nll"] + 0.3
    assert metrics["baselines"]["all characters alike"]["test_nll"] == pytest.approx(math.log(27))
    assert card["data"]["note"].startswith("a stand-in")
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in (folder / "figures").iterdir()} == {"nll.png", "letters.png"}
    summary, _, _, *names = (folder / "samples.txt").read_text(encoding="utf-8").splitlines()
    assert len(names) == 1000
    known = set(run_of(name, tmp_path).recipe.data(run_of(name, tmp_path)).words["train"].words)
    assert all(line.endswith("*") == (line.removesuffix(" *") in known) for line in names)
    assert summary == card["samples_summary"]
    assert f"{sum(line.endswith('*') for line in names) / 1000:.1%} stand among the training names" in summary


@pytest.mark.parametrize("name", BY_NAME)
def test_a_run_that_was_paused_comes_to_the_same_end(name, tmp_path):
    assert_resumes(BY_NAME[name], tmp_path)
