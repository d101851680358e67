"""The trainer: the loop it stands for, the figures it gives, and going on as if nothing had happened."""

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.io import load, save
from tensorgrad.random import Generator
from tensorgrad.tape import is_recording
from tensorgrad.train import Accuracy, Callback, Trainer, every
from tests.train.small import BATCH, ROWS, data, training, weights

STEPS = ROWS // BATCH


def by_hand(epochs):
    """The loop that everyone writes."""
    trainer, loader, _ = training()
    model, optimizer = trainer.model, trainer.optimizer
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            loss = tg.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return weights(trainer)


def test_fit_is_the_loop_that_everyone_writes():
    trainer, loader, _ = training()
    trainer.fit(loader, epochs=3)
    assert weights(trainer) == by_hand(3)
    assert (trainer.epoch, trainer.step) == (3, 3 * STEPS)


def test_a_loop_of_ones_own_does_the_same():
    trainer, loader, _ = training()
    for x, y in trainer.batches(loader, epochs=3):
        trainer.update(tg.cross_entropy(trainer.model(x), y))
    assert weights(trainer) == by_hand(3)


def test_rows_have_the_running_loss_and_what_was_validated():
    trainer, loader, validation = training()
    losses = []
    for x, y in trainer.batches(loader, {"held": validation}, epochs=2):
        loss = tg.cross_entropy(trainer.model(x), y)
        losses.append(float(loss))
        trainer.update({"loss": loss, "twice": 2 * losses[-1]})
    assert [row["epoch"] for row in trainer.history] == [1, 2]
    last = trainer.history[-1]
    assert last["step"] == 2 * STEPS
    assert last["learning_rate"] == 0.02
    assert last["train_loss"] == pytest.approx(np.mean(losses[STEPS:]), rel=1e-12)
    assert last["train_twice"] == pytest.approx(2 * last["train_loss"])
    trainer.model.eval()
    x, y = data().tensors
    assert last["held_loss"] == pytest.approx(float(tg.cross_entropy(trainer.model(x), y)), rel=1e-5)
    right = tg.count_nonzero(tg.argmax(trainer.model(x), axis=1) == y)
    assert last["held_accuracy"] == int(right) / ROWS


def test_test_and_predict_measure_without_a_tape_in_eval_mode():
    trainer, loader, validation = training()
    trainer.fit(loader, epochs=1)
    found = trainer.test(validation)
    assert set(found) == {"test_loss", "test_accuracy"}
    assert trainer.test(validation) == found  # no dropout
    predicted = trainer.predict(validation)
    assert predicted.shape == (ROWS, 2)
    assert not predicted.requires_grad
    assert not trainer.model.training
    assert is_recording()


def test_steps_end_in_mid_epoch_with_a_row_of_their_own():
    trainer, loader, _ = training()
    trainer.fit(loader, steps=STEPS + 2)
    assert (trainer.epoch, trainer.step) == (1, STEPS + 2)
    assert [row["step"] for row in trainer.history] == [STEPS, STEPS + 2]


def test_rows_come_when_the_trigger_says():
    trainer, loader, _ = training(record=every(steps=2))
    trainer.fit(loader, epochs=1)
    assert [row["step"] for row in trainer.history] == [2, 4]


def test_epochs_are_counted_in_all():
    trainer, loader, _ = training()
    trainer.fit(loader, epochs=2)
    trainer.fit(loader, epochs=3)
    assert trainer.epoch == 3
    trainer.fit(loader, epochs=3)
    assert trainer.step == 3 * STEPS


# ── accumulation and clipping ───────────────────────────────────────────────────────────────────────────────


def linear(**options):
    model = nn.Linear(2, 1)
    with tg.no_grad():
        model.weight[...] = tg.asarray([[1.0, -2.0]])
        model.bias[...] = tg.zeros(1)
    return Trainer(model, optim.SGD(model.parameters(), lr=0.5), tg.mse_loss, **options)


X = tg.asarray([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [1.0, 3.0]])
Y = tg.asarray([[0.0], [1.0], [0.0], [1.0]])


def test_accumulated_batches_make_the_step_of_one_large_batch():
    one, small = linear(), linear(accumulate=4)
    one.fit([(X, Y)], epochs=1)
    small.fit([(X[i : i + 1], Y[i : i + 1]) for i in range(4)], epochs=1)
    np.testing.assert_allclose(small.model.weight.tolist(), one.model.weight.tolist(), rtol=1e-6)
    assert (one.step, small.step) == (1, 1)


