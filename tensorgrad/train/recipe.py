"""Recipes and runs: an experiment as functions of a run, and the way through them that all recipes share.

A recipe says what: settings, data, model, training, what is measured, figures. `train_recipe` does the rest, in this
order: data, baselines, model, training (or what a checkpoint left of it), measures, weights, figures, graph, card.
docs/recipes.md shows how to add one.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tensorgrad.drawing import render, save_drawing
from tensorgrad.extras import needed_by
from tensorgrad.io import load, save
from tensorgrad.precision import autocast
from tensorgrad.profiler import Profile, profile
from tensorgrad.random import Generator, manual_seed
from tensorgrad.train.callback import Callback
from tensorgrad.train.cards import make_card, summary_card
from tensorgrad.train.checkpoint import Checkpoint, resume
from tensorgrad.train.logs import CSVLog, Progress, TensorBoardLog
from tensorgrad.train.run_folder import make_run_folder, read_json, write_json
from tensorgrad.train.settings import from_dict, with_changes
from tensorgrad.train.tables import card_line, card_table, summary_line
from tensorgrad.train.timing import Paused, Stopwatch, TimeBudget
from tensorgrad.train.trainer import Trainer
from tensorgrad.train.triggers import Trigger, every

EXTRAS = ("matplotlib", "safetensors", "tensorboardX", "tqdm")  # what every recipe needs


class UnfitError(ValueError):
    """A recipe cannot be trained in the way that was asked for; the message says why."""


def nothing(run: Run, *_: Any) -> dict[str, Any]:
    """What a recipe without baselines or figures has for them."""
    return {}


@dataclass(frozen=True)
class Recipe:
    """An experiment by name. All functions are handed the run, with its settings, seed and generators.

    name: what `tensorgrad train` knows it by. summary: a line for `tensorgrad list`. presets: settings, a frozen
    dataclass, for "smoke" (at most 3 seconds, no download), "quick" (at most 30 minutes a seed on 2 cores) and, where
    more is to be had, "full". takes: how long each preset takes, a text with the unit.
    data(run): whatever the others want; a `provenance` attribute goes into the card. model(run): a module.
    train(run, model, data): trains it, with run.trainer(...). measure(run, model, data): figures by name, such as
    "test_accuracy". headline: the figure that is the result. graph(run, model): the loss of a few rows, to be
    drawn; graph_depth: close the boxes of modules nested deeper than this, where the drawing would be larger than a
    page; graph_limit: fold what repeats, then modules, until there are about so many nodes, by default a page of them.
    baselines(run, data): figures of other models by their names. figures(run, model, data): draws.
    rows: the rows of the table of systems it reproduces. extras: packages it needs beside those of all recipes.
    threads: for BLAS; None leaves them as they are. Products of a small network gain nothing from a second thread, and
    on busy cores threads that wait for one another made training twenty times slower.
    """

    name: str
    summary: str
    presets: Mapping[str, Any]
    takes: Mapping[str, str]
    data: Callable[[Run], Any]
    model: Callable[[Run], Any]
    train: Callable[[Run, Any, Any], Any]
    measure: Callable[[Run, Any, Any], dict[str, float]]
    graph: Callable[[Run, Any], Any]
    baselines: Callable[[Run, Any], dict[str, dict[str, float]]] = nothing
    figures: Callable[[Run, Any, Any], Any] = nothing
    rows: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    threads: int | None = None
    default_preset: str = "quick"
    headline: str = "test_accuracy"
    graph_depth: int | None = None
    graph_limit: int = 32

    def settings(self, preset: str | None = None, changes: tuple[str, ...] = ()) -> Any:
        """The settings of a preset with changes, each "name=value". Raises ValueError for what is not there."""
        name = self.default_preset if preset is None else preset
        if name not in self.presets:
            raise ValueError(f"{self.name} has no preset {name!r}; it has {', '.join(self.presets)}")
        return with_changes(self.presets[name], changes)


@dataclass
class Run:
    """One training of a recipe with one seed: what a recipe's functions are handed.

    settings, preset, seed, folder; rng: a generator of this seed, which checkpoints keep; quiet: print nothing but
    results; precision: of its trainers, or None; compile: whether they run programs; baselines: what the recipe's
    function gave; notes: more for the card, by name, which win over what the card would say by itself.
    """

    recipe: Recipe
    settings: Any
    preset: str
    seed: int
    folder: Path
    quiet: bool = False
    minutes: float | None = None
    precision: str | None = None
    compile: bool = False
    rng: Generator = field(init=False)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    trainers: dict[str, Trainer] = field(default_factory=dict)
    seconds: dict[str, Stopwatch] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = Generator(self.seed)
        manual_seed(self.seed)

    def trainer(
        self,
        model: Any,
        optimizer: Any = None,
        loss: Any = None,
        *,
        name: str = "",
        callbacks: tuple[Callback, ...] = (),
        keep: Mapping[str, Any] | None = None,
        save_when: Trigger | None = None,
        **options: Any,
    ) -> Trainer:
        """A `Trainer` that logs, saves and resumes in this run's folder. Make its loaders before.

        name: of this trainer where a run has several; each has its own checkpoints and metrics-NAME.csv.
        save_when: when checkpoints are written, every 20 seconds by default. The other arguments are `Trainer`'s.
        """
        if name in self.trainers:
            raise ValueError(
                f"run.trainer: there is a trainer called {name!r} in this run; give this one another name="
            )
        suffix = f"-{name}" if name else ""
        watch = Stopwatch()
        checkpoint = Checkpoint(self.folder / "checkpoint" / name, save_when or every(seconds=20))
        own: list[Callback] = [
            *callbacks,
            watch,
            CSVLog(self.folder / f"metrics{suffix}.csv"),
            TensorBoardLog(self.folder / "tensorboard" / name),
            checkpoint,
        ]
        if not self.quiet:
            own.append(Progress(f"{self.recipe.name}{suffix}"))
        if self.minutes is not None:
            own.append(TimeBudget(60 * self.minutes))
        keep = {"rng": self.rng, **(keep or {})}
        if self.precision == "float16" and optimizer is None and "step" in options:
            raise UnfitError(
                f"{self.recipe.name} makes its updates itself, without the loss scaling that float16 needs; "
                "train it in bfloat16, which needs none"
            )
        options = {"precision": self.precision, "compile": self.compile, **options}
        trainer = Trainer(model, optimizer, loss, callbacks=own, keep=keep, **options)
        trainer.resume_command = self.resume_command
        resume(trainer, checkpoint.folder)
        self.trainers[name], self.seconds[name] = trainer, watch
        return trainer

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of the run's only, or first, trainer."""
        return next(iter(self.trainers.values())).history if self.trainers else []

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        parent = self.folder.parent
        folder = parent if (parent / "run.json").exists() else self.folder
        return f"tensorgrad train {self.recipe.name} --resume {shlex.quote(str(folder))}"

    def figure(self, name: str) -> Path:
        """The path of a figure: figures/NAME.png."""
        return self.folder / "figures" / f"{name}.png"

    def note(self, **notes: Any) -> None:
        """Say something in the card: values for JSON by name."""
        self.notes.update(notes)

    def say(self, text: str) -> None:
        """Print a line, unless the run is quiet."""
        if not self.quiet:
            print(text, flush=True)


