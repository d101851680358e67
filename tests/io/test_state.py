"""`save` and `load`: nothing is lost, nothing damaged is accepted, nothing is executed."""

import errno
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.io import load, save

pytest.importorskip("safetensors", reason="needs the package safetensors, of the extra `train`")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.safetensors"


@pytest.fixture
def written(path):
    """A small file with everything in it."""
    save(path, {"w": tg.asarray([1.0, 2.0]), "steps": [1, 2], "order": np.arange(3), "best": float("nan")})
    return path


def header_of(content):
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])


def with_header(content, header):
    """The file with another header, of the right length."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + int.from_bytes(content[:8], "little") :]


def test_a_training_state_comes_back_bit_for_bit(path):
    rng = tg.random.Generator(0)
    weight = rng.normal(size=(3, 4)).requires_grad_()
    state = {
        "model": {"weight": weight, "transposed": weight.detach().mT},
        "optimizer": {"state": {0: {"step": 3, "exp_avg": rng.normal(size=(3, 4), dtype="float64")}}, "lr": 0.1},
        "generator": tg.random.Generator(2**127).get_state(),
        "best": -float("inf"),
        "betas": (0.9, 0.999),
    }
    save(path, state)
    back = load(path)
    assert back["model"]["weight"].tolist() == weight.tolist()
    assert back["model"]["transposed"].tolist() == weight.detach().mT.tolist()
    assert not back["model"]["weight"].requires_grad
    moments = back["optimizer"]["state"][0]["exp_avg"]
    assert (moments.dtype, moments.tolist()) == (
        np.dtype("float64"),
        state["optimizer"]["state"][0]["exp_avg"].tolist(),
    )
    assert {key: back[key] for key in ("generator", "best", "betas")} == {
        key: state[key] for key in ("generator", "best", "betas")
    }


def test_tensors_go_where_they_are_sent(path):
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    save(path, {"x": tg.ones(2, device="strict")})
    assert load(path, device="cpu")["x"].device == "cpu"
    assert load(path, device="strict")["x"].device == "strict"
    assert load(path)["x"].device == tg.ones(1).device


def test_without_safetensors_it_says_how_to_get_it(path, monkeypatch):
    save(path, {"weight": tg.ones(2)})
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy")
    for call in (lambda: save(path, {"weight": tg.ones(3)}), lambda: load(path)):
        with pytest.raises(ModuleNotFoundError, match=r'pip install -e "\.\[demo\]"') as told:
            call()
        assert told.value.name.startswith("safetensors")


def test_the_same_state_makes_the_same_file(path):
    state = {"b": tg.ones(3), "a": [tg.zeros(2), 1.5]}
    save(path, state)
    first = path.read_bytes()
    save(path, state)
    assert path.read_bytes() == first


# ── other programs ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_reader_of_the_format_finds_the_names(path):
    from safetensors.numpy import load_file

    save(path, {"layers.0.weight": tg.ones((2, 3)), "layers.0.bias": tg.zeros(2)})
    found = load_file(path)
    assert {name: array.shape for name, array in found.items()} == {"layers.0.weight": (2, 3), "layers.0.bias": (2,)}


def test_weights_from_pytorch_keep_their_names_and_values(path):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    from safetensors.torch import save_file

    model = torch.nn.ModuleDict(
        {
            "norm": torch.nn.BatchNorm1d(3),
            "rnn": torch.nn.LSTM(2, 3, bidirectional=True),
            "attention": torch.nn.MultiheadAttention(4, 2),
        }
    )
    save_file(model.state_dict(), path)
    found = load(path)
    assert set(found) == set(model.state_dict())
    for name in ("norm.num_batches_tracked", "rnn.weight_ih_l0_reverse", "attention.in_proj_weight"):
        assert found[name].tolist() == model.state_dict()[name].tolist()


def test_half_precision_is_read_as_float32_exactly(path):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -0.1], [3e4, 0.0]])
    save_file({"brain": values.to(torch.bfloat16), "half": values.half(), "n": torch.tensor(3)}, path)
    found = load(path)
    assert found["brain"].tolist() == values.to(torch.bfloat16).tolist()
    assert found["half"].tolist() == values.half().tolist()
    assert {str(found[name].dtype) for name in ("brain", "half")} == {"float32"}
    save_file({"eighth": values.to(torch.float8_e4m3fn)}, path)
    with pytest.raises(ValueError, match=r"eighth in .* has the dtype F8_E4M3, which tensors do not have; convert"):
        load(path)


# ── damaged and hostile files ───────────────────────────────────────────────────────────────────────────────


def test_every_flipped_bit_is_noticed(written):
    whole = written.read_bytes()
    for place in range(8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        written.write_bytes(content)
        with pytest.raises(ValueError, match=r"load: .*state.safetensors"):
            load(written)


def test_every_truncation_is_noticed(written):
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"damaged|no safetensors file"):
            load(written)


def archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("../../evil", "x")
    return content.getvalue()


class Bomb:
    def __reduce__(self):
        return (os._exit, (7,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes, fewer than the shortest"),
        (archive(), r"a zip archive, as PyTorch's \.pt files .* convert it there: safetensors.torch.save_file"),
        (pickle.dumps(Bomb()), "a Python pickle, not a safetensors file"),
        (b"\x89HDF\r\n\x1a\n0000", "an HDF5 file"),
        (b"hello, this is a letter", "its header would have .* bytes, and at most 100,000,000"),
        ((2**63).to_bytes(8, "little") + b"{}", "its header would have 9,223,372,036,854,775,808 bytes"),
        ((5000).to_bytes(8, "little") + b"{}", "truncated: its header ends at byte 5,008 and the file at byte 10"),
        ((4).to_bytes(8, "little") + b"[{}]", "after eight bytes a JSON header would begin with '{'"),
        ((8).to_bytes(8, "little") + b"{}{}{}{}", "the safetensors format is broken"),
    ],
)
def test_what_is_no_safetensors_file_is_named(path, content, message):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


def change(header, **entry):
    name = next(name for name in header if name != "__metadata__")
    header[name].update(entry)


@pytest.mark.parametrize(
    "edit",
    [
        lambda header: change(header, shape=[2**40]),
        lambda header: change(header, shape=[2**62, 4]),
        lambda header: change(header, data_offsets=[0, 2**40]),
        lambda header: change(header, data_offsets=[-8, 16]),
        lambda header: change(header, data_offsets=[16, 0]),
        lambda header: change(header, dtype="PICKLE"),
        lambda header: change(header, dtype="F64", shape=[3]),
        lambda header: header.update(extra={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}),
        lambda header: header["__metadata__"].update(other=header["__metadata__"].pop("tensorgrad")),
        lambda header: header["__metadata__"].update(tensorgrad="sha256:"),
        lambda header: header["__metadata__"].update(tensorgrad="[]"),
        lambda header: header["__metadata__"].update(tensorgrad="\n" + "[" * 9999),
    ],
    ids=range(12),
)
def test_a_header_that_lies_is_refused(written, edit):
    content = written.read_bytes()
    header = header_of(content)
    edit(header)
    written.write_bytes(with_header(content, header))
    with pytest.raises(ValueError, match=r"damaged and nothing was read from it"):
        load(written)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*weights"):
        load(tmp_path / "weights.safetensors")
    with pytest.raises(OSError, match=r"director"):
        load(tmp_path)


# ── nothing earlier is lost ─────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_saved_leaves_the_old_file(written):
    before = written.read_bytes()
    with pytest.raises(TypeError, match=r"is a set"):
        save(written, {"seen": {1}})
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_a_disk_that_fills_up_leaves_the_old_file_and_says_so(written, monkeypatch):
    def fill(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill)
    with pytest.raises(OSError, match=r"No space left on device.*the file that was there is as it was; free space"):
        save(written, {"w": tg.zeros(5)})
    monkeypatch.undo()
    assert load(written)["w"].tolist() == [1.0, 2.0]


def test_a_process_killed_while_it_saves_leaves_a_whole_file(written):
    """SIGKILL between writing and renaming, where the harm would be done."""
    code = f"""
