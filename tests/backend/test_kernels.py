"""The table of kernels: by library and by the name of the op."""

import pytest

from tensorgrad import primitive
from tensorgrad.backend import kernels
from tensorgrad.backend.kernels import kernel, kernels_of


@pytest.fixture(autouse=True)
def _leave_the_table_as_it_was(monkeypatch):
    monkeypatch.setattr(kernels, "_table", {name: dict(by) for name, by in kernels._table.items()})


def test_a_kernel_is_found_by_op_and_library():
    @kernel("an op of the test", "numpy", "strict")
    def first(xp, x):
        return x

    @kernel("an op of the test", "strict")
    def second(xp, x):
        return x

    assert kernels_of("an op of the test") == {"numpy": first, "strict": second}
    assert kernels_of("no op") == {}


def test_ops_read_the_table_when_they_are_defined():
    getitem = primitive.registry["tensorgrad.ops.indexing.getitem"]
    own = {library: known for library, known in getitem.kernels.items() if library != "traced"}  # a program came by
    assert own == kernels_of("getitem")
    assert set(own) == {"cupy", "numpy", "strict"}
    assert getitem.kernel_for("numpy") is kernels_of("getitem")["numpy"]
    assert getitem.kernel_for("another library") is getitem.composition


def test_every_kernel_of_the_table_belongs_to_an_op():
    names = {op.name for op in primitive.registry.values()}
    # Draws, updates and looks at an index are no ops, and ask the table themselves.
    assert set(kernels._table) - {"random_values", "adam_in_one_pass", "blend", "note_range"} <= names
    libraries = {library for by in kernels._table.values() for library in by}
    assert libraries <= {"numba", "numpy", "strict", "cupy"}
