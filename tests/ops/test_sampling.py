"""The ops of ops/sampling.py under all laws, against PyTorch, and their conventions."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import tensorgrad as tg
from tensorgrad.backend import default_device
from tensorgrad.testing.cases.sampling import CASES
from tests.proof import every, prove
from tests.torch_reference import against_torch, agree, import_torch


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# ── against PyTorch ─────────────────────────────────────────────────────────────────────────────────────────


@against_torch
@given(st.integers(1, 3), st.data())
def test_interpolation_is_torchs(axes: int, data: st.DataObject) -> None:
    F = import_torch().nn.functional
    smooth = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}[axes]
    mode = data.draw(st.sampled_from(["nearest", "nearest-exact", "area", *smooth, *smooth]))
    sizes = data.draw(st.lists(st.integers(1, 6 if axes < 3 else 3), min_size=axes, max_size=axes))
    options: dict[str, Any] = {"mode": mode}
    if data.draw(st.booleans()):
        options["size"] = tuple(data.draw(st.lists(st.integers(1, 7 if axes < 3 else 4), min_size=axes, max_size=axes)))
    else:
        # With other factors torch's nearest pixel is not the same in the gradient as in the value, and where they leave
        # the size as it was its cubic gradient is that of a copy.
        factors = [1.0, 2.0, 3.0] if mode.startswith("nearest") else [1.0, 1.3, 2.0, 2.7]
        fitting = [[f for f in factors if f == 1 or int(n * f) != n] for n in sizes]
        options["scale_factor"] = tuple(data.draw(st.sampled_from(each)) for each in fitting)
    if mode in smooth:
        options["align_corners"] = data.draw(st.booleans())
    image = np.random.default_rng(data.draw(st.integers(0, 2**31))).normal(size=(2, 1, *sizes))
    agree(lambda x: tg.interpolate(x, **options), lambda x: F.interpolate(x, **options), image)


@against_torch
@given(st.data(), st.sampled_from(["bilinear", "bicubic"]), st.booleans(), st.integers(0, 2**31))
def test_interpolation_with_antialias_is_torchs(data: st.DataObject, mode: str, align_corners: bool, seed: int) -> None:
    F = import_torch().nn.functional
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=2))
    options: dict[str, Any] = {"mode": mode, "align_corners": align_corners, "antialias": True}
    # torch 2.13 writes one number over all rows where the new image is one pixel wide: no such draws.
    if data.draw(st.booleans()):
        options["size"] = (data.draw(st.integers(1, 9)), data.draw(st.integers(2, 9)))
    else:
        factors = [0.3, 0.5, 1.0, 1.1, 1.3, 2.0]
        sizes = [each + 1 for each in sizes]
        # Where a factor leaves a size as it was torch's value leaves the axis alone, and its gradient does not.
        axes = zip(sizes, (1, 2), strict=True)
        fitting = [[f for f in factors if int(n * f) >= least and (f == 1 or int(n * f) != n)] for n, least in axes]
        options["scale_factor"] = tuple(data.draw(st.sampled_from(each)) for each in fitting)
    image = np.random.default_rng(seed).normal(size=(2, 1, *sizes))
    agree(lambda x: tg.interpolate(x, **options), lambda x: F.interpolate(x, **options), image)


@against_torch
@given(
    st.integers(2, 3),
    st.sampled_from(["bilinear", "nearest", "bicubic"]),
    st.sampled_from(["zeros", "border", "reflection"]),
    st.booleans(),
    st.lists(st.integers(1, 4), min_size=3, max_size=3),
    st.integers(0, 2**31),
)
def test_sampling_on_a_grid_is_torchs(
    axes: int, mode: str, padding_mode: str, align_corners: bool, sizes: list[int], seed: int
) -> None:
    F = import_torch().nn.functional
    axes = 2 if mode == "bicubic" else axes
    rng = np.random.default_rng(seed)
    image, grid = rng.normal(size=(2, 2, *sizes[:axes])), rng.uniform(-2.5, 2.5, size=(2, *[2, 1, 3][:axes], axes))
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    agree(
        lambda x, grid: tg.grid_sample(x, grid, **options),
        lambda x, grid: F.grid_sample(x, grid, **options),
        image,
        grid,
        order=1,  # torch has no second derivative here
    )


@against_torch
@given(st.integers(2, 3), st.booleans(), st.lists(st.integers(1, 4), min_size=3, max_size=3))
def test_affine_grids_are_torchs(axes: int, align_corners: bool, sizes: list[int]) -> None:
    F = import_torch().nn.functional
    theta = np.random.default_rng(3).normal(size=(2, axes, axes + 1))
    size = (2, 1, *[max(each, 1 + align_corners) for each in sizes[:axes]])  # torch warns of corners of one pixel
    agree(
        lambda theta: tg.affine_grid(theta, size, align_corners=align_corners),
        lambda theta: F.affine_grid(theta, list(size), align_corners=align_corners),
        theta,
    )


@pytest.mark.parametrize("shape", [(2, 8, 2, 4), (8, 2, 2), (1, 2, 4, 4, 6)])
def test_pixel_shuffles_are_torchs_and_undo_each_other(shape: tuple[int, ...]) -> None:
    F = import_torch().nn.functional
    image = np.random.default_rng(3).normal(size=shape)
    agree(lambda x: tg.pixel_shuffle(x, 2), lambda x: F.pixel_shuffle(x, 2), image)
    agree(lambda x: tg.pixel_unshuffle(x, 2), lambda x: F.pixel_unshuffle(x, 2), image)
    assert tg.pixel_shuffle(tg.pixel_unshuffle(_here(image), 2), 2).tolist() == image.tolist()


# ── conventions and errors ──────────────────────────────────────────────────────────────────────────────────


def _here(values: Any, **options: Any) -> Any:
    options.setdefault("dtype", "float64")
    return tg.Tensor(np.asarray(values), device=default_device(), **options)


@pytest.mark.parametrize("after", [1, 2, 5, 12, 49])
@pytest.mark.parametrize("before", [1, 3, 7, 10])
def test_the_nearest_pixel_is_that_of_exact_arithmetic(before: int, after: int) -> None:
    line = _here(np.arange(before).reshape(1, 1, before))
    assert tg.interpolate(line, after).tolist() == [[[i * before // after for i in range(after)]]]


def test_the_nearest_pixels_of_integers_are_integers() -> None:
    x = _here([[[1, 2]]], dtype="int64")
    assert tg.interpolate(x, 3).tolist() == [[[1, 1, 2]]]
    assert tg.interpolate(x, 3).dtype == x.dtype
    assert tg.interpolate(x, 3, mode="linear").dtype == tg.get_default_dtype()


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_a_position_that_is_no_number_or_infinite_reads_a_pixel_or_zero(
    mode: str, padding_mode: str, align_corners: bool, size: int
) -> None:
    x = _here(np.arange(1.0, 1 + size * size).reshape(1, 1, size, size), requires_grad=True)
    grid = _here([[[[np.inf, 0.0], [0.0, -np.inf], [np.nan, 0.0], [1e30, 0.1]]]], requires_grad=True)
    y = tg.grid_sample(x, grid, mode, padding_mode, align_corners)
    assert np.isfinite(y.tolist()).all()
    assert padding_mode != "zeros" or (align_corners and size == 1) or y.tolist()[0][0][0][:2] == [0.0, 0.0]
    for each in tg.grad(tg.sum(y), [x, grid], allow_unused=True):
        assert each is None or np.isfinite(each.tolist()).all()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_with_antialias_every_pixel_counts_and_an_infinite_one_makes_no_nan(mode: str) -> None:
    comb = _here(np.tile([1.0, 0.0, 0.0, 0.0], (16, 4))[None, None])
    coarse = tg.interpolate(comb, 4, mode=mode, antialias=True)
    np.testing.assert_allclose(np.array(coarse.tolist())[..., 1:3], 0.25, atol=0.03)
    x = _here([[[[np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]]])
    assert not np.isnan(tg.interpolate(x, (1, 4), mode=mode, antialias=True).tolist()).any()


def test_an_infinite_pixel_stays_near() -> None:
    x = _here([[[[0.0, 0.0, 0.0, np.inf]]]])
    assert tg.interpolate(x, (1, 8), mode="bilinear").tolist()[0][0][0][:5] == [0.0] * 5
    grid = _here([[[[-0.5, 0.0], [9.0, 0.0]]]])
    assert tg.grid_sample(x, grid).tolist() == [[[[0.0, 0.0]]]]


@pytest.mark.parametrize("coordinate", [np.inf, -np.inf, 1e300, 3.0])
def test_what_lies_far_outside_is_zero_and_has_no_slope(coordinate: float) -> None:
    x, grid = _here(np.ones((1, 1, 2, 2)), requires_grad=True), _here([[[[coordinate, 0.0]]]], requires_grad=True)
    y = tg.grid_sample(x, grid)
    assert y.tolist() == [[[[0.0]]]]
    tg.sum(y).backward()
    assert grid.grad.tolist() == [[[[0.0, 0.0]]]]
    assert not np.any(x.grad.tolist())


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_a_nan_in_a_grid_counts_as_minus_one(padding_mode: str) -> None:
    x = _here(np.arange(4.0).reshape(1, 1, 2, 2) + 1)
    found, expected = (
        tg.grid_sample(x, _here([[[[each, 0.2]]]]), padding_mode=padding_mode).tolist() for each in (np.nan, -1.0)
    )
    assert found == expected


def test_an_infinite_coordinate_reads_the_border() -> None:
    x = _here(np.arange(4.0).reshape(1, 1, 2, 2) + 1)
    grid = _here([[[[np.inf, np.inf], [-np.inf, -np.inf]]]])
    assert tg.grid_sample(x, grid, padding_mode="border").tolist() == [[[[4.0, 1.0]]]]


def test_the_nearest_pixel_has_no_slope_in_the_grid() -> None:
    x, grid = _here(np.ones((1, 1, 2, 2)), requires_grad=True), _here([[[[0.3, 0.2]]]], requires_grad=True)
    tg.sum(tg.grid_sample(x, grid, mode="nearest")).backward()
    assert grid.grad is None or not np.any(grid.grad.tolist())


def test_the_second_derivative_of_sampling_is_there() -> None:
    x, grid = _here([[[[0.0, 0.0], [0.0, 4.0]]]]), _here([[[[0.25, -0.25]]]], requires_grad=True)
    (slope,) = tg.grad(tg.sum(tg.grid_sample(x, grid)), [grid], create_graph=True)
    (bend,) = tg.grad(tg.sum(slope), [grid])
    assert bend.tolist() == [[[[4.0, 4.0]]]]  # y = 4 u v, u and v moving by 1 where a coordinate does


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: tg.interpolate(tg.ones((1, 1, 2)), 2, mode="bilinear"),
            "mode is 'bilinear' .* 'linear'.* for 1 of them",
        ),
        (
            lambda: tg.interpolate(tg.ones((1, 1, 2)), 2, align_corners=True),
            "align_corners has no meaning for mode 'nearest'",
        ),
        (lambda: tg.interpolate(tg.ones((1, 1, 2))), "expected either size or scale_factor"),
        (lambda: tg.interpolate(tg.ones((1, 1, 2)), 2, 2.0), "expected either size or scale_factor"),
        (lambda: tg.interpolate(tg.ones((1, 1, 2)), scale_factor=0.1), "leaves nothing of an image"),
        (
            lambda: tg.interpolate(tg.ones((1, 1, 2)), scale_factor=-1.0),
            "scale_factor is -1.0; expected a number above 0",
        ),
        (lambda: tg.interpolate(tg.ones((1, 1, 0)), 3), r"there are no pixels in the shape \(1, 1, 0\)"),
        (lambda: tg.interpolate(tg.ones((1, 1, 2)), (2, 2)), r"size is \(2, 2\); expected an integer"),
        (lambda: tg.pixel_shuffle(tg.ones((1, 3, 2, 2)), 2), r"pixel_shuffle: expected \(..., c \* 4, h, w\)"),
        (lambda: tg.pixel_unshuffle(tg.ones((1, 3, 3, 2)), 2), "pixel_unshuffle: expected"),
        (lambda: tg.grid_sample(tg.ones((1, 1, 2, 2)), tg.ones((2, 2, 2, 2))), "grid_sample: expected .* got"),
        (lambda: tg.grid_sample(tg.ones((1, 1, 2, 0)), tg.ones((1, 2, 2, 2))), "grid_sample: there are no pixels"),
        (lambda: tg.grid_sample(tg.ones((1, 1, 2, 2)), tg.ones((1, 2, 2, 2)), mode="cubic"), "'bicubic' for 2 axes"),
        (
            lambda: tg.grid_sample(tg.ones((1, 1, 2, 2, 2)), tg.ones((1, 2, 2, 2, 3)), mode="bicubic"),
            "mode is 'bicubic'; it may be 'bilinear', 'nearest' for 3 axes",
        ),
        (lambda: tg.interpolate(tg.ones((1, 1, 2, 2)), 2, antialias=True), "antialias is for 'bilinear' and 'bicubic'"),
        (
            lambda: tg.grid_sample(tg.ones((1, 1, 2, 2)), tg.ones((1, 2, 2, 2)), padding_mode="wrap"),
            "is 'wrap'; it may be",
        ),
        (lambda: tg.affine_grid(tg.ones((1, 2, 2)), (1, 1, 2, 2)), "affine_grid: expected theta"),
    ],
)
def test_arguments_that_do_not_fit_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
