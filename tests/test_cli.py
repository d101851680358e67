"""The command line."""

import json
import os
import pkgutil
import sys
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

import pytest

import tensorgrad as tg
from tensorgrad import cli, recipes
from tensorgrad.cli import main
from tensorgrad.data import DataNotFoundError
from tensorgrad.recipes import RECIPES
from tensorgrad.train.leaderboard import BEGIN, END
from tensorgrad.train.recipe import Paused, UnfitError
from tensorgrad.train.run_folder import write_json
from tests.io.disks import run_on_a_small_disk
from tests.recipes.extras import need_extras


@pytest.fixture
def calls(monkeypatch):
    """What `train_recipe` and `resume_recipe` were called with, of a recipe named `fake`."""
    made = []

    @dataclass(frozen=True)
    class Settings:
        epochs: int = 10

    fake = replace(RECIPES["mlp"], name="fake", summary="it only notes its calls", presets={"quick": Settings()})
    monkeypatch.setitem(RECIPES, "fake", fake)
    monkeypatch.setattr(cli, "train_recipe", lambda recipe, **options: made.append((recipe.name, options)))
    monkeypatch.setattr(cli, "resume_recipe", lambda recipe, *of, **options: made.append((recipe.name, *of, options)))
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
    for command in ("list", "train", "evaluate", "leaderboard", "graph", "profile", "check"):
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
    assert main(["list", "--names"]) == 0
    assert capsys.readouterr().out.split() == sorted(RECIPES)


def test_every_file_of_recipes_has_a_recipe_and_every_recipe_a_smoke_test():
    for error in recipes.BROKEN.values():
        raise error
    sources = {path.stem: path.read_text() for path in Path(recipes.__path__[0]).glob("*.py")}
    for info in pkgutil.iter_modules(recipes.__path__):
        if not recipes.recipes_of(import_module(f"tensorgrad.recipes.{info.name}")):
            users = [
                name for name, source in sources.items() if f"from tensorgrad.recipes.{info.name} import" in source
            ]
            assert len(users) > 1, f"{info.name}.py has no RECIPE, and no two recipes share it"
    for name, recipe in RECIPES.items():
        assert "smoke" in recipe.presets, name
        assert set(recipe.presets) == set(recipe.takes), name


@pytest.fixture
def with_broken(monkeypatch, tmp_path):
    """Files of recipes beside the others: no Python, an import of nothing, a name again, one without a recipe."""
    sources = {
        "zz_half": "RECIPE = Recipe(\n",
        "zz_lost": "from tensorgrad.models.mlp import NoSuchModel\n",
        "zz_twice": "from tensorgrad.recipes.mlp import RECIPE\n",
        "zz_unfinished": "from tensorgrad.recipes import Recipe\n",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    found, broken = recipes.find_recipes()
    yield found, broken
    for name in sources:
        sys.modules.pop(f"tensorgrad.recipes.{name}", None)


def test_a_broken_file_of_recipes_takes_no_other_with_it(with_broken):
    found, broken = with_broken
    assert found == RECIPES
    assert {file: type(error) for file, error in broken.items()} == {
        "zz_half.py": SyntaxError,
        "zz_lost.py": ImportError,
        "zz_twice.py": ValueError,
    }
    assert "there is a recipe called 'mlp' already" in str(broken["zz_twice.py"])


def test_a_broken_file_of_recipes_is_listed_with_its_error(with_broken, calls, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cli, "BROKEN", with_broken[1])
    assert main(["list", "--names"]) == 1
    printed = capsys.readouterr()
    assert printed.out.split() == sorted(RECIPES)
    assert "tensorgrad list: zz_lost.py could not be read: ImportError: cannot import name 'NoSuchModel'" in printed.err
    assert len(printed.err.splitlines()) == 3
    assert main(["train", "fake"]) == 0
    assert [name for name, _ in calls] == ["fake"]
    assert "zz_half.py could not be read: SyntaxError" in refusal(capsys, "train", "zz-half")
    write_json(tmp_path / "run.json", {"recipe": "zz-half"})
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "zz_half.py could not be read: SyntaxError" in capsys.readouterr().err


def test_train_hands_its_options_to_the_recipe(calls):
    words = (
        "--preset quick --set epochs=7 --seed 3 --seeds 2 --precision bfloat16 --compile --out somewhere "
        "--minutes 1.5 --quiet"
    )
    assert main(["train", "fake", *words.split()]) == 0
    assert main(["train", "fake", "--epochs", "4"]) == 0
    assert main(["train", "fake", "--resume", "runs/fake-1"]) == 0
    plain = {"preset": None, "seed": 0, "seeds": 1, "out": "runs", "quiet": False, "minutes": None}
    plain |= {"precision": None, "compile": False}
    given = {"preset": "quick", "seed": 3, "seeds": 2, "out": "somewhere", "quiet": True, "minutes": 1.5}
    given |= {"precision": "bfloat16", "compile": True}
    assert calls == [
        ("fake", {**given, "changes": ("epochs=7",)}),
        ("fake", {**plain, "changes": ("epochs=4",)}),
        ("fake", "runs/fake-1", {"quiet": False, "minutes": None}),
    ]


def test_device_and_data_hold_while_the_command_runs(calls, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setenv("TENSORGRAD_BACKEND", "numpy")
    monkeypatch.delenv("TENSORGRAD_DATA", raising=False)
    names = ("TENSORGRAD_BACKEND", "TENSORGRAD_DATA")
    monkeypatch.setattr(cli, "train_recipe", lambda *_, **__: seen.append([os.environ.get(name) for name in names]))
    assert main(["train", "fake", "--device", "strict", "--data", str(tmp_path)]) == 0
    assert main(["train", "fake"]) == 0
    assert seen == [["strict", str(tmp_path)], ["numpy", None]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "epoks=3"], "there is no setting 'epoks'; did you mean 'epochs'? (settings: epochs=10)"),
        (["--set", "epochs=many"], "epochs=many: expected a value like 10"),
        (["--preset", "huge"], "fake has no preset 'huge'; it has quick"),
        (["--resume", "run", "--seed", "3"], "--seed does not go with --resume: the run has its own, in run.json"),
        (["--resume", "run", "--compile"], "--compile does not go with --resume: the run has its own, in run.json"),
        (["--device", "toaster"], "there is no device 'toaster' here; devices: cpu, strict, cuda:0"),
        (["--data", "nowhere"], "--data nowhere: there is no such folder"),
    ],
)
def test_what_is_not_there_is_one_line_that_names_what_is(calls, capsys, arguments, message):
    assert main(["train", "fake", *arguments]) == 2
    assert capsys.readouterr() == ("", f"tensorgrad train: {message}\n")
    assert calls == []


