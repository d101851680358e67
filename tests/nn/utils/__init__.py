"""The tests of tensorgrad.nn.utils."""
