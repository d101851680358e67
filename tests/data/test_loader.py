"""The loader: epochs that visit every row, and can be left and taken up anywhere, bit for bit."""

import json
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad import backend
from tensorgrad.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler
from tensorgrad.random import Generator

DATA = TensorDataset(np.arange(23.0), np.arange(23))


def noisy(batch, generator):
    x, y = batch
    return x + generator.normal(size=x.shape, dtype=x.dtype), y


def values(batches):
    return [[each.tolist() for each in batch] for batch in batches]


def epochs(loader, count):
    return [values(loader) for _ in range(count)]


def test_an_epoch_visits_every_row_once_in_a_new_order_each_time():
    loader = DataLoader(DATA, batch_size=4, shuffle=True, generator=Generator(0))
    first, second = epochs(loader, 2)
    for epoch in (first, second):
        assert sorted(row for _, rows in epoch for row in rows) == list(range(23))
        assert [len(rows) for _, rows in epoch] == [4, 4, 4, 4, 4, 3]
    assert first != second


def test_inputs_and_targets_stay_together():
    for x, y in DataLoader(DATA, batch_size=5, shuffle=True):
        assert x.tolist() == y.tolist()


def test_without_shuffle_rows_come_in_order():
    assert [rows for _, rows in values(DataLoader(DATA, batch_size=10))] == [
        list(range(10)),
        list(range(10, 20)),
        [20, 21, 22],
    ]


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "expected"), [(4, False, 6), (4, True, 5), (23, True, 1), (24, True, 0), (24, False, 1)]
)
def test_its_length_is_the_number_of_its_batches(batch_size, drop_last, expected):
    loader = DataLoader(DATA, batch_size=batch_size, drop_last=drop_last)
    assert len(loader) == len(list(loader)) == expected


def test_manual_seed_decides_the_order_of_a_loader_without_a_generator():
    orders = []
    for seed in (1, 1, 2):
        tg.manual_seed(seed)
        orders.append(values(DataLoader(DATA, batch_size=4, shuffle=True)))
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("prefetch", [1, 2, 7])
def test_threads_change_nothing(prefetch):
    here, ahead = (
        epochs(DataLoader(DATA, 4, shuffle=True, transform=noisy, prefetch=each, generator=Generator(3)), 2)
        for each in (0, prefetch)
    )
    assert here == ahead


@given(
    batch_size=st.integers(1, 30),
    drop_last=st.booleans(),
    prefetch=st.integers(0, 3),
    done=st.integers(0, 60),
    seed=st.integers(0, 5),
)
def test_an_epoch_left_anywhere_is_taken_up_exactly(batch_size, drop_last, prefetch, done, seed):
    def make(generator):
        return DataLoader(
            DATA, batch_size, shuffle=True, transform=noisy, drop_last=drop_last, prefetch=prefetch, generator=generator
        )

    whole = [batch for epoch in epochs(make(Generator(seed)), 3) for batch in epoch]
    first = make(Generator(seed))
    handed_out, state = [], first.state_dict()
    for _ in range(3):
        for batch in first:
            if len(handed_out) == done:
                break
            handed_out.append([each.tolist() for each in batch])
            state = json.loads(json.dumps(first.state_dict()))
        if len(handed_out) == done:
            break
    second = make(Generator())
    second.load_state_dict(state)
    rest = [batch for epoch in epochs(second, 4) for batch in epoch]
    assert (handed_out + rest)[: len(whole)] == whole


def test_after_the_last_batch_but_before_the_end_the_epoch_hands_out_nothing_more():
    loader = DataLoader(DATA, batch_size=23, shuffle=True, generator=Generator(0))
    batches = iter(loader)
    next(batches)
    inside = loader.state_dict()
    assert next(batches, None) is None
    outside = loader.state_dict()
    for state, left in ((inside, 0), (outside, 1)):
        other = DataLoader(DATA, batch_size=23, shuffle=True)
        other.load_state_dict(state)
        assert len(list(other)) == left