def test_a_folder_that_is_no_run_is_one_line(capsys, tmp_path):
    for command in (["train", "mlp", "--resume", str(tmp_path)], ["evaluate", str(tmp_path)]):
        assert main(command) == 1
        assert capsys.readouterr().err == (
            f"tensorgrad {command[0]}: {tmp_path} is no run folder: it has no run.json\n"
        )
    assert main(["leaderboard", str(tmp_path)]) == 1
    assert "there is no finished run" in capsys.readouterr().err


def test_a_run_of_a_recipe_that_is_gone_is_named(capsys, tmp_path):
    (tmp_path / "run.json").write_text('{"recipe": "lost"}')
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "is a run of 'lost', which is no recipe here" in capsys.readouterr().err


def test_a_run_is_evaluated_and_listed(tmp_path, capsys):
    need_extras()
    assert main(["train", "mlp", "--preset", "smoke", "--out", str(tmp_path), "--quiet"]) == 0
    capsys.readouterr()
    (folder,) = tmp_path.iterdir()
    assert main(["evaluate", str(folder)]) == 0
    assert "as the card says" in capsys.readouterr().out
    assert main(["leaderboard", str(tmp_path)]) == 0
    line = "| mlp | smoke | digits | test accuracy | 0 |"
    assert line in capsys.readouterr().out
    page = tmp_path / "page.md"
    page.write_text("Before.\n")
    assert main(["leaderboard", str(tmp_path), "--write", str(page)]) == 2
    assert "page.md needs one line <!-- leaderboard -->" in capsys.readouterr().err
    page.write_text(f"Before.\n{BEGIN}\n| lost | quick |\n{END}\n")
    assert main(["leaderboard", str(tmp_path), "--write", str(page)]) == 0
    assert "no run for the line | lost | quick |, which is no longer in" in capsys.readouterr().err
    assert line in page.read_text()
    card = folder / "card.json"
    card.write_text(card.read_text().replace('"test_accuracy": 0.', '"test_accuracy": 0.0'))
    assert main(["evaluate", str(folder)]) == 1


