"""Ctrl-C and SIGTERM leave a whole checkpoint and say how to go on."""

import os
import signal
import threading

import pytest

import tensorgrad as tg
from tensorgrad.io import load
from tensorgrad.train import Callback, Checkpoint, checkpoints, every, resume
from tensorgrad.train.interrupts import Interrupts
from tests.train.small import training, weights

pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """Background jobs ignore Ctrl-C; here it is to be heard."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Press(Callback):
    """Sends a signal in the middle of a step."""

    def __init__(self, step, number):
        super().__init__()
        self.step, self.number = step, number

    def before_update(self, trainer):
        if trainer.step + 1 == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_in_mid_step_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, capsys, number, error):
    whole, loader, _ = training()
    whole.fit(loader, epochs=2)
    before = signal.getsignal(number)
    if number == signal.SIGTERM and before == signal.SIG_DFL:
        before = signal.SIG_DFL
    trainer, loader, _ = training(callbacks=[Press(7, number), Checkpoint(tmp_path, every(epochs=9))])
    trainer.resume_command = "tensorgrad train small --resume here"
    with pytest.raises(error):
        trainer.fit(loader, epochs=2)
    assert signal.getsignal(number) == before
    said = capsys.readouterr().err
    assert "interrupted after step 7\nto go on from there: tensorgrad train small --resume here" in said
    (path,) = checkpoints(tmp_path)
    assert load(path)["step"] == 7
    again, loader, _ = training(callbacks=[Checkpoint(tmp_path)])
    assert resume(again, tmp_path)
    again.fit(loader, epochs=2)
    assert weights(again) == weights(whole)


def test_the_second_ctrl_c_leaves_at_once(capsys):
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.asked == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert "press Ctrl-C again to leave at once" in capsys.readouterr().err


def test_a_job_that_ignores_ctrl_c_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.asked is None


def test_another_thread_trains_without_touching_signals():
    found = []

    def work():
        trainer, loader, _ = training()
        trainer.fit(loader, epochs=1)
        found.append(trainer.epoch)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [1]
    assert tg.random.default_generator() is not None
