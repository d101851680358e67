"""The ops of ops/convolution.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing.cases.convolution import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── against PyTorch ─────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def _convolutions(draw: st.DrawFn) -> dict[str, Any]:
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> Any:
        return tuple(draw(st.lists(st.integers(low, high), min_size=axes, max_size=axes)))

    groups = draw(st.integers(1, 2))
    return {
        "axes": axes,
        "seed": draw(st.integers(0, 2**31)),
        "n": draw(st.integers(1, 2)),
        "c": groups * draw(st.integers(1, 2)),
        "o": groups * draw(st.integers(1, 2)),
        "sizes": each(3, 6 if axes < 3 else 4),
        "kernel": each(1, 3),
        "stride": each(1, 3),
        "padding": each(0, 2),
        "dilation": each(1, 2),
        "groups": groups,
        "bias": draw(st.booleans()),
        "complex": draw(st.integers(0, 4)) == 0,
    }


def _arrays(drawn: dict[str, Any], *shapes: Any) -> list[Any]:
    rng = np.random.default_rng(drawn["seed"])
    found = [rng.normal(size=shape) for shape in shapes]
    return [each + 1j * rng.normal(size=each.shape) for each in found] if drawn["complex"] else found


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # torch says what the copy costs it
@against_torch
@given(_convolutions(), st.sampled_from(["numbers", "numbers", "same", "valid"]))
def test_convolutions_are_torchs(drawn: dict[str, Any], kind: str) -> None:
    F = import_torch().nn.functional

    axes, groups = drawn["axes"], drawn["groups"]
    options = {"stride": drawn["stride"], "dilation": drawn["dilation"], "groups": groups, "padding": drawn["padding"]}
    if kind != "numbers":
        options["padding"] = kind
        options["stride"] = 1 if kind == "same" else drawn["stride"]
    pads = drawn["padding"] if kind == "numbers" else (0,) * axes
    reach = zip(drawn["sizes"], pads, drawn["kernel"], drawn["dilation"], strict=True)
    if kind != "same" and any(size + 2 * p < d * (k - 1) + 1 for size, p, k, d in reach):
        return
    shapes = [(drawn["n"], drawn["c"], *drawn["sizes"]), (drawn["o"], drawn["c"] // groups, *drawn["kernel"])]
    arrays = _arrays(drawn, *shapes, *[(drawn["o"],)] * drawn["bias"])
    name = f"conv{axes}d"
    agree(
        lambda x, weight, bias=None: getattr(tg, name)(x, weight, bias, **options),
        lambda x, weight, bias=None: getattr(F, name)(x, weight, bias, **options),
        *arrays,
    )


@against_torch
@given(_convolutions(), st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_transposed_convolutions_are_torchs(drawn: dict[str, Any], extras: list[int]) -> None:
    F = import_torch().nn.functional

    axes, groups = drawn["axes"], drawn["groups"]
    moves = list(zip(drawn["stride"], drawn["dilation"], extras[:axes], strict=True))
    extra = tuple(min(e, max(s, d) - 1) for s, d, e in moves)
    geometry = zip(drawn["sizes"], drawn["kernel"], drawn["padding"], extra, moves, strict=True)
    if any((n - 1) * s - 2 * p + d * (k - 1) + e + 1 < 1 for n, k, p, e, (s, d, _) in geometry):
        return
    options = {key: drawn[key] for key in ("stride", "padding", "dilation", "groups")} | {"output_padding": extra}
    shapes = [(drawn["n"], drawn["c"], *drawn["sizes"]), (drawn["c"], drawn["o"] // groups, *drawn["kernel"])]
    arrays = _arrays(drawn, *shapes, *[(drawn["o"],)] * drawn["bias"])
    name = f"conv_transpose{axes}d"
    agree(
        lambda x, weight, bias=None: getattr(tg, name)(x, weight, bias, **options),
        lambda x, weight, bias=None: getattr(F, name)(x, weight, bias, **options),
        *arrays,
    )


@against_torch
@given(_convolutions())
def test_unfold_and_fold_are_torchs(drawn: dict[str, Any]) -> None:
    F = import_torch().nn.functional

    options = {key: (drawn[key] * 2)[:2] for key in ("stride", "padding", "dilation")}
    sizes, kernel = (drawn["sizes"] * 2)[:2], (drawn["kernel"] * 2)[:2]
    reach = zip(sizes, options["padding"], kernel, options["dilation"], strict=True)
    if any(size + 2 * p < d * (k - 1) + 1 for size, p, k, d in reach):
        return
    (image,) = _arrays(drawn, (drawn["n"], drawn["c"], *sizes))
    agree(lambda x: tg.unfold(x, kernel, **options), lambda x: F.unfold(x, kernel, **options), image)
    columns = np.random.default_rng(3).normal(size=tg.unfold(_here(image.real), kernel, **options).shape)
    agree(lambda y: tg.fold(y, sizes, kernel, **options), lambda y: F.fold(y, sizes, kernel, **options), columns)


def test_the_arguments_of_unfold_and_fold_have_pytorchs_order() -> None:
    F = import_torch().nn.functional
    image = np.random.default_rng(3).normal(size=(1, 2, 7, 6))
    agree(lambda x: tg.unfold(x, 2, 2, 1, 3), lambda x: F.unfold(x, 2, 2, 1, 3), image)
    columns = np.random.default_rng(3).normal(size=tg.unfold(_here(image), 2, 2, 1, 3).shape)
    agree(lambda y: tg.fold(y, (7, 6), 2, 2, 1, 3), lambda y: F.fold(y, (7, 6), 2, 2, 1, 3), columns)


# ── conventions and errors ──────────────────────────────────────────────────────────────────────────────────


def _here(values: Any) -> Any:
    return tg.asarray(values, dtype="float64", device=default_device())


def _numbers(*shape: int) -> Any:
    return _here(np.random.default_rng(5).normal(size=shape))


def test_padding_of_pairs_is_padding_first() -> None:
    x, weight = _numbers(2, 3, 5, 4), _numbers(2, 3, 2, 3)
    found = tg.conv2d(x, weight, padding=((0, 2), (1, 0)), stride=2)
    expected = tg.conv2d(tg.pad(x, ((0, 0), (0, 0), (0, 2), (1, 0))), weight, stride=2)
    np.testing.assert_allclose(found.tolist(), expected.tolist(), rtol=1e-12)


@pytest.mark.parametrize(
    ("padding", "stride", "sizes"),
    [("same", 1, (5, 7)), ("valid", 2, (7, 6)), (((1, 0), (0, 2)), (2, 1), (6, 5)), (1, 2, (5, 5))],
)
def test_a_transposed_convolution_is_the_adjoint_whatever_the_padding(padding: Any, stride: Any, sizes: Any) -> None:
    x, weight = _numbers(1, 2, *sizes), _numbers(3, 2, 3, 2)
    y = tg.conv2d(x, weight, padding=padding, stride=stride, dilation=(1, 2))
    u = _numbers(*y.shape)
    back = tg.conv_transpose2d(u, weight, padding=padding, stride=stride, dilation=(1, 2))
    short = tuple(size - have for size, have in zip(sizes, back.shape[2:], strict=True))
    back = tg.pad(back, ((0, 0), (0, 0), (0, short[0]), (0, short[1])))  # pixels that no window reads
    assert tg.sum(y * u).item() == pytest.approx(tg.sum(x * back).item(), rel=1e-12)


def test_an_empty_batch_has_an_empty_result_and_zero_gradients() -> None:
    weight = tg.Tensor(np.ones((2, 1, 2, 2)).tolist(), requires_grad=True, dtype="float64")
    y = tg.conv2d(tg.zeros((0, 1, 4, 4), dtype="float64"), weight)
    assert y.shape == (0, 2, 3, 3)
    tg.sum(y).backward()
    assert not np.any(weight.grad.tolist())


def test_an_infinite_pixel_stays_in_its_windows() -> None:
    x = np.zeros((1, 1, 1, 5))
    x[..., 4] = np.inf
    y = tg.conv2d(_here(x), tg.ones((1, 1, 1, 2), dtype="float64"))
    assert y.tolist() == [[[[0.0, 0.0, 0.0, np.inf]]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.conv1d(tg.ones((1, 2)), tg.ones((1, 2, 3))),
            r"conv1d: expected x \(n, c, w\) and a weight of 3 axes",
        ),
        (lambda: tg.conv2d(tg.ones((1, 2, 3, 3)), tg.ones((1, 3, 1, 1))), "conv2d: x has 2 channels .* is for 3"),
        (lambda: tg.conv2d(tg.ones((1, 2, 3, 3)), tg.ones((1, 2, 4, 1))), "conv2d: the kernel .* does not fit"),
        (
            lambda: tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 1, 1)), tg.ones((2,))),
            r"conv2d: expected a bias of shape \(1,\), got \(2,\)",
        ),
        (lambda: tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 1, 1)), groups=0), "groups is 0; expected at least 1"),
        (
            lambda: tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 1, 1)), stride=(1, 1, 1)),
            r"conv2d: stride is \(1, 1, 1\); expected an integer of at least 1, or one for each of 2 axes",
        ),
        (
            lambda: tg.conv2d(tg.ones((1, 1, 3, 3)), tg.ones((1, 1, 1, 1)), stride=2, padding="same"),
            "'same' keeps the size at stride 1 only",
        ),
        (
            lambda: tg.conv3d(tg.ones((1, 1, 3, 3, 3)), tg.ones((1, 1, 1, 1, 1)), padding="full"),
            "it may be 'same', 'valid'",
        ),
        (
            lambda: tg.conv1d(tg.ones((1, 1, 3)), tg.ones((1, 1, 1)), padding=((1, 0), (0, 1))),
            r"conv1d: padding is \(\(1, 0\), \(0, 1\)\); expected 1 pairs",
        ),
        (
            lambda: tg.conv1d(tg.ones((1, 1, 3)), tg.ones((1, 1, 1)), padding=1.5),
            "conv1d: padding is 1.5; expected an integer",
        ),
        (
            lambda: tg.conv_transpose1d(tg.ones((1, 1, 3)), tg.ones((1, 1, 1)), stride=2, output_padding=2),
            "conv_transpose1d: output_padding 2 must be below the stride or the dilation",
        ),
        (
            lambda: tg.conv_transpose1d(tg.ones((1, 1, 1)), tg.ones((1, 1, 2)), padding=1),
            r"conv_transpose1d: padding 1 leaves nothing",
        ),
        (lambda: tg.fold(tg.ones((1, 4, 5)), 3, 2), r"fold: expected \(n, c \* 4, 4\) for an image of 3 x 3"),
        (lambda: tg.unfold(tg.ones((2, 4, 5)), 3), r"unfold: expected \(n, c, h, w\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
