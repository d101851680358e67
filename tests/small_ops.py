"""Small ops that the tests of the engine share, and a leaf to call them on."""

import tensorgrad as tg


def leaf(values, dtype="float64"):
    return tg.asarray(values, dtype=dtype, requires_grad=True)


def make_cube():
    @tg.op
    def cube(xp, x):
        """The third power.   (...) -> (...)"""
        return x * x * x

    return cube.vjp(x=lambda g, x: 3.0 * g * x * x)


def make_affine():
    @tg.op
    def affine(xp, x, weight, scale=2.0, *, shift: float = 0.0):
        """Product, scaled and shifted.   (...), (...) -> broadcast"""
        return x * weight * scale + shift

    return affine.vjp(x=lambda g, weight, scale: g * weight * scale, weight=lambda g, x, scale: g * x * scale)
