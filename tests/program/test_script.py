"""Scripts run without tensorgrad and give the step's numbers."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tests import nvrtc
from tests.cuda_on_cpu import compiled, on_cpu

__all__ = ["on_cpu"]

pytestmark = pytest.mark.skipif(tg.zeros(1).device != "cpu", reason="programs are made of calls on ndarrays")
ALONE = "import sys; sys.modules['tensorgrad'] = None; import runpy; sys.argv = sys.argv[1:]; "
ALONE += "runpy.run_path(sys.argv[0], run_name='__main__')"


def run(text: str, folder: Path) -> Any:
    """What a script gives, in a process that cannot import tensorgrad."""
    (folder / "script.py").write_text(text)
    files = [str(folder / name) for name in ("script.py", "inputs.npz", "outputs.npz")]
    subprocess.run([sys.executable, "-c", ALONE, *files], check=True, cwd=folder)
    return np.load(folder / "outputs.npz")


def model_step() -> tuple[Any, Any]:
    tg.random.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(18, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tg.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def test_a_training_step_runs_alone_and_gives_the_same(tmp_path: Path) -> None:
    model, step = model_step()
    x, y = tg.random.Generator(0).normal(size=(4, 1, 5, 5)), tg.asarray(np.asarray([0, 2, 1, 0]))
    step(x, y)
    before = [each.numpy().copy() for each in model.parameters()]
    text = tg.source(step, x, y, save=tmp_path / "inputs.npz")
    for each, array in zip(model.parameters(), before, strict=True):
        assert (each.numpy() == array).all()  # nothing was changed
    found = run(text, tmp_path)
    loss = step(x, y)
    np.testing.assert_allclose(found["result"], loss.item(), rtol=1e-5)
    written = [found[name] for name in found.files if name.startswith("written")]
    for each in model.parameters():
        assert any(array.shape == each.shape and np.allclose(array, each.numpy(), atol=1e-6) for array in written)


def test_a_person_can_read_it() -> None:
    _, step = model_step()
    text = tg.source(step, tg.ones((2, 1, 5, 5)), tg.asarray(np.asarray([0, 1])))
    assert "tensorgrad" not in text
    assert "# float32 (2, 18)" in text
    assert " @ " in text


def test_what_went_in_is_saved_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tg.source(lambda x: x * 2, tg.ones(2), save=tmp_path / "inputs")  # as numpy.savez names it
    assert np.load(tmp_path / "inputs.npz")["x"].tolist() == [1.0, 1.0]

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="the file that was there is as it was"):
        tg.source(lambda x: x * 2, tg.zeros(3), save=tmp_path / "inputs.npz")
    assert np.load(tmp_path / "inputs.npz")["x"].tolist() == [1.0, 1.0]


def test_a_branch_not_taken_is_told(tmp_path: Path) -> None:
    text = tg.source(lambda x: x * 2 if x.sum() > 0 else x, tg.ones(2))
    np.savez(tmp_path / "inputs.npz", x=-np.ones(2, "float32"))
    with pytest.raises(subprocess.CalledProcessError):
        run(text, tmp_path)


def test_what_cannot_be_traced_has_no_script() -> None:
    with pytest.raises(RuntimeError, match="float"):
        tg.source(lambda x: float(x), tg.ones(()))


class _OnCpu(ModuleType):
    """NumPy under the other library's name, with a compiler of kernels for the processor."""

    asnumpy = staticmethod(np.asarray)

    class RawKernel:
        def __init__(self, text: str, name: str, options: Any = ()) -> None:
            assert options == ("--std=c++17",)
            self._run = compiled(text, name)

        def __call__(self, grid: Any, block: Any, arguments: Any) -> None:
            self._run(None, grid[0], block[0], arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def test_a_script_for_a_gpu_gives_the_steps_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_cpu: Any
) -> None:
    tg.random.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 5), nn.GELU(), nn.Linear(5, 5))
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = tg.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = (tg.random.Generator(seed).normal(size=(4, 5)) for seed in range(2))
    step(x, y)
    text = tg.source(step, x, y, save=tmp_path / "inputs.npz", device="cuda")
    assert text.count("RawKernel") >= 3
    assert "np.add.reduce" not in text
    (tmp_path / "script.py").write_text(text)
    monkeypatch.setitem(sys.modules, "cupy", _OnCpu("cupy"))
    monkeypatch.setattr(sys, "argv", ["script.py", str(tmp_path / "inputs.npz"), str(tmp_path / "outputs.npz")])
    runpy.run_path(str(tmp_path / "script.py"), run_name="__main__")
    with np.load(tmp_path / "outputs.npz") as file:
        found = dict(file)
    np.testing.assert_allclose(found["result"], step(x, y).item(), rtol=1e-5)
    written = [found[name] for name in found if name.startswith("written")]
    for each in model.parameters():
        assert any(array.shape == each.shape and np.allclose(array, each.numpy(), atol=1e-6) for array in written)


@pytest.mark.skipif(nvrtc.found() is None, reason=nvrtc.REASON)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_kernels_of_a_script_compile_for_gpus(architecture: str) -> None:
    _, step = model_step()
    text = tg.source(step, tg.random.Generator(0).normal(size=(4, 1, 5, 5)), tg.asarray([0, 2, 1, 0]), device="cuda")
    kernels = [part.partition('"""')[0] for part in text.split('RawKernel(r"""')[1:]]
    assert len(kernels) >= 3
    assert nvrtc.errors_of(nvrtc.joined(kernels), architecture) is None


def test_a_script_is_for_one_of_two_devices() -> None:
    with pytest.raises(ValueError, match="device is 'tpu'; a script is for 'cpu' or for 'cuda'"):
        tg.source(lambda x: x + 1, tg.ones(2), device="tpu")
