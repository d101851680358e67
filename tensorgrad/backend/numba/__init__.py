"""Loops over numbers that numba compiles, where the extra `fast` is installed."""
