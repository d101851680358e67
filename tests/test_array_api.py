"""What the namespace says of itself, beside what the standard asks of it."""

from __future__ import annotations

import inspect

import pytest

import tensorgrad as tg
from tensorgrad.backend import default_device

strict = pytest.importorskip("array_api_strict")
strict.set_array_api_strict_flags(api_version="2024.12")
FLAGS = {name for name in strict.__all__ if name.endswith("_flags")} | {"ArrayAPIStrictFlags", "Device"}
EXTENSIONS = {"linalg", "fft"}
# The standard lets these be left out, or gives no name to what stands in their place.
NAMES = sorted(set(strict.__all__) - FLAGS - EXTENSIONS)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_standard_is_there(name: str) -> None:
    assert hasattr(tg, name)


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isfunction(getattr(strict, name))])
def test_every_function_takes_the_arguments_of_the_standard(name: str) -> None:
    theirs, ours = (inspect.signature(getattr(each, name)).parameters for each in (strict, tg))
    named = [p.name for p in theirs.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    assert [each for each in named if each not in ours] == []
    needed = [p for p in theirs.values() if p.kind is p.POSITIONAL_ONLY and p.default is p.empty]
    by_place = [p for p in ours.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert len(by_place) >= len(needed)


def test_the_version_is_the_one_whose_names_are_there() -> None:
    assert tg.__array_api_version__ == "2024.12"
    assert tg.zeros(1).__array_namespace__(api_version="2024.12") is tg
    with pytest.raises(ValueError, match=r"2019\.12.*2024\.12"):
        tg.zeros(1).__array_namespace__(api_version="2019.12")


def test_tensors_take_the_defaults_that_the_namespace_says() -> None:
    info = tg.__array_namespace_info__()
    assert info.default_device() == default_device() == tg.zeros(1).device
    defaults = info.default_dtypes(device="cpu")
    assert tg.asarray([1.0]).dtype == defaults["real floating"]
    assert tg.asarray([1j]).dtype == defaults["complex floating"]
    assert tg.asarray([1]).dtype == defaults["integral"]
    assert tg.argmax(tg.asarray([1])).dtype == defaults["indexing"]
    assert set(info.devices()) == {default_device(), "cpu"}
    with pytest.raises(ValueError, match="moon"):
        info.default_dtypes(device="moon")


def test_dtypes_come_by_kind() -> None:
    info = tg.__array_namespace_info__()
    for kind in ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating"):
        found = info.dtypes(kind=kind)
        assert found
        assert all(tg.isdtype(dtype, kind) for dtype in found.values())
        assert all(getattr(tg, name) == dtype for name, dtype in found.items())
    assert len(info.dtypes()) == 13
    assert set(info.dtypes(kind=("bool", "real floating"))) == {"bool", "float32", "float64"}
    with pytest.raises(ValueError, match="'floating'"):
        info.dtypes(kind="floating")


def test_capabilities_are_what_they_are_said_to_be() -> None:
    said = tg.__array_namespace_info__().capabilities()
    x = tg.asarray([1.0, -1.0])
    assert said["boolean indexing"]
    assert x[x > 0].tolist() == [1.0]
    assert said["data-dependent shapes"]
    assert tg.unique_values(x).shape == (2,)
    assert tg.zeros((1,) * said["max dimensions"], device="cpu").ndim == said["max dimensions"]
