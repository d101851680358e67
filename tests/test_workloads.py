"""The workloads give what PyTorch gives, and the programs that time them say what they found. No time is asserted."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NAMES = [f"W{number}" for number in range(1, 12)]
QUICK = ["--tiny", "--rounds", "2", "--seconds", "0", "--threads", "1"]
pytestmark = pytest.mark.numpy_only("the benchmarks run on NumPy's arrays, in processes of their own")


@pytest.fixture(scope="module")
def programs():
    """The scripts as modules, found as `python benchmarks/workloads.py` finds them."""
    files = ("timing", "engines", "registry", "workloads", "speed_page", "compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in (*files, "steps")}
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in files})
        for name in list(sys.modules):
            if name.split(".")[0] in (*files, "steps"):
                del sys.modules[name]
        sys.modules.update(before)


@pytest.fixture(scope="module")
def first(programs):
    """The first gradients and losses of an engine on a workload, at its tiny size."""

    def call(engine, workload):
        pytest.importorskip(programs.engines.PACKAGES[engine])
        subject = programs.engines.make(engine, workload.module, workload.tiny, threads=1)
        found = subject.first()
        subject.step()
        return found

    return call


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_has_the_gradients_of_pytorch(programs, first, name):
    for workload in programs.registry.chosen([name]):
        expected = first("torch", workload)
        kinds = [peer for peer in workload.peers if peer.startswith("torch-") and peer != "torch-compiled"]
        for engine in ["tensorgrad", *kinds]:
            found = first(engine, workload)
            assert found.keys() == expected.keys()
            programs.engines.check(engine, found, "torch", expected, 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_compiled_steps_are_programs_and_give_what_recorded_ones_give(programs, first, name):
    for workload in programs.registry.chosen([name]):
        found = first("tensorgrad-compiled", workload)  # a step that stays eager warns, and warnings are errors here
        programs.engines.check("tensorgrad-compiled", found, "tensorgrad", first("tensorgrad", workload), 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_autograd_has_the_gradients_of_tensorgrad(programs, first, name):
    pytest.importorskip("autograd")
    for workload in programs.registry.chosen([name]):
        if "autograd" in workload.peers:
            found, expected = first("autograd", workload), first("tensorgrad", workload)
            programs.engines.check("autograd", found, "tensorgrad", expected, 1e-5)


@pytest.mark.parametrize("name", ["W1", "W2-64", "W4-transposed", "W11"])
def test_jax_has_the_gradients_of_tensorgrad(programs, first, name):
    pytest.importorskip("jax")
    (workload,) = programs.registry.chosen([name])
    programs.engines.check("jax", first("jax", workload), "tensorgrad", first("tensorgrad", workload), 1e-5)


def test_what_an_engine_lacks_is_said(programs):
    (workload,) = programs.registry.chosen(["W4-transposed"])
    pytest.importorskip("autograd")
    with pytest.raises(programs.engines.UnavailableError, match="autograd: HIPS autograd has no transposed"):
        programs.engines.make("autograd", workload.module, workload.tiny, 1)


def test_engines_that_are_not_installed_are_left_out_with_a_word(programs, monkeypatch, capsys):
    there = programs.timing.importlib.util.find_spec("tensorgrad")
    monkeypatch.setattr(
        programs.timing.importlib.util, "find_spec", lambda name: there if name == "tensorgrad" else None
    )
    assert programs.workloads.installed(list(programs.engines.PACKAGES)) == list(programs.engines.OURS)
    said = capsys.readouterr().out
    for package in ("torch==2.13.0", "numba", "jax", "autograd"):
        assert f"pip install {package}\n" in said


def test_a_wrong_gradient_is_not_timed(programs):
    check, right = programs.engines.check, {"gradient of x": np.array([1.0, 2.0])}
    assert check("ours", {"gradient of x": np.array([1.0, 2.0002])}, "torch", right, 1e-3) == pytest.approx(1e-4)
    with pytest.raises(AssertionError, match=r"ours differs from torch in gradient of x by 0\.5"):
        check("ours", {"gradient of x": np.array([1.0, 1.0])}, "torch", right, 1e-3)
    with pytest.raises(AssertionError, match="by nan"):
        check("ours", {"gradient of x": np.array([1.0, np.nan])}, "torch", right, 1e-3)
    with pytest.raises(AssertionError, match="nothing to compare"):
        check("ours", {"gradient of y": np.array([1.0, 2.0])}, "torch", right, 1e-3)
    with pytest.raises(AssertionError, match="zeros tell nothing"):
        check("ours", right, "torch", {"gradient of x": np.zeros(2)}, 1e-3)


def test_a_name_stands_for_all_its_parts(programs):
    chosen = programs.registry.chosen
    assert [each.name for each in chosen(["W1", "W2"])] == ["W1", "W2-64", "W2-1024"]
    assert [each.name for each in chosen(["W4-1x1", "W4-1x1"])] == ["W4-1x1"]
    assert {each.name.split("-")[0] for each in chosen([])} == set(NAMES)
    with pytest.raises(ValueError, match="no workload W12"):
        chosen(["W12"])


def test_goals_stand_in_the_registry(programs):
    w5, w6 = (programs.registry.chosen([name])[0] for name in ("W5", "W6"))
    assert (w5.goal("tensorgrad", "torch"), w5.goal("tensorgrad-compiled", "torch")) == (1.6, 1.25)
    assert (w5.goal("tensorgrad", "jax"), w5.goal("tensorgrad-compiled", "jax")) == (None, 1.0)
    assert w5.goal("tensorgrad", "autograd") == 0.5
    assert w6.goal("tensorgrad", "torch-cell") == 0.95
    w1, w11 = (programs.registry.chosen([name])[0] for name in ("W1", "W11"))
    assert (w1.goal("tensorgrad-fast", "torch"), w1.goal("tensorgrad-fast-compiled", "torch")) == (None, 0.02)
    assert (w11.goal("tensorgrad-fast", "torch-fused"), w11.goal("tensorgrad-fast", "torch")) == (0.85, None)
    assert (w5.memory_goal("tensorgrad-compiled"), w6.memory_goal("tensorgrad")) == (0.30, None)


@pytest.fixture(scope="module")
def run(programs, tmp_path_factory):
    """One run of the command, and what it wrote."""
    folder = tmp_path_factory.mktemp("results")
    names = ["W1", *QUICK, "--engines", "tensorgrad", "tensorgrad-compiled", "--folder", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs.speed_page, "draw", lambda results, path: None)
        results = programs.workloads.main([*names, "--write", "--docs", str(folder)])
    return SimpleNamespace(results=results, folder=folder)


def test_the_command_writes_a_result_for_each_workload(run):
    result = json.loads((run.folder / "W1.json").read_text())
    assert result["workload"] == "W1"
    assert {"machine", "command", "threads", "commit", "figures", "engines"} <= set(result)
    ours = result["engines"]["tensorgrad"]
    assert ours["rounds"] == 2
    assert ours["median"] >= ours["least"] > 0
    assert 20 < ours["peak"] < 2000  # megabytes: an interpreter and NumPy, at least
    assert "| W1 | 1,000 ops on 4 numbers |" in (run.folder / "speed.md").read_text()


def test_workloads_can_be_listed(programs, capsys):
    programs.workloads.main(["--list"])
    printed = capsys.readouterr().out
    assert all(each.name in printed for each in programs.registry.WORKLOADS)
    assert "torch-channels-last" in printed


def test_only_times_at_full_size_are_kept(programs, capsys):
    with pytest.raises(SystemExit):
        programs.workloads.main(["W1", "--write", "--tiny"])
    assert "what is kept are times at full size" in capsys.readouterr().err


def line(median, peak=100.0):
    return {"median": median, "quartiles": [median, median], "least": median, "rounds": 7, "peak": peak}


def result_of(programs, name, ours, torch, **more):
    """A made-up result, as the command writes it."""
    (workload,) = programs.registry.chosen([name])
    machine = {"processor": "P", "cores": 2, "load": 0.1, "system": "S", "python": "3", "versions": {}, "date": "d"}
    times = {"tensorgrad": ours, "torch": torch, **more}
    taken = {engine: programs.timing.Times([each] * 3, each) for engine, each in times.items()}
    figures = programs.workloads.figures_of(workload, taken, dict.fromkeys(times, 100))
    return {
        "workload": name,
        "title": workload.title,
        "engines": {engine: line(1e3 * each) for engine, each in times.items()},
        "figures": [{**vars(figure), "verdict": figure.verdict} for figure in figures],
        "commit": "abc1234",
        "command": "python benchmarks/workloads.py",
        "threads": 2,
        "clock": "wall",
        "machine": machine,
    }


def test_the_page_says_what_is_missed_and_why(programs):
    results = [
        result_of(programs, "W3", 0.5, 1.0),
        result_of(programs, "W5", 2.0, 1.0, **{"torch-manual": 1.5, "tensorgrad-compiled": 1.1}),
    ]
    reason = programs.registry.chosen(["W5"])[0].why["tensorgrad, of torch"]
    page = programs.speed_page.page(results)
    assert "| W3 | CNN step, batch 64 | 1,000 | 500 | 0.5 (0.5), goal 1.1 |" in page
    assert f"- W5, tensorgrad, of torch: 2 (2), goal 1.6 **missed**. {reason}" in page
    other = programs.speed_page.page([result_of(programs, "W9", 2.0, 1.0)])
    assert "- W9, tensorgrad, of torch: 2 (2), goal 1 **missed**. no reason is known yet" in other
    assert "eager 1, goal 0.45 **missed**" in page  # the peaks above are equal
    assert "| | step | tensorgrad" not in page
    assert "| W5 | GPT step, 4 layers of 128 | 1.33 / 0.733 |" in page
    assert "load 0.1 before the start" in page
    assert "with 2 threads" in page
    assert "busy" not in page
    results[0]["clock"] = "processor"
    assert "**Of these, W3 were taken on a machine that was busy" in programs.speed_page.page(results)


def test_figures_with_the_extra_stand_in_a_table_of_their_own(programs):
    fast = {"tensorgrad-fast": 1.5, "tensorgrad-fast-compiled": 0.4, "torch-fused": 0.5}
    page = programs.speed_page.page([result_of(programs, "W11", 2.0, 1.0, **fast)])
    table = page.split("## With the extra `fast`")[1].split("##")[0]
    row = "| W11 | Adam, 50 × 200,000 numbers | 1,500 | 400 | 1.5 (1.5) | 0.4 (0.4) | "
    assert row + "3 (3), goal 0.85 **missed**; 0.8 (0.8), goal 0.85 |" in table
    assert "- W11, tensorgrad-fast, of torch-fused: 3 (3), goal 0.85 **missed**" in page
    assert "tensorgrad-fast" not in page.split("## With the extra `fast`")[0].split("## Beside others")[1]
    assert "With the extra" not in programs.speed_page.page([result_of(programs, "W3", 0.5, 1.0)])


def test_kernels_are_compiled_for_the_engines_that_say_so_alone(programs, monkeypatch):
    asked = {}
    monkeypatch.setattr(programs.timing, "Worker", lambda *_, environment: asked.update(environment))
    for engine, said in (("tensorgrad", "0"), ("tensorgrad-compiled", "0"), ("tensorgrad-fast-compiled", "")):
        programs.workloads.started(engine, programs.registry.chosen(["W1"])[0], False, 2)
        assert asked["TENSORGRAD_FAST"] == said


def test_the_picture_has_a_bar_for_each_ratio(programs, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.axes import Axes

    bars, barh = [], Axes.barh
    monkeypatch.setattr(
        Axes, "barh", lambda self, y, width, **how: (bars.append(width), barh(self, y, width, **how))[1]
    )
    results = [
        result_of(programs, "W3", 0.5, 1.0),
        result_of(programs, "W5", 2.0, 1.0, **{"tensorgrad-compiled": 1.1}),
    ]
    programs.speed_page.draw(results, tmp_path / "speed.png")
    assert bars == pytest.approx([-0.5, 1.0, 0.1])  # from 1 on
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_without_results_says_how_to_get_them(programs, tmp_path):
    with pytest.raises(ValueError, match=r"workloads.py --write first"):
        programs.speed_page.write(tmp_path, tmp_path)


def test_commits_stand_before_workloads(programs):
    split = programs.compare.split
    assert split(["main~5", "W3", "W4-1x1"]) == (["main~5"], ["W3", "W4-1x1"])
    assert split(["v0.1.0", "main"]) == (["v0.1.0", "main"], [])
    with pytest.raises(ValueError, match="one commit or two"):
        split(["W3"])


in_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs git and its history"
)


@in_git
def test_two_commits_are_compared_in_files_of_their_own(programs):
    compare = programs.compare
    before = compare.git("worktree", "list")
    figures = compare.main(["HEAD", "W1", *QUICK])
    assert list(figures) == ["W1"]
    assert figures["W1"].value > 0
    assert compare.git("worktree", "list") == before


@in_git
def test_a_commit_that_is_not_there_is_named(programs, capsys):
    with pytest.raises(SystemExit):
        programs.compare.main(["no-such-commit", "W1"])
    assert "there is no commit 'no-such-commit'" in capsys.readouterr().err


def test_files_that_are_not_run_are_not_compared(programs, tmp_path):
    quick = {"tiny": True, "threads": 1, "unchecked": True, "rounds": 1, "seconds": 0.0, "cpu": False}
    settings = SimpleNamespace(engine="tensorgrad", **quick)
    here = ("now", ROOT)
    with pytest.raises(RuntimeError, match="and ran those in"):
        programs.compare.compare(("elsewhere", tmp_path), here, programs.registry.chosen(["W1"])[0], settings)
