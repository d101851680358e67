"""Exact or fast on a GPU: how float32 products round, and in which order sums are taken."""

from __future__ import annotations


class _Settings:
    tf32 = False
    deterministic = True


_settings = _Settings()


def set_tf32(allowed: bool) -> None:
    """Whether float32 products and convolutions may round their operands to 10 bits (TF32): cuBLAS and cuDNN alike.

    Off at first, where they have the 23 bits of float32.
    """
    _settings.tf32 = bool(allowed)


def get_tf32() -> bool:
    """Whether float32 products and convolutions may round their operands to 10 bits."""
    return _settings.tf32


def set_deterministic(wanted: bool) -> None:
    """Whether values that meet at a place are always added in the same order, or in whatever order threads arrive.

    On at first. Without it the gradient of an embedding whose rows are named often is faster, and differs in its last
    bits from run to run.
    """
    _settings.deterministic = bool(wanted)


def get_deterministic() -> bool:
    """Whether values that meet at a place are always added in the same order."""
    return _settings.deterministic
