"""What is written while a model trains."""

import csv
import json
import struct

import pytest

from tensorgrad.train import CSVLog, JSONLog, Progress, TensorBoardLog, every
from tensorgrad.train.logs import write_csv
from tests.train.small import training


def test_csv_has_every_row_and_reads_back_exactly(tmp_path):
    trainer, loader, validation = training(callbacks=[CSVLog(tmp_path / "metrics.csv")])
    trainer.fit(loader, validation, epochs=2)
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{name: float(value) for name, value in row.items()} for row in rows] == trainer.history


def test_rows_with_other_figures_leave_holes(tmp_path):
    write_csv(tmp_path / "m.csv", [{"epoch": 1, "a": 2}, {"epoch": 2, "b": 3}])
    assert (tmp_path / "m.csv").read_text().split() == ["epoch,a,b", "1,2,", "2,,3"]


def test_json_lines_are_strict_json(tmp_path):
    trainer, loader, _ = training(callbacks=[JSONLog(tmp_path / "metrics.jsonl")])
    for _ in trainer.batches(loader, epochs=1):
        trainer.log("height", float("inf"))
        trainer.update(sum((theta**2).sum() for theta in trainer.model.parameters()))
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    row = json.loads(line, parse_constant=pytest.fail)
    assert row["height"] is None
    assert row["train_loss"] == trainer.history[0]["train_loss"]


def test_tensorboard_gets_each_figure_once_with_its_step(tmp_path):
    pytest.importorskip("tensorboardX", reason="needs the package tensorboardX, of the extra `train`")
    trainer, loader, validation = training(callbacks=[TensorBoardLog(tmp_path)])
    trainer.fit(loader, validation, epochs=2)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    for name in (b"train_loss", b"validation_accuracy", b"learning_rate"):
        assert content.count(name) == 2


def test_events_of_a_resumed_training_forget_what_came_after_it(tmp_path):
    pytest.importorskip("tensorboardX", reason="needs the package tensorboardX, of the extra `train`")
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    trainer, loader, validation = training(callbacks=[TensorBoardLog(tmp_path / "one")])
    trainer.fit(loader, validation, epochs=1)
    first = trainer.step
    again, loader, validation = training(callbacks=[TensorBoardLog(tmp_path / "two")])
    again.load_state_dict(trainer.state_dict())
    again.fit(loader, validation, epochs=2)
    (path,) = (tmp_path / "two").iterdir()
    content, events = path.read_bytes(), []
    while content:  # length, its checksum, the event, its checksum
        (length,) = struct.unpack("Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].step, events[1].session_log.status) == (first + 1, SessionLog.START)
    assert {event.step for event in events[2:]} == {again.step}
    found = {value.tag: value.simple_value for event in events[2:] for value in event.summary.value}
    assert found["train_loss"] == pytest.approx(again.history[-1]["train_loss"])


def test_the_bar_shows_the_figures_and_comes_to_its_end(capsys):
    pytest.importorskip("tqdm", reason="needs the package tqdm, of the extra `train`")
    trainer, loader, validation = training(callbacks=[Progress("small")])
    trainer.fit(loader, validation, epochs=2)
    said = capsys.readouterr().err
    assert "small: 100%" in said
    assert "2/2" in said
    assert f"validation {trainer.history[-1]['validation_accuracy']:.2%}" in said
    trainer, loader, _ = training(callbacks=[Progress("steps")], record=every(steps=2))
    trainer.fit(loader, steps=4)
    assert "4/4" in capsys.readouterr().err
