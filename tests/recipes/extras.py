"""What recipes need to run in tests, and what all of them must do."""

import json

import pytest

from tensorgrad.train.recipe import Paused, resume_recipe, train_recipe


def need_extras():
    """Skip where a package of the extra `demo` is missing."""
    for package in ("sklearn", "matplotlib", "safetensors", "tensorboardX", "tqdm"):
        pytest.importorskip(package, reason=f"needs the package {package}, of the extra `demo`")


def assert_resumes(recipe, folder, *changes):
    """A run of "smoke" that is paused after its first step comes to the end of one that is not, bit for bit."""
    need_extras()
    train_recipe(recipe, preset="smoke", changes=changes, out=folder / "whole", quiet=True)
    with pytest.raises(Paused):
        train_recipe(recipe, preset="smoke", changes=changes, out=folder / "cut", quiet=True, minutes=1e-9)
    ((whole,), (cut,)) = ((folder / name).iterdir() for name in ("whole", "cut"))
    assert not (cut / "card.json").exists()
    resume_recipe(recipe, cut, quiet=True)
    histories = [path.name for path in whole.glob("metrics*.csv")]  # one for every trainer
    assert histories
    for name in (*histories, "weights.safetensors"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name
    left, right = (json.loads((each / "card.json").read_text()) for each in (whole, cut))
    assert left["metrics"] == right["metrics"]
