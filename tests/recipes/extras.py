"""What recipes need to run in tests."""

import pytest


def need_extras():
    """Skip where a package of the extra `demo` is missing."""
    for package in ("sklearn", "matplotlib", "safetensors", "tensorboardX", "tqdm"):
        pytest.importorskip(package, reason=f"needs the package {package}, of the extra `demo`")
