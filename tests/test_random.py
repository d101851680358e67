"""The counter-based generator, and the one that repeats PyTorch's draws."""

import copy
import json
import math
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import random
from tensorgrad.random import Generator, TorchGenerator

MASK = 2**64 - 1

DRAWS = {
    "random": lambda rng, n: rng.random(n),
    "random float64": lambda rng, n: rng.random(n, dtype="float64"),
    "uniform": lambda rng, n: rng.uniform(-1.0, 2.0, n),
    "standard_normal": lambda rng, n: rng.standard_normal(n),
    "normal": lambda rng, n: rng.normal(1.0, 2.0, n, dtype="float64"),
    "exponential": lambda rng, n: rng.exponential(2.0, n),
    "bernoulli": lambda rng, n: rng.bernoulli(0.3, n),
    "bernoulli bool": lambda rng, n: rng.bernoulli(0.3, n, dtype=bool),
    "integers": lambda rng, n: rng.integers(-3, 10, n),
    "integers uint8": lambda rng, n: rng.integers(0, 200, n, dtype="uint8"),
    "integers rejected": lambda rng, n: rng.integers(0, 2**63 + 1, n, dtype="uint64"),
    "permutation": lambda rng, n: rng.permutation(n),
    "choice": lambda rng, n: rng.choice(5, n),
    "weighted choice": lambda rng, n: rng.choice(3, n, p=[0.2, 0.3, 0.5]),
    "choice without replacement": lambda rng, n: rng.choice(n, n // 2, replace=False),
}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def philox(counter, key):
    """One block of Philox 4x64-10 as its paper states it: two multiplications and four exclusive ors a round."""
    words = [counter >> 64 * place & MASK for place in range(4)]
    keys = [key & MASK, key >> 64]
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [second >> 64 ^ words[1] ^ keys[0], second & MASK, first >> 64 ^ words[3] ^ keys[1], first & MASK]
        keys = [keys[0] + 0x9E3779B97F4A7C15 & MASK, keys[1] + 0xBB67AE8584CAA73B & MASK]
    return words


def kolmogorov_smirnov(values, distribution):
    """sqrt(n) times the largest distance between the values' distribution and the given one."""
    n = len(values)
    reached = distribution(np.sort(values))
    above, below = np.arange(1, n + 1) / n - reached, reached - np.arange(n) / n
    return math.sqrt(n) * max(above.max(), below.max())


def chi_square(counts, expected):
    """How many standard deviations the counts' chi-square lies above its mean."""
    freedom = len(counts) - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / math.sqrt(2 * freedom)


# ── the bits ────────────────────────────────────────────────────────────────────────────────────────────────


def test_reference_philox_gives_the_known_answers_of_random123():
    ones = (1 << 256) - 1
    assert philox(0, 0) == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox(ones, ones >> 128) == [
        *(0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ]


@pytest.mark.parametrize("key", [0, 7, 2**64 + 5, 2**128 - 1])
@pytest.mark.parametrize("counter", [0, 41, 2**64 - 1, 2**192 + 3])
def test_block_c_is_philox_of_c_plus_one(key, counter):
    expected = [word for block in range(3) for word in philox(counter + block + 1, key)]
    assert random._words(key, counter, 12).tolist() == expected


def test_uniform_values_are_the_top_bits_of_the_words():
    words = philox(1, 9)
    assert Generator(9).random(4, dtype="float64").tolist() == [(word >> 11) * 2.0**-53 for word in words]
    assert Generator(9).random(4, dtype="float32").tolist() == [(word >> 40) * 2.0**-24 for word in words]


def test_first_values_of_seed_0_never_change():
    assert Generator(0).random(3, dtype="float64").tolist() == [
        *(0.011546754286331562, 0.24154919656271812, 0.11142585551493822),
    ]
    normal = [0.008088695404117373, 0.15219212994898557, -0.4468097514740505, -0.1914038077379988]
    # log, cos and sin may differ in their last place between processors.
    assert Generator(0).standard_normal(4, dtype="float64").tolist() == pytest.approx(normal, rel=1e-14)
    exponential = [0.011613935705874748, 0.2764773426302539, 0.11813718581445379]
    assert Generator(0).exponential(size=3, dtype="float64").tolist() == pytest.approx(exponential, rel=1e-14)
    assert Generator(0).integers(0, 100, 8).tolist() == [59, 58, 49, 56, 3, 25, 67, 96]
    assert Generator(0).permutation(8).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    assert Generator(0).choice(10, 6, replace=False).tolist() == [0, 2, 9, 1, 8, 5]
    assert Generator(0).choice(3, 6, p=[0.2, 0.3, 0.5]).tolist() == [0, 1, 0, 2, 2, 1]
    assert Generator(0).choice(4, 3, replace=False, p=[0.1, 0.2, 0.3, 0.4]).tolist() == [0, 2, 1]
    assert Generator(0).bernoulli(0.5, 5).tolist() == [1, 1, 1, 0, 0]


@every_draw
@pytest.mark.parametrize("n", [0, 1, 4, 5, 70_001])
def test_a_draw_of_n_values_takes_a_block_for_every_four(draw, n):
    rng = Generator(3)
    draw(rng, n)
    assert rng.get_state() == {"key": 3, "counter": -(-n // 4)}


@pytest.mark.parametrize("name", sorted({*DRAWS} - {"permutation", "choice without replacement"}))
def test_a_longer_draw_begins_with_the_values_of_a_shorter_one(name):
    draw = DRAWS[name]
    # 65,536 values are made at a time: the seam must not show.
    longer, shorter = draw(Generator(3), 70_000).numpy(), draw(Generator(3), 65_539).numpy()
    np.testing.assert_allclose(longer[: len(shorter)], shorter, rtol=1e-6)


def test_consecutive_draws_of_whole_blocks_are_one_long_draw():
    rng = Generator(1)
    parts = np.concatenate([rng.random(n).numpy() for n in (65_536, 8, 4, 100)])
    assert parts.tolist() == Generator(1).random(65_648).tolist()


def test_float32_values_are_the_float64_values_of_the_same_stream():
    single, double = Generator(5), Generator(5)
    assert single.standard_normal(1001, dtype="float32").tolist() == (
        double.standard_normal(1001, dtype="float64").numpy().astype(np.float32).tolist()
    )
    assert single.random(50, dtype="float32").numpy() == pytest.approx(
        double.random(50, dtype="float64").numpy(), abs=2**-24
    )
    assert single.get_state() == double.get_state()


# ── state ───────────────────────────────────────────────────────────────────────────────────────────────────


@every_draw
def test_a_saved_state_brings_the_same_values_back(draw):
    rng = Generator(11)
    rng.random(13)
    state = rng.get_state()
    first = draw(rng, 30).tolist()
    assert draw(rng, 30).tolist() != first
    rng.set_state(json.loads(json.dumps(state)))
    assert draw(rng, 30).tolist() == first


def test_a_copied_and_a_pickled_generator_go_on_with_the_same_stream():
    rng = Generator(2**127 + 1, device="cpu")
    rng.random(9)
    twins = [copy.copy(rng), copy.deepcopy(rng), pickle.loads(pickle.dumps(rng))]
    expected = rng.normal(size=5).tolist()
    for twin in twins:
        assert twin.device == "cpu"
        assert twin.normal(size=5).tolist() == expected


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"key": 1}, "expected the integers 'key' and 'counter'"),
        ([1, 2], "got list"),
        ({"key": -1, "counter": 0}, "key is -1"),
        ({"key": 0, "counter": 2**192}, r"counter is \d+; expected an integer in \[0, 2\^192\)"),
    ],
)
def test_a_state_that_is_none_is_refused_and_nothing_changes(state, words):
    rng = Generator(4)
    with pytest.raises(ValueError, match=words):
        rng.set_state(state)
    assert rng.get_state() == {"key": 4, "counter": 0}


