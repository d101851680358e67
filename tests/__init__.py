"""The tests of tensorgrad; tests/x/test_y.py tests tensorgrad/x/y.py."""
