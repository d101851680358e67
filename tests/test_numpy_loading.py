"""NumPy is loaded with the waiting of its products' threads cut short, and nothing of that stays behind."""

import os
import subprocess
import sys

import pytest

from tensorgrad import numpy_loading

NAME = "OPENBLAS_THREAD_TIMEOUT"


def run(code, **settings):
    environment = {key: value for key, value in os.environ.items() if key != NAME} | settings
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


SPY = f"""
import importlib.abc, os, sys

class Spy(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("{NAME}"))

sys.meta_path.insert(0, Spy())
"""
ASK = f"from tensorgrad.numpy_loading import LINGER; print(LINGER, os.environ.get('{NAME}'))"


def test_numpy_sees_the_setting_and_nobody_else_does():
    assert run(SPY + ASK) == ["20", "False", "None"]


def test_what_the_user_set_stays():
    assert run(SPY + ASK, **{NAME: "24"}) == ["24", "True", "24"]
    assert run(SPY + ASK, **{NAME: "18"}) == ["18", "False", "18"]


def test_numpy_that_was_there_before_lingers():
    assert run("import os, numpy\n" + ASK) == ["True", "None"]
    assert run("import os, numpy\n" + ASK, **{NAME: "20"}) == ["False", "20"]


@pytest.mark.parametrize(
    ("setting", "lingering"), [(None, True), ("", True), ("x", True), ("23", True), ("22", False), ("4", False)]
)
def test_which_settings_linger(setting, lingering):
    assert numpy_loading._lingering(setting) is lingering


def test_products_know_it():
    from tensorgrad.backend.cpu import product_kernels

    assert (product_kernels._left is product_kernels._alone) == numpy_loading.LINGER
