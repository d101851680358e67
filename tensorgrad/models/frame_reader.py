"""A network that reads a clip: convolutions look at each frame, a recurrent layer at one after the other."""

from __future__ import annotations

from typing import Any

from tensorgrad import nn, ops
from tensorgrad.nn.making import positive
from tensorgrad.tensor import Tensor

FEATURES = 16 * 5 * 5  # what is left of a frame of 28 x 28 pixels


class FrameReader(nn.Module):
    """Logits of what happens in a clip of grey frames.   (n, t, 1, 28, 28) -> (n, k)

    a_t = max2(relu(W_1 * x_t + b_1))                          (n, 8, 13, 13)
    v_t = max2(relu(W_2 * a_t + b_2))                          (n, 16, 5, 5), then (n, 400)
    h_t = tanh(W_ih v_t + b_ih + W_hh h_{t-1} + b_hh),   h_0 = 0
    logits = W h_T + b

    with * a convolution by 3 x 3 without a margin and max2 the largest of 2 x 2, the same for all frames. classes: k.
    hidden: the length of h, 32 in row S2-03, which with 5 classes has 15,301 parameters. rng: draws the weights, and
    says on which device. Donahue et al., "Long-term recurrent convolutional networks for visual recognition and
    description", 2015, section 3, with a plain recurrent layer in place of LSTM. Raises ValueError for sizes below 1.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.frame_reader import FrameReader
    >>> from tensorgrad.random import Generator
    >>> model = FrameReader(5, Generator(0))
    >>> model(tg.zeros((4, 6, 1, 28, 28))).shape, sum(theta.size for theta in model.parameters())
    ((4, 5), 15301)
    """

    def __init__(self, classes: int, rng: Any, hidden: int = 32, dtype: Any = None) -> None:
        where: dict[str, Any] = {"device": rng.device, "dtype": dtype, "generator": rng}
        self.frame = nn.Sequential(
            nn.Conv2d(1, 8, 3, **where),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, **where),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 11 x 11 to 5 x 5: the last row and column are left out
            nn.Flatten(),
        )
        self.recurrent = nn.RNN(FEATURES, positive("FrameReader", "hidden", hidden), batch_first=True, **where)
        self.output = nn.Linear(hidden, positive("FrameReader", "classes", classes), **where)

    def forward(self, x: Any) -> Tensor:
        """The logits after the last frame.   (n, t, 1, 28, 28) -> (n, k)

        Raises ValueError for a clip of no frames and for frames of another shape.
        """
        shape = tuple(x.shape)
        if len(shape) != 5 or 0 in shape or shape[2:] != (1, 28, 28):
            raise ValueError(
                f"FrameReader: x has the shape {shape}; expected (n, t, 1, 28, 28), clips of at least one grey frame"
            )
        n, t = shape[:2]
        v = self.frame(ops.reshape(x, (n * t, 1, 28, 28)))
        h, _ = self.recurrent(ops.reshape(v, (n, t, FEATURES)))
        logits: Tensor = self.output(h[:, -1])
        return logits
