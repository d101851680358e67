"""The leaderboard."""

import pytest

from tensorgrad.train.leaderboard import leaderboard
from tensorgrad.train.run_folder import write_json


def card(seed, value, **more):
    return {
        "recipe": "small",
        "preset": "quick",
        "settings": {"epochs": 2},
        "seed": seed,
        "headline": "test_accuracy",
        "data": {"name": "dots"},
        "parameters": 1234,
        "seconds": 10.0,
        "metrics": {"test_accuracy": value, "baselines": {"a": {"test_accuracy": 0.5}, "b": {"test_accuracy": 0.7}}},
        **more,
    }


def test_seeds_of_one_experiment_share_a_line_with_mean_and_deviation(tmp_path):
    write_json(tmp_path / "one" / "seed-0" / "card.json", card(0, 0.9))
    write_json(tmp_path / "one" / "seed-1" / "card.json", card(1, 0.94))
    write_json(tmp_path / "one" / "card.json", card([0, 1], 0.92))
    write_json(tmp_path / "two" / "card.json", card(2, 0.92, seconds=40.0))
    write_json(tmp_path / "three" / "card.json", card(0, 0.8, settings={"epochs": 9}))
    head, rule, *lines = leaderboard([tmp_path, tmp_path / "one"]).splitlines()
    assert head.startswith("| recipe | preset |")
    assert rule.startswith("| --- |")
    assert lines == [
        "| small | quick | dots | test accuracy | 0, 1, 2 | 92.00% | 2.00% | b 70.00% | 1,234 | 20.0 |",
        "| small | quick | dots | test accuracy | 0 | 80.00% |  | b 70.00% | 1,234 | 10.0 |",
    ]


def test_of_losses_the_lowest_baseline_is_the_best(tmp_path):
    metrics = {"test_loss": 0.2, "baselines": {"a": {"test_loss": 0.5}, "b": {"test_loss": 0.7}}}
    write_json(tmp_path / "card.json", card(0, 0, headline="test_loss", metrics=metrics))
    assert "| a 0.5 |" in leaderboard([tmp_path])


def test_baselines_of_seeds_with_data_of_their_own_are_averaged(tmp_path):
    for seed, (a, b) in enumerate(((0.5, 0.6), (0.9, 0.6))):
        baselines = {"a": {"test_accuracy": a}, "b": {"test_accuracy": b}}
        metrics = {"test_accuracy": 0.9, "baselines": baselines}
        write_json(tmp_path / str(seed) / "card.json", card(seed, 0.9, metrics=metrics))
    assert "| a 70.00% |" in leaderboard([tmp_path])


def test_folders_without_a_finished_run_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run, no card.json"):
        leaderboard([tmp_path])
