"""What a run leaves behind."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.train import run_folder
from tensorgrad.train.run_folder import git_commit, make_run_folder, read_json, versions, write_json


def test_two_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    folders = [make_run_folder(tmp_path / "runs", "mlp") for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and folder.name.startswith("mlp-") for folder in folders)


def test_json_reads_back(tmp_path):
    write_json(tmp_path / "deep" / "card.json", {"sigma": 0.2, "digits": "0…9"})
    assert read_json(tmp_path / "deep" / "card.json") == {"sigma": 0.2, "digits": "0…9"}
    (tmp_path / "half.json").write_text('{"sigma"')
    with pytest.raises(ValueError, match=r"half.json is no JSON file"):
        read_json(tmp_path / "half.json")


def test_versions_name_what_ran():
    found = versions("pytest")
    assert (found["tensorgrad"], found["numpy"], found["pytest"]) == (
        tg.__version__,
        np.__version__,
        pytest.__version__,
    )
    assert set(found) == {"tensorgrad", "python", "platform", "numpy", "pytest"}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A repository with one commit, which run_folder takes for the one it lies in; skipped without git."""
    source = tmp_path / "tensorgrad" / "train" / "run_folder.py"
    source.parent.mkdir(parents=True)
    source.write_text("")
    monkeypatch.setattr(run_folder, "__file__", str(source))
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    try:
        for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
            subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    return source


def test_the_commit_says_whether_files_were_changed(clone):
    head = (clone.parents[2] / ".git" / "HEAD").read_text().removeprefix("ref: ").strip()
    commit = (clone.parents[2] / ".git" / head).read_text().strip()
    assert git_commit() == commit
    clone.write_text("changed")
    assert git_commit() == commit + "-dirty"


def test_there_is_no_commit_without_git(clone, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_there_is_no_commit_outside_a_clone_even_inside_another_repository(clone, monkeypatch):
    installed = clone.parents[2] / "site-packages" / "tensorgrad" / "train" / "run_folder.py"
    monkeypatch.setattr(run_folder, "__file__", str(installed))
    assert Path(installed).parents[2].parent.joinpath(".git").exists()
    assert git_commit() is None
