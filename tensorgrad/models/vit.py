"""The Vision Transformer: an image as a sequence of patches, read by a transformer's encoder.

Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale", 2021 (arXiv
2010.11929).
"""

from __future__ import annotations

from typing import Any

from tensorgrad import nn
from tensorgrad.creation import eye, zeros
from tensorgrad.nn import init
from tensorgrad.ops import broadcast_to, concat, mean, permute_dims, reshape, stack


class EncoderBlock(nn.Module):
    """Attention, then two layers, each after a normalisation and with a way around it.   (n, t, d) -> (n, t, d)

    z' = MSA(LN(z)) + z                                                                  eq. 2
    z  = MLP(LN(z')) + z',   MLP(h) = gelu(h W_1^T + b_1) W_2^T + b_2                    eq. 3

    width: d. heads: of MSA, multi-head self-attention. hidden: rows of W_1. p: of dropout behind both parts.
    rng: draws the weights, and what dropout leaves out.
    """

    def __init__(self, width: int, heads: int, hidden: int, rng: Any, p: float = 0.0) -> None:
        where: dict[str, Any] = {"device": rng.device, "generator": rng}
        self.norm1 = nn.LayerNorm(width, device=rng.device)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True, **where)
        self.norm2 = nn.LayerNorm(width, device=rng.device)
        self.linear1 = nn.Linear(width, hidden, **where)
        self.gelu = nn.GELU()
        self.linear2 = nn.Linear(hidden, width, **where)
        self.dropout = nn.Dropout(p, generator=rng)

    def forward(self, z: Any, need_weights: bool = False) -> tuple[Any, Any]:
        """z after both parts, and each head's attention if wanted.   (n, t, d) -> (n, t, d), (n, h, t, t) or None"""
        h = self.norm1(z)
        attended, weights = self.attention(h, h, h, need_weights=need_weights, average_attn_weights=False)
        z = self.dropout(attended) + z
        return self.dropout(self.linear2(self.gelu(self.linear1(self.norm2(z))))) + z, weights


class VisionTransformer(nn.Module):
    """Classes of images from the patches they are cut into.   (n, c, s, s) -> (n, k)

    z_0 = [x_class; x_1 E; x_2 E; ...; x_N E] + E_pos                                    eq. 1
    z_l = block_l(z_{l-1}),   l = 1 .. L                                                 eq. 2 and 3
    y   = LN(z_L, first row);   logits = y W^T + b                                       eq. 4

    side: s, in pixels. patch: p, that of a patch; x_i is patch i as a row of c p^2 numbers, N = (s / p)^2 of them.
    channels: c. classes: k. width: d, the columns of E, of x_class and of each row of E_pos, which are learnt.
    layers: L. heads: of every block's attention. hidden: units between a block's two linear layers, 4 d where None.
    p_dropout: how much is left out behind z_0 and behind every part of a block, in training. rng: draws the weights,
    positions of deviation 0.02, and says on which device. Raises ValueError for a side that is no multiple of patch,
    and for images of another shape.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> model = VisionTransformer(28, 7, 1, 10, width=16, layers=2, heads=4, rng=Generator(0))
    >>> logits, attention = model(tg.zeros((3, 1, 28, 28)), need_weights=True)
    >>> logits.shape, attention.shape
    ((3, 10), (3, 2, 4, 17, 17))
    """

    def __init__(
        self,
        side: int,
        patch: int,
        channels: int,
        classes: int,
        width: int,
        layers: int,
        heads: int,
        rng: Any,
        hidden: int | None = None,
        p_dropout: float = 0.0,
    ) -> None:
        if patch < 1 or side < patch or side % patch:
            raise ValueError(
                f"VisionTransformer: images of {side} x {side} pixels cannot be cut into patches of {patch} x {patch}; "
                "side must be a multiple of patch"
            )
        self.side, self.patch, self.channels = side, patch, channels
        where: dict[str, Any] = {"device": rng.device, "generator": rng}
        self.embedding = nn.Linear(channels * patch**2, width, **where)  # E, with a bias
        self.class_token = nn.Parameter(zeros((width,), device=rng.device))
        self.positions = nn.Parameter(zeros(((side // patch) ** 2 + 1, width), device=rng.device))
        init.normal_(self.positions, std=0.02, generator=rng)
        self.dropout = nn.Dropout(p_dropout, generator=rng)
        hidden = 4 * width if hidden is None else hidden
        self.blocks = nn.ModuleList([EncoderBlock(width, heads, hidden, rng, p_dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, device=rng.device)
        self.head = nn.Linear(width, classes, **where)

    def forward(self, x: Any, need_weights: bool = False) -> Any:
        """The logits, with every head's attention if wanted.   (n, c, s, s) -> (n, k), and (n, L, h, 1 + N, 1 + N)"""
        expected = (self.channels, self.side, self.side)
        if len(x.shape) != 4 or tuple(x.shape[1:]) != expected:
            raise ValueError(
                f"VisionTransformer: x has the shape {tuple(x.shape)}; expected (n, {', '.join(map(str, expected))}), "
                "(n, channels, side, side), for the positions are learnt for one size"
            )
        tokens = self.embedding(patches(x, self.patch))
        first = broadcast_to(self.class_token, (x.shape[0], 1, self.class_token.shape[0]))
        z = self.dropout(concat([first, tokens], axis=1) + self.positions)
        attention = []
        for block in self.blocks:
            z, weights = block(z, need_weights)
            attention.append(weights)
        logits = self.head(self.norm(z[:, 0]))
        return (logits, stack(attention, axis=1)) if need_weights else logits


def patches(x: Any, patch: int) -> Any:
    """Squares of an image, row by row, each as one line of numbers.   (n, c, s, s) -> (n, (s / p)^2, c p^2)

    >>> import tensorgrad as tg
    >>> patches(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2)[0, 1].tolist()
    [2.0, 3.0, 6.0, 7.0]
    """
    n, c, height, width = x.shape
    squares = reshape(x, (n, c, height // patch, patch, width // patch, patch))
    lines = permute_dims(squares, (0, 2, 4, 1, 3, 5))  # (n, rows, columns, c, p, p)
    return reshape(lines, (n, (height // patch) * (width // patch), c * patch**2))


def rollout(attention: Any) -> Any:
    """How much of each token each has at the end, if attention alone moves it.   (n, L, h, t, t) -> (n, t, t)

    R_0 = I,   R_l = (A_l / 2 + I / 2) R_{l-1},   with A_l the mean over the heads of layer l. Rows sum to 1.
    The first row, without its first element, says where a classifier looked. Abnar & Zuidema, "Quantifying attention
    flow in transformers", 2020, section 3.

    >>> import tensorgrad as tg
    >>> rollout(tg.asarray([[[[[0.0, 1.0], [0.0, 1.0]]]]])).tolist()
    [[[0.5, 0.5], [0.0, 1.0]]]
    """
    n, layers, _, tokens, _ = attention.shape
    itself = eye(tokens, dtype=attention.dtype, device=attention.device)
    rolled = broadcast_to(itself, (n, tokens, tokens))
    for layer in range(layers):
        rolled = (mean(attention[:, layer], axis=1) / 2 + itself / 2) @ rolled
    return rolled