def test_batches_left_at_the_end_of_an_epoch_make_a_step_of_their_own_mean():
    rest, alone = linear(accumulate=3), linear()
    batches = [(X[i : i + 1], Y[i : i + 1]) for i in range(4)]
    rest.fit(batches, epochs=1)
    assert rest.step == 2
    alone.fit([(X[:3], Y[:3]), batches[3]], epochs=1)
    np.testing.assert_allclose(rest.model.weight.tolist(), alone.model.weight.tolist(), rtol=1e-6)


def change_of(trainer):
    before = np.concatenate([np.ravel(each.tolist()) for each in trainer.model.parameters()])
    trainer.fit([(X, Y)], epochs=1)
    return np.concatenate([np.ravel(each.tolist()) for each in trainer.model.parameters()]) - before


def test_gradients_are_clipped_before_the_step():
    free, short, flat = change_of(linear()), change_of(linear(clip_norm=0.1)), change_of(linear(clip_value=0.1))
    assert np.linalg.norm(free) > 0.5
    np.testing.assert_allclose(short, free * 0.05 / np.linalg.norm(free), rtol=1e-4)
    np.testing.assert_allclose(flat, np.clip(free, -0.05, 0.05), rtol=1e-5)


# ── leaving and going on ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stop", [1, STEPS - 1, STEPS, STEPS + 3, 2 * STEPS])
def test_n_steps_are_k_steps_a_checkpoint_and_n_minus_k_steps_bit_for_bit(tmp_path, stop):
    pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")
    whole, loader, validation = training()
    whole.fit(loader, validation, epochs=3)

    class Save(Callback):
        def settle(self, trainer):
            if trainer.step == stop:
                save(tmp_path / "checkpoint", trainer.state_dict())
                trainer.stop("enough", pause=True)

    first, loader, validation = training(callbacks=[Save()])
    first.fit(loader, validation, epochs=3)
    assert first.step == stop
    tg.random.normal(size=3)  # another process would draw other things
    second, loader, validation = training(callbacks=[Save()])
    second.callbacks = []
    second.load_state_dict(load(tmp_path / "checkpoint"))
    second.fit(loader, validation, epochs=3)
    assert weights(second) == weights(whole)
    assert second.history == whole.history
    assert second.state_dict()["keep"] == whole.state_dict()["keep"]
    assert str(second.optimizer.state_dict()) == str(whole.optimizer.state_dict())


def test_a_second_fit_goes_on_in_the_middle_of_the_epoch():
    whole, loader, _ = training()
    whole.fit(loader, epochs=2)
    trainer, loader, _ = training()
    for steps in (1, 3, STEPS + 2):
        trainer.fit(loader, steps=steps)
    trainer.fit(loader, epochs=2)
    assert weights(trainer) == weights(whole)
    other = linear()
    other.fit([(X[:1], Y[:1]), (X, Y)], steps=1)
    other.fit([(X, Y)], epochs=1)  # another loader starts at its start
    assert (other.step, other.epoch) == (2, 1)


def test_a_plain_list_of_batches_goes_on_behind_those_that_were_used():
    batches = [(X[i : i + 1], Y[i : i + 1]) for i in range(4)]
    whole = linear()
    whole.fit(batches, epochs=2)
    first = linear()
    first.fit(batches, steps=6)
    second = linear()
    second.load_state_dict({**first.state_dict(), "stopped": None})
    second.fit(batches, epochs=2)
    assert weights(second) == weights(whole)


def test_a_state_of_another_experiment_is_refused_with_what_differs():
    trainer, loader, _ = training()
    trainer.fit(loader, steps=1)
    state = trainer.state_dict()
    other = linear(metrics={"accuracy": Accuracy()})
    with pytest.raises(ValueError, match=r"keep are .* here and were"):
        other.load_state_dict(state)
    with pytest.raises(ValueError, match="not the state of a trainer"):
        trainer.load_state_dict({"model": {}})


# ── callbacks, and functions instead of a loss ──────────────────────────────────────────────────────────────


class Diary(Callback):
    def __init__(self, name, order=0):
        super().__init__(name)
        self.order, self.seen = order, []


for moment in ("before_fit", "before_update", "after_step", "before_evaluation", "after_evaluation", "after_row"):
    setattr(Diary, moment, lambda self, trainer, moment=moment: self.seen.append(moment))
