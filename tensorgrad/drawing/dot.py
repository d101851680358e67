"""A graph in the DOT language: boxes, colours, and the quoting that keeps any name a user picks from breaking it."""

from __future__ import annotations

import html
import re
from itertools import count

from tensorgrad.drawing.graph import Box, Edge, Graph, Node, boxes
from tensorgrad.units import duration

DIRECTIONS = ("TB", "LR", "BT", "RL")

# Fill, outline and title of each kind of node: green for what is given, grey-blue for what is done to it, amber for
# what comes out. Titles have a contrast of 9 and more to 1 on their fill, the small print 5 and more.
PALETTE = {
    "leaf": ("#e9f4ea", "#7fb08a", "#1f4d2c"),
    "op": ("#eef2f8", "#9db2cc", "#1f344f"),
    "result": ("#fdf0d5", "#dba84c", "#5c3d06"),
}
# Fills for the share that an op has in the time of the hottest one, from each bound upwards; all are light enough for
# ink and small print, with a contrast of 4.5 and more to 1.
HEAT = ((0.0, "#f4f6f8"), (0.01, "#fdf1d3"), (0.05, "#fbdca0"), (0.2, "#f6b877"), (0.5, "#f0906a"))
HOT_INK = "#2b1a10"
SMALL_PRINT, ALARM, ARROW = "#55606e", "#c0392b", "#7a8797"
INSIDE = ("#f7f9fb", "#eef1f5")  # scopes within scopes, by turns
FONT = "Helvetica,Arial,sans-serif"
# Plain labels are laid out in a wide font, whose widths every Graphviz knows, and shown in FONT: whatever font the
# viewer has instead of Helvetica, its text stays inside the box.
PLAIN_FONT = "DejaVu Sans"
TITLE_WIDTH = 0.105  # inches for a character of a bold title in PLAIN_FONT


