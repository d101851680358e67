"""The card of a run: what was trained on what, how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import mean, median, stdev
from typing import Any

from tensorgrad.backend import default_device
from tensorgrad.train.run_folder import git_commit, versions


def make_card(run: Any, model: Any, data: Any, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What a card says by itself, and over it the run's notes."""
    recipe, settings = run.recipe, asdict(run.settings)
    optimizers = {name: _optimizer(each.optimizer) for name, each in run.trainers.items() if each.optimizer is not None}
    card: dict[str, Any] = {
        "recipe": recipe.name,
        "rows": list(recipe.rows),
        "preset": run.preset,
        "data": _data(data),
        "seed": run.seed,
        "architecture": {"name": type(model).__name__, "text": repr(model)},
        "parameters": sum(theta.size for theta in model.parameters()),
        "optimizer": optimizers.get("", optimizers or None),
        "schedule": "constant",
        "epochs": max((each.epoch for each in run.trainers.values()), default=0),
        "steps": sum(each.step for each in run.trainers.values()),
        "stopped": next((each.stopped for each in run.trainers.values() if each.stopped), None),
        "settings": settings,
        "precision": run.precision,
        "compiled": run.compile,
        "metrics": {**metrics, "baselines": run.baselines},
        "headline": recipe.headline,
        "seconds": round(sum(watch.seconds for watch in run.seconds.values()), 3),
        "processor_seconds": round(sum(watch.processor_seconds for watch in run.seconds.values()), 3),
        "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "device": default_device(),
        "versions": versions(*(package for package in ("scipy", "scikit-learn") if package in _needed(recipe))),
        "commit": git_commit(),
    }
    notes = dict(run.notes)
    if isinstance(notes.get("data"), Mapping):
        notes["data"] = {**card["data"], **notes["data"]}
    return {**card, **notes}


def _needed(recipe: Any) -> list[str]:
    names = {"sklearn": "scikit-learn"}
    return ["scipy", *(names.get(each, each) for each in recipe.extras)]


def _data(data: Any) -> dict[str, Any]:
    """Where the data came from, and how many rows there are."""
    found: dict[str, Any] = {}
    provenance = getattr(data, "provenance", None)
    if provenance is not None:
        found.update(provenance.as_dict())
    for part in ("train", "validation", "test"):
        rows: Any = getattr(data, part, ())
        if hasattr(rows, "__len__") and len(rows):
            found[f"{part}_rows"] = len(rows)
    return found


def _optimizer(optimizer: Any) -> dict[str, Any]:
    """The name and the numbers an optimizer was made with."""
    numbers = {name: _plain(value) for name, value in getattr(optimizer, "defaults", {}).items()}
    return {"name": type(optimizer).__name__, **numbers}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def summary_card(cards: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One card for several seeds: of figures the median, of the headline the spread besides, of baselines the mean.

    The rest, such as settings and data, is that of the first seed.
    """
    headline = cards[0]["headline"]
    values = [card["metrics"][headline] for card in cards]
    figures = [name for name in cards[0]["metrics"] if name != "baselines"]
    return {
        **cards[0],
        "seed": [card["seed"] for card in cards],
        "metrics": {
            **{name: median(card["metrics"][name] for card in cards) for name in figures},
            f"{headline}_mean": mean(values),
            f"{headline}_deviation": stdev(values),
            f"{headline}_min": min(values),
            f"{headline}_max": max(values),
            f"{headline}_by_seed": values,
            "baselines": mean_baselines(cards),
        },
        **{name: median(card[name] for card in cards) for name in ("seconds", "processor_seconds") if name in cards[0]},
    }


def mean_baselines(cards: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Every baseline's figures, each the mean over the cards that have it: a seed may have drawn data of its own."""
    found: dict[str, dict[str, list[float]]] = {}
    for card in cards:
        for title, row in card["metrics"]["baselines"].items():
            for name, value in row.items():
                found.setdefault(title, {}).setdefault(name, []).append(value)
    return {title: {name: mean(values) for name, values in row.items()} for title, row in found.items()}
