"""The reader of clips, against PyTorch, and what it refuses."""

import pytest

import tensorgrad as tg
from tensorgrad.models.frame_reader import FrameReader
from tensorgrad.random import Generator
from tests.models.torch_twin import assert_twins_agree, torch_or_skip, twins


def test_it_agrees_with_pytorch():
    torch = torch_or_skip()
    functional = torch.nn.functional
    model = FrameReader(5, Generator(0), hidden=6, dtype="float64")
    clips, y = Generator(1).uniform(size=(2, 3, 1, 28, 28)).astype("float64"), tg.asarray([4, 1])
    theta = twins(model)
    h = torch.zeros(2, 6, dtype=torch.float64)
    for step in range(3):
        v = torch.tensor(clips[:, step].tolist(), dtype=torch.float64)
        for place in (0, 3):
            v = functional.conv2d(v, theta[f"frame.{place}.weight"], theta[f"frame.{place}.bias"])
            v = functional.max_pool2d(torch.relu(v), 2)
        of_frame = v.flatten(1) @ theta["recurrent.weight_ih_l0"].T + theta["recurrent.bias_ih_l0"]
        h = torch.tanh(of_frame + h @ theta["recurrent.weight_hh_l0"].T + theta["recurrent.bias_hh_l0"])
    logits = h @ theta["output.weight"].T + theta["output.bias"]
    expected = functional.cross_entropy(logits, torch.tensor(y.tolist()))
    assert_twins_agree(model, theta, tg.cross_entropy(model(clips), y), expected)


@pytest.mark.parametrize("shape", [(4, 6, 28, 28), (4, 0, 1, 28, 28), (4, 6, 3, 28, 28), (4, 6, 1, 32, 32)])
def test_what_is_no_clip_is_refused(shape):
    with pytest.raises(ValueError, match=r"FrameReader: x has the shape .*; expected \(n, t, 1, 28, 28\), clips of at"):
        FrameReader(5, Generator(0))(tg.zeros(shape))


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="FrameReader: classes is 0"):
        FrameReader(0, Generator(0))
    with pytest.raises(ValueError, match="FrameReader: hidden is 0"):
        FrameReader(5, Generator(0), hidden=0)