def dot(graph: Graph, direction: str = "TB", rich: bool = True) -> str:
    """The DOT text of a graph.

    direction: where the arrows lead, "TB" from top to bottom, "LR", "BT" or "RL". rich: labels with bold titles and
    small print, which a Graphviz built without an XML parser cannot draw; else plain lines.
    """
    font = FONT if rich else PLAIN_FONT
    lines = [
        "digraph tensorgrad {",
        f'  graph [rankdir={direction}, bgcolor="white", fontname="{font}", fontsize=11, fontcolor="{SMALL_PRINT}",',
        '         nodesep=0.3, ranksep=0.35, pad=0.2, tooltip=" "];',
        f'  node [shape=box, style="rounded,filled", fontname="{font}", fontsize={12 if rich else 10}, height=0.3,',
        f'        margin="{"0.08,0.05" if rich else "0.12,0.06"}"];',
        f'  edge [color="{ARROW}", arrowsize=0.6, fontname="{font}", fontsize=9, fontcolor="{SMALL_PRINT}"];',
    ]
    hottest = max([node.heat or 0.0 for node in graph.nodes.values()])
    lines += _box(graph, boxes(graph), rich, hottest)
    if hottest:
        lines += _legend(hottest, rich)
    folded = sum(node.folded for node in graph.nodes.values())
    if folded:  # after the clusters, which would inherit it
        drawn = f"{graph.records:,} records;\n{folded:,} are folded into dashed boxes"
        lines.append(f"  label={quoted(drawn)}; labelloc=b; fontsize=10;")
    lines += [_edge(edge) for edge in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


_NODE = re.compile(r'(<g id="[^"]*" class="node.*?</g>)', re.DOTALL)
_TEXT = re.compile(r'(<text [^>]*font-size=")[\d.]+("[^>]*?)( fill="[^"]*")?>')


def emphasised(svg: str) -> str:
    """The SVG of plain labels with the looks of rich ones: bold titles, small print below them."""

    def node(found: re.Match[str]) -> str:
        title = iter([True])

        def text(line: re.Match[str]) -> str:
            start, rest, fill = line.groups(default="")
            if next(title, False):
                return f'{start}11{rest}{fill} font-weight="bold">'
            small_print = fill if HOT_INK in fill else f' fill="{SMALL_PRINT}"'
            return f"{start}9.5{rest}{small_print}>"

        return _TEXT.sub(text, found[0])

    return _NODE.sub(node, svg).replace(f'font-family="{PLAIN_FONT}"', f'font-family="{FONT}"')


def quoted(text: str) -> str:
    r"""Text as DOT reads it back unchanged: a quoted string; line breaks stay line breaks.

    >>> print(quoted('say "hi" \\ then go'))
    "say \"hi\" \\ then go"
    """
    text = _printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _printable(text: str) -> str:
    """Without the control characters that XML, and so every SVG, forbids."""
    return "".join(each if each == "\n" or each.isprintable() else "�" for each in text)


def _legend(hottest: float, rich: bool) -> list[str]:
    """What the colours of heat mean: boxes in the arrows' direction, with the least time that each stands for."""
    lines = [
        "  subgraph cluster_heat {",
        f'    label={quoted("time of an op, forward and backward")}; labeljust=l; style="rounded"; color="#cdd5de";',
        "    node [margin=0.05, height=0.25, width=1.5];",
    ]
    for place, (share, fill) in enumerate(HEAT):
        text = quoted(f"from {duration(share * hottest)}" if share else f"below {duration(HEAT[1][0] * hottest)}")
        lines.append(f'    heat{place} [label={text}, fillcolor="{fill}", color="{ARROW}", fontcolor="{HOT_INK}"];')
    lines.append("    " + " -> ".join([f"heat{place}" for place in range(len(HEAT))]) + ' [style="invis"];')
    return [*lines, "  }"]


def _box(graph: Graph, root: Box, rich: bool, hottest: float) -> list[str]:
    """The nodes of a scope and the clusters inside it, without recursion."""
    lines: list[str] = []
    number = count().__next__
    todo: list[tuple[Box | None, int]] = [(root, 0)]
    while todo:
        box, depth = todo.pop()
        indent = "  " * (depth + 1)
        if box is None:
            lines.append(f"{indent}}}")
            continue
        if box.name:
            lines += [
                f"{indent}subgraph cluster_{number()} {{",
                f'{indent}  label={quoted(box.label)}; labeljust=l; style="rounded,filled"; '
                f'color="#cdd5de"; fillcolor="{INSIDE[depth % 2]}"; tooltip={quoted(box.name)};',
            ]
            todo.append((None, depth))
            depth, indent = depth + 1, indent + "  "
        lines += [f"{indent}{_node(graph.nodes[key], rich, hottest)}" for key in box.nodes]
        todo += [(child, depth) for child in reversed(box.inside)]
    return lines


def _node(node: Node, rich: bool, hottest: float) -> str:
    fill, outline, ink = PALETTE[node.kind]
    lines = [*node.result.split("\n"), *node.lines] if node.result else node.lines
    print_ink = SMALL_PRINT
    if node.heat is not None:
        fill = [each for share, each in HEAT if node.heat >= share * hottest][-1]
        ink = print_ink = HOT_INK
        lines = [*lines, duration(node.heat)]
    label = _rich(node.title, lines, ink, print_ink) if rich else quoted("\n".join([node.title, *lines]))
    attributes = [
        f"label={label}",
        f'fillcolor="{fill}", color="{ALARM if node.alarm else outline}", fontcolor="{ink}"',
        f"tooltip={quoted(node.tooltip or node.title)}",
    ]
    if not rich:
        attributes.append(f"width={0.25 + TITLE_WIDTH * len(node.title):.2f}")
    if node.alarm:
        attributes.append("penwidth=2")
    if node.folded:
        attributes.append('style="rounded,filled,dashed"')
    return f"{node.key} [{', '.join(attributes)}];"


def _rich(title: str, lines: list[str], ink: str, print_ink: str) -> str:
    """A bold title and small print below it, in DOT's HTML-like labels."""
    rows = [f'<font color="{ink}"><b>{_escaped(title)}</b></font>']
    rows += [f'<font point-size="10" color="{print_ink}">{_escaped(line)}</font>' for line in lines]
    cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{cells}</table>>'


def _escaped(text: str) -> str:
    # dot reads \N and its like as names of the node and the graph, even here; a space of no width parts them.
    text = re.sub(r"\\(?=[A-Z])", "\\\\\u200b", _printable(text))
    return html.escape(text.replace("\n", " ")) or " "


def _edge(edge: Edge) -> str:
    label = f" [label={quoted(' ' + edge.label)}]" if edge.label else ""
    return f"  {edge.tail} -> {edge.head}{label};"
