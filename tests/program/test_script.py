"""Scripts run without tensorgrad and give the step's numbers."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.models import nerf
from tensorgrad.models.gpt import GPT
from tensorgrad.models.lenet import LeNet
from tensorgrad.models.mlp import MLP
from tensorgrad.models.recurrent import RecurrentLanguageModel
from tensorgrad.models.siren import SIREN, slope
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
    with np.load(folder / "outputs.npz") as found:
        return dict(found)


def called(theta: Any) -> str:
    """What a script calls a parameter by: as its module does."""
    return ("layer_" if theta.name[0].isdigit() else "") + theta.name.replace(".", "_")


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
    for theta in model.parameters():
        name = called(theta)
        np.testing.assert_allclose(found[name], theta.numpy(), atol=1e-6)
        assert found[f"{name}_grad"].shape == found[f"{name}_exp_avg"].shape == theta.shape


def mean_squares(x: Any, y: Any) -> Any:
    return ((x - y) ** 2).mean()


def shaded(model: Any, batch: Any) -> Any:
    positions, directions, depths = batch
    colour, density = model(positions, directions)
    return nerf.render(colour, density, depths, far=4.0, background=1.0).colour


def trained(name: str) -> tuple[Any, Callable[[], Any]]:
    """A small model of the kind that the name says, and its loss."""
    rng = tg.random.Generator(0)
    words = tg.asarray(np.arange(12).reshape(2, 6) % 7)
    points = rng.uniform(-1.0, 1.0, (9, 2))
    if name == "mlp":
        model, pixels = MLP((2, 5, 3), rng, batch_norm=True, dropout=0.25), points
        return model, lambda: tg.cross_entropy(model(pixels), tg.arange(9) % 3)
    if name == "cnn":
        network, images = LeNet(3, rng), rng.normal(size=(2, 1, 28, 28))
        return network, lambda: tg.cross_entropy(network(images), tg.asarray([2, 0]))
    if name == "gpt":
        gpt = GPT(7, 6, width=8, layers=2, heads=2, rng=rng, dropout=0.1)
        return gpt, lambda: tg.cross_entropy(gpt(words).reshape((12, 7)), words.reshape(12))
    if name == "lstm":
        lstm = RecurrentLanguageModel(7, 4, 5, rng, kind="lstm")
        return lstm, lambda: tg.cross_entropy(lstm(words).reshape((12, 7)), words.reshape(12))
    if name == "siren":
        siren = SIREN(2, 8, 2, 1, rng=rng)
        return siren, lambda: mean_squares(slope(siren, points), points) + mean_squares(siren(points), 0.5)
    field = nerf.NeRF(rng, depth=3, width=8, skip=2, position_frequencies=2, direction_frequencies=1)
    seen = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 3)), nerf.stratified(2.0, 4.0, rng.random((2, 4)))
    return field, lambda: mean_squares(shaded(field, seen), 0.25)


@pytest.mark.parametrize("name", ["mlp", "cnn", "gpt", "lstm", "siren", "nerf"])
def test_every_kind_of_model_is_trained_by_its_script(name: str, tmp_path: Path) -> None:
    tg.random.manual_seed(0)
    model, loss_of = trained(name)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss

    step()
    before = [each.numpy().copy() for each in model.parameters()]
    found = run(tg.source(step, save=tmp_path / "inputs.npz"), tmp_path)
    np.testing.assert_allclose(found["result"], step().item(), rtol=1e-5)
    for theta, old in zip(model.parameters(), before, strict=True):
        now = theta.numpy()
        if (now != old).any():
            np.testing.assert_allclose(found[called(theta)], now, rtol=1e-4, atol=1e-6)


def test_numbers_that_no_digits_write_and_powers_of_negative_ones(tmp_path: Path) -> None:
    def step(x: Any) -> Any:
        least = tg.where(x > 1, x, -float("inf")), tg.where(x > 1, x, float("nan"))
        return tg.maximum(*least) * float("inf"), (-2.0) ** x, -1 - x

    x = tg.asarray([1.0, 2.0, 3.0])
    found = run(tg.source(step, x, save=tmp_path / "inputs.npz"), tmp_path)
    for array, expected in zip(found.values(), step(x), strict=True):
        np.testing.assert_allclose(array, expected.data, rtol=1e-6)


def test_a_person_can_read_it() -> None:
    _, step = model_step()
    text = tg.source(step, tg.ones((2, 1, 5, 5)), tg.asarray(np.asarray([0, 1])))
    assert "tensorgrad" not in text
    assert "# float32 (2, 18)" in text
    assert " @ " in text


def test_arguments_and_what_is_seen_have_their_own_names(tmp_path: Path) -> None:
    table, v1 = tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0], requires_grad=True)

    def step(rows: Any, abs: Any, v2: Any, *more: Any, scale: Any) -> Any:
        (rows * abs * v2 * more[0] * more[1] * scale["by"] * table * v1).sum().backward()
        return rows + 1

    given = [tg.asarray([float(each), 1.0]) for each in range(2, 8)]
    text = tg.source(step, *given[:5], scale={"by": given[5]}, save=tmp_path / "inputs.npz")
    head = next(line for line in text.splitlines() if line.startswith("def step("))
    assert set(head[len("def step(") : -2].split(", ")) == {
        "rows", "abs_", "v2_", "more", "more_2", "scale", "table",
    }  # fmt: skip
    found = run(text, tmp_path)
    assert found["result"].tolist() == [3.0, 2.0]
    assert found["v1_grad"].tolist() == [2.0 * 3 * 4 * 5 * 6 * 7, 2.0]


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
    for theta in model.parameters():
        np.testing.assert_allclose(found[called(theta)], theta.numpy(), atol=1e-6)


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
