"""The benchmarks run, and their results have the form that the table is made from. No time is asserted."""

import importlib
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cuda_on_cpu import cublas_on_cpu, on_cpu
from tests.pretended_gpu import pretended_gpu, with_kernels

__all__ = ["cublas_on_cpu", "on_cpu", "pretended_gpu", "with_kernels"]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = {
    "overhead": ["--length", "2", "--rounds", "3", "--seconds", "0"],
    "imports": ["--rounds", "1"],
    "scale": ["--sizes", "40", "400", "--fans", "10", "100", "--rounds", "2"],
    "training": ["--rows", "256", "--rounds", "2"],
}


@pytest.fixture
def benchmark(monkeypatch):
    """The scripts as modules, found as `python benchmarks/overhead.py` finds them."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("timing", *TINY):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Each benchmark, run once at a tiny size without the peers: its result, what it printed, and the folder."""
    found = {}

    def call(name):
        if name not in found:
            folder, printed = tmp_path_factory.mktemp(name), io.StringIO()
            with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
                patch.syspath_prepend(BENCHMARKS)
                for each in ("timing", *TINY):
                    patch.delitem(sys.modules, each, raising=False)
                patch.setitem(sys.modules, "torch", None)
                patch.setitem(sys.modules, "autograd", None)
                path = importlib.import_module(name).main([*TINY[name], "--folder", str(folder)])
            assert path == folder / f"{name}.json"
            found[name] = json.loads(path.read_text()), printed.getvalue(), folder
        return found[name]

    return call


@pytest.mark.parametrize("name", TINY)
def test_a_result_says_what_was_measured_where_and_against_which_goal(results, name):
    result, _, folder = results(name)
    assert result["benchmark"] == name
    assert result["command"].startswith(f"python benchmarks/{name}.py")
    assert {"processor", "cores", "python", "versions", "load", "date"} <= set(result["machine"])
    for figure in result["figures"]:
        assert set(figure) == {"what", "value", "unit", "goal", "least", "quartiles", "verdict"}
        assert figure["value"] >= 0
        assert (figure["goal"] is None) == (figure["verdict"] == "")
    table = (folder / "README.md").read_text()
    assert all(f"| {figure['what']} |" in table for figure in result["figures"])


def test_overhead_without_its_peers_says_how_to_get_them_and_measures_the_rest(results):
    result, printed, _ = results("overhead")
    assert "torch is not installed" in printed
    assert "pip install torch==2.13.0" in printed
    assert "pip install autograd" in printed
    for engines in result["details"]["microseconds per op"].values():
        assert set(engines) == {"tensorgrad", "numpy"}
        assert all(each["rounds"] == 3 and each["median"] >= each["least"] > 0 for each in engines.values())


@pytest.mark.parametrize("name", ["tensorgrad", "torch", "autograd"])
def test_every_engine_has_the_gradient_of_the_floor(benchmark, name):
    pytest.importorskip(name)
    overhead = benchmark("overhead")
    workloads = overhead.prepared(name, length=3, threads=1)
    overhead.check(
        {each: overhead.gradient_of(overhead.prepared(each, length=3, threads=1)) for each in (name, "numpy")}
    )
    assert tuple(workloads) == overhead.WORKLOADS
    for step in workloads.values():
        step()


def test_overhead_refuses_to_time_a_wrong_gradient(benchmark):
    with pytest.raises(AssertionError, match="torch"):
        benchmark("overhead").check({"numpy": [1.0, 2.0], "torch": [1.0, 2.1]})


def test_imports_lists_what_was_loaded(results):
    details = results("imports")[0]["details"]
    assert {"numpy", "tensorgrad"} <= set(details["packages loaded"])
    assert "tensorgrad.tape" in details["milliseconds by module, beyond numpy"]


def test_scale_has_every_stage_of_every_size_and_the_bytes(results):
    details = results("scale")[0]["details"]
    for key, sizes in (
        ("chain, microseconds per record", ["40", "400"]),
        ("fan-out, microseconds per use", ["10", "100"]),
    ):
        assert list(details[key]) == sizes
        for stages in details[key].values():
            assert set(stages) == {"record", "sweep", "print", "free", "in all"}
    assert details["bytes per record"]["asked for"] > 16  # a record's own array alone has 16


