"""The loader: epochs of batches in an order that can be left and taken up again anywhere."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tensorgrad import backend
from tensorgrad.data.collate import mapped
from tensorgrad.data.datasets import batch_of, row_numbers
from tensorgrad.data.samplers import FixedSampler, RandomSampler, Sampler, SequentialSampler
from tensorgrad.random import Generator, default_generator
from tensorgrad.shortage import explained
from tensorgrad.tape import no_grad
from tensorgrad.tensor import Tensor, of_array

# Batch i of an epoch draws from block (i + 1) 2^64 of the epoch's stream on, the order from block 0 on.
_STRIDE_BITS = 64


@dataclass
class _Epoch:
    """One way through the data: the key of its random stream, and how many batches were handed out."""

    key: int
    position: int = 0


class _Parcel:
    """An array on its way to a device."""

    def __init__(self, content: Any) -> None:
        self.content = content


class DataLoader:
    """Batches of a data set, epoch after epoch.

    dataset: a `Dataset`, or anything with a length and items by number. A data set with a method `batch(rows)` is
    asked for whole batches; `TensorDataset` gathers them at once. batch_size: items a batch. shuffle: every item once,
    in a new random order each epoch. sampler: a `Sampler`, or a list of row numbers, instead of shuffle.
    collate_fn: makes a batch of a list of items, asked for one by one. transform: called as
    transform(batch, generator) on every batch, with a generator of the batch's own, on its device. drop_last: leave
    out a last batch that is not full. prefetch: how many batches threads make ahead; 0 makes each when it is asked for.
    device: where the batches go, by default nowhere; with prefetch, the next one is on its way there while this one
    is used: to a GPU from pinned memory, on a stream of its own. The transform comes before.
    generator: where order and transforms come from; when None, a new one spawned from the default generator.

    Each epoch takes one key from the generator, and order and transforms are drawn from that key and the batch's place
    alone. So the batches are the same with and without threads, and `state_dict()` is small and exact in mid-epoch.
    Batches are made without a tape.

    Raises ValueError for a batch_size below 1, a negative prefetch, and shuffle together with a sampler; a sampler
    that names a row that is not there raises IndexError when the epoch begins.

    >>> from tensorgrad.data import TensorDataset
    >>> loader = DataLoader(TensorDataset([0, 10, 20, 30, 40]), batch_size=2, shuffle=True, generator=Generator(0))
    >>> [batch.tolist() for (batch,) in loader]
    [[20, 30], [10, 40], [0]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Any = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        transform: Callable[[Any, Generator], Any] | None = None,
        drop_last: bool = False,
        prefetch: int = 0,
        generator: Generator | None = None,
        device: str | None = None,
    ) -> None:
        if operator.index(batch_size) < 1:
            raise ValueError(f"DataLoader: batch_size is {batch_size}; expected at least 1")
        if operator.index(prefetch) < 0:
            raise ValueError(f"DataLoader: prefetch is {prefetch}; expected the number of batches to make ahead")
        if shuffle and sampler is not None:
            raise ValueError("DataLoader: shuffle=True and a sampler both say what the order is; pass one of them")
        if sampler is None:
            sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
        self.dataset, self.drop_last, self.prefetch = dataset, bool(drop_last), prefetch
        self.batch_size = operator.index(batch_size)  # a plain integer, so that the state fits into JSON
        self.collate_fn, self.transform = collate_fn, transform
        self.device = None if device is None else backend.device_named(device)
        self.sampler: Sampler = sampler if hasattr(sampler, "indices") else FixedSampler(sampler)
        self.generator = default_generator().spawn(1)[0] if generator is None else generator
        self._epoch: _Epoch | None = None
        self._resuming = False

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """The batches of a new epoch, or after `load_state_dict` the rest of the one that was left."""
        if self._epoch is None or not self._resuming:
            self._epoch = _Epoch(self.generator.spawn(1)[0].get_state()["key"])
        self._resuming = False
        order = self.sampler.indices(Generator(self._epoch.key, device="cpu"))
        rows = row_numbers("DataLoader: the sampler", order, len(self.dataset))
        return self._run(self._epoch, rows)

    def _run(self, epoch: _Epoch, rows: Any) -> Iterator[Any]:
        carrier = None if self.device is None else backend.carrier(self.device)

        def make(place: int) -> Any:
            batch = self._make(epoch.key, place, rows[place * self.batch_size : (place + 1) * self.batch_size])
            return batch if carrier is None else mapped(Tensor, lambda each: of_array(carrier.stage(each.data)), batch)

        places = range(epoch.position, len(self))
        batches = self._ahead(make, places) if self.prefetch else map(make, places)
        for batch in batches if carrier is None else self._carried(batches, carrier):
            epoch.position += 1
            yield batch
        if self._epoch is epoch:
            self._epoch = None

    def _make(self, key: int, place: int, rows: Any) -> Any:
        with no_grad():  # modes belong to threads: without this, prefetching would change what is recorded
            if self.collate_fn is None:
                batch = batch_of(self.dataset, rows)
            else:
                batch = self.collate_fn([self.dataset[int(row)] for row in rows])
            if self.transform is None:
                return batch
            generator = Generator(0, device=_device_of(batch))
            generator.set_state({"key": key, "counter": (place + 1) << _STRIDE_BITS})
            return self.transform(batch, generator)

    def _ahead(self, make: Callable[[int], Any], places: range) -> Iterator[Any]:
        """What `make` makes of each place, in order, made by threads before it is asked for."""
        waiting: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(min(self.prefetch, os.cpu_count() or 1), "DataLoader") as pool:
            try:
                for place in places:
                    waiting.append(pool.submit(make, place))
                    if len(waiting) > self.prefetch:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:  # whoever leaves an epoch does not wait for batches that nobody wants
                for each in waiting:
                    each.cancel()

    def _carried(self, batches: Iterator[Any], carrier: backend.Carrier) -> Iterator[Any]:
        """The batches on their device, each sent before the one ahead of it is handed out."""

        def sent(batch: Any) -> Any:
            try:
                return mapped(Tensor, lambda each: _Parcel(carrier.send(each.data)), batch)
            except MemoryError as error:
                raise explained(error, "DataLoader", self.device) from None

        def received(batch: Any) -> Any:
            return mapped(_Parcel, lambda each: of_array(carrier.receive(each.content)), batch)

        waiting: deque[Any] = deque()
        failed = None
        try:
            while True:
                try:
                    waiting.append(sent(next(batches)))
                except StopIteration:
                    break
                except Exception as error:  # it comes out at its own batch, after those before it
                    failed = error
                    break
                if len(waiting) > (1 if self.prefetch else 0):
                    yield received(waiting.popleft())
            yield from map(received, waiting)
        finally:  # also for whoever leaves an epoch, while `waiting` still holds what is on its way
            carrier.close()
        if failed is not None:
            raise failed

    # ── state ───────────────────────────────────────────────────────────────────────────────────────────

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: numbers that fit into JSON.

        "position" counts the batches handed out in this epoch, whatever threads have made ahead; "key" is the epoch's
        stream, None between epochs. An epoch is over when its loop has ended, not when its last batch was handed out:
        resumed in between, it hands out nothing more and ends.

        >>> loader = DataLoader(range(4), shuffle=True, generator=Generator(0))
        >>> batches = iter(loader)
        >>> _ = next(batches)
        >>> loader.state_dict()["position"]
        1
        """
        epoch = self._epoch
        return {
            "generator": self.generator.get_state(),
            "key": None if epoch is None else epoch.key,
            "position": 0 if epoch is None else epoch.position,
            **self._shape(),
        }

    def _shape(self) -> dict[str, Any]:
        """What a position means something together with."""
        return {
            "rows": len(self.dataset),
            "samples": len(self.sampler),
            "batch_size": self.batch_size,
            "drop_last": self.drop_last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where another loader of the same data stood: the next loop hands out the rest of its epoch.

        The generator goes where it was, also when it is shared. Raises ValueError when the state is not one, or is of
        a loader with another number of rows or samples, batch size or drop_last.

        >>> first = DataLoader(range(6), batch_size=2, shuffle=True, generator=Generator(0))
        >>> batches = iter(first)
        >>> _ = next(batches)
        >>> second = DataLoader(range(6), batch_size=2, shuffle=True)
        >>> second.load_state_dict(first.state_dict())
        >>> [batch.tolist() for batch in second] == [batch.tolist() for batch in batches]
        True
        """
        expected = {"generator", "key", "position", *self._shape()}
        if not isinstance(state, dict) or set(state) != expected:
            found = sorted(map(str, state)) if isinstance(state, dict) else type(state).__name__
            raise ValueError(f"DataLoader.load_state_dict: expected {sorted(expected)}, got {found}")
        for name, value in self._shape().items():
            if state[name] != value:
                raise ValueError(
                    f"DataLoader.load_state_dict: the state was saved with {name} = {state[name]}, this loader has "
                    f"{value}; make the loader as it was made then"
                )
        key, position = state["key"], state["position"]
        if not isinstance(position, int) or not 0 <= position <= len(self):
            raise ValueError(f"DataLoader.load_state_dict: position is {position!r}; expected 0 to {len(self)}")
        epoch = None if key is None else _Epoch(Generator(key).get_state()["key"], position)
        self.generator.set_state(state["generator"])
        self._epoch, self._resuming = epoch, epoch is not None


def _device_of(batch: Any) -> str | None:
    """The device of the first tensor in a batch; None, which is the default device, where there is none."""
    if isinstance(batch, Tensor):
        return batch.device
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else ()
    return next((device for device in map(_device_of, parts) if device is not None), None)
