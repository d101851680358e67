"""W6: a step of an LSTM whose outputs at all places are compared with targets, with Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, adam, load, normal

RATE = 1e-3


def values(length: int = 100, batch: int = 32, inputs: int = 32, hidden: int = 128) -> Values:
    rng = np.random.default_rng(0)
    weights = {
        "weight_ih_l0": normal(rng, (4 * hidden, inputs), 0.1),
        "weight_hh_l0": normal(rng, (4 * hidden, hidden), 0.1),
        "bias_ih_l0": normal(rng, (4 * hidden,), 0.01),
        "bias_hh_l0": normal(rng, (4 * hidden,), 0.01),
    }
    return Values(weights, (normal(rng, (length, batch, inputs)), normal(rng, (length, batch, hidden), 0.5)))


def of_tensorgrad(tg: Any, v: Values) -> Training:
    rows, inputs = v.weights["weight_ih_l0"].shape
    model = tg.nn.LSTM(inputs, rows // 4, device="cpu")
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.Adam(model.parameters(), lr=RATE)
    batch = tuple(tg.Tensor(each, device="cpu") for each in v.batch)
    return Training(lambda x, y: tg.mse_loss(model(x)[0], y), parameters, optimizer, batch)


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    """variant: "cell" for a loop over nn.LSTMCell."""
    rows, inputs = v.weights["weight_ih_l0"].shape
    hidden, mse = rows // 4, torch.nn.functional.mse_loss
    batch = tuple(torch.tensor(each) for each in v.batch)
    if variant == "cell":
        model = torch.nn.LSTMCell(inputs, hidden)
        loaded = load(torch, model, {name.removesuffix("_l0"): each for name, each in v.weights.items()})
        parameters = {f"{name}_l0": each for name, each in loaded.items()}

        def loss(x: Any, y: Any) -> Any:
            h = c = torch.zeros(x.shape[1], hidden)
            outputs = []
            for step in x:
                h, c = model(step, (h, c))
                outputs.append(h)
            return mse(torch.stack(outputs), y)
    else:
        model = torch.nn.LSTM(inputs, hidden)
        parameters = load(torch, model, v.weights)

        def loss(x: Any, y: Any) -> Any:
            return mse(model(x)[0], y)

    return Training(loss, parameters, torch.optim.Adam(model.parameters(), lr=RATE), batch)


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    hidden = v.weights["weight_hh_l0"].shape[1]

    def sigmoid(x: Any) -> Any:
        return 0.5 * (xp.tanh(0.5 * x) + 1.0)

    def loss(w: Any, x: Any, y: Any) -> Any:
        projected = x @ w["weight_ih_l0"].T + (w["bias_ih_l0"] + w["bias_hh_l0"])
        first = xp.zeros((x.shape[1], hidden), dtype=x.dtype)

        def cell(state: tuple[Any, Any], z: Any) -> tuple[tuple[Any, Any], Any]:
            h, c = state
            z = z + h @ w["weight_hh_l0"].T
            i, f, g, o = (z[:, gate * hidden : (gate + 1) * hidden] for gate in range(4))
            c = sigmoid(f) * c + sigmoid(i) * xp.tanh(g)
            h = sigmoid(o) * xp.tanh(c)
            return (h, c), h

        if xp.__name__ == "jax.numpy":
            from jax import lax

            outputs = lax.scan(cell, (first, first), projected)[1]
        else:
            state, found = (first, first), []
            for step in range(len(x)):
                state, h = cell(state, projected[step])
                found.append(h)
            outputs = xp.stack(found)
        return xp.mean((outputs - y) ** 2)

    return FunctionalTraining(loss, v.weights, adam(RATE), v.batch)
