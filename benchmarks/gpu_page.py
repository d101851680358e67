"""The table of times in docs/gpu.md, from the result of benchmarks/gpu.py, or of workloads without one.

python benchmarks/gpu_page.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timing

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"
BEGIN, END = "<!-- written by benchmarks/gpu_page.py -->", "<!-- until here -->"
NOWHERE = "no GPU at hand"
HEAD = (
    "| | dtype | PyTorch, ms | eager of PyTorch | compiled of PyTorch | of torch.compile | compiled of eager "
    "| peak of PyTorch's: eager, compiled | CUDA graph |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
)
RATIOS = (
    ("tensorgrad", "torch"),
    ("tensorgrad-compiled", "torch"),
    ("tensorgrad-compiled", "torch-compiled"),
    ("tensorgrad-compiled", "tensorgrad"),
)


def rows(result: Mapping[str, Any] | None, names: Sequence[str], dtypes: Sequence[str]) -> list[str]:
    """One line for each workload in each dtype; of one that was not measured it says so."""
    figures = {} if result is None else {each["what"]: each for each in result["figures"]}
    details = {} if result is None else result["details"]
    lines = []
    for name in names:
        for dtype in dtypes:
            title = f"{name}, {dtype}"
            times = figures.get(f"{title}, torch"), *[figures.get(f"{title}, {one} of {two}") for one, two in RATIOS]
            cells = [_cell(each) for each in times]
            peaks = {engine: figures.get(f"{title}, peak of {engine}") for engine in ("torch", *dict(RATIOS))}
            cells += [_shares(peaks), str(details.get("CUDA graph", {}).get(title) or "")]
            if not any(cells):
                cells[0] = NOWHERE if result is None else "not run"
            told = details.get("not measured", {}).get(title, {})
            cells[-1] += "".join([f" {engine} was not measured: {reason}" for engine, reason in told.items()])
            lines.append(f"| {name} | {dtype} | {' | '.join(cells)} |")
    return lines


def _cell(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    goal = "" if figure["goal"] is None else f", goal {timing.number(figure['goal'])}"
    missed = " **missed**" if figure["verdict"] == "missed" else ""
    return f"{timing.number(figure['value'])}{goal}{missed}"


def _shares(peaks: Mapping[str, Any]) -> str:
    whole = peaks["torch"]
    ours = [peaks[engine] for engine in ("tensorgrad", "tensorgrad-compiled")]
    return ", ".join([timing.number(each["value"] / whole["value"]) for each in ours if each and whole])


def section(result: Mapping[str, Any] | None, names: Sequence[str], dtypes: Sequence[str]) -> str:
    """What stands between the marks."""
    if result is None:
        said = "No GPU was at hand, so nothing was measured: the command is `python benchmarks/gpu.py`."
    else:
        facts = result["machine"]
        gpu = (facts.get("gpu") or {}).get("name", "no GPU")
        said = f"`{result['command']}`, {facts['date']}, {gpu}: times of ours as a share of theirs."
    return "\n".join([BEGIN, "", said, "", *HEAD, *rows(result, names, dtypes), "", END])


def write(result: Mapping[str, Any] | None, names: Sequence[str], dtypes: Sequence[str], page: Path = PAGE) -> None:
    """Put the section into the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + section(result, names, dtypes) + after, encoding="utf-8")


def measured() -> Mapping[str, Any] | None:
    """The result that is there, of a GPU; None where nobody had one."""
    path = timing.RESULTS / "gpu.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


if __name__ == "__main__":
    import gpu

    write(measured(), [each.name for each in gpu.WORKLOADS], gpu.DTYPES)
