"""DOT text: every name quoted, every cluster closed, every kind in its colour."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.drawing.dot import ALARM, HEAT, HOT_INK, PALETTE, PLAIN_FONT, dot, emphasised, quoted
from tensorgrad.drawing.fold import closed, in_stretches
from tensorgrad.drawing.graph import Edge, Graph, Node, graph_of
from tests.drawing import nets


def text_of(loss, names=None, **options):
    return dot(graph_of([loss], names), **options)


def line_of(text, key):
    (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{key} [")]
    return line


@pytest.mark.parametrize("rich", [True, False])
def test_one_cluster_stands_per_scope_nested_as_the_scopes_are(rich):
    loss, names = nets.mlp()
    lines = text_of(loss, names, rich=rich).splitlines()
    assert sum("subgraph cluster_" in line for line in lines) == 3
    depth, open_at = 0, {}
    for line in lines:
        depth += line.endswith("{")
        if "subgraph cluster_" in line:
            open_at[depth] = open_at.get(depth, 0) + 1
        depth -= line.strip() == "}"
    assert depth == 0
    assert open_at == {2: 1, 3: 2}
    labels = re.findall(r'^ *label="([^"]*)"; labeljust', "\n".join(lines), re.MULTILINE)
    assert labels == ["layers", "layers.0", "layers.1"]


def test_a_node_stands_inside_the_cluster_of_its_scope():
    with tg.scope("inner"):
        y = tg.exp(nets.leaf(2))
    text = text_of(y.sum())
    inside = text[text.index("subgraph cluster_0 {") : text.index("  }")]
    assert "exp" in inside
    assert "sum" not in inside
    assert "n0 -> n1;" in text[text.index("  }") :]


def test_kinds_have_colours_of_their_own():
    x = nets.leaf(2)
    text = text_of(tg.exp(x).sum(), {"x": x})
    for key, kind in [("n0", "leaf"), ("n1", "op"), ("n2", "result")]:
        assert f'fillcolor="{PALETTE[kind][0]}"' in line_of(text, key)
    assert len({fill for fill, _, _ in PALETTE.values()}) == 3


def test_titles_can_be_read_on_their_fill():
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for fill, _, ink in PALETTE.values():
        for colour, least in [(ink, 7.0), ("#55606e", 4.5)]:  # WCAG's AAA for titles, AA for the small print
            assert (luminance(fill) + 0.05) / (luminance(colour) + 0.05) >= least


def test_shapes_dtypes_and_names_are_on_the_nodes():
    loss, names = nets.mlp()
    rich, plain = text_of(loss, names), text_of(loss, names, rich=False)
    assert "<b>weight</b>" in rich
    assert "float32[5, 3]" in line_of(rich, "n0")
    assert 'label="weight\\nfloat32[5, 3]"' in line_of(plain, "n0")


def test_an_alarm_has_a_red_outline():
    x = tg.asarray([float("nan")], requires_grad=True)
    text = dot(graph_of([tg.exp(x)], {"x": x}, with_values=True))
    assert f'color="{ALARM}"' in line_of(text, "n1")
    assert ALARM not in text_of(tg.exp(x))


def test_folded_nodes_are_dashed_and_the_caption_counts_them():
    loss, names = nets.mlp()
    graph = graph_of([loss], names)
    text = dot(closed(graph, 1))
    assert "dashed" in line_of(text, "fn0")
    assert "12 records;\\n11 are folded into dashed boxes" in text
    assert "dashed" not in dot(graph)


def test_the_direction_is_graphviz_s_own():
    x = nets.leaf(2)
    assert "rankdir=LR" in text_of(tg.exp(x), direction="LR")
    assert "rankdir=TB" in text_of(tg.exp(x))


def test_labels_on_edges_are_quoted():
    loss, names = nets.two_results()
    assert '[label=" result 0"]' in text_of(loss, names)


def read_back(text):
    """What DOT reads in a quoted string whose escapes it leaves to the label."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_quoting_keeps_any_text(text):
    shown = "".join(each if each == "\n" or each.isprintable() else "�" for each in text)
    out = quoted(text)
    assert read_back(out) == shown
    assert not re.search(r'(?<!\\)(\\\\)*"', out[1:-1])  # no quote inside ends the string


