"""PyTorch's counterparts of our public functions, in groups.

A table goes from our function to theirs, called with our argument names; where PyTorch has no such function it is
written with what PyTorch has. The arguments are drawn as the laws draw them, from the cases in `tensorgrad.testing`.
"""
