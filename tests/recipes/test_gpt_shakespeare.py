"""The recipe `gpt-shakespeare`, on two sonnets: figures on the plays stand in docs/results.md."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.recipes.gpt_shakespeare import PRESETS, RECIPE, SONNETS, counted, nll, surprise
from tensorgrad.train.recipe import Run
from tests.recipes.extras import assert_resumes


@pytest.fixture
def run(tmp_path):
    return Run(RECIPE, PRESETS["smoke"], "smoke", 0, tmp_path, quiet=True)


def test_counts_of_pairs_are_mixed_with_those_of_single_characters():
    train, test, size = [0, 1, 0, 2, 0, 1, 1], [2, 0, 1, 0, 2], 3
    single = [(train.count(each) + 3 * (1 / size)) / (len(train) + 3) for each in range(size)]
    pairs = list(pairwise(train))

    def p(before, after):
        following = [b for a, b in pairs if a == before]
        kinds = len(set(following))
        return (following.count(after) + kinds * single[after]) / (len(following) + kinds)

    expected = [
        -np.mean([np.log(single[each]) for each in test[1:]]),
        -np.mean([np.log(p(a, b)) for a, b in pairwise(test)]),
    ]
    assert counted(np.array(train), np.array(test), size, 2) == pytest.approx(expected)


def test_what_was_never_counted_is_as_likely_as_a_shorter_history_says():
    train, test = np.array([0, 1, 0, 1, 2]), np.array([2, 2, 0])  # nothing follows a 2 before the test text
    single, pairs = counted(train, test, 3, 2)
    assert pairs == pytest.approx(single)


def test_every_character_but_the_first_is_guessed_once(run):
    model, data = RECIPE.model(run), RECIPE.data(run)
    series = data.test.series[:75]  # four windows of 16, and 10 characters beside
    for stride in (16, 4, 1):
        found = surprise(model, series, stride)
        assert found.shape == (74,)
        for place in (0, 15, 16, 20, 40, 63, 64, 73):  # place + 1 is the character guessed
            end = 16 + -(-max(0, place - 15) // stride) * stride  # of the first window that has it
            end = end if end <= 74 else 74
            x = series[end - 16 : end]
            with tg.no_grad():
                expected = tg.cross_entropy(model(x.reshape((1, -1)))[0], series[end - 15 : end + 1], reduction="none")
            assert found[place] == pytest.approx(float(expected[place - (end - 16)]), rel=1e-4), (stride, place)


def test_fresh_weights_say_that_all_characters_are_alike(run):
    data = RECIPE.data(run)
    loss = float(nll(RECIPE.model(run), data.train.batch(range(0, 200, 5)))["loss"].detach())
    assert loss == pytest.approx(np.log(len(set(SONNETS))), abs=0.05)


def test_settings_can_be_chosen_without_the_test_text(tmp_path, monkeypatch):
    from tensorgrad.data.texts import windows_of
    from tensorgrad.recipes import gpt_shakespeare

    def sonnets(length):
        return windows_of(SONNETS, length, 0.1, RECIPE.data(Run(RECIPE, PRESETS["smoke"], "", 0, tmp_path)).provenance)

    monkeypatch.setattr(gpt_shakespeare, "tiny_shakespeare", sonnets)
    settings = replace(PRESETS["smoke"], stand_in=False)
    open_, closed = (
        RECIPE.data(Run(RECIPE, replace(settings, held_out=held_out), "", 0, tmp_path)) for held_out in (False, True)
    )
    assert open_.text == SONNETS
    assert closed.text == SONNETS[: len(open_.train.series)]
    assert len(closed.test.series) == round(0.1 * len(closed.text))


def test_a_run_learns_resumes_bit_for_bit_and_writes(tmp_path):
    assert_resumes(RECIPE, tmp_path)
    (folder,) = (tmp_path / "whole").iterdir()
    card = json.loads((folder / "card.json").read_text())
    found, known = card["metrics"], card["metrics"]["baselines"]
    assert (
        found["test_nll"] < known["counts of single characters"]["test_nll"] < known["all characters alike"]["test_nll"]
    )
    assert "stand-in" in card["data"]["note"]
    assert {path.name for path in (folder / "figures").iterdir()} == {"loss.png", "contexts.png", "surprise.png"}
    assert (folder / "sample.txt").read_text().startswith("== as likely as the model says ==\n")
    (cut,) = (tmp_path / "cut").iterdir()
    assert (cut / "sample.txt").read_text() == (folder / "sample.txt").read_text()
    assert set((folder / "sample.txt").read_text()) - set(SONNETS) <= set("=%0123456789")
