"""MultiheadAttention beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import TorchGenerator
from tests.nn.beside import array_of, close, here, same_layer
from tests.torch_reference import against_torch, import_torch


@st.composite
def attentions(draw: st.DrawFn) -> dict[str, Any]:
    heads = draw(st.integers(1, 3))
    options: dict[str, Any] = {"embed_dim": heads * draw(st.integers(1, 2)), "num_heads": heads}
    options["bias"] = draw(st.booleans())
    options["add_bias_kv"], options["add_zero_attn"] = draw(st.booleans()), draw(st.booleans())
    options["batch_first"] = draw(st.booleans())
    if draw(st.booleans()):
        options["kdim"], options["vdim"] = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return options


@against_torch
@given(attentions(), st.sampled_from([None, 1, 2]), st.booleans(), st.data(), st.integers(0, 10**6))
def test_attention_is_torchs(options: Any, batch: int | None, need_weights: bool, data: Any, seed: int) -> None:
    torch = import_torch()
    ours = nn.MultiheadAttention(**options, dtype=tg.float64)
    theirs = torch.nn.MultiheadAttention(**options, dtype=torch.float64)
    rng = np.random.default_rng(seed)
    itself = "kdim" not in options and data.draw(st.booleans())
    queries, keys = (3, 3) if itself else (3, data.draw(st.integers(1, 4)))

    def shape(length: int, size: int) -> tuple[int, ...]:
        if batch is None:
            return (length, size)
        return (batch, length, size) if options["batch_first"] else (length, batch, size)

    e = options["embed_dim"]
    sizes = [(queries, e)] if itself else [(queries, e), (keys, options.get("kdim", e)), (keys, options.get("vdim", e))]
    inputs = [rng.normal(size=shape(*each)) for each in sizes]
    masks: dict[str, Any] = {}
    if data.draw(st.booleans()):
        lead = () if batch is None or data.draw(st.booleans()) else (batch * options["num_heads"],)
        masks["attn_mask"] = rng.normal(size=(*lead, queries, keys))
        if data.draw(st.booleans()):
            masks["attn_mask"] = masks["attn_mask"] > 0.5
            masks["attn_mask"][..., 0] = False  # every query may look somewhere: torch gives NaN where one may not
    if data.draw(st.booleans()):
        masks["key_padding_mask"] = rng.normal(size=(keys,) if batch is None else (batch, keys)) > 0.5
        masks["key_padding_mask"][..., 0] = False
        if masks.get("attn_mask", np.zeros(1)).dtype.kind == "f" and "attn_mask" in masks:
            masks["key_padding_mask"] = np.where(masks["key_padding_mask"], -np.inf, 0.0)
    words: dict[str, Any] = {"need_weights": need_weights, "average_attn_weights": data.draw(st.booleans())}

    def call(module: Any, given: Any) -> Any:
        args = (*given, *given, *given) if itself else given
        convert = here if module is ours else torch.tensor
        y, weights = module(*args, **{name: convert(mask) for name, mask in masks.items()}, **words)
        assert (weights is not None) == need_weights
        return (y, weights) if need_weights else y

    same_layer(ours, theirs, *inputs, call=call, seed=seed)


def test_it_starts_where_pytorchs_does() -> None:
    torch = import_torch()
    for options in ({}, {"kdim": 3, "add_bias_kv": True}):
        torch.manual_seed(2)
        expected = torch.nn.MultiheadAttention(4, 2, **options).state_dict()
        ours = nn.MultiheadAttention(4, 2, **options, generator=TorchGenerator(2))
        for name, value in ours.state_dict().items():
            np.testing.assert_allclose(array_of(value), expected[name].numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_that_may_look_nowhere_finds_the_bias(need_weights: bool) -> None:
    layer = nn.MultiheadAttention(4, 2, dtype=tg.float64)
    with tg.no_grad():
        layer.out_proj.bias[...] = 3.0
    x = here(np.random.default_rng(0).normal(size=(2, 1, 4)), requires_grad=True)
    mask = here(np.array([[True, True], [False, False]]))
    y, weights = layer(x, x, x, attn_mask=mask, need_weights=need_weights)
    assert y.tolist()[0] == [[3.0] * 4]
    y.sum().backward()
    assert np.isfinite(array_of(x.grad)).all()
    if need_weights:
        assert weights.tolist()[0][0] == [0.0, 0.0]


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_attention_sees_nothing_of_what_comes_later(need_weights: bool) -> None:
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=tg.float64)
    x = np.random.default_rng(0).normal(size=(1, 5, 4))
    other = x.copy()
    other[0, 3:] = 7.0
    results = [
        array_of(layer(here(each), here(each), here(each), need_weights=need_weights, is_causal=True)[0])
        for each in (x, other)
    ]
    np.testing.assert_allclose(results[0][0, :3], results[1][0, :3], rtol=1e-12)
    assert (results[0][0, 3:] != results[1][0, 3:]).all()


def test_both_ways_to_attend_agree_in_dropout_too() -> None:
    x = here(np.random.default_rng(0).normal(size=(3, 2, 4)))
    results = []
    for need_weights in (True, False):
        layer = nn.MultiheadAttention(4, 2, 0.5, dtype=tg.float64, generator=tg.random.Generator(0))
        layer.generator = tg.random.Generator(1)
        results.append(layer(x, x, x, need_weights=need_weights)[0])
        quiet = layer.eval()(x, x, x)[0]
        assert (array_of(quiet) != array_of(results[-1])).any()
    close(results[0], results[1], "value", 1e-12)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.MultiheadAttention(5, 2), ValueError, "no multiple of num_heads"),
        (lambda: nn.MultiheadAttention(4, 2, 1.5), ValueError, "dropout is 1.5"),
        (lambda: _attend(tg.ones((3, 2, 5))), ValueError, r"expected query \(n, l, 4\)"),
        (
            lambda: _attend(tg.ones((3, 2, 4)), attn_mask=tg.ones((2, 2))),
            ValueError,
            r"expected \(3, 3\) or \(4, 3, 3\)",
        ),
        (lambda: _attend(tg.ones((3, 2, 4)), key_padding_mask=tg.ones((3, 2))), ValueError, r"expected \(2, 3\)"),
        (lambda: _attend(tg.ones((3, 2, 4)), attn_mask=tg.ones((3, 3), dtype=tg.int64)), TypeError, "holds int64"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def _attend(x: Any, **masks: Any) -> Any:
    return nn.MultiheadAttention(4, 2)(x, x, x, **masks)