def test_turns_alternate_and_the_first_round_is_not_counted(benchmark):
    timing, order = benchmark("timing"), []

    def take(name):
        order.append(name)
        return float(len(order)), float(len(order)) / 2

    taken = timing.interleave({name: lambda name=name: take(name) for name in ("a", "b")}, rounds=2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert taken["a"].rounds == [4.0, 5.0]
    assert taken["b"].least == 1.5


def test_a_turn_has_at_least_one_step(benchmark):
    steps = []
    median, least = benchmark("timing").turn(lambda: steps.append(1), seconds=0.0)
    assert len(steps) == 1
    assert median == least > 0


def test_a_worker_that_ends_early_says_so(benchmark, tmp_path):
    timing = benchmark("timing")
    script = tmp_path / "ends.py"
    script.write_text("raise SystemExit(3)")
    worker = timing.Worker(str(script))
    with pytest.raises(RuntimeError, match=r"ends.py.* ended with 3"):
        worker.ask("anything")
    worker.close()


def test_a_ratio_is_taken_within_each_round(benchmark):
    timing = benchmark("timing")
    ours, peer = timing.Times([1.0, 2.0, 30.0], 0.5), timing.Times([2.0, 4.0, 60.0], 2.0)
    figure = timing.ratio("ours", ours, peer, goal=0.4)
    assert (figure.value, figure.least, figure.verdict) == (0.5, 0.25, "holds by the minima")
    assert timing.ratio("ours", ours, peer, goal=0.5).verdict == "holds"
    assert timing.ratio("ours", peer, ours, goal=2.0).verdict == "holds by the median"
    assert timing.Figure("bytes", 300.0, goal=400).verdict == "holds"
    assert timing.ratio("ours", ours, peer, goal=0.2).verdict == "missed"
    assert timing.ratio("ours", ours, peer).verdict == ""


def test_training_has_both_loops_and_refuses_to_time_different_steps(benchmark, results, monkeypatch):
    details = results("training")[0]["details"]
    assert set(details["seconds in all"]) == {"tensorgrad", "numpy"}
    training = benchmark("training")
    slower = training.of_numpy

    def other_rate(x, y):
        monkeypatch.setattr(training, "RATE", 2e-3)
        return slower(x, y)

    monkeypatch.setattr(training, "of_numpy", other_rate)
    with pytest.raises(AssertionError, match="tolerance"):
        training.check()


# ── on a GPU ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def on_gpu(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("timing", "gpu", "gpu_page", "engines", "registry"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("gpu")


@pytest.mark.numpy_only("the steps are made on the processor")
def test_the_benchmark_for_a_gpu_can_be_tried_without_one(on_gpu, tmp_path, capsys):
    trial = ["--device", "cpu", "--tiny", "--rounds", "1", "--seconds", "0", "--folder", str(tmp_path)]
    path = on_gpu.main([*trial, "W2-1024", "W4-3x3", "W11", "--dtypes", "float32"])
    result = json.loads(path.read_text())
    told = {each["what"]: each for each in result["figures"]}
    for name in ("W2-1024", "W4-3x3", "W11"):
        assert told[f"{name}, float32, tensorgrad"]["value"] > 0
        assert told[f"{name}, float32, tensorgrad-compiled of tensorgrad"]["goal"] == 1.0
        assert set(result["details"]["not measured"][f"{name}, float32"]) == {"torch", "torch-compiled"}
        assert result["details"]["differences"][f"{name}, float32"]["tensorgrad-compiled"] < 1e-3
    assert result["details"]["CUDA graph"] == dict.fromkeys(
        [f"{name}, float32" for name in ("W2-1024", "W4-3x3", "W11")]
    )
    assert "W11, float32, torch: not measured. " in capsys.readouterr().out


def test_without_a_gpu_it_says_what_is_missing_and_measures_nothing(on_gpu, tmp_path, capsys):
    import tensorgrad as tg

    if tg.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(SystemExit) as ended:
        on_gpu.main(["--folder", str(tmp_path)])
    assert ended.value.code == 2
    assert "There is no GPU at hand" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.numpy_only("the pretended GPU computes by NumPy")
def test_the_benchmark_runs_on_a_gpu_that_is_pretended(on_gpu, with_kernels, tmp_path, monkeypatch):
    """Every engine of ours, by the clock and the allocator of the device, and the table that is made of it."""
    monkeypatch.setattr(on_gpu.timing, "RESULTS", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{on_gpu.gpu_page.BEGIN}\nold\n{on_gpu.gpu_page.END}\nafter\n")
    write = on_gpu.gpu_page.write
    monkeypatch.setattr(on_gpu.gpu_page, "write", lambda *given: write(*given, page))
    engines = ["--engines", "tensorgrad", "tensorgrad-compiled"]
    path = on_gpu.main(
        ["W2-1024", "W11", "--tiny", "--rounds", "2", "--seconds", "0", "--folder", str(tmp_path), *engines]
    )
    result = json.loads(path.read_text())
    assert result["machine"]["gpu"] == {"name": "a pretended GPU", "capability": [9, 0]}
    told = {each["what"]: each["value"] for each in result["figures"]}
    for name in ("W2-1024, float32", "W2-1024, bfloat16", "W11, float32", "W11, bfloat16"):
        assert told[f"{name}, tensorgrad-compiled of tensorgrad"] > 0
        assert told[f"{name}, peak of tensorgrad-compiled"] > 0
    assert result["details"]["not measured"] == {}
    assert result["details"]["CUDA graph"]["W2-1024, float32"] == "captured"
    text = page.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text
    assert "a pretended GPU" in text
    line = next(each for each in text.splitlines() if each.startswith("| W2-1024 | float32"))
    assert "goal 1" in line
    assert line.endswith("captured |")
    assert "| W9 | bfloat16 | not run |" in text


def test_the_peak_is_what_an_engine_adds_to_what_others_hold(on_gpu, monkeypatch):
    class Clock(on_gpu.Clock):
        taken = staticmethod(lambda: 100)
        peak_of = staticmethod(lambda step: step() is None or 130)

    monkeypatch.setattr(on_gpu, "clock_of", lambda engine, device: Clock())
    workload = next(each for each in on_gpu.WORKLOADS if each.name == "W2-1024")
    settings = SimpleNamespace(engines=["tensorgrad"], device="cpu", tiny=True, seconds=0.0, rounds=1)
    assert on_gpu.run(workload, "float32", settings)["peaks"] == {"tensorgrad": 30}


def test_the_page_says_of_each_workload_what_was_measured(on_gpu):
    page = on_gpu.gpu_page
    names = [each.name for each in on_gpu.WORKLOADS]
    assert page.section(page.measured(), names, on_gpu.DTYPES) in page.PAGE.read_text()
    asked = ["W2-1024", "W2-16384", "W3", "W4-3x3", "W5", "W5-768", "W7-gradient", "W8", "W9", "W11"]
    assert set(asked) <= set(names)
    lines = page.rows(None, names, on_gpu.DTYPES)
    assert len(lines) == 2 * len(names)
    assert all(page.NOWHERE in each for each in lines)
    result = {
        "figures": [
            {"what": "W3, float32, torch", "value": 4.0, "goal": None, "verdict": ""},
            {"what": "W3, float32, tensorgrad of torch", "value": 1.7, "goal": 1.5, "verdict": "missed"},
            {"what": "W3, float32, peak of torch", "value": 10.0},
            {"what": "W3, float32, peak of tensorgrad", "value": 5.0},
        ],
        "details": {"not measured": {"W3, float32": {"torch-compiled": "no compiler"}}, "CUDA graph": {}},
    }
    (line,) = page.rows(result, ["W3"], ["float32"])
    assert line == (
        "| W3 | float32 | 4 | 1.7, goal 1.5 **missed** |  |  |  | 0.5 |  torch-compiled was not measured: no compiler |"
    )


def test_steps_that_differ_are_not_compared(on_gpu):
    first = {"torch": {"loss": 1.0}, "tensorgrad": {"loss": 1.2}}
    with pytest.raises(ValueError, match=r"loss: it differs from that of torch by 0\.2"):
        on_gpu.compared(first, "tensorgrad", "bfloat16")
    first = {"torch": {"gradient of w": 1.0}, "tensorgrad": {"gradient of w": 1.2}}
    assert on_gpu.compared(first, "tensorgrad", "bfloat16") == pytest.approx(0.2)
    with pytest.raises(ValueError, match="gradient of w"):
        on_gpu.compared(first, "tensorgrad", "float32")
    assert on_gpu.compared({"torch": {"loss": 1.0}, "other": {"loss": 1.0}}, "other", "float32") == 0.0
