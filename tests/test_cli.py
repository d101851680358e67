"""The command line."""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version

import pytest

import tensorgrad as tg
from tensorgrad.cli import main
from tensorgrad.recipes import RECIPES, Recipe


@pytest.fixture
def calls(monkeypatch):
    """What the recipe `fake` was called with."""
    made = []

    def train(**options):
        made.append(options)
        return {}

    def draw_graph(path):
        made.append(path)
        return f"{path}: a picture"

    monkeypatch.setitem(RECIPES, "fake", Recipe("a recipe that only notes its calls", train, draw_graph))
    return made


def refusal(capsys, *arguments):
    """What is written to stderr when the arguments are refused."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_no_arguments_print_help(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: tensorgrad")
    for command in ("list", "train", "graph", "check"):
        assert command in printed


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tensorgrad {tg.__version__}\n"


def test_the_installed_command_is_this_one():
    try:
        version("tensorgrad-engine")
    except PackageNotFoundError:
        pytest.skip("tensorgrad is not installed, only on the path")
    (command,) = entry_points(group="console_scripts", name="tensorgrad")
    assert command.load() is main


def test_list_gives_every_recipe_a_line(calls, capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(RECIPES)
    assert all(RECIPES[line.split()[0]].summary in line for line in lines)


def test_train_hands_its_options_to_the_recipe(calls):
    assert main(["train", "fake", "--seed", "3", "--seeds", "2", "--epochs", "4", "--out", "somewhere", "--quiet"]) == 0
    assert main(["train", "fake"]) == 0
    assert calls == [
        {"seed": 3, "seeds": 2, "epochs": 4, "out": "somewhere", "quiet": True},
        {"seed": 0, "seeds": 1, "epochs": None, "out": "runs", "quiet": False},
    ]


def test_graph_draws_to_the_path_and_says_so(calls, capsys):
    assert main(["graph", "fake", "picture.svg"]) == 0
    assert calls == ["picture.svg"]
    assert capsys.readouterr().out == "picture.svg: a picture\n"


def test_graph_draws_a_network(tmp_path, capsys):
    assert main(["graph", "mlp", str(tmp_path / "mlp.dot")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'mlp.dot'}: Drawing of")
    assert "layers.0" in (tmp_path / "mlp.dot").read_text(encoding="utf-8")


def test_graph_refuses_an_ending_that_names_no_format(tmp_path, capsys):
    assert main(["graph", "mlp", str(tmp_path / "mlp.doc")]) == 2
    assert capsys.readouterr().err.startswith("tensorgrad graph: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["train", "mpl"], ["graph", "mpl", "x.svg"]])
def test_an_unknown_recipe_is_refused_with_those_there_are(command, capsys):
    error = refusal(capsys, *command)
    assert "there is no recipe 'mpl'; did you mean 'mlp'? (recipes: mlp" in error


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (("--seeds", "0"), "expected a number from 1 up, got 0"),
        (("--epochs", "0"), "expected a number from 1 up, got 0"),
        (("--seed", "-1"), "expected a number from 0 up, got -1"),
        (("--epochs", "many"), "invalid positive value: 'many'"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(option, expected, capsys):
    assert expected in refusal(capsys, "train", "mlp", *option)


def test_a_missing_extra_is_one_line_that_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as if it were not installed
    assert main(["train", "mlp"]) == 1
    assert capsys.readouterr() == (
        "",
        "tensorgrad train needs the package scikit-learn, which is not installed; "
        'from the clone: pip install -e ".[demo]"\n',
    )


def test_a_missing_module_that_is_no_extra_is_not_explained_away(calls, monkeypatch):
    def train(**_):
        raise ModuleNotFoundError("No module named 'tensorgard'", name="tensorgard")

    monkeypatch.setitem(RECIPES, "fake", Recipe("", train, train))
    with pytest.raises(ModuleNotFoundError, match="tensorgard"):
        main(["train", "fake"])


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["graph", "mlp", str(tmp_path / "taken" / "mlp.dot")]) == 1
    assert capsys.readouterr().err.startswith("tensorgrad graph: ")


def test_an_interrupt_ends_without_a_traceback(calls, monkeypatch, capsys):
    def train(**_):
        raise KeyboardInterrupt

    monkeypatch.setitem(RECIPES, "fake", Recipe("", train, train))
    assert main(["train", "fake"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


@pytest.fixture
def testing():
    pytest.importorskip("hypothesis", reason="needs the package hypothesis, of the extra `test`")
    return import_module("tensorgrad.testing")  # imported here: it needs hypothesis


def test_check_hands_its_options_over_and_fails_when_a_law_is_broken(testing, monkeypatch):
    made, broken = [], 0

    def check_registry(**options):
        made.append(options)
        return broken

    monkeypatch.setattr(testing, "check_registry", check_registry)
    assert main(["check"]) == 0
    broken = 256  # which as an exit status would read as success
    assert main(["check", "--backend", "strict", "--order", "1", "--draws", "3", "exp", "multiply"]) == 1
    assert made == [
        {"backend": "numpy", "order": 2, "draws": None, "names": []},
        {"backend": "strict", "order": 1, "draws": 3, "names": ["exp", "multiply"]},
    ]


def test_check_proves_an_op(testing, capsys):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    assert main(["check", "--order", "1", "--draws", "2", "exp"]) == 0
    assert "exp" in capsys.readouterr().out


def test_check_refuses_an_op_that_has_no_case(testing, capsys):
    pytest.importorskip("tqdm", reason="needs the package tqdm")
    assert main(["check", "expp"]) == 2
    assert capsys.readouterr().err == "tensorgrad check: there is no case for expp\n"


def test_mlp_trains_from_the_command_line(tmp_path, capsys):
    for package in ("sklearn", "matplotlib", "safetensors", "tqdm"):
        pytest.importorskip(package, reason=f"needs the package {package}, of the extra `demo`")
    assert main(["train", "mlp", "--epochs", "1", "--out", str(tmp_path), "--quiet"]) == 0
    printed, bar = capsys.readouterr()
    assert printed.startswith("seed 0: train accuracy")
    assert bar == ""
