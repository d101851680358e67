"""What is printed of a card."""

from tensorgrad.train.tables import card_line, card_table, evaluation_table, summary_line

CARD = {
    "recipe": "small",
    "seed": 3,
    "headline": "test_accuracy",
    "data": {"name": "dots", "train_rows": 1200, "test_rows": 50},
    "architecture": {"name": "Net"},
    "parameters": 1234,
    "optimizer": {"name": "Adam", "lr": 0.1},
    "settings": {"batch_size": 8},
    "epochs": 2,
    "seconds": 1.25,
    "metrics": {
        "test_accuracy": 0.975,
        "test_loss": 0.08,
        "baselines": {"a very long name of a baseline": {"test_accuracy": 0.5}},
    },
}


def test_a_table_has_the_figures_beside_those_of_the_baselines():
    assert card_table(CARD).splitlines() == [
        "dots: 1,200 rows to train on, 50 held out",
        "Net, 1,234 parameters; Adam, 2 epochs of batches of 8",
        "                                test accuracy   test loss",
        "small, seed 3                          97.50%        0.08",
        "a very long name of a baseline         50.00%",
    ]


def test_a_run_with_several_optimizers_names_them_all():
    card = {**CARD, "optimizer": {"one": {"name": "SGD"}, "two": {"name": "Adam"}}, "settings": {}}
    assert "Adam, SGD, 2 epochs" in card_table(card)
    assert "no optimizer, 2 epochs" in card_table({**CARD, "optimizer": None})


def test_lines_name_the_seed_and_the_spread():
    assert card_line(CARD) == "seed 3: test accuracy 97.50%, test loss 0.08, trained in 1.2 s"
    spread = {"min": 0.9, "max": 0.98, "mean": 0.95, "deviation": 0.02}
    metrics = {"test_accuracy": 0.96, **{f"test_accuracy_{kind}": value for kind, value in spread.items()}}
    assert summary_line({**CARD, "seed": [3, 4], "metrics": metrics}).startswith(
        "median of 2 seeds: test accuracy 96.00%, from 90.00% to 98.00%, mean 95.00% ± 2.00%; training took"
    )


def test_an_evaluation_says_whether_it_is_what_the_card_says():
    table, same = evaluation_table({"metrics": {"test_accuracy": 0.975}, "card": CARD})
    assert same
    assert "97.50%      97.50%" in table
    table, same = evaluation_table({"metrics": {"test_accuracy": 0.96}, "card": CARD})
    assert not same
    assert "not what the card says" in table
    assert not evaluation_table({"metrics": {"new": 0.96}, "card": CARD})[1]
