"""tensorgrad/extras.py: what is missing is named, with the extra that brings it, wherever it is needed."""

import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import tensorgrad as tg
from tensorgrad.data import digits, iris, sample_photograph
from tensorgrad.data.png import read_png
from tensorgrad.extras import PACKAGES, needed_by
from tensorgrad.train import figures
from tensorgrad.train.evaluation import usual_classifiers


def brought_by(extra: str) -> set[str]:
    """The packages of an extra, those of the extras that it names among them."""
    setup = ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg")
    found = set()
    for line in setup["options.extras_require"][extra].split():
        if line.startswith("tensorgrad-engine["):
            for other in line.partition("[")[2].rstrip("]").split(","):
                found |= brought_by(other)
        found.add(line.partition(">")[0])
    return found


@pytest.mark.parametrize("package", PACKAGES.values(), ids=str)
def test_the_extra_that_is_named_brings_the_package(package):
    assert package.name in brought_by(package.extra)


@pytest.mark.parametrize(
    ("module", "what", "call"),
    [
        ("sklearn", "digits", digits),
        ("sklearn", "iris", iris),
        ("sklearn", "sample_photograph", sample_photograph),
        ("sklearn", "usual_classifiers", usual_classifiers),
        ("matplotlib", "new_figure", figures.new_figure),
        ("PIL", "read_png", lambda: read_png(Path("a.png"), "L")),
        ("PIL", "animation", lambda: figures.animation("a.gif", [], 1.0)),
        ("ml_dtypes", "bfloat16", lambda: tg.autocast("bfloat16")),
    ],
)
def test_a_function_whose_package_is_missing_says_how_to_get_it(module, what, call, monkeypatch):
    for name in {module, *[each for each in sys.modules if each.startswith(f"{module}.")]}:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError) as told:
        call()
    package = PACKAGES[module]
    assert str(told.value) == (
        f"{what} needs the package {package.name}, which is not installed; "
        f'from the clone: pip install -e ".[{package.extra}]"'
    )
    assert told.value.name.partition(".")[0] == module


def test_a_module_of_no_extra_is_not_explained_away():
    with pytest.raises(ModuleNotFoundError, match="tensorgard"), needed_by("a step"):
        raise ModuleNotFoundError("No module named 'tensorgard'", name="tensorgard")
