"""Patches read zeros beyond an image, blocks cover every row once, and targets drop what lies beyond."""

from __future__ import annotations

from threading import get_ident
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend.cpu.convolution.patches import Target, blocks, done, patch, strided


@pytest.mark.parametrize("starts", [(0, 0), (-1, -2), (2, 1), (-9, 0), (9, 0), (3, -1)])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("channels", [3, 16])
def test_a_patch_is_what_a_padded_image_has_there(starts: tuple[int, int], last: bool, channels: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, channels, 16, 8))
    x = np.moveaxis(x, 1, -1)
    if last:
        x = np.ascontiguousarray(x)
    padded = np.pad(x, ((0, 0), (20, 20), (20, 20), (0, 0)))
    expected = padded[:, 20 + starts[0] :, 20 + starts[1] :][:, :6, :5]
    found = patch(x, "a test", starts, (6, 5))
    np.testing.assert_array_equal(found, expected)


def test_a_patch_inside_an_image_with_the_channels_last_is_not_copied() -> None:
    x = np.ones((2, 8, 8, 3))
    assert np.shares_memory(patch(x, "a test", (1, 0), (6, 8)), x)


@pytest.mark.parametrize("sizes", [(18, 10), (18, 12), (2, 2), (1, 10)])
def test_a_border_of_one_pixel_is_zero_on_both_sides(sizes: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 16, 8, 3))
    expected = np.pad(x, ((0, 0), (1, 9), (1, 9), (0, 0)))[:, : sizes[0], : sizes[1]]
    patch(np.ones((2, 20, 20, 3)), "a test", (-1, -1), (22, 22))  # numbers that lie there before
    np.testing.assert_array_equal(patch(x, "a test", (-1, -1), sizes), expected)


def test_a_view_by_strides() -> None:
    whole = np.arange(24.0).reshape(4, 6)
    for part in (whole, whole[:, ::2], whole.T):
        found = strided(part, (2, *part.shape[1:]), (2 * part.strides[0], part.strides[1]))
        np.testing.assert_array_equal(found, part[:3:2])
        assert np.shares_memory(found, whole)


@pytest.mark.parametrize("limit", [1, 10, 100, 10_000])
@pytest.mark.parametrize(("n", "counts"), [(1, (7, 5)), (5, (3, 2)), (64, (1,)), (0, (3, 3))])
def test_blocks_cover_every_row_of_every_image_once(n: int, counts: tuple[int, ...], limit: int) -> None:
    seen = np.zeros((n, counts[0]), int)
    for images, rows in blocks(n, counts, 3, limit):
        seen[images, rows] += 1
        part = seen[images, rows]
        assert part.shape[0] <= 1 or part.shape[1] == counts[0]
    assert np.all(seen == 1)


def test_a_target_puts_parts_of_points_and_drops_those_beyond() -> None:
    image = np.zeros((1, 4, 3, 1))
    values = np.arange(1.0, 25.0).reshape(1, 3, 2, 2, 2, 1)  # 3 x 2 points of 2 x 2 pixels, from pixel (-1, 0) on
    Target(image, (-1, 0), (2, 2), (2, 2)).put(slice(0, 1), (0, 0), (1, 1), values)
    whole = values[0, ..., 0].transpose(0, 2, 1, 3).reshape(6, 4)
    np.testing.assert_array_equal(image[0, :, :, 0], whole[1:5, :3])


def test_a_target_puts_points_that_are_apart() -> None:
    image = np.zeros((2, 7, 1))
    Target(image, (0,), (1,), (1,)).put(slice(1, 2), (1,), (3,), np.array([[[[5.0]], [[6.0]], [[7.0]]]]))
    np.testing.assert_array_equal(image[..., 0], [[0.0] * 7, [0, 5, 0, 0, 6, 0, 0]])


@pytest.mark.parametrize("parts", [(1, 1), (2, 3)])
@pytest.mark.parametrize("starts", [(0, 0), (-1, 2), (3, -4), (-40, 0)])
def test_tiles_are_put_as_their_points_are(parts: tuple[int, int], starts: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 3, 5, 2, *parts, 7))  # tiles of 2 x 4, 5 x 2 of them
    images = np.zeros((2, 4, 17, 19, 7))
    whole, one_by_one = [Target(image, starts, parts, parts) for image in images]
    whole.put_tiles(slice(1, 4), (2, 4), values)
    for i in range(2):
        for j in range(4):
            one_by_one.put(slice(1, 4), (2 + i, 4 + j), (2, 4), values[i, j])
    assert images[1].any() == (starts[0] > -40)
    np.testing.assert_array_equal(images[0], images[1])


def test_small_work_stays_on_the_thread_that_asks() -> None:
    tg.set_num_threads(2)
    try:
        works: list[Any] = [get_ident] * 8
        assert set(done(works, 100)) == {get_ident()}
        assert done([lambda k=k: k for k in range(5)], 1 << 30) == [0, 1, 2, 3, 4]
    finally:
        tg.set_num_threads(None)
