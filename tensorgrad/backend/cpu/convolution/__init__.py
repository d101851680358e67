"""The ways to compute a convolution on NumPy, and the choice between them."""
