"""What is said where a GPU was asked for and there is none, whatever is missing."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

import tensorgrad as tg
from tensorgrad.backend import probe
from tensorgrad.backend.probe import Driver, NoDeviceError


def cupy(available=False, built=(13, 2), lost=()):
    return SimpleNamespace(is_available=lambda: available, built_for=lambda: built, lost_tools=lambda: list(lost))


@pytest.fixture
def machine(monkeypatch):
    """Pretend that a machine has this CuPy and this driver."""

    def make(library, driver):
        monkeypatch.setattr(probe, "_cupy", lambda: library)
        monkeypatch.setattr(probe, "_driver", lambda: driver)

    return make


def said():
    with pytest.raises(NoDeviceError) as raised:
        probe.require()
    return str(raised.value).split("\n- ")


def test_on_a_bare_machine_all_four_are_named_and_how_to_get_them(machine):
    machine(None, None)
    assert not probe.is_available()
    head, library, driver, device, toolkit = said()
    assert head == "a 'cuda' device cannot be used here. What is missing:"
    assert library.startswith('CuPy, the array library: from a clone of tensorgrad, pip install -e ".[cuda13]"')
    assert driver.startswith("an NVIDIA driver: ")
    assert "nvidia-smi" in driver
    assert device.startswith("a device: ")
    assert toolkit.startswith("the CUDA toolkit's libraries: they come with CuPy")


def test_with_a_gpu_only_the_package_is_missing(machine):
    machine(None, Driver((13, 2), 1))
    _, library, toolkit = said()
    assert library.startswith("CuPy")
    assert toolkit.startswith("the CUDA toolkit")


def test_without_a_gpu_the_package_alone_does_not_help(machine):
    machine(cupy(), None)
    _, driver, device = said()
    assert driver.startswith("an NVIDIA driver: ")
    assert device.startswith("a device: ")


def test_an_old_driver_is_told_from_a_missing_one(machine):
    machine(cupy(built=(13, 2)), Driver((12, 4), 1))
    (_, driver) = said()
    assert driver.startswith("a driver that knows CUDA 13: this one knows 12.4; update it, or install CuPy for it")
    assert '".[cuda12]"' in driver


def test_a_hidden_gpu_is_named(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    machine(cupy(), Driver((13, 2), 0))
    (_, device) = said()
    assert device == "a device: the driver shows no GPU; CUDA_VISIBLE_DEVICES is '-1', which may hide it"


def test_a_gpu_without_the_toolkit_is_no_gpu(machine):
    machine(cupy(available=True, lost=["the CUDA toolkit's compiler, NVRTC"]), Driver((13, 2), 1))
    assert probe.is_available()
    (_, toolkit) = said()
    assert toolkit.startswith("the CUDA toolkit's compiler, NVRTC: it comes with CuPy")


def test_a_package_that_cannot_be_imported_says_why(machine):
    machine(ImportError("built for another NumPy"), Driver((13, 2), 1))
    assert not probe.is_available()
    _, library, *_ = said()
    assert "is there but cannot be imported (built for another NumPy)" in library


def test_with_everything_there_nothing_is_raised(machine):
    machine(cupy(available=True), Driver((13, 2), 1))
    probe.require()


def test_what_cannot_be_named_still_says_where_to_look(machine):
    machine(cupy(), Driver((13, 2), 1))
    (_, rest) = said()
    assert "show_config" in rest


def test_a_driver_that_cannot_be_loaded_is_none(monkeypatch):
    monkeypatch.setattr(probe, "LIBRARY", "no-such-library.so.1")
    assert probe._driver() is None


@pytest.mark.skipif(probe.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    "ask",
    [
        lambda: tg.zeros(2, device="cuda"),
        lambda: tg.asarray([1.0], device="cuda:1"),
        lambda: tg.ones(2).to_device("cuda"),
        lambda: tg.random.Generator(0, device="cuda"),
    ],
)
def test_whatever_asks_for_a_gpu_raises_the_same(ask):
    with pytest.raises(NoDeviceError, match=r"a .cuda. device cannot be used here"):
        ask()


def test_to_ask_whether_there_is_one_loads_nothing_where_there_is_not():
    code = (
        "import sys, tensorgrad as tg\n"
        "from tensorgrad.backend import probe\n"
        "probe.find_spec = lambda name: None\n"
        "assert not probe.is_available()\n"
        "assert 'cupy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
