"""The workloads W1 to W11, their sizes, and the goals they are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines import FAST, OURS

HIPS = 0.5  # of autograd's time, on everything
ALL = ("torch", "torch-compiled", "jax", "autograd")


@dataclass(frozen=True)
class Workload:
    """One line of the table.

    name: "W4-3x3" is a part of W4. module: its file in `steps/`. size: what the file's `values` is given; tiny: sizes
    that only try the harness. peers: the engines beside ours. goals: by peer, the most that ours may take of its time,
    recorded as it runs and compiled; fast: the same with the extra `fast`, where that is measured. memory: as
    goals, of the peak resident size of PyTorch's process. tolerance: of the check before the timing, as a share of
    the largest value. why: what stands beside a goal that is missed.
    """

    name: str
    title: str
    module: str
    size: Mapping[str, Any]
    tiny: Mapping[str, Any]
    goals: Mapping[str, tuple[float | None, float | None]]
    peers: Sequence[str] = ALL
    memory: tuple[float, float] | None = None
    fast: Mapping[str, tuple[float | None, float | None]] | None = None
    tolerance: float = 1e-3
    why: Mapping[str, str] = field(default_factory=dict)

    def goal(self, engine: str, peer: str) -> float | None:
        """The goal of one of our engines beside a peer."""
        if engine in FAST:
            return (self.fast or {}).get(peer, (None, None))[FAST.index(engine)]
        if peer == "autograd":
            return self.goals.get(peer, (HIPS, HIPS))[OURS.index(engine)]
        return self.goals.get(peer, (None, None))[OURS.index(engine)]

    def memory_goal(self, engine: str) -> float | None:
        return None if self.memory is None or engine in FAST else self.memory[OURS.index(engine)]


# jax.jit is to be beaten on W3, W4, W5, W7 and W8, by the compiled step.
BEATEN = (None, 1.0)
# torch.compile has no gradient of a gradient, and records LSTM as it runs.
PLAIN = ("torch", "jax", "autograd")

# Measured on a virtual machine of two cores, with all else stopped: a GPT's and a CNN's threads go to sleep some 250
# times a step, to wake 20 to 50 us later; two processes at once, on a core each, take 1.08 of the time of one alone.
THE_LOCK = (
    "Between two calls of NumPy a thread needs the interpreter's lock, and where another holds it, it sleeps and wakes "
    "20 to 50 us later, 30 times in a convolution: two threads take 0.75 of the time of one, two processes would take "
    "half."
)
SMALL = (
    "Of 1.3 ms the products take 0.55, at the rate of one thread, for the second wakes as late as it would save; Adam "
    "takes 0.4; the tape, or comparing what the step can see with what was traced, 0.15."
)
PRODUCTS = "Products by OpenBLAS are nine tenths of the step, eager and compiled alike."
ALL_POINTS = (
    "Three products, at three quarters of the rate that OpenBLAS has for larger ones, take 0.35 to 0.45 of PyTorch's "
    "time, which was 29 to 44 ms in runs of one day; pieces of 64 columns, 1.1 times as fast by themselves, gained "
    "nothing in place. The rest adds the bias and sums its gradient."
)
TAPE = "An op takes 1.4 us, a third of it in NumPy's own call; PyTorch's differs by a quarter between runs."
KEPT = "What the sweep needs is kept, as in PyTorch; compiled, blocks of rows go through all layers, and none is kept."
MEMORY = (
    "Seven passes over blocks in a cache, of which NumPy's square root takes a third; a program steps as eager code "
    "does, and compares and notes 150 arrays besides. With `fast` one pass, as PyTorch's: both wait for memory."
)
FRESH = (
    "SciPy's product, the fastest way there is to add rows, keeps to one thread and to the interpreter's lock, and "
    "clears its table first; PyTorch shares the rows among two threads."
)
PASSES = "PyTorch keeps a row in registers; NumPy goes over it five to ten times. The extra `fast` does as PyTorch."


def _both(why: str, what: str = "of torch") -> dict[str, str]:
    return {f"{engine}, {what}": why for engine in OURS}


WORKLOADS = (
    Workload(
        "W1",
        "1,000 ops on 4 numbers",
        "chain",
        {"length": 250},
        {"length": 2},
        {"torch": (0.40, 0.13)},
        fast={"torch": (None, 0.02)},
        why={"tensorgrad, of torch": TAPE},
    ),
    Workload(
        "W2-64",
        "MLP step, batch 64",
        "mlp",
        {"batch": 64},
        {"batch": 3, "widths": (5, 4, 3)},
        {"torch": (1.1, 0.80)},
        why=_both(SMALL),
    ),
    Workload(
        "W2-1024",
        "MLP step, batch 1,024",
        "mlp",
        {"batch": 1024},
        {"batch": 7, "widths": (5, 4, 3)},
        {"torch": (1.2, 1.10)},
        why=_both(PRODUCTS),
    ),
    Workload(
        "W3",
        "CNN step, batch 64",
        "cnn",
        {"batch": 64},
        {"batch": 2, "side": 8, "channels": (2, 3), "hidden": 4},
        {"torch": (1.1, 0.85), "jax": BEATEN},
        ("torch", "torch-channels-last", "torch-compiled", "jax", "autograd"),
        memory=(0.45, 0.35),
        why=_both(THE_LOCK),
    ),
    *(
        Workload(
            f"W4-{kind}",
            title,
            "convolution",
            {"kind": kind},
            {"kind": kind, "batch": 2, "inputs": 2, "outputs": 3, "side": 6},
            {"torch": (most, most), "jax": BEATEN},
            ("torch", "torch-channels-last", "jax", *(() if kind == "transposed" else ("autograd",))),
            why=_both(ALL_POINTS) if kind == "1x1" else {},
        )
        for kind, title, most in (
            ("3x3", "convolution, 3 × 3", 0.95),
            ("1x1", "convolution, 1 × 1", 0.40),
            ("strided", "convolution, 4 × 4, stride 2", 1.5),
            ("transposed", "transposed convolution, 4 × 4, stride 2", 1.2),
        )
    ),
    Workload(
        "W5",
        "GPT step, 4 layers of 128",
        "gpt",
        {},
        {"batch": 2, "length": 5, "tokens": 7, "width": 8, "layers": 2, "heads": 2},
        {"torch": (1.6, 1.25), "jax": BEATEN},
        ("torch", "torch-manual", "torch-compiled", "jax", "autograd"),
        memory=(0.40, 0.30),
        fast={},
        why={
            **_both(THE_LOCK),
            "tensorgrad, peak of torch's": KEPT,
        },
    ),
    Workload(
        "W6",
        "LSTM step, 100 places",
        "lstm",
        {},
        {"length": 4, "batch": 2, "inputs": 3, "hidden": 4},
        {"torch": (3.0, 2.5), "torch-cell": (0.95, 0.80)},
        ("torch", "torch-cell", "jax", "autograd"),
    ),
    *(
        Workload(
            f"W7-{shown}",
            f"SIREN step, shown {shown.replace('laplacian', 'Laplacian')}s",
            "siren",
            {"shown": shown},
            {"shown": shown, "points": 6, "width": 8},
            {"torch": goals, "jax": BEATEN},
            ALL if shown == "value" else PLAIN,
        )
        for shown, goals in (("value", (1.0, 0.75)), ("gradient", (1.25, 0.80)), ("laplacian", (1.25, 0.85)))
    ),
    Workload(
        "W8",
        "NeRF step, 1,024 rays of 64 samples",
        "nerf",
        {},
        {"rays": 3, "samples": 4, "width": 8, "place": 5, "direction": 4},
        {"torch": (0.9, 0.65), "jax": BEATEN},
        memory=(0.40, 0.15),
        why={"tensorgrad, peak of torch's": KEPT},
    ),
    Workload("W9", "elementwise, 4 Mi numbers", "elementwise", {}, {"elements": 10}, {"torch": (1.0, 0.45)}),
    *(
        Workload(
            f"W10-{op.replace(' ', '-')}",
            f"{op}, {shown}",
            "rows",
            {"op": op, **size},
            tiny,
            {"torch": goals},
            fast={} if op == "embedding" else {"torch": (1.3, 1.3)},
            why=_both(FRESH if op == "embedding" else PASSES),
        )
        for op, shown, size, tiny, goals in (
            ("softmax", "8,192 × 128", {"shape": (8192, 128)}, {"op": "softmax", "shape": (4, 3)}, (2.6, 2.0)),
            ("layer norm", "2,048 × 512", {"shape": (2048, 512)}, {"op": "layer norm", "shape": (4, 3)}, (4.0, 3.0)),
            (
                "batch norm",
                "32 × 64 × 32 × 32",
                {"shape": (32, 64, 32, 32)},
                {"op": "batch norm", "shape": (4, 3, 2, 2)},
                (2.1, 1.6),
            ),
            (
                "embedding",
                "8,192 of 10,000 × 256",
                {"shape": (10_000, 256), "chosen": (32, 256)},
                {"op": "embedding", "shape": (5, 3), "chosen": (2, 4)},
                (0.95, 0.9),
            ),
        )
    ),
    Workload(
        "W11",
        "Adam, 50 × 200,000 numbers",
        "adam",
        {},
        {"tensors": 2, "elements": 5},
        {"torch": (0.75, 0.65), "torch-fused": (3.0, 2.5)},
        ("torch", "torch-fused", "jax", "autograd"),
        fast={"torch-fused": (0.85, 0.85)},
        why={
            **_both(MEMORY),
            **{f"{engine}, of torch-fused": MEMORY for engine in (*OURS, *FAST)},
        },
    ),
)


def chosen(names: Sequence[str]) -> list[Workload]:
    """The workloads of these names; "W4" stands for all its parts, and no names for all there are.

    Raises ValueError for a name that is none.
    """
    found: list[Workload] = []
    for name in names:
        meant = [each for each in WORKLOADS if each.name == name or each.name.startswith(f"{name}-")]
        if not meant:
            raise ValueError(f"there is no workload {name}; there are {', '.join(each.name for each in WORKLOADS)}")
        found += [each for each in meant if each not in found]
    return found or list(WORKLOADS)