def test_an_epoch_left_by_break_is_not_taken_up_by_itself():
    loader = DataLoader(DATA, batch_size=4)
    for _ in loader:
        break
    state = loader.state_dict()
    assert len(list(loader)) == 6
    loader.load_state_dict(state)
    for _ in loader:
        break
    assert len(list(loader)) == 6


def test_every_batch_draws_from_a_stretch_of_the_stream_of_its_own():
    starts = []

    def note(batch, generator):
        starts.append(generator.get_state()["counter"])
        return batch

    list(DataLoader(DATA, batch_size=4, shuffle=True, transform=note))
    assert starts == [place << 64 for place in range(1, 7)]  # the order is drawn from block 0 on


def test_a_shared_generator_is_where_it_was_after_a_state_is_loaded():
    rng = Generator(5)
    loader = DataLoader(DATA, batch_size=4, shuffle=True, generator=rng)
    next(iter(loader))
    rng.normal(size=9)  # a model's dropout, say
    state = loader.state_dict()
    expected = rng.random(3).tolist()
    other = Generator(0)
    DataLoader(DATA, batch_size=4, shuffle=True, generator=other).load_state_dict(state)
    assert other.random(3).tolist() == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 5}, "batch_size = 5, this loader has 4"),
        ({"rows": 22}, "rows = 22"),
        ({"drop_last": True}, "drop_last"),
        ({"position": 7}, "expected 0 to 6"),
        ({"position": "1"}, "expected 0 to 6"),
        ({"extra": 1}, "expected .*'batch_size'"),
        ({"key": -1}, "seed"),
    ],
)
def test_a_state_of_another_loader_is_refused_and_changes_nothing(change, words):
    loader = DataLoader(DATA, batch_size=4, shuffle=True, generator=Generator(0))
    next(iter(loader))
    before = loader.state_dict()
    with pytest.raises(ValueError, match=words):
        loader.load_state_dict({**before, **change})
    assert loader.state_dict() == before
    with pytest.raises(ValueError, match="got list"):
        loader.load_state_dict([])


def test_weights_decide_what_an_epoch_has():
    loader = DataLoader(DATA, 50, sampler=WeightedRandomSampler([0.0] * 22 + [1.0], 50))
    ((_, rows),) = values(loader)
    assert rows == [22] * 50


def test_a_collate_function_gets_the_items():
    loader = DataLoader(["ab", "cde"], batch_size=2, collate_fn=lambda items: [len(each) for each in items])
    assert list(loader) == [[2, 3]]


def test_a_tensor_dataset_is_asked_for_batches_and_never_for_items():
    class Counted(TensorDataset):
        def __getitem__(self, index):
            raise AssertionError("an item was asked for")

    assert len(list(DataLoader(Counted(np.zeros((6, 2))), batch_size=4))) == 2


@pytest.mark.parametrize("prefetch", [0, 2])
def test_batches_have_no_tape(prefetch):
    leaf = tg.asarray([[1.0], [2.0]], requires_grad=True)
    for (x,) in DataLoader(TensorDataset(leaf), batch_size=2, prefetch=prefetch):
        assert not x.requires_grad


class Slow(Dataset):
    """Items that take a while, and note which thread made them."""

    def __init__(self, count=40):
        self.count, self.threads, self.made = count, set(), 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.threads.add(threading.current_thread().name)
        self.made += 1
        time.sleep(0.001)
        if index == 30:
            raise RuntimeError("item 30 is broken")
        return index


