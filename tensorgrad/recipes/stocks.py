"""An LSTM on Amazon's daily closes, row S4-12: 7 days in, the next one out, 117 parameters.

The row scales with the least and the largest close of all days, those to be predicted included, and reports a test
error that comes down to 0.0019 and is 0.0021 at the end. To say that tomorrow closes as today did has 0.00155 on the
same 326 days, so the row's network is beaten by a copy of its last input. Here the scaler is fitted to the days that
are trained on; as the least and the largest close are among them, the scale is the row's own, [-1, 1], and the errors
are in the same unit.

Network, windows, split, batch size, step size and number of epochs are the row's; nothing was chosen on any data.
Persistence, the mean of the window and a linear function of it by least squares stand beside the network, and the
verdict on the card says what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tensorgrad import optim
from tensorgrad.creation import asarray
from tensorgrad.data import DataLoader, MinMaxScaler, Provenance, Subset, TensorDataset, WindowDataset, stocks
from tensorgrad.models.recurrent import RecurrentRegressor
from tensorgrad.ops import mse_loss
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor
from tensorgrad.train import figures
from tensorgrad.train.evaluation import evaluation
from tensorgrad.train.metrics.metric import on_host
from tensorgrad.train.recipe import Recipe, Run
from tensorgrad.train.trainer import Trainer

TEST_SHARE = 0.05  # of the windows, at the end: 326 of 6,509

# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Settings:
    """What a run can be told. lags: days that the network sees."""

    lags: int = 7
    hidden: int = 4
    epochs: int = 40
    batch_size: int = 16
    learning_rate: float = 1e-3
    stand_in: bool = False  # a random walk, where the file of closes is not at hand


PRESETS = {
    "smoke": Settings(epochs=3, learning_rate=1e-2, stand_in=True),
    "quick": Settings(),
    "full": Settings(epochs=200),
}

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Closes:
    """Windows of scaled closes, (n, lags, 1) and (n, 1), with the scale they are on, and the dates to be predicted."""

    train: TensorDataset
    test: TensorDataset
    scaler: MinMaxScaler
    dates: Any
    provenance: Provenance

    def dollars(self, scaled: Any) -> Any:
        """Back from [-1, 1] to USD, on the host."""
        return on_host(self.scaler.inverse_transform((asarray(scaled) + 1) / 2)).astype(np.float64)


def load(run: Run) -> Closes:
    """The closes, split by time; the scaler knows the days before the first that is to be predicted."""
    lags = run.settings.lags
    if run.settings.stand_in:
        dates, closes, provenance = random_walk()
    else:
        prices = stocks("AMZN")
        dates, closes, provenance = prices.dates, prices.column("close"), prices.provenance
    count = len(closes) - lags
    border = int(count * (1 - TEST_SHARE))
    scaler = MinMaxScaler().fit(closes[: lags + border])
    scaled = (2 * scaler.transform(asarray(closes, device=run.rng.device)) - 1).astype("float32")
    windows = WindowDataset(scaled.reshape((-1, 1)), lags, targets=scaled, horizon=1)
    train, test = (
        TensorDataset(*Subset(windows, rows).batch(np.arange(len(rows))))
        for rows in (np.arange(border), np.arange(border, count))
    )
    return Closes(train, test, scaler, dates[lags + border :], provenance)


def random_walk(days: int = 400) -> tuple[Any, Any, Provenance]:
    """Prices whose logarithms take independent steps, for smoke tests."""
    steps = on_host(Generator(0).normal(scale=0.02, size=days)).astype(np.float64)
    dates = np.datetime64("2000-01-03", "D") + np.arange(days)
    note = "a stand-in for the closes of AMZN"
    return dates, 100 * np.exp(steps.cumsum()), Provenance("random walk", "generated", None, note=note)


def baselines(run: Run, data: Closes) -> dict[str, dict[str, float]]:
    """Yesterday's close again, the mean of the window, and a linear function of it, fitted by least squares."""
    (x, y), (x_test, _) = (
        [on_host(each).astype(np.float64) for each in part.tensors] for part in (data.train, data.test)
    )
    weights = np.linalg.lstsq(_with_one(x[:, :, 0]), y, rcond=None)[0]
    forecasts = {
        "persistence": x_test[:, -1],
        "mean of the window": x_test.mean(axis=1),
        "least squares": _with_one(x_test[:, :, 0]) @ weights,
    }
    return {name: errors(each, data) for name, each in forecasts.items()}


def _with_one(x: Any) -> Any:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def errors(forecast: Any, data: Closes) -> dict[str, float]:
    """The mean squared error on the scale of [-1, 1], and its root in USD.   (n, 1)"""
    y = data.test.tensors[1]
    scaled = on_host(forecast).astype(np.float64) - on_host(y).astype(np.float64)
    usd = data.dollars(forecast) - data.dollars(y)
    return {"test_mse": float((scaled**2).mean()), "test_rmse_usd": float(np.sqrt((usd**2).mean()))}


