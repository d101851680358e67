"""What transforms share: batches, generators, and refusals."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    GaussianNoise,
    Jointly,
    Normalize,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    Transform,
)
from tensorgrad.data.transforms.transform import beside, pair, per_image, uniform
from tensorgrad.random import Generator

ALL = [
    CenterCrop(5),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    GaussianNoise(0.1),
    Normalize([0.5, 0.4, 0.3], 0.2),
    Pad(2, "reflect"),
    RandomAffine(20, 0.1, (0.8, 1.2), 10),
    RandomCrop(6, padding=2),
    RandomHorizontalFlip(),
    RandomResizedCrop(6),
    RandomRotation(30),
    RandomVerticalFlip(),
    Resize((4, 9)),
]
every = pytest.mark.parametrize("transform", ALL, ids=lambda each: type(each).__name__)


def images(n=6, channels=3, height=8, width=7, device=None):
    values = np.random.default_rng(0).uniform(size=(n, channels, height, width)).astype(np.float32)
    return tg.asarray(values, device=device or tg.zeros(1).device)


@every
def test_dtype_device_and_number_stay(transform):
    for device in ("cpu", "strict"):
        x = images(device=device)
        out = transform(x, Generator(0))
        assert (out.dtype, out.device, out.shape[:2]) == (x.dtype, device, (6, 3))


@every
def test_a_batch_has_only_its_images_changed(transform):
    x, y = images(), tg.asarray([1, 2, 3])
    out, same = transform((x, y), Generator(3))
    assert same is y
    assert out.tolist() == transform(x, Generator(3)).tolist()
    assert isinstance(transform([x, y], Generator(3)), list)


@every
def test_the_same_generator_gives_the_same_images_and_another_others(transform):
    x = images(16)
    one, same, other = (transform(x, Generator(seed)).tolist() for seed in (1, 1, 2))
    assert one == same
    assert (one != other) == transform.draws


@every
def test_each_image_is_changed_in_its_own_way(transform):
    out = np.array(transform(images(1) * tg.ones((16, 1, 1, 1)), Generator(0)).tolist())
    assert (np.ptp(out, axis=0).max() > 1e-3) == transform.draws


@every
def test_an_image_does_not_depend_on_what_others_show(transform):
    x = images(4)
    whole = transform(x, Generator(5)).tolist()
    changed = transform(tg.concat([x[:3], 1 - x[3:]]), Generator(5)).tolist()
    assert whole[:3] == changed[:3]


@every
def test_gradients_reach_the_images(transform):
    x = images(2).detach().requires_grad_()
    tg.sum(tg.square(transform(x, Generator(0)))).backward()
    assert float(tg.max(tg.abs(x.grad))) > 0


@every
def test_what_is_no_batch_of_images_is_refused(transform):
    name = type(transform).__name__
    with pytest.raises(ValueError, match=rf"{name}: the images have the shape \(3, 4\)"):
        transform(tg.ones((3, 4)), Generator(0))
    with pytest.raises(TypeError, match=f"{name}: the images are uint8"):
        transform(tg.ones((1, 3, 4, 4), dtype=tg.uint8), Generator(0))
    if transform.draws:
        with pytest.raises(TypeError, match=f"{name}: there is no generator"):
            transform(images())


def test_one_comes_after_another():
    chain = Compose([Pad(1), CenterCrop(8), RandomHorizontalFlip(1.0)])
    x = images(height=8, width=8)
    assert chain(x, Generator(0)).tolist() == tg.flip(x, axis=3).tolist()
    assert len(chain((x, 1), Generator(0))) == 2


def test_images_and_maps_are_changed_alike():
    x = images()
    rng = Generator(0)
    chain = Jointly(Compose([RandomCrop(5), RandomHorizontalFlip(), RandomRotation(20, mode="nearest")]))
    first, second = chain((x, x * 2), rng)
    assert (first * 2).tolist() == second.tolist()
    assert rng.get_state()["counter"] > 0


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_loader_draws_anew_for_each_batch_and_epoch(prefetch):
    data = TensorDataset(images(1, 1, 28, 28) * tg.ones((8, 1, 1, 1)), np.arange(8))
    loader = DataLoader(data, 4, transform=RandomCrop(24), prefetch=prefetch, generator=Generator(0))
    seen = [x.tolist() for _ in range(2) for x, _ in loader]
    assert len({str(each) for each in seen}) == 4


def test_a_transform_of_ones_own_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="images"):
        Transform()(images())


def test_numbers_go_beside_images():
    x = images(2, device="strict")
    assert (per_image([1, 2], x).shape, per_image([1, 2], x).device) == ((2, 1, 1, 1), "strict")
    assert beside([0.5], x).dtype == x.dtype
    assert uniform(Generator(0), 1.0, 3.0, 50).min() >= 1
    assert pair("Resize: size", (2, 3)) == (2, 3)
    with pytest.raises(ValueError, match=r"Resize: size is \(1, 2, 3\)"):
        Resize((1, 2, 3))
