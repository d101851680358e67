"""Training steps on a GPU, beside PyTorch's on CUDA as it records and through torch.compile, in one run.

    python benchmarks/gpu.py

The steps are those of workloads.py, some of them larger: W2 with 1,024 and 16,384 rows, W3, W4, W5 and W5 with 12
layers of 768 at 512 places, W7, W8, W9, W11, in float32 and in bfloat16. Networks are trained in bfloat16 as users do
it, under `autocast` with weights in float32; single ops and the update have operands in bfloat16. PyTorch and
tensorgrad round float32 products nowhere (no TF32), or both where --tf32 says so.

Times are the device's own, by CUDA events around each step, the engines in turns as everywhere here. The peak is what
each engine's allocator gave out at most, beyond what it had given before the engine was made. An engine that cannot run
a workload says why, and the line stands there. The result goes to results/gpu.json and into the table of docs/gpu.md.
Where there is no GPU this says what is missing and ends with 2. `--device cpu --tiny` tries the script itself.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import engines
import gpu_page
import numpy as np
import registry
import timing
from steps.kinds import Sweep, Training, Update

ENGINES = ("tensorgrad", "tensorgrad-compiled", "torch", "torch-compiled")
DTYPES = ("float32", "bfloat16")
# What may be taken of PyTorch's eager time; and of our own by a compiled step.
GOALS = {"W2-16384": 1.2, "W3": 1.5, "W4": 1.5, "W5": 1.5, "W7": 1.2, "W8": 1.2, "W9": 1.2, "W11": 1.2}
COMPILED = 1.0
TOLERANCE = {"float32": 2e-3, "bfloat16": 5e-2}
# Of gradients in bfloat16, whose 8 bits turn a ReLU off that is on elsewhere: PyTorch's own are 0.25 from its float32
# ones in the tiny W8. A gradient that is wrong differs by about 1.
GRADIENTS = {"float32": 2e-3, "bfloat16": 0.3}


def _workloads() -> list[registry.Workload]:
    """Those of the registry that are asked for, and the larger ones."""
    kept = [each for each in registry.WORKLOADS if each.name.partition("-")[0] in ("W3", "W4", "W5", "W7", "W8", "W9")]
    kept += [each for each in registry.WORKLOADS if each.name in ("W2-1024", "W11")]
    mlp = next(each for each in kept if each.name == "W2-1024")
    gpt = next(each for each in kept if each.name == "W5")
    kept.append(replace(mlp, name="W2-16384", title="MLP step, batch 16,384", size={"batch": 16384}))
    large = {"width": 768, "layers": 12, "heads": 12, "length": 512}
    kept.append(replace(gpt, name="W5-768", title="GPT step, 12 layers of 768, 512 places", size=large))
    return sorted(kept, key=lambda each: (int(each.name.partition("-")[0][1:]), each.name))


WORKLOADS = _workloads()


def goal_of(name: str) -> float | None:
    return GOALS.get(name, GOALS.get(name.partition("-")[0]))


# ── the device ──────────────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Marks in the work of a device, and the most memory an engine takes between two calls. Here: the processor's."""

    def mark(self) -> Any:
        return time.perf_counter()

    def wait(self) -> None:
        pass

    def seconds(self, start: Any, end: Any) -> float:
        return float(end - start)

    def taken(self) -> int:
        """Bytes that the engine's arrays take now."""
        return 0

    def peak_of(self, step: Callable[[], Any]) -> int | None:
        step()
        return None


class OurClock(Clock):
    """By tensorgrad's events and allocator."""

    def __init__(self, tg: Any) -> None:
        self.cuda = tg.cuda

    def mark(self) -> Any:
        return self.cuda.Event().record()

    def wait(self) -> None:
        self.cuda.synchronize()

    def seconds(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end)) / 1000

    def taken(self) -> int:
        return int(self.cuda.memory_allocated())

    def peak_of(self, step: Callable[[], Any]) -> int | None:
        with self.cuda.peak_memory() as peak:
            step()
            self.wait()
        return int(peak.bytes)


class TorchClock(Clock):
    """By PyTorch's."""

    def __init__(self, torch: Any) -> None:
        self.cuda = torch.cuda

    def mark(self) -> Any:
        event = self.cuda.Event(enable_timing=True)
        event.record()
        return event

    def wait(self) -> None:
        self.cuda.synchronize()

    def seconds(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end)) / 1000

    def taken(self) -> int:
        return int(self.cuda.memory_allocated())

    def peak_of(self, step: Callable[[], Any]) -> int | None:
        self.cuda.reset_peak_memory_stats()
        step()
        self.wait()
        return int(self.cuda.max_memory_allocated())


def turn(step: Callable[[], Any], seconds: float, clock: Clock) -> tuple[float, float]:
    """As many steps as fit, one after the other without waiting. The median step and the fastest, by the device."""
    gc.collect()
    clock.wait()
    marks = [clock.mark()]
    end = time.perf_counter() + seconds
    while len(marks) < 3 or (time.perf_counter() < end and len(marks) < 1000):
        step()
        marks.append(clock.mark())
    clock.wait()
    taken = [clock.seconds(start, stop) for start, stop in pairwise(marks)]
    return statistics.median(taken), min(taken)


