"""What transforms share: images in, images out, a batch at a time, every draw from the generator handed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorgrad.creation import asarray
from tensorgrad.random import Generator
from tensorgrad.tensor import Tensor


class Transform:
    """A base for transforms of images: `images(x, generator)` is yours.   (n, c, h, w) -> (n, c, h', w')

    A transform is called with images, or with a batch, a tuple or list that starts with images, whose other entries
    stay as they are; so it serves as `transform` of a DataLoader. Every image of a batch is transformed in its own
    way. One that draws needs a generator. Raises TypeError for one that is missing and for images that are not
    floating, ValueError for another number of axes. Gradients reach the images.

    >>> class Invert(Transform):
    ...     def images(self, x, generator):
    ...         return 1 - x
    >>> Invert()([[[[0.25]]]])
    Tensor([[[[0.75]]]], dtype=float32)
    """

    draws = False

    def __call__(self, batch: Any, generator: Generator | None = None) -> Any:
        """The images transformed; or a batch with its first entry transformed."""
        if isinstance(batch, tuple) or (isinstance(batch, list) and batch and isinstance(batch[0], Tensor)):
            changed = [self(batch[0], generator), *batch[1:]]
            return changed if isinstance(batch, list) else tuple(changed)
        name = type(self).__name__
        x = asarray(batch)
        if x.dtype.kind != "f":
            raise TypeError(
                f"{name}: the images are {x.dtype}; expected floating numbers, such as bytes divided by 255"
            )
        if x.ndim != 4:
            raise ValueError(f"{name}: the images have the shape {x.shape}; expected (n, c, h, w)")
        if self.draws and generator is None:
            raise TypeError(
                f"{name}: there is no generator to draw from; call it with one, or give the transform to a DataLoader"
            )
        return self.images(x, generator)

    def images(self, x: Tensor, generator: Any) -> Tensor:
        """The images, transformed.   (n, c, h, w) -> (n, c, h', w')"""
        raise NotImplementedError(f"{type(self).__name__} needs a method images(x, generator)")


class Compose:
    """One transform after another.

    >>> from tensorgrad.data.transforms import Normalize, Pad
    >>> Compose([Pad(1), Normalize(0.5, 0.5)])([[[[1.0]]]]).tolist()
    [[[[-1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]]]]
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = list(transforms)

    def __call__(self, batch: Any, generator: Generator | None = None) -> Any:
        """The batch after all of them."""
        for transform in self.transforms:
            batch = transform(batch, generator)
        return batch


class Jointly:
    """One transform for every entry of a batch, with the same draws: images and the maps that belong to them.

    >>> from tensorgrad.data.transforms import RandomHorizontalFlip
    >>> x = asarray([[[[1.0, 2.0]]]] * 8)
    >>> image, label_map = Jointly(RandomHorizontalFlip())((x, x), Generator(0))
    >>> bool((image == label_map).all())
    True
    """

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __call__(self, batch: Sequence[Any], generator: Generator) -> tuple[Any, ...]:
        """Every entry transformed; the generator is then where one of them leaves it."""
        state = generator.get_state()
        changed = []
        for entry in batch:
            generator.set_state(state)
            changed.append(self.transform(entry, generator))
        return tuple(changed)


def uniform(generator: Generator, low: float, high: float, count: int) -> Any:
    """Uniform numbers from low to high in host memory, one for each image.   -> (count,) float64

    >>> uniform(Generator(0), 2.0, 2.0, 3)
    array([2., 2., 2.])
    """
    return low + (high - low) * generator.random(count, dtype=np.float64).to_device("cpu").numpy()


def beside(values: Any, x: Tensor) -> Tensor:
    """Numbers from host memory with the dtype of images, and on their device.   (...) -> (...)

    >>> beside([1, 2], asarray([0.5]))
    Tensor([1., 2.], dtype=float32)
    """
    return asarray(np.asarray(values).astype(x.dtype), device=x.device)


def per_image(values: Any, x: Tensor) -> Tensor:
    """One number for each image, to be broadcast against images.   (n,) -> (n, 1, 1, 1)

    >>> per_image([1, 2], asarray([[[[0.5]]], [[[0.5]]]])).shape
    (2, 1, 1, 1)
    """
    return beside(np.reshape(values, (-1, 1, 1, 1)), x)


def pair(what: str, value: Any) -> tuple[Any, Any]:
    """Two values, for height and width, from one or two.

    >>> pair("Resize: size", 3)
    (3, 3)
    """
    if isinstance(value, (int, float)):
        return value, value
    if len(value) != 2:
        raise ValueError(f"{what} is {value}; expected one number, or two for height and width")
    return value[0], value[1]