# ── the way through a recipe ────────────────────────────────────────────────────────────────────────────────


def train_recipe(
    recipe: Recipe,
    *,
    preset: str | None = None,
    changes: tuple[str, ...] = (),
    seed: int = 0,
    seeds: int = 1,
    out: str | os.PathLike[str] = "runs",
    quiet: bool = False,
    minutes: float | None = None,
    precision: str | None = None,
    compile: bool = False,
) -> dict[str, Any]:
    """Train a recipe, leave a run folder under `out`, and print what came of it. Returns its card.

    seeds: how many, from `seed` on, one after another: more than one get a folder each inside the run folder, whose
    own card then has the median, mean and deviation. minutes: pause after so many, with a checkpoint.
    precision: "float16" or "bfloat16" for its trainers, compile: whether they run programs (see `Trainer`).
    Raises ValueError for a preset or setting that is not there, UnfitError, a ValueError, where precision or compile
    cannot hold, Paused when the minutes are over.
    """
    name = recipe.default_preset if preset is None else preset
    settings = recipe.settings(preset, changes)
    _need(recipe)
    if precision is not None:
        autocast(precision)  # where bfloat16 is missing, now
    if not quiet:
        expected = recipe.takes.get(name, "unknown")
        print(f"{recipe.name}, preset {name}: takes about {expected} a seed", flush=True)
    folder = make_run_folder(out, recipe.name)
    about = {"recipe": recipe.name, "preset": name, "settings": asdict(settings), "seed": seed, "seeds": seeds}
    about |= ({"precision": precision} if precision is not None else {}) | ({"compile": True} if compile else {})
    write_json(folder / "run.json", about)
    return _train_seeds(recipe, about, folder, quiet, minutes)


