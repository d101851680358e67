"""Recurrent layers beside PyTorch's: stacked, both ways, batched or not, with any lengths."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from tensorgrad.random import TorchGenerator
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch

KINDS = ["RNN", "GRU", "LSTM"]


@st.composite
def layers(draw: st.DrawFn, name: str) -> tuple[Any, dict[str, Any]]:
    """(sizes, options)"""
    n, h = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    options: dict[str, Any] = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if name == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if name == "LSTM" and h > 1 and draw(st.booleans()):
        options["proj_size"] = draw(st.integers(1, h - 1))
    return (n, h), options


def both(name: str, sizes: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    torch = import_torch()
    ours = getattr(nn, name)(*sizes, **options, dtype=tg.float64)
    theirs = getattr(torch.nn, name)(*sizes, **options, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    return ours, theirs


def states(rng: Any, name: str, sizes: Any, options: dict[str, Any], batch: tuple[int, ...]) -> list[Any]:
    places = options["num_layers"] * (2 if options["bidirectional"] else 1)
    out = options.get("proj_size") or sizes[1]
    widths = [out, sizes[1]] if name == "LSTM" else [out]
    return [rng.normal(size=(places, *batch, width)) for width in widths]


def call(module: Any, given: Any) -> Any:
    x, *rest = given
    return module(x) if not rest else module(x, tuple(rest) if len(rest) > 1 else rest[0])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported:UserWarning")  # torch's, about its speed
@against_torch
@given(st.data(), st.integers(1, 4), st.sampled_from([None, 1, 3]), st.booleans(), st.integers(0, 10**6))
def test_layers_are_torchs(name: str, data: Any, steps: int, batch: int | None, started: bool, seed: int) -> None:
    sizes, options = data.draw(layers(name))
    ours, theirs = both(name, sizes, options)
    rng = np.random.default_rng(seed)
    shape = (steps,) if batch is None else (batch, steps) if options["batch_first"] else (steps, batch)
    first = states(rng, name, sizes, options, () if batch is None else (batch,)) if started else []
    same_layer(ours, theirs, rng.normal(size=(*shape, sizes[0])), *first, call=call, seed=seed)


@pytest.mark.parametrize("name", KINDS)
@against_torch
@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(), st.integers(0, 10**6))
def test_lengths_are_torchs_packed_sequences(
    name: str, data: Any, lengths: list[int], started: bool, seed: int
) -> None:
    torch = import_torch()
    sizes, options = data.draw(layers(name))
    options.pop("proj_size", None)
    ours, theirs = both(name, sizes, options)
    rng = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths)) if options["batch_first"] else (max(lengths), len(lengths))
    first = states(rng, name, sizes, options, (len(lengths),)) if started else []
    packs = torch.nn.utils.rnn

    def run(module: Any, given: Any) -> Any:
        x, *rest = given
        hx = None if not rest else tuple(rest) if len(rest) > 1 else rest[0]
        if module is ours:
            return module(x, hx, lengths)
        packed = packs.pack_padded_sequence(x, lengths, options["batch_first"], enforce_sorted=False)
        y, last = module(packed, hx)
        return packs.pad_packed_sequence(y, options["batch_first"])[0], last

    same_layer(ours, theirs, rng.normal(size=(*shape, sizes[0])), *first, call=run, seed=seed)


@pytest.mark.parametrize("name", KINDS)
def test_a_packed_sequence_comes_out_packed_and_is_what_lengths_give(name: str) -> None:
    layer = getattr(nn, name)(2, 3, num_layers=2, bidirectional=True, dtype=tg.float64)
    x = here(np.random.default_rng(0).normal(size=(5, 4, 2)))
    for lengths, is_sorted in (([5, 3, 3, 1], True), ([1, 5, 2, 4], False)):
        y, last = layer(x, lengths=lengths)
        packed, other = layer(pack_padded_sequence(x, lengths, enforce_sorted=is_sorted))
        padded, found = pad_packed_sequence(packed)
        assert found.tolist() == lengths
        close(padded, y, "output", 1e-12)
        for a, b in zip(last if name == "LSTM" else [last], other if name == "LSTM" else [other], strict=True):
            close(a, b, "last states", 1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_a_length_of_zero_leaves_the_first_state(name: str) -> None:
    layer = getattr(nn, name)(2, 3, bidirectional=True, dtype=tg.float64)
    first = here(np.random.default_rng(1).normal(size=(2, 2, 3)))
    hx = (first, first) if name == "LSTM" else first
    y, last = layer(here(np.ones((4, 2, 2))), hx, [4, 0])
    assert not np.any(array_of(y)[:, 1])
    h = last[0] if name == "LSTM" else last
    assert array_of(h)[:, 1].tolist() == array_of(first)[:, 1].tolist()


def test_values_behind_the_end_change_nothing_and_have_no_gradient() -> None:
    layer = nn.GRU(2, 3, bidirectional=True, dtype=tg.float64)
    x = np.random.default_rng(0).normal(size=(4, 2, 2))
    other = x.copy()
    other[2:, 1] = 1e9
    mine = [here(each, requires_grad=True) for each in (x, other)]
    results = [layer(each, lengths=[4, 2])[0] for each in mine]
    close(results[0], results[1], "output", 1e-12)
    results[1].sum().backward()
    assert not np.any(array_of(mine[1].grad)[2:, 1])


@pytest.mark.parametrize("name", KINDS)
def test_dropout_acts_between_layers_in_training_only(name: str) -> None:
    options: dict[str, Any] = {"num_layers": 2, "dropout": 0.5}
    ours, theirs = both(name, (2, 40), options)
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    same_layer(ours.eval(), theirs.eval(), x)
    ours.train()
    ours.generator = tg.random.Generator(0)
    once = array_of(ours(here(x))[0])
    ours.generator = tg.random.Generator(0)
    assert (array_of(ours(here(x))[0]) == once).all()
    assert (array_of(ours(here(x))[0]) != once).any()
    last = []
    for training in (True, False):
        _, state = ours.train(training)(here(x))
        last.append(array_of(state[0] if name == "LSTM" else state))
    first, quiet = last
    assert (first[0] == quiet[0]).all()  # what the first layer gives is left out only on its way to the second
    assert (first[1] != quiet[1]).any()


def test_dropout_without_a_second_layer_warns() -> None:
    with pytest.warns(UserWarning, match="it does nothing"):
        nn.GRU(2, 3, dropout=0.5)


@pytest.mark.parametrize("name", KINDS)
def test_layers_start_where_pytorchs_do(name: str) -> None:
    torch = import_torch()
    torch.manual_seed(5)
    expected = getattr(torch.nn, name)(3, 4, num_layers=2, bidirectional=True).state_dict()
    ours = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, generator=TorchGenerator(5))
    for key, value in ours.state_dict().items():
        np.testing.assert_allclose(array_of(value), expected[key].numpy(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nn.LSTM(3, 4)(tg.ones((5, 2, 2))), r"expected x \(l, n, 3\) or \(l, 3\)"),
        (lambda: nn.LSTM(3, 4, batch_first=True)(tg.ones(3)), r"expected x \(n, l, 3\)"),
        (lambda: nn.GRU(3, 4)(tg.ones((5, 2, 3)), tg.ones((1, 1, 4))), r"the shapes \[\(1, 2, 4\)\]"),
        (lambda: nn.GRU(3, 4)(tg.ones((5, 2, 3)), lengths=[6, 1]), "lengths go from 1 to 6; expected 0 to 5"),
        (lambda: nn.GRU(3, 4)(tg.ones((5, 2, 3)), lengths=[1]), "expected 2 integers"),
        (lambda: nn.GRU(3, 4, proj_size=2), "only LSTM has projections"),
        (lambda: nn.LSTM(3, 4, proj_size=4), "less than hidden_size"),
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), "expected 'tanh' or 'relu'"),
        (lambda: nn.RNN(3, 4, 2, dropout=2.0), "dropout is 2.0"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
