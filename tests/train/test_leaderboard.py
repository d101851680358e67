"""The leaderboard."""

import errno
import os

import pytest

from tensorgrad.train.leaderboard import BEGIN, END, leaderboard, write_leaderboard
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
        "processor_seconds": 2.0,
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
        "| small | quick, epochs=2 | dots | test accuracy | 0, 1, 2 | 92.00% | 2.00% | b 70.00% | 1,234 | 20.0 | 2.0 |",
        "| small | quick, epochs=9 | dots | test accuracy | 0 | 80.00% |  | b 70.00% | 1,234 | 10.0 | 2.0 |",
    ]


def test_runs_in_half_precision_and_compiled_ones_have_lines_of_their_own(tmp_path):
    plain = {"precision": None, "compiled": False}
    runs = {"plain": plain, "older": {}, "half": plain | {"precision": "half"}, "compiled": plain | {"compiled": True}}
    for name, how in runs.items():
        write_json(tmp_path / name / "card.json", card(0, 0.9, **how))
    lines = leaderboard([tmp_path], say=lambda _: None).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["quick, compiled=True", "quick, precision=half", "quick"]


@pytest.mark.parametrize("name", ["test_loss", "test_mse", "lstm_mse", "test_nll", "test_distance_ratio"])
def test_of_losses_and_errors_the_lowest_baseline_is_the_best(name, tmp_path):
    metrics = {name: 0.2, "baselines": {"a": {name: 0.5}, "b": {name: 0.7}}}
    write_json(tmp_path / "card.json", card(0, 0, headline=name, metrics=metrics))
    assert "| a 0.5" in leaderboard([tmp_path])


def test_baselines_of_seeds_with_data_of_their_own_are_averaged(tmp_path):
    for seed, (a, b) in enumerate(((0.5, 0.6), (0.9, 0.6))):
        baselines = {"a": {"test_accuracy": a}, "b": {"test_accuracy": b}}
        metrics = {"test_accuracy": 0.9, "baselines": baselines}
        write_json(tmp_path / str(seed) / "card.json", card(seed, 0.9, metrics=metrics))
    assert "| a 70.00% |" in leaderboard([tmp_path])


def test_folders_without_a_finished_run_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no finished run, no card.json"):
        leaderboard([tmp_path])


def test_settings_that_all_lines_of_a_preset_share_are_not_named(tmp_path):
    for name, settings in {"a": {"epochs": 2, "sigma": 0.1}, "b": {"epochs": 2}}.items():
        write_json(tmp_path / name / "card.json", card(0, 0.9, settings=settings))
    lines = leaderboard([tmp_path]).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["quick, sigma=0.1", "quick"]


def test_seeds_in_a_row_are_given_by_their_ends(tmp_path):
    for seed in (2, 3, 4, 5, 6, 7):
        write_json(tmp_path / "all" / str(seed) / "card.json", card(seed, 0.9))
    for seed in (2, 3, 4, 5, 6, 8):
        write_json(tmp_path / "not" / str(seed) / "card.json", card(seed, 0.9))
    assert "| 2 to 7 |" in leaderboard([tmp_path / "all"])
    assert "| 2, 3, 4, 5, 6, 8 |" in leaderboard([tmp_path / "not"])


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a"), ("b", "c", "a")])
def test_of_runs_with_one_seed_and_the_same_settings_the_newest_counts(tmp_path, names):
    """Whatever its folder is called, and by what the card says rather than when its file was copied."""
    old, new, seed = (tmp_path / name / "card.json" for name in names)
    write_json(new, card(0, 0.9, finished="2026-03-02T11:00:00.500+00:00"))
    write_json(old, card(0, 0.7, finished="2026-03-02T11:00:00.000+00:00"))
    write_json(seed, card(1, 0.8, finished="2026-03-02T10:00:00.000+00:00"))
    said = []
    assert "| 0, 1 | 85.00% |" in leaderboard([tmp_path], said.append)
    assert said == [f"small, quick, seed 0: {new.parent} is newer than {old.parent} and is taken"]


def test_a_card_that_does_not_say_when_is_as_old_as_its_file(tmp_path):
    for name, value, seconds in (("a", 0.9, 2e9), ("b", 0.7, 1e9)):
        write_json(tmp_path / name / "card.json", card(0, value))
        os.utime(tmp_path / name / "card.json", (seconds, seconds))
    assert "| 90.00% |" in leaderboard([tmp_path], str)


def test_a_likelihood_has_the_digits_that_tell_it_from_its_baseline(tmp_path):
    metrics = {"train_nll": 2.4540689, "baselines": {"pairs": {"train_nll": 2.4540101}}}
    write_json(tmp_path / "card.json", card(0, 0, headline="train_nll", metrics=metrics))
    assert "| 2.45407 |  | pairs 2.45401 |" in leaderboard([tmp_path])


PAGE = f"# Results\r\n\nBefore.\n\n{BEGIN}\n\n| small | smoke | old |\n| small | quick | old |\n\n{END}\n\nAfter: 0…9\n"


def test_the_table_is_written_between_its_markers_and_the_rest_stays(tmp_path):
    page = tmp_path / "results.md"
    page.write_bytes(PAGE.encode())
    lost = write_leaderboard(page, "| small | quick, epochs=2 | new |")
    table = f"{BEGIN}\n\n| small | quick, epochs=2 | new |\n\n{END}"
    assert page.read_bytes().decode() == f"# Results\r\n\nBefore.\n\n{table}\n\nAfter: 0…9\n"
    assert lost == ["| small | smoke | old |"]
    assert write_leaderboard(page, "| small | quick | newer |") == []
    assert page.read_bytes().decode().count("\n") == PAGE.count("\n") - 1  # nothing grows


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_file_without_its_markers_stays_and_is_told_what_it_needs(tmp_path, text):
    page = tmp_path / "results.md"
    page.write_text(text)
    with pytest.raises(ValueError, match=r"results.md needs one line <!-- leaderboard --> and below it one line"):
        write_leaderboard(page, "| new |")
    assert page.read_text() == text


def test_a_table_that_cannot_be_written_leaves_the_page_as_it_was(tmp_path, monkeypatch):
    page = tmp_path / "results.md"
    page.write_bytes(PAGE.encode())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorgrad.io.files._flush", full)
    with pytest.raises(OSError, match=r"No space left"):
        write_leaderboard(page, "| new |")
    assert page.read_bytes().decode() == PAGE
    assert [each.name for each in tmp_path.iterdir()] == ["results.md"]


def test_cards_older_than_a_figure_leave_its_cell_empty(tmp_path):
    old = card(0, 0.9)
    del old["processor_seconds"]
    write_json(tmp_path / "card.json", old)
    assert leaderboard([tmp_path]).endswith("| 10.0 |  |")
