"""Disks that are full or may not be written, for child processes; what cannot be had is skipped with its reason."""

import os
import shutil
import subprocess
import sys

import pytest

NOBODY = 65534
WITHOUT_RIGHTS = f"""
import os, sys
if os.geteuid() == 0:  # root may write everywhere
    try:
        os.setgroups([])
        os.setgid({NOBODY})
        os.setuid({NOBODY})
    except OSError as error:
        print("kept", error)
        sys.exit(77)
"""


def run_without_rights(preparation, code):
    """Run `preparation`, then `code` as a user who may not write what is root's. Returns the process."""
    if not hasattr(os, "geteuid"):
        pytest.skip("rights of users are a matter of Unix")
    done = _python(preparation + WITHOUT_RIGHTS + code)
    if done.returncode == 77:
        pytest.skip(f"root may not become another user here: {done.stdout.strip()}")
    return done


def run_on_a_small_disk(folder, size, code):
    """Run `code` where `folder` is a disk of so many bytes, which goes when the process ends. Returns the process.

    The code has a function `grow(bytes)`.
    """
    if not shutil.which("unshare") or os.geteuid() != 0:
        pytest.skip("a small disk takes the right to mount, in a namespace of its own")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(["unshare", "-m", *mount], capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    start = f"""
import subprocess
subprocess.run({mount!r}, check=True)
def grow(size):
    subprocess.run(["mount", "-o", f"remount,size={{size}}", {str(folder)!r}], check=True)
"""
    return _python(start + code, "unshare", "-m")


def _python(code, *before):
    return subprocess.run([*before, sys.executable, "-c", code], capture_output=True, text=True, check=False)