for moment in ("after_epoch", "settle", "after_fit"):
    setattr(Diary, moment, lambda self, trainer, moment=moment: self.seen.append(moment))


def test_callbacks_are_told_of_every_moment_in_order():
    diary = Diary("diary")
    linear(callbacks=[diary]).fit([(X, Y)], [(X, Y)], epochs=1)
    assert diary.seen == [
        "before_fit",
        *("before_update", "after_step", "settle"),
        *("before_evaluation", "after_evaluation", "after_row", "after_epoch", "settle"),
        "after_fit",
    ]


def test_callbacks_are_told_in_their_order_and_have_names_of_their_own():
    late, early = Diary("late", 5), Diary("early", -5)
    assert [each.name for each in linear(callbacks=[late, early]).callbacks] == ["early", "late"]
    with pytest.raises(ValueError, match="two callbacks are called 'late'"):
        linear(callbacks=[late, late])


def test_the_end_is_told_also_where_it_raised():
    diary = Diary("diary")
    with pytest.raises(ZeroDivisionError):
        linear(callbacks=[diary], step=lambda model, batch: 1 / 0).fit([(X, Y)], epochs=1)
    assert diary.seen == ["before_fit", "after_fit"]


def test_two_networks_against_each_other_make_their_own_updates():
    one, two = nn.Linear(2, 1), nn.Linear(2, 1)
    both = nn.ModuleDict({"one": one, "two": two})
    optimizers = {name: optim.SGD(each.parameters(), lr=0.1) for name, each in both.items()}

    def step(model, batch):
        figures = {}
        for name, optimizer in optimizers.items():
            loss = tg.mse_loss(model[name](batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            figures[name] = loss
        return figures

    trainer = Trainer(both, step=step, keep=optimizers)
    trainer.fit([(X, Y)], epochs=20)
    assert trainer.step == 20
    for name in both:
        assert trainer.history[-1][f"train_{name}"] < trainer.history[0][f"train_{name}"]
    assert set(trainer.state_dict()["keep"]) == {"one", "two", "default_generator"}


def test_a_function_may_measure_instead():
    trainer = linear(evaluate=lambda model, batch: {"largest": float(model(batch[0]).max())})
    assert trainer.validate([(X[:3], Y[:3]), (X[3:], Y[3:])]) == {"largest": pytest.approx((3 * 1.0 + -5.0) / 4)}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"step": lambda model, batch: None}, TypeError, "the loss of a batch is None; return a tensor"),
        ({"step": lambda model, batch: {"cost": 1.0}}, TypeError, "a dict with a tensor under 'loss'"),
        ({"step": lambda model, batch: model(batch[0])}, ValueError, r"the shape \(4, 1\); take its mean"),
        ({"step": lambda model, batch: model(batch[0]).detach().sum()}, RuntimeError, "rests on nothing"),
    ],
)
def test_a_loss_that_cannot_be_minimised_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        linear(**options).fit([(X, Y)], epochs=1)


def test_what_makes_no_sense_is_refused_with_what_to_do():
    model = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="say what is minimised"):
        Trainer(model)
    with pytest.raises(ValueError, match="say how long: epochs=10 or steps=1000"):
        linear().fit([(X, Y)])
    with pytest.raises(ValueError, match="the loader gave no batch"):
        linear().fit([], epochs=1)
    with pytest.raises(TypeError, match=r"a batch is a pair \(x, y\), this one is 3 parts; pass step="):
        linear().fit([(X, Y, Y)], epochs=1)
    with pytest.raises(RuntimeError, match=r"got no update; call trainer.update\(loss\) once a batch"):
        for _ in linear().batches([(X, Y), (X, Y)], epochs=1):
            pass
    with pytest.raises(ValueError, match="the loader gave no batch"):
        linear().predict([])
    with pytest.raises(ValueError, match="nothing was measured"):
        linear().validate([])


def test_a_loader_with_prefetch_trains_to_the_same_weights():
    found = []
    for prefetch in (0, 2):
        trainer, _, _ = training()
        loader = DataLoader(data(), BATCH, shuffle=True, generator=Generator(3), prefetch=prefetch)
        found.append(weights(trainer.fit(loader, epochs=2)))
    assert found[0] == found[1]


def test_a_leftover_batch_is_weighed_by_its_rows():
    trainer = linear()
    loader = DataLoader(TensorDataset(X, Y), 3)
    expected = float(tg.mse_loss(trainer.model(X), Y))
    assert trainer.validate(loader)["loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")
