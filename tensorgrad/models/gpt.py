"""GPT: a transformer that reads from left to right and says, at every place, what comes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

from tensorgrad import nn, ops
from tensorgrad.models.tokens import check_tokens
from tensorgrad.nn import init
from tensorgrad.nn.making import positive
from tensorgrad.tensor import Tensor

Memory = tuple[Any, Any]  # what one layer remembers: keys and values, both (n, heads, past, width / heads)


class CausalAttention(nn.Module):
    """Every place looks at itself and at those before it, with several heads.   (n, l, d) -> (n, l, d)

    Q, K, V = x W_qkv^T + b_qkv,   head_i = softmax(Q_i K_i^T / sqrt(d / h)) V_i,   y = [head_1 .. head_h] W_o^T + b_o

    width: d, a multiple of heads. heads: h. dropout: the probability that a weight of the mixture is left out, in
    training. rng: draws weights and dropout. Vaswani et al., "Attention is all you need", 2017, eq. 1 and section
    3.2.2; that no place sees a later one is section 3.2.3.
    """

    def __init__(self, width: int, heads: int, rng: Any, dropout: float = 0.0, dtype: Any = None) -> None:
        if width % heads:
            raise ValueError(f"GPT: width is {width}, no multiple of heads, {heads}")
        self.heads, self.dropout, self.generator = heads, dropout, rng
        self.qkv = nn.Linear(width, 3 * width, generator=rng, device=rng.device, dtype=dtype)
        self.output = nn.Linear(width, width, generator=rng, device=rng.device, dtype=dtype)

    def forward(self, x: Any, past: Memory | None = None) -> tuple[Any, Memory]:
        """What each place finds, and keys and values of all places so far.   (n, l, d) -> (n, l, d), memory"""
        n, length, width = x.shape
        qkv = ops.reshape(self.qkv(x), (n, length, 3, self.heads, width // self.heads))
        q, k, v = ops.unstack(ops.permute_dims(qkv, (2, 0, 3, 1, 4)), axis=0)  # (n, h, l, d / h)
        if past is not None:
            k, v = ops.concat([past[0], k], axis=2), ops.concat([past[1], v], axis=2)
        mask = None if past is None or length == 1 else _not_later(length, k.shape[2], x.device)
        p = self.dropout if self.training else 0.0
        y = ops.scaled_dot_product_attention(q, k, v, mask, p, is_causal=past is None, generator=self.generator)
        return self.output(ops.reshape(ops.swapaxes(y, 1, 2), (n, length, width))), (k, v)


def _not_later(queries: int, keys: int, device: str) -> Any:
    """True where a key is not later than a query, the last query being at the last key.   -> (queries, keys) bool"""
    query_place = ops.arange(keys - queries, keys, device=device)
    return ops.less_equal(ops.arange(keys, device=device), ops.expand_dims(query_place, axis=1))


class Block(nn.Module):
    """Attention and a network of two layers, each normalised first and added to what came in.   (n, l, d) -> (n, l, d)

    a = x + Attention(LN_1(x)),   y = a + W_2 phi(W_1 LN_2(a) + b_1) + b_2,   W_1 being (4 d, d)

    activation: phi. dropout: also on what each of the two adds. Radford et al., "Language models are unsupervised
    multitask learners", 2019, section 2.3, where the norms come first; Vaswani et al. 2017, eq. 2, for the two layers.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        rng: Any,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = ops.gelu,
        dtype: Any = None,
    ) -> None:
        where: dict[str, Any] = {"device": rng.device, "dtype": dtype}
        self.norm1 = nn.LayerNorm(width, **where)
        self.attention = CausalAttention(width, heads, rng, dropout, dtype)
        self.norm2 = nn.LayerNorm(width, **where)
        self.linear1 = nn.Linear(width, 4 * width, generator=rng, **where)
        self.linear2 = nn.Linear(4 * width, width, generator=rng, **where)
        self.dropout = nn.Dropout(dropout, generator=rng)
        self.activation = activation

    def forward(self, x: Any, past: Memory | None = None) -> tuple[Any, Memory]:
        """The sum of x and what both parts make of it, and what the attention remembers."""
        found, memory = self.attention(self.norm1(x), past)
        x = x + self.dropout(found)
        return x + self.dropout(self.linear2(self.activation(self.linear1(self.norm2(x))))), memory


