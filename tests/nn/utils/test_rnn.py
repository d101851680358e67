"""Sequences of different lengths, packed and padded as PyTorch packs and pads them."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence
from tests.nn.beside import close, here
from tests.torch_reference import against_torch, agree, import_torch


@against_torch
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (2,), (2, 3)]),
    st.integers(0, 2),
    st.integers(0, 10**6),
)
def test_packing_and_padding_are_torchs(
    lengths: list[int], batch_first: bool, in_order: bool, tail: Any, more: int, seed: int
) -> None:
    torch = import_torch()
    theirs = torch.nn.utils.rnn
    if in_order:
        lengths.sort(reverse=True)
    steps = max(lengths)
    shape = (len(lengths), steps) if batch_first else (steps, len(lengths))
    x = np.random.default_rng(seed).normal(size=(*shape, *tail))
    ours = pack_padded_sequence(here(x), lengths, batch_first, in_order)
    wanted = theirs.pack_padded_sequence(torch.tensor(x), lengths, batch_first, in_order)
    close(ours.data, wanted.data, "data")
    assert ours.batch_sizes.tolist() == wanted.batch_sizes.tolist()
    if in_order:
        assert ours.sorted_indices is None
    padded, found = pad_packed_sequence(ours, batch_first, -7.0, steps + more)
    expected, sizes = theirs.pad_packed_sequence(wanted, batch_first, -7.0, steps + more)
    close(padded, expected, "padded")
    assert found.tolist() == sizes.tolist() == lengths
    agree(
        lambda t: pad_packed_sequence(pack_padded_sequence(t, lengths, batch_first, in_order), batch_first)[0],
        lambda t: theirs.pad_packed_sequence(
            theirs.pack_padded_sequence(t, lengths, batch_first, in_order), batch_first
        )[0],
        x,
    )


def test_lists_of_sequences_are_padded_and_packed() -> None:
    torch = import_torch()
    theirs = torch.nn.utils.rnn
    arrays = [np.arange(3.0), np.arange(1.0), np.arange(2.0)]
    ours, others = [here(each) for each in arrays], [torch.tensor(each) for each in arrays]
    for batch_first in (False, True):
        close(pad_sequence(ours, batch_first, -1.0), theirs.pad_sequence(others, batch_first, -1.0), "padded")
    close(pack_sequence(ours, False).data, theirs.pack_sequence(others, False).data, "packed")


def test_integers_stay_integers() -> None:
    packed = pack_padded_sequence(here(np.array([[1, 2], [3, 0]])), [2, 1])
    assert packed.data.tolist() == [1, 2, 3]
    assert pad_packed_sequence(packed)[0].dtype == np.int64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pack_padded_sequence(tg.ones((3, 2)), [1, 3]), "enforce_sorted=False"),
        (lambda: pack_padded_sequence(tg.ones((3, 2)), [4, 3]), "expected 1 to 3"),
        (lambda: pack_padded_sequence(tg.ones((3, 2)), [3, 0]), "expected 1 to 3"),
        (lambda: pack_padded_sequence(tg.ones((3, 2)), [3]), "expected 2 integers"),
        (lambda: pack_padded_sequence(tg.ones((3, 2)), [3.0, 1.0]), "expected 2 integers"),
        (
            lambda: pad_packed_sequence(pack_padded_sequence(tg.ones((3, 2)), [3, 1]), total_length=2),
            "the longest sequence has 3",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
