"""The workloads W1 to W11: one file for each kind, with what every engine does side by side.

A file has `values`, which draws weights and a batch with NumPy, and a function for each engine that makes a `Training`,
a `Sweep` or an `Update` of them (`kinds.py`): `of_tensorgrad`, `of_torch`, and `of_functional`, which JAX and HIPS
autograd share. float32 throughout, and the same numbers for all.
"""