class GPT(nn.Module):
    """For every place, how much each token speaks for coming next.   (n, l) int -> (n, l, tokens)

    h_0 = W_e[token] + W_p[place],   h_i = Block(h_{i-1}) for i = 1 .. L,   logits = LN(h_L) W_e^T

    tokens: how many there are. positions: the longest sequence. width: d, of all h. layers: L. heads: of attention, a
    divisor of width. dropout: also on h_0. activation: phi of the blocks. rng: draws everything, and says on which
    device. W_e (tokens, d) is one matrix for reading and for answering. Weights start as N(0, 0.02^2), those of layers
    that add to h as N(0, 0.02^2 / (2 L)), biases at 0.

    Radford, Narasimhan, Salimans & Sutskever, "Improving language understanding by generative pre-training", 2018,
    eq. 2, with the norms of Radford et al. 2019. Raises ValueError for sizes below 1 and for heads that do not divide
    width.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.gpt import GPT
    >>> from tensorgrad.random import Generator
    >>> model = GPT(tokens=65, positions=16, width=32, layers=2, heads=4, rng=Generator(0))
    >>> model(tg.zeros((3, 7), dtype="int64")).shape
    (3, 7, 65)
    """

    def __init__(
        self,
        tokens: int,
        positions: int,
        width: int,
        layers: int,
        heads: int,
        rng: Any,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = ops.gelu,
        dtype: Any = None,
    ) -> None:
        for name, size in (("width", width), ("layers", layers), ("heads", heads)):
            positive("GPT", name, size)
        self.tokens, self.positions = positive("GPT", "tokens", tokens), positive("GPT", "positions", positions)
        where: dict[str, Any] = {"device": rng.device, "dtype": dtype}
        self.token_embedding = nn.Embedding(tokens, width, generator=rng, **where)
        self.position_embedding = nn.Embedding(positions, width, generator=rng, **where)
        self.dropout = nn.Dropout(dropout, generator=rng)
        self.blocks = nn.ModuleList(Block(width, heads, rng, dropout, activation, dtype) for _ in range(layers))
        self.norm = nn.LayerNorm(width, **where)
        for name, theta in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(theta)
            elif "norm" not in name:
                adds = name.endswith(("output.weight", "linear2.weight"))
                init.normal_(theta, std=0.02 / sqrt(2 * layers) if adds else 0.02, generator=rng)

    def forward(self, tokens: Any) -> Tensor:
        """The logits of the next token at every place.   (n, l) int -> (n, l, tokens)"""
        return self.go_on(tokens)[0]

    def go_on(self, tokens: Any, memory: Sequence[Memory] = ()) -> tuple[Tensor, tuple[Memory, ...]]:
        """The logits of tokens that follow on others, and what to remember of all.   (n, l) int -> (n, l, tokens), ...

        memory: what the call for the tokens before gave; none before the first. The logits are those that `forward`
        has at the same places of the whole sequence, without its work being done again.
        Raises TypeError for tokens that are no integers, ValueError for no tokens, tokens that are out of range, and
        more places than there are positions.
        """
        start = memory[0][0].shape[2] if memory else 0
        self._check(tokens, start)
        places = ops.arange(start, start + tokens.shape[1], device=self.position_embedding.weight.device)
        h = self.dropout(self.token_embedding(tokens) + self.position_embedding(places))
        remembered = []
        for place, block in enumerate(self.blocks):
            h, layer = block(h, memory[place] if memory else None)
            remembered.append(layer)
        logits: Tensor = ops.linear(self.norm(h), self.token_embedding.weight)
        return logits, tuple(remembered)

    def _check(self, tokens: Any, start: int) -> None:
        check_tokens("GPT", tokens, self.tokens)
        if start + tokens.shape[1] > self.positions:
            after = f" after {start} others" if start else ""
            raise ValueError(
                f"GPT: {tokens.shape[1]} tokens{after}, and there are {self.positions} positions; give the last "
                f"{self.positions} tokens alone, or make the model with more positions"
            )

    def __repr__(self) -> str:
        size = sum(theta.size for theta in self.parameters())
        width = self.token_embedding.embedding_dim
        return f"GPT({len(self.blocks)} layers of {width}, {self.positions} positions, {size:,} parameters)"
