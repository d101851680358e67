"""Every op on float16 and bfloat16: values and gradients are those of float64, to the roundings of half precision."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import as_dtype, default_device
from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.differences import gradients
from tensorgrad.testing.laws import Trial
from tests.proof import draws_of

pytestmark = [
    pytest.mark.skipif(default_device() == "strict", reason="array-api-strict has no float16 and no bfloat16"),
    pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning"),
]
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
HALVES = ["float16"] + ["bfloat16"] * (find_spec("ml_dtypes") is not None)
# Matrices are taken apart by LAPACK, transforms are complex: NumPy has neither for halves. Under autocast they are
# computed in float32.
WITHOUT_HALVES = {"factorization", "matrices", "fourier", "numerical", "array_api"}
ROUNDINGS = 24  # that the largest number of a result may have gone through, one after the other


def of_kind(value: Any, before: str, after: Any) -> Any:
    """Arrays of one dtype, alone or in lists, in another one."""
    if isinstance(value, list):
        return [of_kind(each, before, after) for each in value]
    return value.astype(after) if isinstance(value, np.ndarray) and value.dtype.name == before else value


def has_complex(args: dict[str, Any]) -> bool:
    flat = [each for value in args.values() for each in (value if isinstance(value, list) else [value])]
    return any(isinstance(each, np.ndarray) and each.dtype.kind == "c" for each in flat)


def computed(case: Case, args: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """(results, gradients along a fixed direction), of float64."""
    trial = Trial(case, args, "cpu")
    leaves, results = trial.recorded(trial.values())
    rng = np.random.default_rng(5)
    recorded = [each for each in results if each.record is not None]
    seeds = [tg.asarray(np.round(rng.uniform(-1, 1, each.shape), 1), dtype=tg.float64) for each in recorded]
    found = gradients(recorded, seeds, leaves) if recorded and leaves else []
    return [each.data.astype(np.float64) for each in results], [
        None if each is None else each.data.astype(np.float64) for each in found
    ]


def room_of(case: Case) -> str:
    return str(case.op.__module__).rpartition(".")[2]


# They say themselves which dtype they give, and one gives what the memory held.
SAY_THEMSELVES = {"astype", "in another dtype", "empty_like", "zeros_like", "ones_like", "full_like"}
TRIED = [
    case
    for case in CASES
    if room_of(case) not in WITHOUT_HALVES and not any(words in str(case) for words in SAY_THEMSELVES)
]


@pytest.mark.parametrize("case", TRIED, ids=str)
def test_an_op_on_halves_gives_what_float64_gives(case: Case) -> None:
    real = [args for args in draws_of(case, 2) if not has_complex(args)][:1]
    for name, args in [(name, args) for name in HALVES for args in real]:
        half = as_dtype(name)
        rounded = {key: of_kind(value, "float64", half) for key, value in args.items()}
        expected = computed(case, {key: of_kind(value, name, np.float64) for key, value in rounded.items()})
        found = computed(case, rounded)
        for ours, exact in zip(found, expected, strict=True):
            for each, wanted in zip(ours, exact, strict=True):
                if each is None or wanted is None:
                    continue
                bound = ROUNDINGS * EPS[name] * (1 + np.max(np.abs(wanted[np.isfinite(wanted)]), initial=0))
                np.testing.assert_allclose(each, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("name", HALVES)
def test_gradients_of_halves_reach_their_leaves(name: str) -> None:
    """By `backward`, whose own seed is an array: ndarrays of bfloat16 let nobody look into their buffer."""
    x = tg.asarray([1.0, 2.0, 3.0], dtype=name, requires_grad=True)
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward(np.asarray(1.0).astype(as_dtype(name)), retain_graph=True)
    loss.backward(tg.ones((), dtype=name))
    assert x.grad.dtype == as_dtype(name)
    assert x.grad.tolist() == [6.0, 12.0, 18.0]
    seed = tg.ones(3, dtype=name)
    y = x + 0.0
    x.grad = None
    y.backward(seed)
    assert x.grad.data is not seed.data


@pytest.mark.parametrize("name", HALVES)
def test_transforms_of_halves_are_of_the_smallest_complex_numbers(name: str) -> None:
    x = tg.asarray([1.0, 2.0, 3.0, 4.0], dtype=name)
    assert tg.fft.fft(x).dtype == tg.fft.rfft(x).dtype == (x * 1j).dtype == tg.complex64
    assert tg.fft.fft(x).tolist() == tg.fft.fft(x.astype(tg.float32)).tolist()


def test_what_there_is_no_linear_algebra_of_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"inv: there is no linear algebra of float16; use x.astype\('float32'\)"):
        tg.linalg.inv(tg.eye(2, dtype=tg.float16))
    with tg.autocast("float16"):
        assert tg.linalg.inv(tg.eye(2, dtype=tg.float16)).dtype == tg.float32
