"""Running the laws: over one op of a user's, or over the whole registry with a table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from tensorgrad.backend import SETTINGS, on_device
from tensorgrad.extras import needed_by
from tensorgrad.testing.case import Case, case
from tensorgrad.testing.laws import LAWS, Trial

DEVICES = {**SETTINGS, "cpu": "cpu"}


class LawBroken(AssertionError):  # noqa: N818 - it is said of a law, as in "raises LawBroken"
    """An op broke one of the laws; the message names both and shows the arguments."""


def obey(case: Case, args: dict[str, Any], device: str, order: int = 2, only: Iterable[str] | None = None) -> None:
    """Put one draw of arguments through all laws. Raises LawBroken, naming the law, at the first that fails."""
    trial = Trial(case, args, device, order)
    for name, law in LAWS.items():
        if only is not None and name not in only:
            continue
        try:
            law(trial)
        except AssertionError as broken:
            raise LawBroken(f"{case} breaks the law {name!r} on {device!r}: {broken}\n{_shown(args)}") from broken
        except Exception as error:
            raise LawBroken(
                f"{case}, under the law {name!r} on {device!r}, raised {type(error).__name__}: {error}\n{_shown(args)}"
            ) from error


def _shown(args: dict[str, Any]) -> str:
    return "\n".join(f"    {name} = {value!r}" for name, value in args.items())


def run_case(
    case: Case,
    device: str = "cpu",
    order: int = 2,
    draws: int | None = None,
    only: Iterable[str] | None = None,
    shrink: bool = True,
) -> None:
    """Draw a case's arguments and put each draw through all laws.

    draws: how many; the current Hypothesis profile's number without.
    """
    profile = settings(
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        max_examples=settings().max_examples if draws is None else draws,
        phases=tuple(Phase) if shrink else (Phase.generate,),
        derandomize=settings().derandomize or not shrink,
    )

    @profile
    @given(case.strategy())
    def laws(args: dict[str, Any]) -> None:
        obey(case, args, device, order, only)

    laws()


def check(
    op: Callable[..., Any],
    *,
    reference: Callable[..., Any] | None = None,
    backend: str | None = None,
    order: int = 2,
    draws: int = 25,
    **inputs: Any,
) -> None:
    """Prove an op of yours: all laws, on NumPy and on the strict stand-in.

    reference: a function of NumPy arrays to compare values with. inputs: what each argument may be, from
    `tensorgrad.testing.strategies`; without, every array parameter takes real numbers that broadcast. backend: one
    library alone, by the names that TENSORGRAD_BACKEND knows. order: 1 leaves second derivatives out.
    Raises LawBroken, an AssertionError, that names the law and shows the smallest arguments found.

    >>> import tensorgrad as tg
    >>> @tg.op
    ... def cube(xp, x):
    ...     return x * x * x
    >>> _ = cube.vjp(x=lambda g, x: 3 * g * x * x)
    >>> check(cube, reference=lambda x: x**3, draws=5)
    """
    for name in ("numpy", "strict") if backend is None else (backend,):
        run_case(case(op, reference, **inputs), device_named(name), order, draws)


def device_named(name: str) -> str:
    """The device of a library's name. Raises ValueError, naming the libraries there are."""
    if name not in DEVICES:
        raise ValueError(f"backend is {name!r}; it may be {' or '.join(map(repr, SETTINGS))}")
    return DEVICES[name]


def check_registry(backend: str = "numpy", order: int = 2, draws: int | None = None, names: Iterable[str] = ()) -> int:
    """Put every case of the vocabulary, or those of the ops named, through all laws, and print a table.

    Returns how many cases broke a law, so that 0 is success. Raises ValueError for an op that has no case, and
    NoDeviceError for a library whose device is not there.
    """
    with needed_by("check_registry"):
        from tqdm.auto import tqdm

    from tensorgrad.testing.cases import CASES

    wanted = set(names)
    unknown = wanted - {str(each) for each in CASES} - {each.op.__name__ for each in CASES}
    if unknown:
        raise ValueError(f"there is no case for {', '.join(sorted(unknown))}")
    chosen = [each for each in CASES if not wanted or str(each) in wanted or each.op.__name__ in wanted]
    device = device_named(backend)
    on_device(device)
    rows, failures = [], []
    for each in tqdm(chosen, desc=f"laws on {backend}", unit="case", file=sys.stderr):
        started = time.perf_counter()
        try:
            run_case(each, device, order, draws)
            verdict = "obeys"
        except LawBroken as broken:
            verdict = "BREAKS"
            failures.append((str(each), str(broken)))
        rows.append((str(each), verdict, time.perf_counter() - started))
    ops = {each.definition for each in chosen if each.definition is not None}
    compositions = {each.op for each in chosen if each.definition is None}
    print(table(rows, f"{len(ops)} ops and {len(compositions)} compositions", backend, order))
    for name, text in failures:
        print(f"\n{name}\n{text}")
    return len(failures)


def table(rows: list[tuple[str, str, float]], subjects: str, backend: str, order: int) -> str:
    """The cases in three columns, and a line that counts subjects, cases, laws and failures."""
    width = max((len(name) for name, _, _ in rows), default=0)
    cells = [f"{name:<{width}} {verdict:<6} {seconds:6.2f} s" for name, verdict, seconds in rows]
    per_line = 3
    deep = -(-len(cells) // per_line)
    lines = ["   ".join(cells[place::deep]) for place in range(deep)]
    broken = sum(verdict != "obeys" for _, verdict, _ in rows)
    lines.append(
        f"{subjects} in {len(rows)} cases, under {len(LAWS)} laws to order {order}, on {backend}: "
        + (f"{broken} break a law" if broken else "all obey")
        + f" ({sum(seconds for _, _, seconds in rows):.0f} s)"
    )
    return "\n".join(lines)