import os, signal
import tensorgrad as tg
from tensorgrad.io import save
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
save({str(written)!r}, {{"w": tg.zeros(5)}})
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode not in (0, 1)
    assert load(written)["w"].tolist() == [1.0, 2.0]
    save(written, {"w": tg.zeros(5)})  # what the killed process left beside it is in nobody's way
    assert load(written)["w"].shape == (5,)
    assert list(written.parent.iterdir()) == [written]


def test_bfloat16_comes_back_as_it_was_and_others_read_it(path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    if tg.backend.default_device() == "strict":
        pytest.skip("array-api-strict has no bfloat16")
    values = np.array([[1.0, -2.5, 3e38], [0.0, np.inf, 1e-40]]).astype(ml_dtypes.bfloat16)
    state = {"w": tg.asarray(values), "t": tg.asarray(values).mT, "one": tg.asarray(values[0, 1, ...]), "a": values[:0]}
    save(path, state)
    found = load(path)
    for name, value in state.items():
        assert (found[name].dtype, found[name].shape) == (tg.bfloat16, value.shape)
        assert np.array_equal(np.asarray(found[name]), np.asarray(value))
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    theirs = load_file(path)
    assert theirs["w"].dtype == torch.bfloat16
    assert theirs["t"].float().tolist() == values.T.astype(np.float32).tolist()