def resume_recipe(
    recipe: Recipe, folder: str | os.PathLike[str], quiet: bool = False, minutes: float | None = None
) -> dict[str, Any]:
    """Go on with a run that was interrupted, killed or paused, to the same end. Returns its card.

    Raises ValueError for a run of another recipe, FileNotFoundError for a folder that is no run.
    """
    folder = Path(folder)
    about = about_run(folder)
    if about["recipe"] != recipe.name:
        raise ValueError(f"{folder} is a run of {about['recipe']}; resume it by that name")
    _need(recipe)
    return _train_seeds(recipe, about, folder, quiet, minutes)


def about_run(folder: Path) -> dict[str, Any]:
    """What a run was started with. Raises FileNotFoundError for a folder that is no run."""
    if not (folder / "run.json").is_file():
        raise FileNotFoundError(2, f"{folder} is no run folder: it has no run.json")
    about: dict[str, Any] = read_json(folder / "run.json")
    return about


def _train_seeds(
    recipe: Recipe, about: dict[str, Any], folder: Path, quiet: bool, minutes: float | None
) -> dict[str, Any]:
    settings = from_dict(recipe.settings(about["preset"]), about["settings"])
    cards: list[dict[str, Any]] = []
    with blas_threads(recipe.threads):
        for seed in range(about["seed"], about["seed"] + about["seeds"]):
            inner = folder if about["seeds"] == 1 else folder / f"seed-{seed}"
            if (inner / "card.json").is_file():
                card = read_json(inner / "card.json")
            else:
                inner.mkdir(exist_ok=True)
                how = about.get("precision"), about.get("compile", False)
                card = _train_once(Run(recipe, settings, about["preset"], seed, inner, quiet, minutes, *how))
            if not quiet and not cards:
                print(card_table(card))
            print(card_line(card), flush=True)
            cards.append(card)
    card = cards[0]
    if len(cards) > 1:
        card = summary_card(cards)
        write_json(folder / "card.json", card)
        print(summary_line(card))
    print(f"graph, curves, weights and card: {folder}")
    return card


def _train_once(run: Run) -> dict[str, Any]:
    """Train with one seed and fill the run folder. Returns the card."""
    recipe = run.recipe
    data = recipe.data(run)
    run.baselines = _remembered(run.folder / "checkpoint" / "baselines.json", lambda: recipe.baselines(run, data))
    model = recipe.model(run)
    recipe.train(run, model, data)
    if not run.trainers and (run.precision is not None or run.compile):
        raise UnfitError(f"{recipe.name} has no trainer that could have a precision, or compile its steps")
    metrics = recipe.measure(run, model, data)
    save(run.folder / "weights.safetensors", model.state_dict())
    recipe.figures(run, model, data)
    drawing = render(recipe.graph(run, model), **_graph_options(recipe, model))
    _, complaint = drawing.write(run.folder / "graph.svg")
    if complaint:
        print(complaint, file=sys.stderr)
    card = make_card(run, model, data, metrics)
    write_json(run.folder / "card.json", card)  # last: a folder with a card is a run that came to its end
    return card


