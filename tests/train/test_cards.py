"""Cards of several seeds; that of one seed is looked at in test_recipe.py."""

from statistics import stdev

import pytest

from tensorgrad.train.cards import summary_card


def card(seed, accuracy, loss, seconds):
    metrics = {"test_accuracy": accuracy, "test_loss": loss, "baselines": {"a": {"test_accuracy": 0.5}}}
    return {"recipe": "small", "seed": seed, "headline": "test_accuracy", "metrics": metrics, "seconds": seconds}


def test_a_summary_has_medians_and_the_headlines_spread():
    found = summary_card([card(0, 0.9, 3.0, 1.0), card(1, 0.8, 1.0, 5.0), card(2, 0.95, 2.0, 2.0)])
    metrics = found["metrics"]
    assert found["seed"] == [0, 1, 2]
    assert (metrics["test_accuracy"], metrics["test_loss"], found["seconds"]) == (0.9, 2.0, 2.0)
    assert metrics["test_accuracy_mean"] == pytest.approx(2.65 / 3)
    assert metrics["test_accuracy_deviation"] == pytest.approx(stdev([0.9, 0.8, 0.95]))
    assert (metrics["test_accuracy_min"], metrics["test_accuracy_max"]) == (0.8, 0.95)
    assert metrics["test_accuracy_by_seed"] == [0.9, 0.8, 0.95]
    assert metrics["baselines"] == {"a": {"test_accuracy": 0.5}}


def test_baselines_of_a_summary_are_means_over_the_seeds_that_have_them():
    cards = [card(0, 0.9, 3.0, 1.0), card(1, 0.8, 1.0, 5.0)]
    cards[0]["metrics"]["baselines"] = {"a": {"test_accuracy": 0.5}, "b": {"test_loss": 2.0}}
    cards[1]["metrics"]["baselines"] = {"a": {"test_accuracy": 0.75, "test_loss": 1.0}}
    expected = {"a": {"test_accuracy": 0.625, "test_loss": 1.0}, "b": {"test_loss": 2.0}}
    assert summary_card(cards)["metrics"]["baselines"] == expected
