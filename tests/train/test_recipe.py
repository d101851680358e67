"""The way through a recipe: its files, its card, and the same end however often it is interrupted."""

import json
import sys
from dataclasses import dataclass, replace
from statistics import median

import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, moons
from tensorgrad.io import load
from tensorgrad.train import Accuracy, Callback, Trainer, every
from tensorgrad.train.evaluation import evaluation, measured
from tensorgrad.train.recipe import (
    Paused,
    Recipe,
    UnfitError,
    about_run,
    blas_threads,
    draw_recipe,
    evaluate_run,
    resume_recipe,
    train_recipe,
)

for package in ("matplotlib", "safetensors", "tensorboardX", "tqdm"):
    pytest.importorskip(package, reason=f"needs the package {package}, of the extra `train`")


@dataclass(frozen=True)
class Settings:
    epochs: int = 3
    hidden: int = 8


class Crash(Callback):
    """Fails once, at a step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def after_step(self, trainer):
        if trainer.step == self.step:
            raise RuntimeError("power cut")


def train(run, model, data):
    loader = DataLoader(data.train, 10, shuffle=True, generator=run.rng)
    trainer = run.trainer(
        model,
        optim.Adam(model.parameters(), lr=0.01),
        tg.cross_entropy,
        metrics={"accuracy": Accuracy()},
        callbacks=tuple(CRASHES),
        save_when=every(steps=1),
    )
    trainer.fit(loader, evaluation(data, ("test",)), epochs=run.settings.epochs)
    run.note(draw=float(run.rng.random()), data={"note": "for a test"})


CRASHES = []


@pytest.fixture(autouse=True)
def _no_crashes():
    yield
    CRASHES.clear()


RECIPE = Recipe(
    name="two-moons",
    summary="for tests",
    presets={"smoke": Settings(), "quick": Settings(epochs=4)},
    takes={"smoke": "1 second"},
    data=lambda run: moons(train=40, test=20, generator=tg.random.Generator(run.seed)),
    model=lambda run: nn.Sequential(
        nn.Linear(2, run.settings.hidden, generator=run.rng),
        nn.Tanh(),
        nn.Linear(run.settings.hidden, 2, generator=run.rng),
    ),
    train=train,
    measure=lambda run, model, data: measured(model, evaluation(data), tg.cross_entropy, {"accuracy": Accuracy()}),
    graph=lambda run, model: tg.cross_entropy(model(tg.ones((2, 2))), tg.asarray([0, 1])),
    baselines=lambda run, data: {"chance": {"test_accuracy": 0.5}},
    rows=("S4-03",),
    threads=1,
)
FILES = {"run.json", "card.json", "metrics.csv", "weights.safetensors", "graph.svg", "checkpoint/baselines.json"}


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def only(folder):
    (found,) = folder.iterdir()
    return found


def run_it(out, **options):
    options = {"preset": "smoke", "quiet": True, **options}
    return train_recipe(RECIPE, out=out, **options)


def test_a_run_leaves_its_files_and_a_card_that_says_everything(tmp_path, capsys):
    card = run_it(tmp_path, seed=3, quiet=False)
    folder = only(tmp_path)
    assert folder.name.startswith("two-moons-2")
    checkpoints = {"checkpoint/step-000000012.safetensors", "checkpoint/step-000000011.safetensors"}
    events = {name for name in files(folder) if name.startswith("tensorboard/events.")}
    assert files(folder) == FILES | checkpoints | events
    assert len(events) == 1
    assert json.loads((folder / "card.json").read_text(encoding="utf-8")) == json.loads(json.dumps(card))
    expected = {"recipe": "two-moons", "rows": ["S4-03"], "preset": "smoke", "seed": 3, "epochs": 3, "steps": 12}
    assert {name: card[name] for name in expected} == expected
    assert card["settings"] == {"epochs": 3, "hidden": 8}
    assert (card["data"]["name"], card["data"]["train_rows"], card["data"]["note"]) == ("moons", 40, "for a test")
    assert card["optimizer"]["name"] == "Adam"
    assert card["optimizer"]["lr"] == 0.01
    assert card["parameters"] == 2 * 8 + 8 + 8 * 2 + 2
    assert card["architecture"]["name"] == "Sequential"
    assert card["metrics"]["baselines"] == {"chance": {"test_accuracy": 0.5}}
    assert {"tensorgrad", "numpy", "python"} <= set(card["versions"])
    assert "commit" in card
    assert card["seconds"] > 0
    assert card["processor_seconds"] > 0
    printed, bar = capsys.readouterr()
    assert "takes about 1 second a seed" in printed
    assert "chance" in printed
    assert str(folder) in printed
    assert "two-moons: 100%" in bar


def same_end(one, other):
    """Whether two runs came to the same end, bit for bit."""
    for name in ("metrics.csv", "weights.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    left, right = (json.loads((folder / "card.json").read_text()) for folder in (one, other))
    for name in ("metrics", "draw", "steps", "settings"):
        assert left[name] == right[name]


def test_a_seed_decides_everything(tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        run_it(tmp_path / name, seed=seed)
    first, again, other = (only(tmp_path / name) for name in ("first", "again", "other"))
    same_end(first, again)
    assert (first / "weights.safetensors").read_bytes() != (other / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("step", [1, 4, 6, 12])
def test_a_run_that_was_cut_off_comes_to_the_same_end(tmp_path, step):
    run_it(tmp_path / "whole")
    CRASHES.append(Crash(step))
    with pytest.raises(RuntimeError, match="power cut"):
        run_it(tmp_path / "cut")
    CRASHES.clear()
    folder = only(tmp_path / "cut")
    assert not (folder / "card.json").exists()
    CRASHES.append(Crash(99))  # a callback of the same name, which the checkpoint knows
    resume_recipe(RECIPE, folder, quiet=True)
    same_end(only(tmp_path / "whole"), folder)


def test_several_seeds_go_on_with_the_one_that_was_cut_off(tmp_path, capsys):
    whole = run_it(tmp_path / "whole", seed=5, seeds=3)
    CRASHES.append(Crash(12))
    with pytest.raises(RuntimeError, match="power cut"):
        run_it(tmp_path / "cut", seed=5, seeds=3)
    CRASHES.clear()
    card = resume_recipe(RECIPE, only(tmp_path / "cut"), quiet=True)
    assert card["metrics"] == whole["metrics"]
    assert card["seed"] == [5, 6, 7]
    accuracies = [
        json.loads((only(tmp_path / "cut") / f"seed-{seed}" / "card.json").read_text())["metrics"]["test_accuracy"]
        for seed in (5, 6, 7)
    ]
    assert card["metrics"]["test_accuracy"] == median(accuracies)
    assert f"median of 3 seeds: test accuracy {median(accuracies):.2%}" in capsys.readouterr().out


def test_minutes_pause_a_run_that_says_how_to_go_on(tmp_path):
    run_it(tmp_path / "whole")
    with pytest.raises(
        Paused, match=r"paused after step 1; to go on: tensorgrad train two-moons --resume \S+two-moons"
    ):
        run_it(tmp_path / "cut", minutes=1e-9)
    folder = only(tmp_path / "cut")
    for _ in range(20):
        try:
            resume_recipe(RECIPE, folder, quiet=True, minutes=1e-9)
        except Paused:
            continue
        break
    same_end(only(tmp_path / "whole"), folder)


@pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="array-api-strict has no float16")
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_run_in_half_precision_resumes_in_it_to_the_same_end(tmp_path):
    run_it(tmp_path / "whole", precision="float16")
    folder = only(tmp_path / "whole")
    assert about_run(folder)["precision"] == "float16"
    assert "skipped_steps" in (folder / "metrics.csv").read_text().splitlines()[0]
    with pytest.raises(Paused):
        run_it(tmp_path / "cut", precision="float16", minutes=1e-9)
    resume_recipe(RECIPE, only(tmp_path / "cut"), quiet=True)
    same_end(folder, only(tmp_path / "cut"))


@pytest.mark.numpy_only(reason="programs are made of calls on ndarrays")
def test_a_compiled_run_resumes_as_one_to_the_same_end(tmp_path, monkeypatch):
    made = []

    def trainer(*args, **options):
        made.append(Trainer(*args, **options))
        return made[-1]

    monkeypatch.setattr("tensorgrad.train.recipe.Trainer", trainer)
    card = run_it(tmp_path / "whole", compile=True)
    assert card["compiled"]
    assert about_run(only(tmp_path / "whole"))["compile"]
    with pytest.raises(Paused):
        run_it(tmp_path / "cut", compile=True, minutes=1e-9)
    resume_recipe(RECIPE, only(tmp_path / "cut"), quiet=True)
    same_end(only(tmp_path / "whole"), only(tmp_path / "cut"))
    assert [each.swept.reason for each in made] == [None] * 3
    assert made[0].swept.replays > 0


def test_a_recipe_without_a_trainer_refuses_what_it_cannot_be_trained_with(tmp_path):
    own = replace(RECIPE, train=lambda run, model, data: None)
    for how in ({"precision": "float16"}, {"compile": True}):
        with pytest.raises(UnfitError, match="two-moons has no trainer"):
            train_recipe(own, preset="smoke", out=tmp_path, quiet=True, **how)


def test_float16_needs_a_recipe_whose_updates_can_be_scaled(tmp_path):
    own = replace(RECIPE, train=lambda run, model, data: run.trainer(model, step=lambda model, batch: {}))
    with pytest.raises(ValueError, match=r"two-moons makes its updates itself, .* train it in bfloat16"):
        train_recipe(own, preset="smoke", out=tmp_path, quiet=True, precision="float16")


def test_a_finished_run_is_measured_again(tmp_path):
    card = run_it(tmp_path)
    found = evaluate_run(only(tmp_path), RECIPE)
    assert found["metrics"] == {name: card["metrics"][name] for name in found["metrics"]}
    (only(tmp_path) / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match="did not come to its end; resume it first"):
        evaluate_run(only(tmp_path), RECIPE)


def test_the_weights_saved_are_those_that_were_measured(tmp_path):
    card = run_it(tmp_path)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    model.load_state_dict(load(only(tmp_path) / "weights.safetensors"))
    data = RECIPE.data(type("R", (), {"seed": 0}))
    found = measured(model, evaluation(data), tg.cross_entropy, {"accuracy": Accuracy()})
    assert found["test_accuracy"] == card["metrics"]["test_accuracy"]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="two-moons has no preset 'huge'; it has smoke, quick"):
        run_it(tmp_path, preset="huge")
    with pytest.raises(FileNotFoundError, match=r"is no run folder: it has no run.json"):
        about_run(tmp_path)
    run_it(tmp_path)
    other = Recipe(**{**RECIPE.__dict__, "name": "suns"})
    with pytest.raises(ValueError, match="is a run of two-moons; resume it by that name"):
        resume_recipe(other, only(tmp_path))


def test_what_is_missing_is_missed_before_anything_is_trained_or_written(tmp_path, monkeypatch):
    CRASHES.append(Crash(1))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError, match="matplotlib"):
        run_it(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_recipe_is_drawn_with_its_parameters_by_name(tmp_path):
    assert draw_recipe(RECIPE, tmp_path / "moons.dot").startswith(str(tmp_path / "moons.dot"))
    drawn = (tmp_path / "moons.dot").read_text(encoding="utf-8")
    for word in ("0.weight", "2.bias", "tanh", "cross_entropy"):
        assert word in drawn


@pytest.mark.parametrize("page", [{"graph_depth": 0}, {"graph_limit": 4}])
def test_what_a_recipe_finds_too_much_for_a_page_is_folded(tmp_path, page):
    closed = replace(RECIPE, **page)
    draw_recipe(RECIPE, tmp_path / "open.dot")
    draw_recipe(closed, tmp_path / "closed.dot")
    train_recipe(closed, preset="smoke", out=tmp_path / "runs", quiet=True)
    assert "folded into dashed boxes" not in (tmp_path / "open.dot").read_text(encoding="utf-8")
    for drawing in (tmp_path / "closed.dot", only(tmp_path / "runs") / "graph.svg"):
        assert "are folded into dashed boxes" in drawing.read_text(encoding="utf-8"), drawing


def test_two_trainers_of_a_run_need_two_names(tmp_path):
    def two(run, model, data):
        for _ in range(2):
            run.trainer(model, optim.SGD(model.parameters(), lr=0.1), tg.cross_entropy)

    with pytest.raises(ValueError, match="there is a trainer called '' in this run; give this one another name="):
        train_recipe(Recipe(**{**RECIPE.__dict__, "train": two}), preset="smoke", out=tmp_path, quiet=True)


def test_threads_are_as_before_where_nothing_limits_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with blas_threads(1):
        pass