def _remembered(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is made once in a run, whatever interrupts it."""
    if not path.is_file():
        write_json(path, make())
    found: dict[str, Any] = read_json(path)
    return found


def evaluate_run(folder: str | os.PathLike[str], recipe: Recipe) -> dict[str, Any]:
    """Measure the weights of a finished run again. Returns {"metrics": now, "card": then}.

    Raises FileNotFoundError for a folder that is no finished run.
    """
    folder = Path(folder)
    about = about_run(folder)
    if not (folder / "card.json").is_file():
        raise FileNotFoundError(2, f"{folder} has no card.json: the run did not come to its end; resume it first")
    card = read_json(folder / "card.json")
    _need(recipe)
    settings = from_dict(recipe.settings(about["preset"]), about["settings"])
    inner = folder if about["seeds"] == 1 else folder / f"seed-{about['seed']}"
    run = Run(recipe, settings, about["preset"], about["seed"], inner, quiet=True)
    with blas_threads(recipe.threads):
        data = recipe.data(run)
        model = recipe.model(run)
        model.load_state_dict(load(inner / "weights.safetensors"))
        metrics = recipe.measure(run, model, data)
    return {"metrics": metrics, "card": card if inner == folder else read_json(inner / "card.json")}


def draw_recipe(recipe: Recipe, path: str | os.PathLike[str]) -> str:
    """Draw the network of the preset "smoke" to a path. Returns a sentence that says what was written."""
    preset = "smoke" if "smoke" in recipe.presets else recipe.default_preset
    run = Run(recipe, recipe.settings(preset), preset, 0, Path())
    model = recipe.model(run)
    return save_drawing(path, recipe.graph(run, model), **_graph_options(recipe, model))


def profile_recipe(recipe: Recipe, trace: str | os.PathLike[str] | None = None) -> Profile:
    """Train the preset "smoke" under a profile, into a folder that is thrown away. trace: where a trace is written."""
    preset = "smoke" if "smoke" in recipe.presets else recipe.default_preset
    _need(recipe)
    with TemporaryDirectory() as folder, blas_threads(recipe.threads):
        manual_seed(0)
        run = Run(recipe, recipe.settings(preset), preset, 0, Path(folder), quiet=True)
        data = recipe.data(run)
        model = recipe.model(run)
        with profile() as found:
            recipe.train(run, model, data)
    if trace is not None:
        found.export_chrome_trace(trace)
    return found


def _graph_options(recipe: Recipe, model: Any) -> dict[str, Any]:
    return {"names": dict(model.named_parameters()), "depth": recipe.graph_depth, "limit": recipe.graph_limit}


def _need(recipe: Recipe) -> None:
    with needed_by(f"the recipe {recipe.name}"):
        for package in (*EXTRAS, *recipe.extras):
            import_module(package)  # what is missing is missed now, not after the training


@contextmanager
def blas_threads(count: int | None) -> Iterator[None]:
    """Products by so many threads inside the block; where threadpoolctl is missing, by as many as before."""
    with ExitStack() as stack:
        if count is not None:
            try:
                from threadpoolctl import threadpool_limits
            except ModuleNotFoundError:
                pass
            else:
                stack.enter_context(threadpool_limits(count, "blas"))
        yield


__all__ = [
    "Paused",
    "Recipe",
    "Run",
    "UnfitError",
    "about_run",
    "draw_recipe",
    "evaluate_run",
    "profile_recipe",
    "resume_recipe",
    "train_recipe",
]
