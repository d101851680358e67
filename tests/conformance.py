"""The public test suite of the array API standard on tensorgrad: what passes, and whether the rest is accounted for.

`python -m tests.conformance SUITE [--module tensorgrad] [--seed N] [--examples 50]`, where SUITE is a checkout of
data-apis/array-api-tests with its submodule. It prints a row for the table of docs/conformance.md, and every test that
did not pass though the page does not list it; their number is the exit status.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"
VERSION = "2024.12"
TESTS = "array_api_tests"
LISTED = re.compile(r"^\| `(?P<test>test_\w+\.py::[^`]+)` \| (?P<outcome>[\w ]+) \| (?P<reason>.*) \|$", re.MULTILINE)
COUNTED = re.compile(r"^\| `(\w[\w.]*)` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) % \|$", re.MULTILINE)
OUTCOMES = ("skipped", "fails", "may fail")


class Row(NamedTuple):
    """One run: a namespace, a seed, and how many tests came to what."""

    module: str
    seed: int
    collected: int
    passed: int
    failed: int
    skipped: int

    @property
    def share(self) -> float:
        """Of all tests collected, those that passed, in per cent."""
        return 100 * self.passed / self.collected

    def __str__(self) -> str:
        return f"| `{self.module}` | " + " | ".join(map(str, self[1:])) + f" | {self.share:.1f} % |"


class Listed(NamedTuple):
    """A test that the page says does not pass, or not always."""

    test: str
    outcome: str
    reason: str


def listed(page: str) -> list[Listed]:
    return [Listed(*found.group("test", "outcome", "reason")) for found in LISTED.finditer(page)]


def rows(page: str) -> list[tuple[Row, float]]:
    """The runs in the page, each with the share that it claims."""
    found = COUNTED.findall(page)
    return [(Row(module, *map(int, numbers)), float(share)) for module, *numbers, share in found]


def run(suite: Path, module: str, seed: int, examples: int) -> dict[str, str]:
    """Each test of the suite, by file and name, and what came of it: "passed", "failed" or "skipped".

    An expected failure counts as skipped, an error as failed. Raises RuntimeError where pytest did not get to the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", TESTS, "-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore"]
        command += ["--max-examples", str(examples), f"--hypothesis-seed={seed}", f"--junitxml={report}"]
        variables = {"ARRAY_API_TESTS_MODULE": module, "ARRAY_API_TESTS_VERSION": VERSION}
        done = subprocess.run(command, cwd=suite, env={**os.environ, **variables}, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {done.returncode}; is {suite} the suite, with what it requires?")
        return outcomes(report)


def outcomes(report: Path) -> dict[str, str]:
    """What came of each test, from pytest's report in JUnit's format."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        parts = case.attrib["classname"].split(".")
        file = next(place for place, part in enumerate(parts) if part.startswith("test_"))
        name = "::".join([f"{parts[file]}.py", *parts[file + 1 :], case.attrib["name"]])
        tags = {child.tag for child in case}
        found[name] = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
    return found


def row(module: str, seed: int, found: Mapping[str, str]) -> Row:
    count = Counter(found.values())
    return Row(module, seed, len(found), count["passed"], count["failed"], count["skipped"])


def unaccounted(found: Mapping[str, str], page: str) -> list[str]:
    """The tests that came to something else than "passed" and than what the page says of them."""
    expected = {each.test: "skipped" if each.outcome == "skipped" else "failed" for each in listed(page)}
    return [test for test, outcome in found.items() if outcome not in ("passed", expected.get(test))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("suite", type=Path, help="a checkout of data-apis/array-api-tests, with its submodule")
    parser.add_argument("--module", default="tensorgrad", help="the namespace to test")
    parser.add_argument("--seed", type=int, default=1, help="the seed of Hypothesis")
    parser.add_argument("--examples", type=int, default=50, help="draws for each test")
    chosen = parser.parse_args()
    if not chosen.suite.is_dir():
        parser.error(f"there is no folder {chosen.suite}; {PAGE.name} says how to get the suite")
    found = run(chosen.suite, chosen.module, chosen.seed, chosen.examples)
    print(row(chosen.module, chosen.seed, found))
    unknown = unaccounted(found, PAGE.read_text(encoding="utf-8"))
    for test in unknown:
        print(f"{found[test]}, and not in {PAGE.name}: {test}")
    return len(unknown)


if __name__ == "__main__":
    sys.exit(main())