def test_threads_make_batches_ahead_and_stop_when_nobody_wants_them():
    data = Slow()
    batches = iter(DataLoader(data, batch_size=2, prefetch=3))
    assert next(batches).tolist() == [0, 1]
    batches.close()
    assert data.made <= 2 * 4  # what was handed out, and three batches ahead
    many = Slow(4000)
    batches = iter(DataLoader(many, prefetch=2000))
    next(batches)
    batches.close()
    assert many.made < 2000  # most of those that waited were never begun
    assert all(name.startswith("DataLoader") for name in data.threads)
    assert not any(each.name.startswith("DataLoader") for each in threading.enumerate())


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_in_an_item_comes_out_at_its_batch(prefetch):
    batches = iter(DataLoader(Slow(), batch_size=5, prefetch=prefetch))
    assert [row for _ in range(6) for row in next(batches).tolist()] == list(range(30))
    with pytest.raises(RuntimeError, match="item 30 is broken"):
        next(batches)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"prefetch": -1}, "prefetch is -1"),
        ({"shuffle": True, "sampler": [0]}, "pass one of them"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(DATA, **arguments)


class Carried:
    """A carrier to the stand-in that writes down what it does, and when."""

    def __init__(self, told):
        self.told, self.device = told, "strict"

    def stage(self, array):
        self.told.append(("stage", int(array[0])))
        return np.array(array)

    def send(self, staged):
        self.told.append(("send", int(staged[0])))
        return staged

    def receive(self, parcel):
        self.told.append(("receive", int(parcel[0])))
        return backend.move(parcel, self.device)

    def close(self):
        self.told.append(("close", 0))


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_a_batch_is_on_its_way_to_the_device_while_the_one_before_is_used(prefetch, monkeypatch):
    told = []
    monkeypatch.setattr(backend, "carrier", lambda device: Carried(told))
    data = TensorDataset(tg.asarray(np.arange(6), device="cpu"))
    for (batch,) in DataLoader(data, batch_size=2, prefetch=prefetch, device="strict"):
        assert batch.device == "strict"
        told.append(("use", batch.tolist()[0]))
    order = [each for each in told if each[0] != "stage"]
    assert order.pop() == ("close", 0)
    if prefetch:
        assert order.index(("send", 2)) < order.index(("use", 0))
        assert order.index(("send", 4)) < order.index(("use", 2))
        assert order.index(("use", 0)) < order.index(("send", 4))  # one ahead, no more: they take the device's memory
    else:
        assert [what for what, _ in order] == ["send", "receive", "use"] * 3
    assert sorted(first for what, first in told if what == "stage") == [0, 2, 4]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_whoever_leaves_an_epoch_waits_for_what_is_on_its_way(prefetch, monkeypatch):
    """Else its memory would be given to others while it is read and written."""
    told = []
    monkeypatch.setattr(backend, "carrier", lambda device: Carried(told))
    data = TensorDataset(tg.asarray(np.arange(60), device="cpu"))
    for _ in DataLoader(data, batch_size=2, prefetch=prefetch, device="strict"):
        break
    assert [what for what, _ in told].count("close") == 1
    batches = iter(DataLoader(data, batch_size=2, prefetch=prefetch, device="strict"))
    next(batches)
    del batches
    assert [what for what, _ in told].count("close") == 2


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_an_error_comes_out_at_its_batch_on_the_way_to_a_device_too(prefetch):
    loader = DataLoader(Slow(), batch_size=5, prefetch=prefetch, device="strict")
    batches = iter(loader)
    assert [row for _ in range(6) for row in next(batches).tolist()] == list(range(30))
    assert loader.state_dict()["position"] == 6
    with pytest.raises(RuntimeError, match="item 30 is broken"):
        next(batches)


def test_batches_go_to_the_device_whatever_they_are_made_of():
    items = [{"x": np.full(2, row, np.float32), "name": f"row {row}", "pair": (row, [1.0])} for row in range(3)]
    for prefetch in (0, 2):
        loader = DataLoader(items, batch_size=2, device="strict:1", prefetch=prefetch)
        first, last = loader
        assert (first["x"].device, first["x"].tolist()) == ("strict:1", [[0.0, 0.0], [1.0, 1.0]])
        assert first["name"] == ["row 0", "row 1"]
        assert first["pair"][0].device == first["pair"][1][0].device == "strict:1"
        assert last["x"].shape == (1, 2)
        again = DataLoader(items, batch_size=2, device="strict:1", prefetch=prefetch)
        batches = iter(loader)
        next(batches)
        again.load_state_dict(loader.state_dict())
        assert [each["x"].tolist() for each in again] == [[[2.0, 2.0]]]
    with pytest.raises(ValueError, match="there is no device 'toaster'"):
        DataLoader(items, device="toaster")
