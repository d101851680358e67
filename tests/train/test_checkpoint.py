"""Checkpoints: the newest few, whole, and a process that is killed at any moment loses nothing."""

import errno
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import tensorgrad as tg
from tensorgrad.io import load
from tensorgrad.train import Checkpoint, best, checkpoints, every, newest, resume
from tests.train.small import training, weights

pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")


def test_the_newest_few_stay(tmp_path):
    trainer, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=2))])
    trainer.fit(loader, epochs=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000010.safetensors", "step-000000008.safetensors"]
    assert newest(tmp_path)["step"] == 10


def test_the_end_is_saved_whatever_the_trigger_says(tmp_path):
    trainer, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=1000))])
    trainer.fit(loader, epochs=2)
    state = newest(tmp_path)
    assert (state["epoch"], len(state["history"])) == (2, 2)
    again, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=1000))])
    assert resume(again, tmp_path)
    before = weights(again)
    again.fit(loader, epochs=2)  # nothing is left to do
    assert weights(again) == before


def test_the_best_weights_have_a_file_of_their_own(tmp_path):
    trainer, loader, validation = training(callbacks=[Checkpoint(tmp_path, best=best("validation_loss"))])
    trainer.fit(loader, validation, epochs=4)
    losses = [row["validation_loss"] for row in trainer.history]
    trainer.model.load_state_dict(load(tmp_path / "best.safetensors"))
    assert trainer.validate(validation)["loss"] == min(losses)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(tmp_path, capsys):
    trainer, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=2))])
    trainer.fit(loader, epochs=2)
    last, before = checkpoints(tmp_path)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 16
    last.write_bytes(content)
    assert newest(tmp_path)["step"] == 8
    assert f"{last} is damaged" in capsys.readouterr().err
    before.write_bytes(before.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"every checkpoint in .* is damaged; remove the folder to start again"):
        newest(tmp_path)


def test_without_a_checkpoint_a_training_starts_at_its_start(tmp_path):
    trainer, _, _ = training()
    assert not resume(trainer, tmp_path / "nothing")
    assert trainer.step == 0
    with pytest.raises(ValueError, match="keep_last is 0"):
        Checkpoint(tmp_path, keep_last=0)


def test_a_full_disk_ends_the_training_and_loses_no_earlier_checkpoint(tmp_path, monkeypatch):
    trainer, loader, _ = training(callbacks=[Checkpoint(tmp_path, every(steps=3))])
    trainer.fit(loader, steps=3)

    def fill(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(OSError, match=r"No space"):
        trainer.fit(loader, epochs=5)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000003.safetensors"]
    whole, loader, _ = training()
    whole.fit(loader, epochs=3)
    again, loader, _ = training(callbacks=[Checkpoint(tmp_path)])
    assert resume(again, tmp_path)
    assert weights(again.fit(loader, epochs=3)) == weights(whole)


# ── killed at random moments ────────────────────────────────────────────────────────────────────────────────

WORK = """
import sys
from tensorgrad.io import save
from tensorgrad.train import Checkpoint, every, resume
from tests.train.small import training, weights
folder, epochs = sys.argv[1], int(sys.argv[2])
trainer, loader, validation = training(callbacks=[Checkpoint(folder, every(steps=1))])
resume(trainer, folder)
print("started", flush=True)
trainer.fit(loader, validation, epochs=epochs)
save(folder + "/end", {"weights": weights(trainer), "history": trainer.history})
"""
EPOCHS = 24
# The issue asks for 50 moments; an ordinary test run takes 5 of them.
KILLS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 5


def start(folder):
    command = [sys.executable, "-c", WORK, str(folder), str(EPOCHS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(TESTS))


TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_a_process_killed_at_random_moments_ends_with_the_same_weights(tmp_path):
    began = time.monotonic()
    with start(tmp_path / "whole") as process:
        assert process.wait(300) == 0
    whole = load(tmp_path / "whole" / "end")
    duration = time.monotonic() - began
    chance = random.Random(0)
    killed = 0
    folder = tmp_path / "killed-0"
    while killed < KILLS:
        with start(folder) as process:
            assert process.stdout.readline() == "started\n"
            try:
                process.wait(chance.uniform(0, 0.25 * duration))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait(60)
                killed += 1
        for path in checkpoints(folder):
            load(path)  # never unreadable
        if (folder / "end").exists():  # it came to its end between two kills: another one starts
            assert load(folder / "end") == whole
            folder = tmp_path / f"killed-{killed}"
    with start(folder) as process:
        assert process.wait(300) == 0
    assert load(folder / "end") == whole
    assert tg.asarray(whole["history"][-1]["step"]).item() == EPOCHS * 5
