"""What is printed of a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def shown(name: str, value: float, digits: int | None = None) -> str:
    """A figure as text: accuracies in per cent, anything else with so many digits, four by default.

    Of a negative log-likelihood the default is six: tables of the same symbols differ from the third decimal on.

    >>> shown("test_accuracy", 0.9806), shown("test_loss", 0.123456), shown("train_nll", 2.4540689)
    ('98.06%', '0.1235', '2.45407')
    """
    if name.endswith("accuracy"):
        return f"{value:.2%}"
    return f"{value:.{digits or (6 if name.endswith('nll') else 4)}g}"


def words(name: str) -> str:
    """A figure's name as words.

    >>> words("test_accuracy")
    'test accuracy'
    """
    return name.replace("_", " ")


def numbers(card: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a card that are numbers, without the baselines."""
    return {name: each for name, each in card["metrics"].items() if isinstance(each, (int, float))}


def card_table(card: Mapping[str, Any]) -> str:
    """What was trained on what, and its figures beside those of the baselines."""
    rows = {f"{card['recipe']}, seed {card['seed']}": card["metrics"], **card["metrics"]["baselines"]}
    names = list(numbers(card))
    width = max(22, *map(len, rows))
    columns = [max(10, len(words(name))) for name in names]
    header = "".join(f"  {words(name):>{column}}" for name, column in zip(names, columns, strict=True))
    lines = [_data_line(card), _model_line(card), " " * width + header]
    for title, row in rows.items():
        cells = [shown(name, row[name]) if name in row else "" for name in names]
        values = "".join(f"  {cell:>{column}}" for cell, column in zip(cells, columns, strict=True))
        lines.append(f"{title:<{width}}{values}".rstrip())
    return "\n".join(lines)


def _data_line(card: Mapping[str, Any]) -> str:
    data = card["data"]
    counts = [
        f"{data[part]:,} {what}"
        for part, what in (
            ("train_rows", "rows to train on"),
            ("validation_rows", "to validate with"),
            ("test_rows", "held out"),
        )
        if part in data
    ]
    return f"{data.get('name', 'data')}: {', '.join(counts)}"


def _model_line(card: Mapping[str, Any]) -> str:
    optimizer = card["optimizer"] or {}
    name = optimizer.get("name") or ", ".join(sorted({each["name"] for each in optimizer.values()})) or "no optimizer"
    size = card["settings"].get("batch_size")
    batches = f" of batches of {size}" if size else ""
    model = card["architecture"]["name"]
    return f"{model}, {card['parameters']:,} parameters; {name}, {card['epochs']} epochs{batches}"


def card_line(card: Mapping[str, Any]) -> str:
    """One line for a seed."""
    figures = ", ".join(f"{words(name)} {shown(name, value)}" for name, value in numbers(card).items())
    return f"seed {card['seed']}: {figures}, trained in {card['seconds']:.1f} s"


def summary_line(card: Mapping[str, Any]) -> str:
    """One line for several seeds."""
    name, figures = card["headline"], card["metrics"]

    def figure(kind: str) -> str:
        return shown(name, figures[f"{name}_{kind}"])

    return (
        f"median of {len(card['seed'])} seeds: {words(name)} {shown(name, figures[name])}, from {figure('min')} to "
        f"{figure('max')}, mean {figure('mean')} ± {figure('deviation')}; training took {card['seconds']:.1f} s each"
    )


def evaluation_table(found: Mapping[str, Any]) -> tuple[str, bool]:
    """The figures measured now beside those of the card, and whether they are the same, up to rounding.

    found: what `evaluate_run` gave.
    """
    now, card = found["metrics"], found["card"]
    then = {name: card["metrics"].get(name, float("nan")) for name in now}
    same = all(abs(now[name] - then[name]) <= 1e-5 * max(1.0, abs(then[name])) for name in now)
    lines = [f"{'':<28}{'now':>12}{'card':>12}"]
    lines += [f"{words(name):<28}{shown(name, now[name]):>12}{shown(name, then[name]):>12}" for name in now]
    lines.append("as the card says" if same else "not what the card says: other data, or another version?")
    return "\n".join(lines), same