# ── the engines ─────────────────────────────────────────────────────────────────────────────────────────────


def clock_of(engine: str, device: str) -> Clock:
    """What an engine measures by."""
    if device != "cuda":
        return Clock()
    if engine.startswith("torch"):
        import torch

        return TorchClock(torch)
    import tensorgrad as tg

    return OurClock(tg)


@dataclass(frozen=True)
class Running:
    """An engine with a workload on the device."""

    subject: engines.Subject
    clock: Clock
    step: Any = None  # the compiled one of tensorgrad's


def made_by(
    engine: str, workload: registry.Workload, dtype: str, settings: argparse.Namespace, clock: Clock
) -> Running:
    """An engine's workload on the device. Raises whatever the engine raises where it cannot."""
    module = importlib.import_module(f"steps.{workload.module}")
    values = module.values(**(workload.tiny if settings.tiny else workload.size))
    compiled = engine.endswith("compiled")
    if engine.startswith("torch"):
        import torch

        with _default_device(torch, settings.device):
            made = module.of_torch(torch, values, "")
        made = _in_dtype(made, dtype, torch.bfloat16, partial(torch.autocast, settings.device, torch.bfloat16))
        wrap = torch.compile if compiled else None
        return Running(engines.recorded(made, wrap_function=wrap), clock)
    import tensorgrad as tg

    made = _moved(tg, module.of_tensorgrad(tg, values), settings.device)
    made = _in_dtype(made, dtype, "bfloat16", partial(tg.autocast, "bfloat16"))
    steps: list[Any] = [None]

    def wrap(step: Callable[..., Any]) -> Any:
        steps.append(tg.compile(step))
        return steps[-1]

    subject = engines.recorded(made, wrap_step=wrap if compiled else None)
    return Running(subject, clock, steps[-1])


@contextlib.contextmanager
def _default_device(torch: Any, device: str) -> Iterator[None]:
    """Where PyTorch makes tensors while a workload is made; not while it runs, for that costs each call."""
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


def _moved(tg: Any, made: Any, device: str) -> Any:
    """A workload of ours, which is made on the processor, on a device."""

    def there(x: Any) -> Any:
        return x.detach().to(device).requires_grad_(x.requires_grad)

    if isinstance(made, Sweep):
        leaves = {name: there(leaf) for name, leaf in made.leaves.items()}
        return replace(made, leaves=leaves, seed=None if made.seed is None else there(made.seed))
    for theta in made.parameters.values():
        grad, theta.grad = theta.grad, None
        theta.data = theta.detach().to(device).data
        theta.grad = None if grad is None else grad.to(device)
    return replace(made, batch=tuple([there(each) for each in made.batch])) if isinstance(made, Training) else made


def _in_dtype(made: Any, dtype: str, half: Any, region: Callable[[], Any]) -> Any:
    """A workload in float32, as it was made, or in bfloat16."""
    if dtype == "float32":
        return made
    if isinstance(made, Training):

        def loss(*batch: Any) -> Any:
            with region():
                return made.loss(*batch)

        return replace(made, loss=loss)
    if isinstance(made, Sweep):
        leaves = {name: leaf.detach().to(half).requires_grad_() for name, leaf in made.leaves.items()}
        return replace(made, leaves=leaves, seed=None if made.seed is None else made.seed.to(half))
    assert isinstance(made, Update)
    for theta in made.parameters.values():
        grad, theta.grad = theta.grad, None
        theta.data = theta.detach().to(half).data
        theta.grad = grad.to(half)
    return made


# ── measuring ───────────────────────────────────────────────────────────────────────────────────────────────


def compared(first: Mapping[str, engines.Arrays], engine: str, dtype: str) -> float:
    """How far an engine is from the first one, as a share of the largest value. Raises ValueError for too far."""
    judge = next(iter(first))
    shared = first[judge].keys() & first[engine].keys()
    found = {each: _apart(first[judge][each], first[engine][each]) for each in shared}
    for name, apart in found.items():
        if not apart <= (GRADIENTS if name.startswith("gradient") else TOLERANCE)[dtype]:
            raise ValueError(f"{name}: it differs from that of {judge} by {apart:.2g} of the largest value")
    return max(found.values(), default=0.0)


def _apart(one: Any, other: Any) -> float:
    one, other = (np.asarray(each, np.float64) for each in (one, other))
    return float(np.max(np.abs(one - other), initial=0.0) / max(np.max(np.abs(one), initial=0.0), 1e-30))


