"""`ops.fft`: the names of the standard's extension, with the standard's arguments."""

from __future__ import annotations

import inspect

import pytest

from tensorgrad.ops import fft

ONE = "x, /, *, n=None, axis=-1, norm='backward'"
MANY = "x, /, *, s=None, axes=None, norm='backward'"
FREQUENCIES = "n, /, *, d=1.0, dtype=None, device=None"
SHIFT = "x, /, *, axes=None"
# The extension `fft` of the Python array API standard, 2024.12.
STANDARD = {
    **dict.fromkeys(("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"), ONE),
    **dict.fromkeys(("fftn", "ifftn", "rfftn", "irfftn"), MANY),
    **dict.fromkeys(("fftfreq", "rfftfreq"), FREQUENCIES),
    **dict.fromkeys(("fftshift", "ifftshift"), SHIFT),
}


@pytest.mark.parametrize("name", STANDARD)
def test_it_has_the_standards_functions_with_their_arguments(name: str) -> None:
    ours = inspect.signature(getattr(fft, name)).parameters.values()
    wanted = inspect.signature(eval(f"lambda {STANDARD[name]}: None")).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in wanted]


def test_it_has_no_other_names() -> None:
    assert sorted(STANDARD) == sorted(fft.__all__)
