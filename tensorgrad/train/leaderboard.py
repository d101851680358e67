"""The leaderboard: a table of finished runs, generated from their cards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tensorgrad.io import replacing
from tensorgrad.train.cards import mean_baselines
from tensorgrad.train.run_folder import read_json
from tensorgrad.train.tables import shown, words

BEGIN, END = "<!-- leaderboard -->", "<!-- end of the leaderboard -->"
HEAD = (
    "| recipe | preset | data | figure | seeds | mean | deviation | best baseline | parameters | s a seed | CPU s |",
    "| --- | --- | --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: |",
)


def leaderboard(folders: Iterable[Path], say: Callable[[str], object] = print) -> str:
    """A Markdown table of all finished runs in some folders, a line for each recipe, preset and settings.

    Precision, and whether steps were compiled, count among the settings. A line has the seeds, the headline's mean and
    deviation over them, the baseline with the best mean, the data set and the time a seed took, by the clock and on all
    cores together. Where a preset was run with several settings, its lines name those that differ. Of runs with one
    seed and the same settings the newest stands in the table, and `say` is told so.
    Raises FileNotFoundError where there is no finished run.
    """
    folders = list(folders)
    newest: dict[tuple[str, str, str, int], tuple[float, Path, dict[str, Any]]] = {}
    for path, card in _cards(folders):
        key = (card["recipe"], card["preset"], repr(sorted(_settings(card).items())), card["seed"])
        this = (_finished(path, card), path, card)
        if key in newest:
            before, this = sorted((newest[key], this), key=lambda each: each[:2])
            say(f"{key[0]}, {key[1]}, seed {key[3]}: {this[1].parent} is newer than {before[1].parent} and is taken")
        newest[key] = this
    if not newest:
        raise FileNotFoundError(2, f"there is no finished run, no card.json, in {', '.join(map(str, folders))}")
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for recipe, preset, settings, seed in sorted(newest):
        card = newest[recipe, preset, settings, seed][2]
        groups.setdefault((recipe, preset), {}).setdefault(settings, []).append(card)
    lines = [_line(cards, list(group.values())) for group in groups.values() for cards in group.values()]
    return "\n".join([*HEAD, *lines])


def write_leaderboard(path: Path, table: str) -> list[str]:
    """Put a table between the two markers of a text file, whole or not at all; the text beside stays as it is.

    Returns the lines of the table before that are about a recipe and preset which the new one says nothing about.
    Raises ValueError where a marker, `BEGIN` or `END`, is not there once, or they stand the wrong way around.
    """
    text = path.read_bytes().decode("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path} needs one line {BEGIN} and below it one line {END}, for the table to stand between")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    with replacing(path) as partial:
        partial.write_bytes(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}".encode())
    kept = {_about(line) for line in table.splitlines()}
    return [line for line in old.splitlines() if line.startswith("| ") and _about(line) not in kept]


def _about(line: str) -> tuple[str, ...]:
    """The recipe and the preset of a line."""
    return tuple(cell.strip().partition(",")[0] for cell in line.split("|")[1:3])


def _cards(folders: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The cards of single seeds, each once."""
    paths = sorted({path.resolve() for folder in folders for path in Path(folder).rglob("card.json")})
    for path in paths:
        card = read_json(path)
        if not isinstance(card.get("seed"), list):  # the summary of several seeds, which stand beside it
            yield path, card


def _settings(card: dict[str, Any]) -> dict[str, Any]:
    """What tells runs of one preset apart: the settings, and precision and compiled where they are not as usual."""
    how = {name: card[name] for name in ("precision", "compiled") if card.get(name)}
    return {**card["settings"], **how}


def _finished(path: Path, card: dict[str, Any]) -> float:
    """When a run came to its end, in seconds since 1970: as its card says or, of an older one, as its file does."""
    return datetime.fromisoformat(card["finished"]).timestamp() if "finished" in card else path.stat().st_mtime


def _line(cards: list[dict[str, Any]], group: list[list[dict[str, Any]]]) -> str:
    """The line of one experiment's seeds. group: the cards of all settings of its preset, to tell it from."""
    card = cards[0]
    name = card["headline"]
    values = [each["metrics"][name] for each in cards]
    others = [_settings(each[0]) for each in group]
    differing = [
        f"{key}={value}"
        for key, value in _settings(card).items()
        if any(each.get(key, ...) != value for each in others)
    ]
    known = {title: row[name] for title, row in mean_baselines(cards).items() if name in row}
    cells = (
        card["recipe"],
        ", ".join([card["preset"], *differing]),
        str(card["data"].get("name", "")),
        words(name),
        _listed([each["seed"] for each in cards]),
        shown(name, mean(values)),
        shown(name, stdev(values), digits=2) if len(values) > 1 else "",
        _best(name, known),
        f"{card['parameters']:,}",
        *(_seconds(cards, name) for name in ("seconds", "processor_seconds")),
    )
    return f"| {' | '.join(cells)} |"


def _seconds(cards: list[dict[str, Any]], name: str) -> str:
    """The mean over seeds, nothing where the cards are older than this figure."""
    return f"{mean(each[name] for each in cards):.1f}" if all(name in each for each in cards) else ""


def _listed(seeds: list[int]) -> str:
    """Seeds with commas between; more than five in a row by the first and the last."""
    if len(seeds) > 5 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def _best(name: str, known: dict[str, float]) -> str:
    """The baseline to beat: the highest, or of a loss or an error the lowest."""
    if not known:
        return ""
    lowest = name.endswith(("loss", "error", "perplexity", "nll", "mae", "mse", "distance", "distance_ratio"))
    title = (min if lowest else max)(known, key=lambda each: known[each])
    return f"{title} {shown(name, known[title])}"