@pytest.mark.parametrize("more", [{}, {"accumulate": 2}, {"clip_norm": 0.1}])
def test_a_compiled_training_gives_the_same_rows(more: dict[str, Any]) -> None:
    rows = []
    for compile in (False, True):
        tg.random.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
        optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
        trainer = Trainer(model, optimizer, tg.mse_loss, compile=compile, **more)
        rng = tg.random.Generator(0)
        batches = [(rng.normal(size=(16, 3)), rng.normal(size=(16, 1))) for _ in range(6)]
        trainer.fit(batches, batches[:1], epochs=4)
        rows.append(
            [row["train_loss"] for row in trainer.history] + [row["validation_loss"] for row in trainer.history]
        )
        if compile:
            assert trainer.swept.reason is None
            assert trainer.swept.replays >= 16
            assert trainer.updates.step.replays >= 8
    assert rows[0] == pytest.approx(rows[1], rel=1e-4)


halves = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="array-api-strict has no float16")


@halves
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("stop", [4, 11])
def test_a_training_in_float16_resumes_bit_for_bit_its_scaler_too(tmp_path: Any, stop: int) -> None:
    pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")

    def start(**options: Any) -> Any:
        trainer, loader, validation = training(precision="float16", clip_norm=1.0, **options)
        trainer.scaler.set_growth_interval(2)  # so that it overflows, skips and backs off
        return trainer, loader, validation

    class Save(Callback):
        def settle(self, trainer: Any) -> None:
            if trainer.step == stop:
                save(tmp_path / "checkpoint", trainer.state_dict())
                trainer.stop("enough", pause=True)

    whole, loader, validation = start()
    whole.fit(loader, validation, epochs=3)
    assert 0 < whole.scaler.skipped_steps < whole.step
    assert whole.history[-1]["skipped_steps"] == whole.scaler.skipped_steps
    first, loader, validation = start(callbacks=[Save()])
    first.fit(loader, validation, epochs=3)
    second, loader, validation = start(callbacks=[Save()])
    second.callbacks = []
    second.load_state_dict(load(tmp_path / "checkpoint"))
    second.fit(loader, validation, epochs=3)
    assert weights(second) == weights(whole)
    assert second.history == whole.history
    assert second.scaler.state_dict() == whole.scaler.state_dict()
    assert all(theta.dtype == tg.float32 for theta in second.model.parameters())


@pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")
def test_what_cannot_be_compiled_is_called_the_trainers_step() -> None:
    def loss(output: Any, y: Any) -> Any:
        print("a loss")
        return tg.mse_loss(output, y)

    model = nn.Linear(2, 1)
    trainer = Trainer(model, optim.SGD(model.parameters(), lr=0.1), loss, compile=True)
    with pytest.warns(tg.CompileWarning, match=r"the trainer's step runs eagerly: loss calls print\(\)") as told:
        trainer.fit([(tg.ones((4, 2)), tg.ones((4, 1)))], epochs=2)
    assert [each.filename for each in told] == [__file__]


@halves
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_precision_gives_about_the_rows_of_float32_compiled_or_not(precision: str) -> None:
    if precision == "bfloat16":
        pytest.importorskip("ml_dtypes", reason="bfloat16 is a dtype of the package ml_dtypes")
    rows = []
    for options in ({}, {"precision": precision}, {"precision": precision, "compile": True}):
        tg.random.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
        trainer = Trainer(model, optimizer, tg.mse_loss, **options)
        if trainer.scaler is not None:
            trainer.scaler.update(new_scale=256.0)
        rng = tg.random.Generator(0)
        batches = [(rng.normal(size=(16, 3)), rng.normal(size=(16, 1))) for _ in range(6)]
        trainer.fit(batches, batches[:1], epochs=4)
        assert str(trainer.predict(batches).dtype) == options.get("precision", "float32")
        assert (trainer.scaler is not None) == (precision == "float16" and bool(options))
        rows.append(
            [row["train_loss"] for row in trainer.history] + [row["validation_loss"] for row in trainer.history]
        )
        if "compile" in options and precision == "float16":
            assert trainer.swept.reason is None
            assert trainer.swept.replays >= 16
    assert rows[1] == pytest.approx(rows[0], rel=0.02)
    assert rows[2] == pytest.approx(rows[1], rel=1e-3)
