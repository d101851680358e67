"""What a script that runs on a GPU says where one for NumPy says something else."""

from __future__ import annotations

from collections.abc import Sequence

from tensorgrad.backend.cuda.fused import Fused
from tensorgrad.backend.cuda.launch import BLOCKS, THREADS
from tensorgrad.backend.cuda.programs import REDUCTIONS

HEADER = "import cupy as np  # its functions have NumPy's names\nimport numpy\n"
MAIN = """
if __name__ == "__main__":  # python this.py inputs.npz outputs.npz
    import sys

    with numpy.load(sys.argv[1]) as given:
        inputs = {name: given[name].item() if name in NUMBERS else np.asarray(given[name]) for name in given.files}
    found = step(**inputs)
    numpy.savez(sys.argv[2], **{name: np.asnumpy(value) for name, value in found.items()})
"""


def definition(name: str, kernel: Fused) -> str:
    """The line that makes a kernel of a text."""
    return f'{name} = np.RawKernel(r"""\n{kernel.text}""", "{kernel.name}", options=("--std=c++17",))\n'


def call(name: str, kernel: Fused, arguments: Sequence[str], outs: Sequence[str]) -> list[str]:
    """The lines that make the arrays of a kernel's results, and launch it.   names of arguments and of results"""
    made = [f'np.empty({kernel.shape}, "{kernel.dtypes[place]}")' for place in kernel.outputs]
    taken = [
        f"np.ascontiguousarray({each})" if of.shape is not None else f"np.full(1, {each}, numpy.float64)"
        for each, of in zip(arguments, kernel.inputs, strict=True)
    ]
    blocks = min(-(-kernel.size // THREADS), BLOCKS)
    lines = [f"{out} = {text}" for out, text in zip(outs, made, strict=True)]
    return [*lines, f"{name}(({blocks},), ({THREADS},), ({', '.join([*taken, *outs])},))"]


__all__ = ["HEADER", "MAIN", "REDUCTIONS", "call", "definition"]
