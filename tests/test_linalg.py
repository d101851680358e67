"""`tensorgrad.linalg`: the vocabulary's linear algebra under the standard's name."""

import tensorgrad as tg
from tensorgrad import linalg, ops
from tests.small_ops import leaf


def test_it_is_an_attribute_of_the_package_and_holds_what_ops_holds():
    assert tg.linalg is linalg
    assert linalg.__all__ == ops.linalg.__all__
    assert all(getattr(linalg, name) is getattr(ops.linalg, name) for name in linalg.__all__)


def test_gradients_come_through_it():
    x = leaf([[2.0, 1.0], [1.0, 3.0]])
    tg.linalg.det(x).backward()
    assert [[round(each, 12) for each in row] for row in x.grad.tolist()] == [[3.0, -1.0], [-1.0, 2.0]]