# ── model and training ──────────────────────────────────────────────────────────────────────────────────────


def build(run: Run) -> RecurrentRegressor:
    """One layer of LSTM and a linear function of its last state.   (n, lags, 1) -> (n, 1)"""
    return RecurrentRegressor(1, run.settings.hidden, 1, run.rng, "lstm")


def train(run: Run, model: RecurrentRegressor, data: Closes) -> None:
    """Adam on the squared error, windows in random order."""
    settings = run.settings
    loader = DataLoader(data.train, settings.batch_size, shuffle=True, generator=run.rng)
    optimizer = optim.Adam(model.parameters(), lr=settings.learning_rate)
    trainer = run.trainer(model, optimizer, mse_loss)
    trainer.fit(loader, evaluation(data), epochs=settings.epochs)


# ── results ─────────────────────────────────────────────────────────────────────────────────────────────────


def forecast(model: RecurrentRegressor, data: Closes) -> Tensor:
    """The scaled closes of the test days.   -> (n, 1)"""
    found: Tensor = Trainer(model, loss=mse_loss).predict(DataLoader(data.test, 1000))
    return found


def measure(run: Run, model: RecurrentRegressor, data: Closes) -> dict[str, float]:
    """The errors of the test days."""
    return errors(forecast(model, data), data)


def verdict(found: dict[str, float], persistence: dict[str, float]) -> str:
    """Whether the network is better than yesterday's close, and by how much."""
    ratio = found["test_mse"] / persistence["test_mse"]
    figures_of_both = f"{found['test_mse']:.5f} against {persistence['test_mse']:.5f}"
    if ratio < 1:
        return f"better than yesterday's close: {1 - ratio:.1%} less squared error, {figures_of_both}"
    return f"does not beat yesterday's close: {ratio:.2f} times its squared error, {figures_of_both}"


def draw(run: Run, model: RecurrentRegressor, data: Closes) -> None:
    """The curve, and the forecasts with their errors beside those of yesterday's close."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    y = forecast(model, data)
    known = verdict(errors(y, data), run.baselines["persistence"])
    run.note(verdict=known)
    run.say(f"verdict: the LSTM {known}")
    title = f"LSTM on {data.provenance.name}, seed {run.seed}"
    rows = [
        {"epoch": row["epoch"], **{f"{part}_mse": row[f"{part}_loss"] for part in ("train", "test")}}
        for row in run.history
    ]
    figures.curves(run.figure("mse"), rows, {"mse": "squared error, closes scaled to [-1, 1]"}, run.baselines, title)
    x, target = data.test.tensors
    closes, ours, persistence = (data.dollars(each)[:, 0] for each in (target, y, x[:, -1]))
    figure = figures.new_figure(10.0, 6.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(data.dates, closes, color="black", linewidth=1, label="close")
    above.plot(data.dates, ours, color="tab:blue", linewidth=1, label=f"LSTM, from the {run.settings.lags} days before")
    above.plot(
        data.dates, persistence, color="tab:orange", linewidth=1, linestyle="--", label="persistence: the day before"
    )
    above.set(ylabel="USD", title=f"{title}: {len(closes)} days held out\nthe LSTM {known}")
    above.title.set_fontsize(10)
    for values, colour, name in ((persistence, "tab:orange", "persistence"), (ours, "tab:blue", "LSTM")):
        error = values - closes
        label = f"{name}: {np.sqrt((error**2).mean()):.2f} USD root mean square, {error.mean():+.2f} on average"
        below.plot(data.dates, error, color=colour, linewidth=1, label=label)
    below.set(ylabel="forecast less close, USD")
    days: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    below.xaxis.set_major_locator(days)
    below.xaxis.set_major_formatter(ConciseDateFormatter(days))  # type: ignore[no-untyped-call]
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="best")
    figures.save_figure(figure, run.figure("forecast"))


def graph(run: Run, model: RecurrentRegressor) -> Any:
    """The loss of two windows of two days."""
    return mse_loss(model(run.rng.uniform(size=(2, 2, 1))), run.rng.uniform(size=(2, 1)))


RECIPE = Recipe(
    name="lstm-stocks",
    summary="an LSTM on daily closes, beside yesterday's close, with a verdict",
    rows=("S4-12",),
    presets=PRESETS,
    takes={"smoke": "1 second", "quick": "1 minute", "full": "5 minutes"},
    data=load,
    baselines=baselines,
    model=build,
    train=train,
    measure=measure,
    figures=draw,
    graph=graph,
    threads=1,
    headline="test_mse",
)