@pytest.mark.parametrize("rich", [True, False])
def test_hostile_names_stay_inside_their_label(rich):
    name = '"]; evil -> "</b>&amp;<x>\\N\x00\n'
    x = nets.leaf(2)
    with tg.scope(name):
        y = tg.exp(x)
    text = text_of(y, {name: x}, rich=rich)
    assert not re.search(r"^\s*evil", text, re.MULTILINE)
    assert "\x00" not in text
    outside = re.sub(r'"(\\.|[^"\\])*"', '""', text)  # without quoted strings
    if rich:
        (label,) = re.findall(r"label=<(.*<b>.*evil.*)>, fill", text)
        assert '"]; evil -> "</b>&amp;<x>' in html.unescape(re.sub(r"<[^>]*>", "", label))
        outside = re.sub(r"label=<.*>, fill", "", outside)
    assert "evil" not in outside
    assert "<x>" not in outside
    assert outside.count("{") == outside.count("}")


def test_a_label_of_no_characters_is_still_a_label():
    text = dot(Graph({"n0": Node("n0", "op", "", "")}, [Edge("n0", "n0")], 1))
    assert "<b> </b>" in text


def test_plain_pictures_get_bold_titles_and_small_print():
    before = (
        '<g id="clust1" class="cluster"><text font-family="DejaVu Sans" font-size="11.00" fill="#1">box</text></g>'
        '<g id="node1" class="node"><title>n0</title>'
        f'<text x="1" font-family="{PLAIN_FONT}" font-size="10.00" fill="#111111">exp</text>'
        f'<text x="1" font-family="{PLAIN_FONT}" font-size="10.00" fill="#111111">float32[2]</text></g>'
        '<g id="edge1" class="edge"><text font-size="9.00">x1</text></g>'
    )
    after = emphasised(before)
    assert 'fill="#111111" font-weight="bold">exp<' in after
    assert re.search(r'font-size="9\.5" fill="#55606e">float32\[2\]<', after)
    assert after.count("bold") == 1
    assert PLAIN_FONT not in after
    assert '<text font-size="9.00">x1' in after


def test_a_picture_without_nodes_is_left_as_it_is():
    assert emphasised("<svg></svg>") == "<svg></svg>"


# ── heat ────────────────────────────────────────────────────────────────────────────────────────────────────


def heated():
    """Three ops, the first the hottest, and a leaf."""
    x = nets.leaf(3)
    loss = tg.exp(x * 2.0).sum()
    serials = [record.serial for record in tg.Tape(loss)][1:]
    return graph_of([loss], seconds=dict(zip(serials, (2e-3, 5e-4, 1e-5), strict=True)))


@pytest.mark.parametrize("rich", [True, False])
def test_heat_colours_ops_by_their_share_of_the_hottest_and_says_their_time(rich):
    text = dot(heated(), rich=rich)
    fills = [fill for _, fill in HEAT]
    for key, fill, time in (("n1", fills[4], "2.00 ms"), ("n2", fills[3], "500 us"), ("n3", fills[0], "10.0 us")):
        assert f'fillcolor="{fill}"' in line_of(text, key)
        assert time in line_of(text, key)
    assert f'fillcolor="{PALETTE["leaf"][0]}"' in line_of(text, "n0")


def test_a_legend_says_what_the_colours_mean():
    text = dot(heated())
    assert "time of an op, forward and backward" in text
    for place, said in enumerate(("below 20.0 us", "from 20.0 us", "from 100 us", "from 400 us", "from 1.00 ms")):
        assert f'label="{said}", fillcolor="{HEAT[place][1]}"' in line_of(text, f"heat{place}")
    assert text.count("{") == text.count("}")


def test_without_heat_there_is_no_legend():
    assert "heat" not in text_of(*nets.mlp())


def test_folded_ops_add_up_their_heat():
    graph = heated()
    folded = in_stretches(graph, 1)
    (node,) = [node for node in folded.nodes.values() if node.folded]
    assert node.heat == pytest.approx(2.5e-3)


def test_words_on_heat_have_enough_contrast():
    """4.5 to 1, what WCAG 2.1 asks of small text (success criterion 1.4.3)."""

    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    contrasts = [(luminance(fill) + 0.05) / (luminance(HOT_INK) + 0.05) for _, fill in HEAT]
    assert min(contrasts) >= 4.5
    assert contrasts == sorted(contrasts, reverse=True), "hotter is darker"


def test_small_print_on_heat_keeps_its_ink_in_an_svg():
    svg = f'<g id="a" class="node"><text font-size="10.00" fill="{HOT_INK}">a</text>'
    svg += f'<text font-size="10.00" fill="{HOT_INK}">b</text></g>'
    assert emphasised(svg).count(HOT_INK) == 2
