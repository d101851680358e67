"""Transformer layers and stacks beside PyTorch's."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.random import TorchGenerator
from tests.nn.beside import array_of, here, same_layer
from tests.torch_reference import against_torch, import_torch

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")  # torch's, about its speed

options = st.fixed_dictionaries(
    {
        "nhead": st.just(2),
        "d_model": st.sampled_from([2, 4]),
        "dim_feedforward": st.integers(1, 5),
        "activation": st.sampled_from(["relu", "gelu"]),
        "batch_first": st.booleans(),
        "norm_first": st.booleans(),
        "bias": st.booleans(),
        "dropout": st.just(0.0),
        "layer_norm_eps": st.sampled_from([1e-5, 1e-2]),
    }
)
seeds = st.integers(0, 10**6)


def both(name: str, drawn: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    torch = import_torch()
    ours = getattr(nn, name)(**drawn, **more, dtype=tg.float64)
    return ours, getattr(torch.nn, name)(**drawn, **more, dtype=torch.float64)


def data(seed: int, drawn: dict[str, Any], *lengths: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    d = drawn["d_model"]
    return [rng.normal(size=(2, n, d) if drawn["batch_first"] else (n, 2, d)) for n in lengths]


def causal(module: Any, size: int) -> Any:
    torch = import_torch()
    mask = np.triu(np.ones((size, size), bool), 1)
    return torch.tensor(mask) if isinstance(module, torch.nn.Module) else here(mask)


@against_torch
@given(options, st.booleans(), st.booleans(), seeds)
def test_encoder_layers_are_torchs(drawn: Any, masked: bool, stacked: bool, seed: int) -> None:
    torch = import_torch()
    ours, theirs = both("TransformerEncoderLayer", drawn)
    if stacked:
        norm = nn.LayerNorm(drawn["d_model"], dtype=tg.float64)
        ours = nn.TransformerEncoder(ours, 2, norm)
        other = torch.nn.LayerNorm(drawn["d_model"], dtype=torch.float64)
        theirs = torch.nn.TransformerEncoder(theirs, 2, other, enable_nested_tensor=False)

    def call(module: Any, given: Any) -> Any:
        return module(given[0], causal(module, 3)) if masked else module(given[0])

    same_layer(ours, theirs, *data(seed, drawn, 3), call=call, seed=seed)


@against_torch
@given(options, st.booleans(), st.booleans(), seeds)
def test_decoder_layers_are_torchs(drawn: Any, masked: bool, stacked: bool, seed: int) -> None:
    torch = import_torch()
    ours, theirs = both("TransformerDecoderLayer", drawn)
    if stacked:
        ours, theirs = nn.TransformerDecoder(ours, 2), torch.nn.TransformerDecoder(theirs, 2)

    def call(module: Any, given: Any) -> Any:
        return module(*given, causal(module, 3)) if masked else module(*given)

    same_layer(ours, theirs, *data(seed, drawn, 3, 4), call=call, seed=seed)


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_whole_is_torchs(norm_first: bool) -> None:
    torch = import_torch()
    drawn: dict[str, Any] = {"d_model": 4, "nhead": 2, "dim_feedforward": 5, "dropout": 0.0, "batch_first": True}
    layers = {"num_encoder_layers": 2, "num_decoder_layers": 2, "norm_first": norm_first}
    ours, theirs = both("Transformer", drawn, **layers)
    padding = np.array([[False, False, True, True], [False] * 4])

    def call(module: Any, given: Any) -> Any:
        mine = module is ours
        hidden = here(padding) if mine else torch.tensor(padding)
        words = {"src_key_padding_mask": hidden, "memory_key_padding_mask": hidden}
        return module(*given, tgt_mask=causal(module, 3), **words)

    same_layer(ours, theirs, *data(0, drawn, 4, 3), call=call)


def test_is_causal_is_the_square_mask() -> None:
    mask = nn.Transformer.generate_square_subsequent_mask(3)
    assert mask.tolist() == [[0.0, -np.inf, -np.inf], [0.0, 0.0, -np.inf], [0.0, 0.0, 0.0]]
    layer = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0)
    x = here(np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32))
    np.testing.assert_allclose(array_of(layer(x, mask)), array_of(layer(x, is_causal=True)), rtol=1e-6)
    decoder = nn.TransformerDecoderLayer(4, 2, 5, dropout=0.0)
    np.testing.assert_allclose(
        array_of(decoder(x, x, mask, mask)),
        array_of(decoder(x, x, tgt_is_causal=True, memory_is_causal=True)),
        rtol=1e-6,
    )


def test_layers_of_a_stack_start_alike_and_draw_from_one_generator() -> None:
    generator = tg.random.Generator(0)
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, dropout=0.5, generator=generator), 2)
    assert array_of(stack.layers[0].linear1.weight).tolist() == array_of(stack.layers[1].linear1.weight).tolist()
    assert stack.layers[0].linear1.weight is not stack.layers[1].linear1.weight
    assert {id(layer.dropout.generator) for layer in stack.layers} == {id(generator)}


def test_dropout_acts_in_training_only() -> None:
    layer = nn.TransformerDecoderLayer(4, 2, 5, dropout=0.5, generator=tg.random.Generator(0))
    x = here(np.ones((3, 2, 4), np.float32))
    assert layer(x, x).tolist() != layer(x, x).tolist()
    layer.eval()
    assert layer(x, x).tolist() == layer(x, x).tolist()


def test_a_layer_starts_where_pytorchs_does() -> None:
    torch = import_torch()
    for name in ("TransformerEncoderLayer", "TransformerDecoderLayer"):
        torch.manual_seed(2)
        expected = getattr(torch.nn, name)(4, 2, 5).state_dict()
        ours = getattr(nn, name)(4, 2, 5, generator=TorchGenerator(2))
        for key, value in ours.state_dict().items():
            np.testing.assert_allclose(array_of(value), expected[key].numpy(), rtol=0, atol=1e-6)


def test_parts_of_ones_own_are_used() -> None:
    whole = nn.Transformer(4, 2, custom_encoder=nn.Identity(), num_decoder_layers=1, dim_feedforward=3)
    assert isinstance(whole.encoder, nn.Identity)
    layer = nn.TransformerEncoderLayer(4, 2, 5, activation=tg.tanh)
    assert layer.activation is tg.tanh
    with pytest.raises(ValueError, match="expected 'relu', 'gelu' or a function"):
        nn.TransformerEncoderLayer(4, 2, 5, activation="swish")
    with pytest.raises(ValueError, match="num_layers is 0"):
        nn.TransformerEncoder(layer, 0)
