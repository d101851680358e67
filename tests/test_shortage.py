"""Out of memory: one error that says what holds it, and the next smaller batch works."""

import weakref

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.backend import strict_library
from tensorgrad.backend.cpu.numpy_library import memory
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.shortage import OutOfMemoryError, holders


class Allocator:
    """Counts what arrays of the stand-in take, and has no more than its limit to give, as a GPU has."""

    def __init__(self):
        self.limit, self.live, self.refused = 1 << 60, {}, 0

    @property
    def used(self):
        return sum(self.live.values())

    def give(self, array):
        owner = memory(array)
        key = id(owner)
        if key not in self.live:
            if self.used + owner.nbytes > self.limit:
                self.refused += 1
                raise MemoryError(f"Out of memory allocating {owner.nbytes:,} bytes")
            self.live[key] = owner.nbytes
            weakref.finalize(owner, self.live.pop, key)


@pytest.fixture
def allocator(monkeypatch):
    counted, plain = Allocator(), strict_library.StrictArray.__init__

    def made(self, inner):
        counted.give(inner._array)
        plain(self, inner)

    monkeypatch.setattr(strict_library.StrictArray, "__init__", made)
    return counted


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        rng = tg.random.Generator(0)
        self.first = nn.Linear(width, 4 * width, generator=rng)
        self.bend = nn.Tanh()
        self.second = nn.Linear(4 * width, 1, generator=rng)

    def forward(self, x):
        return self.second(self.bend(self.first(x)))


def train(model, optimizer, rows):
    x = tg.random.Generator(1, device="strict").normal(size=(rows, 32))
    loss = (model(x) ** 2).mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@pytest.mark.parametrize("room", ["a little", "more", "nearly enough"])
def test_the_next_smaller_batch_works_and_the_error_says_what_held_the_memory(room, allocator):
    def made():
        model = Block(32).to("strict")
        return model, tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    model, optimizer = made()
    train(model, optimizer, 8)
    reference, other = made()
    train(reference, other, 8)
    expected = train(reference, other, 16)
    del reference, other
    before = allocator.used
    # Forward alone takes about 256 rows x 32 x 4 x 2 arrays of float32; a sweep the same again.
    allocator.limit = before + {"a little": 150_000, "more": 300_000, "nearly enough": 420_000}[room]
    with pytest.raises(OutOfMemoryError) as raised:
        train(model, optimizer, 256)
    text = str(raised.value)
    assert isinstance(raised.value, MemoryError)
    assert "out of memory on 'strict' (Out of memory allocating" in text
    assert "parameters and other leaves" in text
    assert "first" in text or room == "a little"
    assert "Smaller batches need less" in text
    del raised
    optimizer.zero_grad()
    assert allocator.refused == 1
    assert allocator.used <= before + 1000
    allocator.limit = before + 150_000
    assert train(model, optimizer, 16) == pytest.approx(expected, rel=1e-5)


def test_the_optimizer_that_asks_for_its_memory_is_named(allocator):
    model = Block(32).to("strict")
    adam = tg.optim.Adam(model.parameters(), lr=0.1)
    (model(tg.ones((2, 32), device="strict")) ** 2).mean().backward()
    allocator.limit = allocator.used + 1000
    with pytest.raises(
        OutOfMemoryError, match=r"Adam.step: out of memory on 'strict' .*\n(.*\n)*.*gradients of leaves"
    ):
        adam.step()


def test_host_memory_is_explained_too():
    x = tg.ones((16, 1), device="cpu")
    with pytest.raises(OutOfMemoryError, match=r"out of memory on 'cpu' \(Unable to allocate"):
        tg.broadcast_to(x, (16, 1 << 50)).copy()


def test_holders_are_counted_once_and_by_module():
    model = Block(8).to("cpu")
    x = tg.asarray(np.ones((1000, 8), np.float32), device="cpu")
    loss = model(x).sum()
    held = dict(holders("cpu"))
    assert held["bend"] == 1000 * 32 * 4
    assert held["first"] == 1000 * 8 * 4
    assert held["parameters and other leaves"] >= 4 * (8 * 32 + 32 + 32 + 1)
    assert sum(held.values()) < 1 << 40
    loss.backward()
    del loss
    freed = dict(holders("cpu"))
    assert freed.get("bend", 0) < held["bend"]
    assert freed["gradients of leaves"] >= 4 * (8 * 32 + 32 + 32 + 1)


class Touchy:
    """As an object of another package may be: it warns when anything is asked of it."""

    def __getattribute__(self, name):
        raise FutureWarning(f"{name} of a thing that is none of ours was asked for")


def test_nothing_is_asked_of_objects_that_are_none_of_ours():
    touchy = {"one": Touchy()}
    assert isinstance(holders(tg.zeros(1).device), list)
    assert len(touchy) == 1


HOST = np.ones((400, 400), np.float32)
WAYS = {
    "zeros": lambda: tg.zeros((400, 400), device="strict"),
    "eye": lambda: tg.eye(400, device="strict"),
    "asarray": lambda: tg.asarray(HOST, device="strict"),
    "to_device": lambda: tg.asarray(HOST, device="cpu").to("strict"),
    "ones_like": lambda: tg.ones_like(tg.asarray(HOST, device="cpu"), device="strict"),
    "empty": lambda: nn.Linear(400, 400, device="strict"),
    "DataLoader": lambda: list(DataLoader(TensorDataset(tg.asarray(HOST, device="cpu")), 400, device="strict")),
}


@pytest.mark.parametrize("what", WAYS)
def test_whoever_makes_or_brings_an_array_is_told_what_holds_the_memory_there(what, allocator):
    held = tg.ones((30, 1000), device="strict", requires_grad=True)
    allocator.limit = allocator.used + 50_000
    told = r"out of memory on 'strict' \(Out of memory(.|\n)*  parameters and other leaves"
    with pytest.raises(OutOfMemoryError, match=told):
        WAYS[what]()
    del held
    allocator.limit = 1 << 60
    WAYS[what]()
