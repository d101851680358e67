"""Numbers as people read them: with a unit of the right size."""

from __future__ import annotations


def scaled(number: float, units: tuple[str, ...], digits: int) -> str:
    """A number in the first of the units, each a thousand of the one before, in which it is below 1000.

    >>> scaled(5_017_600, ("k", "M", "G"), 2)
    '5.02 M'
    """
    for unit in units:
        number /= 1000
        if number < 1000 or unit == units[-1]:
            break
    return f"{number:.{digits}f} {unit}"


def in_bytes(number: float) -> str:
    """Bytes in kB, MB, GB or TB, powers of a thousand.

    >>> in_bytes(12_800), in_bytes(512)
    ('12.8 kB', '512 B')
    """
    return f"{number:.0f} B" if number < 1000 else scaled(number, ("kB", "MB", "GB", "TB"), 1)


def duration(seconds: float) -> str:
    """Seconds in s, ms or us, with three digits.

    >>> [duration(each) for each in (2.0, 0.00123, 4.5e-6)]
    ['2.00 s', '1.23 ms', '4.50 us']
    """
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            break
    number = seconds * scale
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"