def test_seeds_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"Generator: seed is -1; expected an integer in \[0, 2\^128\)"):
        Generator(-1)
    with pytest.raises(TypeError, match="Generator: seed is a float"):
        Generator(1.5)
    with pytest.raises(ValueError, match="no device 'moon'"):
        Generator(0, device="moon")
    assert Generator().get_state()["key"] != Generator().get_state()["key"]


def test_children_have_streams_of_their_own():
    parent = Generator(8)
    children = parent.spawn(3)
    assert parent.get_state()["counter"] == 3
    keys = [child.get_state()["key"] for child in children]
    assert keys == [block[0] | block[1] << 64 for block in (philox(1, 8), philox(2, 8), philox(3, 8))]
    again = Generator(8).spawn(3)
    assert [child.random(4).tolist() for child in children] == [child.random(4).tolist() for child in again]
    assert parent.spawn(0) == []
    with pytest.raises(ValueError, match="n_children is -1"):
        parent.spawn(-1)


def test_threads_share_a_generator_without_getting_the_same_blocks():
    rng, taken = Generator(6), []

    def work():
        taken.extend([tuple(rng.random(4, dtype="float64").tolist()) for _ in range(200)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = Generator(6).random(4 * 1600, dtype="float64").numpy().reshape(1600, 4)
    assert sorted(taken) == sorted(map(tuple, alone.tolist()))
    assert rng.get_state()["counter"] == 1600


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_another_process_and_its_fork_draw_the_same_values():
    program = (
        "import os\n"
        "from tensorgrad.random import Generator\n"
        "rng = Generator(12)\n"
        "rng.random(6)\n"
        "child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "print(rng.integers(0, 1000, 6).tolist(), flush=True)\n"
        "if not child: os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    rng = Generator(12)
    rng.random(6)
    assert done.stdout.splitlines() == [str(rng.integers(0, 1000, 6).tolist())] * 2


# ── the default generator ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def default():
    """The default generator, put back afterwards to where it stood."""
    rng = random.default_generator()
    state = rng.get_state()
    yield rng
    rng.set_state(state)


def test_manual_seed_starts_the_default_generator_anew(default):
    assert random.manual_seed(17) is default
    first = random.normal(size=3).tolist()
    assert first == Generator(17).normal(size=3).tolist()
    random.manual_seed(17)
    assert default.normal(size=3).tolist() == first
    with pytest.raises(ValueError, match="manual_seed: seed is -5"):
        random.manual_seed(-5)


@pytest.mark.parametrize(
    "name",
    ["random", "uniform", "standard_normal", "normal", "exponential", "integers", "permutation", "choice", "bernoulli"],
)
def test_functions_of_the_module_draw_from_the_default_generator(default, name):
    arguments = {"bernoulli": (0.5,), "uniform": (-1.0, 1.0)}.get(name, (6,))
    random.manual_seed(1)
    assert getattr(random, name)(*arguments).tolist() == getattr(Generator(1), name)(*arguments).tolist()
    assert default.get_state()["counter"] > 0


# ── devices, dtypes, shapes ─────────────────────────────────────────────────────────────────────────────────


@every_draw
def test_a_stream_is_the_same_on_every_device(draw):
    pytest.importorskip("array_api_strict")
    on_host, elsewhere = draw(Generator(21, device="cpu"), 9), draw(Generator(21, device="strict"), 9)
    assert (on_host.device, elsewhere.device) == ("cpu", "strict")
    assert on_host.dtype == elsewhere.dtype
    assert on_host.tolist() == elsewhere.tolist()


def test_tensors_given_to_a_draw_are_moved_to_the_device_of_the_generator():
    pytest.importorskip("array_api_strict")
    mu = tg.asarray([1.0, 2.0], device="cpu", requires_grad=True)
    rng = Generator(0, device="strict")
    draws = [rng.normal(mu, 1.0), rng.uniform(mu, 3.0), rng.exponential(mu), rng.permutation(mu), rng.choice(mu, 3)]
    draws += [rng.bernoulli(mu.detach() / 2), rng.integers(tg.asarray([0, 1], device="cpu"), 2)]
    assert {each.device for each in draws} == {"strict"}
    draws[0].sum().backward()
    assert mu.grad.device == "cpu"
    assert mu.grad.tolist() == [1, 1]


def test_numpys_floats_serve_as_bounds_on_every_device():
    pytest.importorskip("array_api_strict")
    for device in ("cpu", "strict"):
        two = Generator(0, device=device).uniform(np.float64(1), np.float64(2), 3)
        assert two.device == device
        assert two.tolist() == Generator(0, device=device).uniform(1.0, 2.0, 3).tolist()


def test_tensors_go_to_the_default_device_unless_another_is_named():
    assert Generator(0).normal(size=2).device == tg.zeros(1).device
    assert TorchGenerator(0).normal(size=2).device == tg.zeros(1).device
    assert TorchGenerator(0, device="cpu").uniform(size=2).device == "cpu"
    assert (TorchGenerator(0).device, TorchGenerator(0, device="cpu").device) == (tg.zeros(1).device, "cpu")


def test_floating_draws_take_the_default_dtype_or_the_one_named():
    before = tg.get_default_dtype()
    try:
        for dtype in ("float32", "float64"):
            tg.set_default_dtype(dtype)
            rng = Generator(0)
            draws = [rng.random(), rng.uniform(), rng.normal(), rng.standard_normal(), rng.exponential()]
            assert {each.dtype for each in (*draws, rng.bernoulli(0.5))} == {np.dtype(dtype)}
    finally:
        tg.set_default_dtype(before)
    rng = Generator(0)
    for dtype in (tg.float32, tg.float64):
        assert rng.normal(2.0, 0.5, 3, dtype=dtype).dtype == rng.uniform(dtype=dtype).dtype == dtype
    assert rng.integers(5).dtype == rng.permutation(5).dtype == rng.choice(5).dtype == tg.int64
    assert rng.bernoulli(0.5, dtype=tg.bool).dtype == tg.bool
    with pytest.raises(TypeError, match="normal: dtype is int32; expected float32 or float64"):
        rng.normal(0.0, 1.0, 3, dtype=tg.int32)
    with pytest.raises(TypeError, match="integers: dtype is float32"):
        rng.integers(5, dtype=tg.float32)


def test_arguments_in_float64_are_drawn_in_float64():
    mu = tg.asarray([1.0, 2.0], dtype=tg.float64)
    assert Generator(0).normal(mu, 1.0).dtype == tg.float64
    assert Generator(0).normal(mu, 1.0, dtype=tg.float32).dtype == tg.float32
    assert Generator(0).normal(tg.asarray([1, 2]), 1.0).dtype == tg.get_default_dtype()


@pytest.mark.parametrize(("size", "shape"), [(None, ()), (3, (3,)), ((), ()), ((2, 3), (2, 3)), ([2, 0], (2, 0))])
def test_size_is_the_shape(size, shape):
    rng = Generator(0)
    draws = [rng.random(size), rng.normal(size=size), rng.uniform(size=size), rng.exponential(size=size)]
    draws += [
        rng.integers(9, size=size),
        rng.bernoulli(0.5, size),
        rng.choice(9, size),
        rng.choice(9, size, p=[1 / 9] * 9),
    ]
    draws += [TorchGenerator(0).uniform(size=size), TorchGenerator(0).normal(size=size)]
    assert [each.shape for each in draws] == [shape] * len(draws)


def test_arguments_broadcast_to_the_size():
    low = tg.asarray([[0.0], [100.0]])
    values = Generator(0).uniform(low, low + 1, (2, 5)).numpy()
    assert (values[0] < 1).all()
    assert (values[1] >= 100).all()
    assert Generator(0).normal([0.0, 1.0, 2.0], [[1.0], [2.0]]).shape == (2, 3)
    assert Generator(0).bernoulli([0.0, 1.0], (4, 2)).tolist() == [[0, 1]] * 4
    assert Generator(0).integers([1, 10], [2, 11], (3, 2)).tolist() == [[1, 10]] * 3
    with pytest.raises(ValueError, match=r"normal: the shapes .*loc \(3,\), scale \(\)\) do not broadcast to size 2"):
        Generator(0).normal(tg.zeros(3), 1.0, 2)
    with pytest.raises(ValueError, match="do not broadcast to each other"):
        Generator(0).normal(tg.zeros(3), tg.ones(2))


# ── distributions ───────────────────────────────────────────────────────────────────────────────────────────
# Seeds are fixed, so nothing here is flaky; the bounds are what one stream in a thousand would exceed.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_values_are_uniform(dtype):
    values = Generator(100).uniform(-2.0, 3.0, 40_000, dtype=dtype).numpy().astype(float)
    assert values.min() >= -2
    assert values.max() < 3
    assert kolmogorov_smirnov(values, lambda x: (x + 2) / 5) < 1.95
    assert chi_square(np.histogram(values, 64, (-2, 3))[0], 40_000 / 64) < 3.1
    neighbours = np.histogram2d(values[::2], values[1::2], 16, ((-2, 3), (-2, 3)))[0].ravel()
    assert chi_square(neighbours, 20_000 / 256) < 3.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_values_are_normal(dtype):
    values = Generator(101).normal(5.0, 2.0, 40_001, dtype=dtype).numpy().astype(float)
    z = (values - 5) / 2
    assert abs(z.mean()) < 3.3 / math.sqrt(len(z))
    assert abs((z**2).mean() - 1) < 3.3 * math.sqrt(2 / len(z))
    assert abs((z**3).mean()) < 3.3 * math.sqrt(15 / len(z))
    assert abs((z**4).mean() - 3) < 3.3 * math.sqrt(96 / len(z))
    assert kolmogorov_smirnov(z, lambda x: np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in x])) < 1.95
    pairs = z[:40_000].reshape(-1, 2)  # the cosine and the sine of one pair of words
    assert abs((pairs[:, 0] * pairs[:, 1]).mean()) < 3.3 / math.sqrt(20_000)
    assert abs((pairs[:, 0] ** 2 * pairs[:, 1] ** 2).mean() - 1) < 3.3 * math.sqrt(8 / 20_000)


def test_exponential_values_are_exponential():
    values = Generator(102).exponential(3.0, 40_000, dtype="float64").numpy()
    assert values.min() >= 0
    assert kolmogorov_smirnov(values, lambda x: -np.expm1(-x / 3)) < 1.95


def test_bernoulli_draws_ones_with_probability_p():
    p = np.array([0.0, 0.02, 0.5, 0.9, 1.0])
    means = Generator(103).bernoulli(p.tolist(), (20_000, 5), dtype="float64").numpy().mean(axis=0)
    assert (np.abs(means - p) <= 3.3 * np.sqrt(p * (1 - p) / 20_000)).all()


@pytest.mark.parametrize("size", [2, 7, 100, 1000])
def test_integers_are_equally_likely(size):
    values = Generator(104).integers(-3, size - 3, 50_000).numpy()
    counts = np.bincount(values + 3, minlength=size)
    assert len(counts) == size
    assert chi_square(counts, 50_000 / size) < 3.1


def test_integers_below_two_thirds_of_all_words_are_not_biased():
    # w mod s would give the lower half of these twice as often as the upper half.
    size = 3 * 2**62
    values = Generator(105).integers(0, size, 20_000, dtype="uint64").numpy()
    counts = np.bincount((values // np.uint64(2**62)).astype(int), minlength=3)
    assert chi_square(counts, 20_000 / 3) < 3.1


def test_all_orders_of_four_are_equally_likely():
    rng = Generator(106)
    orders = {}
    for _ in range(4800):
        order = tuple(rng.permutation(4).tolist())
        orders[order] = orders.get(order, 0) + 1
    assert len(orders) == 24
    assert chi_square(np.array(list(orders.values())), 200) < 3.1


def test_choice_draws_with_its_probabilities():
    p = np.array([0.1, 0.0, 0.6, 0.3])
    counts = np.bincount(Generator(107).choice(4, 20_000, p=p).numpy(), minlength=4)
    assert counts[1] == 0
    assert chi_square(counts[p > 0], 20_000 * p[p > 0]) < 3.1
    evenly = np.bincount(Generator(107).choice(8, 20_000).numpy(), minlength=8)
    assert chi_square(evenly, 20_000 / 8) < 3.1


def test_weighted_choice_without_replacement_draws_from_what_is_left():
    p = np.array([0.5, 0.3, 0.2])
    rng, n = Generator(108), 4000
    counts = np.zeros((3, 3))
    for _ in range(n):
        first, second = rng.choice(3, 2, replace=False, p=p).tolist()
        counts[first, second] += 1
    expected = n * np.array([[p[i] * p[j] / (1 - p[i]) for j in range(3)] for i in range(3)])
    assert counts.trace() == 0
    off = ~np.eye(3, dtype=bool)
    assert chi_square(counts[off], expected[off]) < 3.1


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def words_of(monkeypatch):
    """Make every word the same."""

    def set_words(word):
        monkeypatch.setattr(random, "_words", lambda key, counter, count: np.full(count, word, np.uint64))

    return set_words


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_rounding_lets_a_uniform_value_reach_its_upper_bound(words_of, dtype):
    words_of(MASK)
    assert Generator(0).random(dtype=dtype).item() < 1
    for low, high in ((-1e6, 0.5), (0.0, 0.1), (2.0, 3.0), (1e6, 1e6 + 1)):
        assert Generator(0).uniform(low, high, dtype=dtype).item() < high
    assert Generator(0).uniform(1.0, 2.0, dtype=dtype).item() == np.nextafter(np.array(2, dtype), np.array(1, dtype))
    assert Generator(0).uniform(3.0, 3.0, dtype=dtype).item() == 3


def test_normal_and_exponential_values_are_finite_at_both_ends_of_the_words(words_of):
    words_of(MASK)
    assert abs(Generator(0).standard_normal(dtype="float64").item()) == pytest.approx(math.sqrt(106 * math.log(2)))
    assert Generator(0).exponential(dtype="float64").item() == pytest.approx(53 * math.log(2))
    words_of(0)
    assert Generator(0).standard_normal(2).tolist() == [0, 0]
    assert Generator(0).exponential().item() == 0


def test_choice_never_takes_what_has_probability_zero(words_of):
    words_of(0)
    assert Generator(0).choice(3, p=[0.0, 0.0, 1.0]).item() == 2
    assert Generator(0).choice(4, 2, replace=False, p=[0.0, 0.5, 0.0, 0.5]).tolist() == [1, 3]
    words_of(MASK)
    assert Generator(0).choice(3, p=[0.5, 0.49995, 0.0]).item() == 1  # also where they sum to a little less than 1


def test_rejected_words_are_replaced_from_blocks_far_away():
    size = 2**63 + 1  # nearly half of all words are rejected
    expected = []
    for place in range(40):
        level = 0
        while (word := philox(place // 4 + 1 + (level << 192), 30)[place % 4]) > MASK - 2**64 % size:
            level += 1
        expected.append(word % size)
    assert Generator(30).integers(0, size, 40, dtype="uint64").tolist() == expected


def test_integers_reach_the_whole_range_of_their_dtype():
    for kind in ("uint64", "int64", "int8", "uint8", "int32"):
        info = np.iinfo(kind)
        values = Generator(31).integers(int(info.min), int(info.max), 4000, dtype=kind, endpoint=True).numpy()
        assert values.dtype == kind
        assert values.min() < int(info.min) * 0.99 + int(info.max) * 0.01
        assert values.max() > int(info.min) * 0.01 + int(info.max) * 0.99
    words = philox(1, 31)
    assert Generator(31).integers(0, 2**64, 4, dtype="uint64").tolist() == words
    assert Generator(31).integers(-(2**63), 2**63, 4).tolist() == [word - 2**63 for word in words]
    assert set(Generator(31).integers(2, size=50, dtype=bool).tolist()) == {True, False}


def test_integers_with_one_bound_start_at_zero_and_endpoint_includes_the_last():
    assert set(Generator(0).integers(3, size=100).tolist()) == {0, 1, 2}
    assert set(Generator(0).integers(3, size=100, endpoint=True).tolist()) == {0, 1, 2, 3}
    assert set(Generator(0).integers(-2, 0, 100).tolist()) == {-2, -1}
    assert Generator(0).integers(tg.asarray([1, 5, 9]), tg.asarray([2, 6, 10])).tolist() == [1, 5, 9]


# ── choice and permutation of values ────────────────────────────────────────────────────────────────────────


def test_permutation_moves_whole_slices():
    x = tg.reshape(tg.arange(12), (4, 3))
    order = Generator(2).permutation(4).tolist()
    assert Generator(2).permutation(x).tolist() == [x.tolist()[place] for place in order]
    columns = Generator(2).permutation(3).tolist()
    assert Generator(2).permutation(x, axis=-1).tolist() == [[row[place] for place in columns] for row in x.tolist()]
    assert sorted(Generator(2).permutation([5, 6, 7]).tolist()) == [5, 6, 7]


def test_choice_takes_slices_of_an_array():
    x = tg.reshape(tg.arange(12), (4, 3))
    places = Generator(2).choice(4, (2, 2)).tolist()
    assert Generator(2).choice(x, (2, 2)).tolist() == [[x.tolist()[place] for place in row] for row in places]
    assert Generator(2).choice(x, 2, axis=1).shape == (4, 2)
    assert Generator(2).choice([7.5]).tolist() == 7.5
    one = Generator(2).choice(5, 5, replace=False).tolist()
    assert sorted(one) == [0, 1, 2, 3, 4]


# ── gradients ───────────────────────────────────────────────────────────────────────────────────────────────


def test_gradients_reach_the_parameters_of_a_distribution():
    def leaf(*values):
        return tg.asarray(values, dtype=tg.float64, requires_grad=True)

    mu, sigma = leaf(1.0, 2.0), leaf(0.5, 0.25)
    x = Generator(0).normal(mu, sigma, (3, 2))
    x.sum().backward()
    z = Generator(0).standard_normal((3, 2), dtype="float64").numpy()
    assert mu.grad.tolist() == [3, 3]
    np.testing.assert_allclose(sigma.grad.numpy(), z.sum(axis=0), rtol=1e-12)

    low, high = leaf(0.0), leaf(2.0)
    Generator(0).uniform(low, high).sum().backward()
    u = Generator(0).random(1, dtype="float64").numpy()
    np.testing.assert_allclose([low.grad.item(), high.grad.item()], [1 - u[0], u[0]], rtol=1e-12)

    scale = leaf(3.0)
    Generator(0).exponential(scale).sum().backward()
    assert scale.grad.item() == pytest.approx(Generator(0).exponential(size=1, dtype="float64").item())


def test_gradients_go_back_to_what_was_drawn_from():
    x = tg.asarray([1.0, 2.0, 3.0], requires_grad=True)
    (Generator(0).permutation(x) * tg.asarray([1.0, 10.0, 100.0])).sum().backward()
    order = Generator(0).permutation(3).tolist()
    assert [x.grad.tolist()[place] for place in order] == [1, 10, 100]
    y = tg.asarray([1.0, 2.0, 3.0], requires_grad=True)
    Generator(0).choice(y, 50).sum().backward()
    assert y.grad.tolist() == np.bincount(Generator(0).choice(3, 50).numpy(), minlength=3).tolist()


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "size": (lambda rng: rng.random(-1), "random: size is -1; expected None, a length of at least 0"),
    "size of floats": (lambda rng: rng.normal(size=(2, 1.5)), r"normal: size is \(2, 1.5\)"),
    "scale": (lambda rng: rng.normal(0.0, -1.0), "normal: scale holds -1.0; expected numbers of at least 0"),
    "scales": (lambda rng: rng.exponential([1.0, -2.0]), "exponential: scale holds -2.0"),
    "nan scale": (lambda rng: rng.normal(0.0, math.nan), "scale holds nan"),
    "bounds": (lambda rng: rng.uniform(2.0, 1.0), "uniform: expected low <= high.*low is 2.0, high is 1.0"),
    "far bounds": (lambda rng: rng.uniform(-3e38, 3e38), "not too far apart for float32"),
    "p": (lambda rng: rng.bernoulli([0.5, 1.5]), r"bernoulli: p holds 1.5; expected probabilities in \[0, 1\]"),
    "empty range": (lambda rng: rng.integers(5, 5), "integers: no integer to draw from; low is 5, high is 5"),
    "ranges": (lambda rng: rng.integers([0, 3], 2), r"low is 0 to 3 in an array \(2,\), high is 2"),
    "dtype": (lambda rng: rng.integers(0, 300, dtype="uint8"), "uint8 holds 0 to 255; low is 0, high is 300"),
    "permutation": (lambda rng: rng.permutation(-1), "permutation: x is -1"),
    "permutation of one": (lambda rng: rng.permutation(2.5), r"permutation: there is no axis 0 in the shape \(\)"),
    "axis": (lambda rng: rng.choice(tg.zeros((2, 2)), axis=2), "choice: there is no axis 2"),
    "nothing": (lambda rng: rng.choice(0, 2), "choice: cannot draw 2 of 0"),
    "too many": (lambda rng: rng.choice(3, 4, replace=False), "cannot draw 4 of 3 without replacement"),
    "chances": (lambda rng: rng.choice(3, 2, replace=False, p=[1, 0, 0]), "cannot draw 2 of 1 without replacement"),
    "lengths": (lambda rng: rng.choice(3, p=[0.5, 0.5]), r"choice: p has the shape \(2,\); expected one .* of 3"),
    "sum": (lambda rng: rng.choice(2, p=[0.5, 0.6]), "choice: expected probabilities .* the sum 1.1; divide p"),
    "negative": (lambda rng: rng.choice(2, p=[-0.5, 1.5]), "the least is -0.5"),
}


@pytest.mark.parametrize(("draw", "words"), REFUSED.values(), ids=REFUSED)
def test_a_refused_draw_says_why_and_takes_nothing(draw, words):
    rng = Generator(0)
    with pytest.raises(ValueError, match=words):
        draw(rng)
    assert rng.get_state() == {"key": 0, "counter": 0}


def test_integers_between_floats_are_refused():
    rng = Generator(0)
    with pytest.raises(TypeError, match="integers: high is float; expected integers"):
        rng.integers(0, 2.5)
    with pytest.raises(TypeError, match="integers: low is float32; expected integers"):
        rng.integers(tg.zeros(2), 2)
    assert rng.get_state()["counter"] == 0


# ── PyTorch's draws ─────────────────────────────────────────────────────────────────────────────────────────


def test_torch_generator_repeats_known_draws_of_pytorch():
    # Printed by PyTorch 2.13 on x86: rand(4) and randn(20)[-4:] with seed 0, randn(3) with seed 0, then once more 3.
    assert TorchGenerator(0).uniform(size=4).tolist() == [
        *(0.49625658988952637, 0.7682217955589294, 0.08847743272781372, 0.13203048706054688),
    ]
    rng = TorchGenerator(0)
    tail = [0.9318265914916992, 1.2590092420578003, 2.0049805641174316, 0.05373690277338028]
    assert rng.normal(size=20).numpy()[-4:].tolist() == pytest.approx(tail, rel=1e-6)
    after = [-0.8919953107833862, -1.5091077089309692, 0.3703935444355011]
    assert rng.normal(size=3).tolist() == pytest.approx(after, rel=1e-6)
    few = [1.5409960746765137, -0.293428897857666, -2.1787893772125244]
    assert TorchGenerator(0).normal(size=3).tolist() == pytest.approx(few, rel=1e-6)


@pytest.mark.parametrize("seed", [0, 56, 2**40 + 3])
def test_torch_generator_draws_what_the_installed_pytorch_draws(seed):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.Generator().manual_seed(seed), TorchGenerator(seed)
    for n in (1, 3, 15, 16, 17, 20, 100, 729, 2):
        uniform = torch.empty(n).uniform_(-0.3, 0.7, generator=theirs)
        assert ours.uniform(-0.3, 0.7, n).tolist() == uniform.tolist()
        normal = torch.empty(n).normal_(1.0, 2.0, generator=theirs).numpy()
        # Their vectorised log, cos and sin may be a few units in the last place away.
        np.testing.assert_allclose(ours.normal(1.0, 2.0, n).numpy(), normal, rtol=1e-6, atol=1e-6)
    assert ours.uniform(size=(2, 3)).tolist() == torch.rand((2, 3), generator=theirs).tolist()


def test_torch_generator_refuses_seeds_out_of_range():
    with pytest.raises(ValueError, match=r"TorchGenerator: seed is -1; expected an integer in \[0, 2\^64\)"):
        TorchGenerator(-1)
