"""What holds for the whole run: how hard Hypothesis tries, and which tests belong to which library."""

import doctest
import os

import pytest
from hypothesis import HealthCheck, settings

STRICT = os.environ.get("TENSORGRAD_BACKEND") == "strict"

# Draws per property. Hypothesis has a profile `ci` of its own and loads it where CI is set, so ours takes that name.
DRAWS = {"dev": 15, "ci": 25, "thorough": 300}
for name, draws in DRAWS.items():
    settings.register_profile(
        name,
        max_examples=draws,
        deadline=None,  # a shared machine has slow moments, and times are measured in benchmarks/
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=name == "ci",  # a change is judged by what it changed, not by the draw of the day
        print_blob=True,
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


# The examples in docstrings that run on the strict library too: the others show NumPy arrays, files or devices.
VOCABULARY = ("tensorgrad.ops.", "tensorgrad.linalg", "tensorgrad.fft", "tensorgrad.creation.")


def pytest_configure(config):
    if STRICT:  # examples do not say where their tensors are
        plain = doctest.OutputChecker.check_output
        doctest.OutputChecker.check_output = lambda self, want, got, flags: plain(
            self, want, got.replace(", device='strict'", ""), flags
        )


def pytest_collection_modifyitems(config, items):
    if STRICT:
        others = {each for each in items if hasattr(each, "dtest") and not each.name.startswith(VOCABULARY)}
        config.hook.pytest_deselected(items=list(others))
        items[:] = [each for each in items if each not in others]
    no_gpu = _no_gpu() if any(item.get_closest_marker("gpu") for item in items) else None
    for item in items:
        mark = item.get_closest_marker("numpy_only")
        if mark is not None:
            reason = mark.kwargs.get("reason") or (mark.args[0] if mark.args else None)
            if not reason:
                raise pytest.UsageError(f"{item.nodeid}: numpy_only needs a reason")
            if STRICT:
                item.add_marker(pytest.mark.skip(reason=f"NumPy only: {reason}"))
        if no_gpu is not None and item.get_closest_marker("gpu") is not None:
            item.add_marker(no_gpu)


def _no_gpu():
    """The mark that skips what needs a GPU, saying what is missing; None where nothing is."""
    from tensorgrad.backend import probe

    try:
        probe.require()
    except probe.NoDeviceError as missing:
        lacking = [line.partition(":")[0] for line in str(missing).split("\n- ")[1:]]
        return pytest.mark.skip(reason=f"needs a GPU; missing here: {', '.join(lacking)}")
    return None


@pytest.fixture
def registry_as_it_was():
    """The ops that a test defines leave the registry again."""
    from tensorgrad.primitive import registry

    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture
def kernels_of_numpy():
    """NumPy's own kernels run, also where numba is installed and arrays are large."""
    from tensorgrad import set_fast

    set_fast(False)
    yield
    set_fast(None)


@pytest.fixture
def kernels_of_every_size():
    """Compiled kernels run on arrays of every size."""
    from tensorgrad import set_fast

    set_fast(True)
    yield
    set_fast(None)
