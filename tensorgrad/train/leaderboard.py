"""The leaderboard: a table of finished runs, generated from their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tensorgrad.train.run_folder import read_json
from tensorgrad.train.tables import shown, words


def leaderboard(folders: Iterable[Path]) -> str:
    """A Markdown table of all finished runs in some folders, a line for each recipe, preset and settings.

    A line has the seeds, the headline's mean and deviation over them, the baseline with the best mean, the data set and
    the time a seed took. Raises FileNotFoundError where there is no finished run.
    """
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for card in _cards(folders):
        key = (card["recipe"], card["preset"], repr(sorted(card["settings"].items())))
        groups.setdefault(key, []).append(card)
    if not groups:
        raise FileNotFoundError(2, f"there is no finished run, no card.json, in {', '.join(map(str, folders))}")
    lines = [
        "| recipe | preset | data | figure | seeds | mean | deviation | best baseline | parameters | s a seed |",
        "| --- | --- | --- | --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    lines += [_line(groups[key]) for key in sorted(groups)]
    return "\n".join(lines)


def _cards(folders: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The cards of single seeds, each once."""
    paths = sorted({path.resolve() for folder in folders for path in Path(folder).rglob("card.json")})
    for path in paths:
        card = read_json(path)
        if not isinstance(card.get("seed"), list):  # the summary of several seeds, which stand beside it
            yield card


def _line(cards: list[dict[str, Any]]) -> str:
    card = cards[0]
    name = card["headline"]
    values = [each["metrics"][name] for each in cards]
    known: dict[str, list[float]] = {}  # a seed may have drawn its own data, and baselines with it
    for each in cards:
        for title, row in each["metrics"]["baselines"].items():
            if name in row:
                known.setdefault(title, []).append(row[name])
    cells = (
        card["recipe"],
        card["preset"],
        str(card["data"].get("name", "")),
        words(name),
        ", ".join(str(each["seed"]) for each in cards),
        shown(name, mean(values)),
        shown(name, stdev(values)) if len(values) > 1 else "",
        _best(name, {title: mean(found) for title, found in known.items()}),
        f"{card['parameters']:,}",
        f"{mean(each['seconds'] for each in cards):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _best(name: str, known: dict[str, float]) -> str:
    """The baseline to beat: the highest, or of a loss or an error the lowest."""
    if not known:
        return ""
    lowest = name.endswith(("loss", "error", "perplexity", "nll", "mae"))
    title = (min if lowest else max)(known, key=lambda each: known[each])
    return f"{title} {shown(name, known[title])}"