def run(workload: registry.Workload, dtype: str, settings: argparse.Namespace) -> dict[str, Any]:
    """One line of the table for each engine: its time, its peak, its ratio to PyTorch; or why it has none."""
    running: dict[str, Running] = {}
    reasons: dict[str, str] = {}
    first: dict[str, engines.Arrays] = {}
    peaks: dict[str, int | None] = {}
    apart: dict[str, float] = {}
    for engine in settings.engines:
        try:
            gc.collect()
            clock = clock_of(engine, settings.device)
            before = clock.taken()  # by engines that share the allocator, and by earlier workloads
            each = made_by(engine, workload, dtype, settings, clock)
            first[engine] = each.subject.first()
            apart[engine] = compared(first, engine, dtype)
            gc.collect()
            peak = clock.peak_of(each.subject.step)
            peaks[engine] = None if peak is None else peak - before
            running[engine] = each
        except Exception as error:  # an engine's own, whatever it is: the line says it
            first.pop(engine, None)
            reasons[engine] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"
    turns = {name: partial(turn, each.subject.step, settings.seconds, each.clock) for name, each in running.items()}
    taken = timing.interleave(turns, settings.rounds) if turns else {}
    step = getattr(running.get("tensorgrad-compiled"), "step", None)
    on_gpu = step is not None and settings.device == "cuda"
    graph = (step.reason or step.not_captured or "captured") if on_gpu else None
    return {"taken": taken, "peaks": peaks, "reasons": reasons, "apart": apart, "graph": graph}


def figures_of(title: str, name: str, found: Mapping[str, Any]) -> list[timing.Figure]:
    """The times, the ratios with their goals, and the peaks of one workload in one dtype."""
    taken, peaks = found["taken"], found["peaks"]
    figures = [each.figure(f"{title}, {engine}", "ms", 1e-3) for engine, each in taken.items()]
    for ours, peer, goal in (
        ("tensorgrad", "torch", goal_of(name)),
        ("tensorgrad-compiled", "torch", None),
        ("tensorgrad-compiled", "torch-compiled", None),
        ("tensorgrad-compiled", "tensorgrad", COMPILED),
    ):
        if ours in taken and peer in taken:
            figures.append(timing.ratio(f"{title}, {ours} of {peer}", taken[ours], taken[peer], goal))
    figures += [
        timing.Figure(f"{title}, peak of {engine}", peak / 2**20, "MiB")
        for engine, peak in peaks.items()
        if peak is not None
    ]
    return figures


def ready(device: str, tf32: bool) -> str | None:
    """Have the device and its settings ready. What is missing, where there is none."""
    import tensorgrad as tg

    if device == "cuda":
        try:
            tg.zeros(1, device="cuda")
            tg.cuda.set_tf32(tf32)
        except tg.cuda.NoDeviceError as error:
            return str(error)
    if timing.has("torch"):
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    return None


def main(arguments: Sequence[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="workloads, as W4 or W4-3x3; all without")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--rounds", type=int, default=15, help="turns of each engine (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.2, help="of a turn (%(default)s)")
    parser.add_argument("--tf32", action="store_true", help="round float32 products to 10 bits, in every engine")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu tries the script, no more")
    parser.add_argument("--tiny", action="store_true", help="sizes that only try the script")
    parser.add_argument("--folder", type=Path, default=timing.RESULTS, help="where the result goes")
    settings = parser.parse_args(arguments)
    chosen = [each for each in WORKLOADS if not settings.names or _is_named(each.name, settings.names)]
    if not chosen:
        parser.error(f"there is no such workload; there are {', '.join(each.name for each in WORKLOADS)}")
    missing = ready(settings.device, settings.tf32)
    if missing is not None:
        print(f"There is no GPU at hand, and nothing was measured.\n{missing}", file=sys.stderr)
        raise SystemExit(2)
    facts = timing.machine("cupy-cuda13x", "cupy-cuda12x", "nvidia-cudnn-frontend", "torch")
    facts["gpu"] = _gpu() if settings.device == "cuda" else None
    figures: list[timing.Figure] = []
    reasons: dict[str, dict[str, str]] = {}
    apart, captured = {}, {}
    for workload in chosen:
        for dtype in settings.dtypes:
            title = f"{workload.name}, {dtype}"
            found = run(workload, dtype, settings)
            lines = figures_of(title, workload.name, found)
            print(*lines, sep="\n", flush=True)
            for engine, reason in found["reasons"].items():
                print(f"{title}, {engine}: not measured. {reason}", flush=True)
            figures += lines
            apart[title], captured[title] = found["apart"], found["graph"]
            if found["reasons"]:
                reasons[title] = found["reasons"]
    details = {"tf32": settings.tf32, "device": settings.device, "differences": apart, "not measured": reasons}
    path = timing.save("gpu", figures, details | {"CUDA graph": captured}, facts, settings.folder)
    if settings.folder == timing.RESULTS and settings.device == "cuda":
        gpu_page.write(json.loads(path.read_text()), [each.name for each in WORKLOADS], DTYPES)
    return path


def _is_named(name: str, names: Sequence[str]) -> bool:
    return any(name == each or name.startswith(f"{each}-") for each in names)


def _gpu() -> dict[str, Any]:
    import tensorgrad as tg

    return {"name": tg.cuda.get_device_name(), "capability": list(tg.cuda.get_device_capability())}


if __name__ == "__main__":
    main()