@pytest.mark.parametrize("size", [8_000, 40_000])
def test_a_training_on_a_full_disk_ends_with_one_line_and_goes_on_where_there_is_room(size, tmp_path):
    """Full when the events of TensorBoard begin, and at a checkpoint."""
    need_extras()
    (tmp_path / "small").mkdir()
    code = f"""
from pathlib import Path
from tensorgrad.cli import main
small, large = Path({str(tmp_path / "small")!r}), Path({str(tmp_path / "large")!r})
train = ["train", "mlp", "--preset", "smoke", "--quiet"]
print("full:", main([*train, "--out", str(small)]))
(folder,) = small.iterdir()
print("cards:", len([*small.rglob("card.json")]), "partial:", len([*small.rglob(".partial*")]))
grow(10**7)
if (folder / "run.json").is_file():
    print("again:", main(["train", "mlp", "--quiet", "--resume", str(folder)]))
else:
    print("again:", main([*train, "--out", str(small)]))
    folder = max(small.iterdir())
main([*train, "--out", str(large)])
(other,) = large.iterdir()
same = [(each / "weights.safetensors").read_bytes() for each in (folder, other)]
print("same:", same[0] == same[1])
"""
    done = run_on_a_small_disk(tmp_path / "small", size, code)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("full", "cards", "again", "same"))]
    assert lines == ["full: 1", "cards: 0 partial: 0", "again: 0", "same: True"]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("tensorgrad train:")]
    assert "No space left on device" in error
    assert str(tmp_path / "small") in error
    assert "Traceback" not in done.stderr


def test_a_pause_has_a_status_of_its_own(calls, monkeypatch, capsys):
    def train(*_, **__):
        raise Paused("paused after step 7; to go on: type this")

    monkeypatch.setattr(cli, "train_recipe", train)
    assert main(["train", "fake"]) == 3
    assert capsys.readouterr().err == "paused after step 7; to go on: type this\n"


def test_data_that_are_not_there_are_one_line(calls, monkeypatch, capsys):
    def train(*_, **__):
        raise DataNotFoundError("mnist is not here; put its files there")

    monkeypatch.setattr(cli, "train_recipe", train)
    assert main(["train", "fake"]) == 1
    assert capsys.readouterr().err == "tensorgrad train: mnist is not here; put its files there\n"


def test_graph_draws_to_the_path_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(cli, "draw_recipe", lambda recipe, path: f"{path}: a picture")
    assert main(["graph", "mlp", "picture.svg"]) == 0
    assert capsys.readouterr().out == "picture.svg: a picture\n"


def test_graph_draws_a_network(tmp_path, capsys):
    assert main(["graph", "mlp", str(tmp_path / "mlp.dot")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'mlp.dot'}: Drawing of")
    assert "layers.0" in (tmp_path / "mlp.dot").read_text(encoding="utf-8")


def test_profile_prints_what_ops_took_and_writes_a_trace(tmp_path, capsys):
    assert main(["profile", "mlp", "--trace", str(tmp_path / "trace.json")]) == 0
    printed = capsys.readouterr().out
    assert "GFLOP/s" in printed
    assert "layers.0" in printed
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {"forward", "backward"} <= {each.get("cat") for each in events}


def test_graph_refuses_an_ending_that_names_no_format(tmp_path, capsys):
    assert main(["graph", "mlp", str(tmp_path / "mlp.doc")]) == 2
    assert capsys.readouterr().err.startswith("tensorgrad graph: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["train", "mpl"], ["graph", "mpl", "x.svg"]])
def test_an_unknown_recipe_is_refused_with_those_there_are(command, capsys):
    error = refusal(capsys, *command)
    assert "there is no recipe 'mpl'; did you mean 'mlp'? (recipes: " in error


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


def test_a_precision_that_needs_a_package_is_refused_before_there_is_a_run(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    assert main(["train", "mlp", "--precision", "bfloat16", "--out", str(tmp_path)]) == 1
    assert 'needs the package ml_dtypes, which is not installed; from the clone: pip install -e ".[half]"' in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_what_a_recipe_cannot_be_trained_with_is_one_line(calls, monkeypatch, capsys):
    def train(*_, **__):
        raise UnfitError("fake has no trainer")

    monkeypatch.setattr(cli, "train_recipe", train)
    assert main(["train", "fake", "--compile"]) == 2
    assert capsys.readouterr() == ("", "tensorgrad train: fake has no trainer\n")


def test_a_missing_module_that_is_no_extra_is_not_explained_away(calls, monkeypatch):
    def train(*_, **__):
        raise ModuleNotFoundError("No module named 'tensorgard'", name="tensorgard")

    monkeypatch.setattr(cli, "train_recipe", train)
    with pytest.raises(ModuleNotFoundError, match="tensorgard"):
        main(["train", "fake"])


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert main(["graph", "mlp", str(tmp_path / "taken" / "mlp.dot")]) == 1
    assert capsys.readouterr().err.startswith("tensorgrad graph: ")


def test_an_interrupt_ends_without_a_traceback(calls, monkeypatch, capsys):
    def train(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "train_recipe", train)
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
    assert printed.startswith("seed 0: train loss")
    assert bar == ""


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU here")
def test_check_says_what_a_gpu_lacks_before_what_the_laws_need(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "tensorgrad.testing", raising=False)
    assert main(["check", "--backend", "cupy"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("tensorgrad check: a 'cuda' device cannot be used here. What is missing:")
    assert "an NVIDIA driver" in told
