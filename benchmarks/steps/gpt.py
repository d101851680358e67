"""W5: a step of a small GPT: blocks with the norms first, causal attention, tanh GELU, tied embeddings, AdamW."""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, adam, cross_entropy, load, normal

RATE, DECAY = 1e-3, 0.01


def values(
    batch: int = 16, length: int = 128, tokens: int = 65, width: int = 128, layers: int = 4, heads: int = 4
) -> Values:
    """Weights by the names of tensorgrad.models.gpt, tokens and those that come next, and the number of heads."""
    rng, weights = np.random.default_rng(0), {}
    ones, zeros = partial(np.ones, dtype=np.float32), partial(np.zeros, dtype=np.float32)

    def norm(name: str) -> None:
        weights.update({f"{name}.weight": ones(width), f"{name}.bias": zeros(width)})

    def dense(name: str, outputs: int, inputs: int) -> None:
        weights.update({f"{name}.weight": normal(rng, (outputs, inputs), 0.02), f"{name}.bias": zeros(outputs)})

    weights["token_embedding.weight"] = normal(rng, (tokens, width), 0.02)
    weights["position_embedding.weight"] = normal(rng, (length, width), 0.02)
    for layer in range(layers):
        at = f"blocks.{layer}."
        norm(at + "norm1")
        dense(at + "attention.qkv", 3 * width, width)
        dense(at + "attention.output", width, width)
        norm(at + "norm2")
        dense(at + "linear1", 4 * width, width)
        dense(at + "linear2", width, 4 * width)
    norm("norm")
    seen, following = rng.integers(0, tokens, (batch, length)), rng.integers(0, tokens, (batch, length))
    return Values(weights, (seen, following, heads))


def sizes(v: Values) -> tuple[int, int, int, int]:
    """Tokens, positions, width, layers."""
    (tokens, width), positions = v.weights["token_embedding.weight"].shape, v.batch[0].shape[1]
    return tokens, positions, width, sum(name.endswith("linear1.weight") for name in v.weights)


def of_tensorgrad(tg: Any, v: Values) -> Training:
    from tensorgrad.models.gpt import GPT

    (tokens, positions, width, layers), heads = sizes(v), v.batch[2]
    gelu = partial(tg.gelu, approximate="tanh")
    generator = tg.random.Generator(0, device="cpu")
    model = GPT(tokens, positions, width, layers, heads, generator, activation=gelu)
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    batch = tuple(tg.Tensor(each, device="cpu") for each in v.batch[:2])

    def loss(seen: Any, following: Any) -> Any:
        return tg.cross_entropy(model(seen).reshape((-1, tokens)), following.reshape((-1,)))

    return Training(loss, parameters, optimizer, batch)


def torch_network(torch: Any, v: Values, variant: str) -> Any:
    """The same network in PyTorch. variant: "manual" for attention by products and a softmax instead of SDPA."""
    nn, F = torch.nn, torch.nn.functional
    (tokens, positions, width, layers), heads = sizes(v), v.batch[2]

    class CausalAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            later = torch.ones(positions, positions, dtype=torch.bool).triu(1)
            self.register_buffer("later", later, persistent=False)

        def forward(self, x: Any) -> Any:
            n, length, _ = x.shape
            q, k, v = self.qkv(x).view(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            if variant == "manual":
                scores = q @ k.transpose(-1, -2) / sqrt(width // heads)
                y = scores.masked_fill(self.later, float("-inf")).softmax(-1) @ v
            else:
                y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.output(y.transpose(1, 2).reshape(n, length, width))

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.attention, self.norm2 = nn.LayerNorm(width), CausalAttention(), nn.LayerNorm(width)
            self.linear1, self.linear2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            x = x + self.attention(self.norm1(x))
            return x + self.linear2(F.gelu(self.linear1(self.norm2(x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token_embedding = nn.Embedding(tokens, width)
            self.position_embedding = nn.Embedding(positions, width)
            self.blocks = nn.ModuleList(Block() for _ in range(layers))
            self.norm = nn.LayerNorm(width)

        def forward(self, seen: Any) -> Any:
            h = self.token_embedding(seen) + self.position_embedding(torch.arange(seen.shape[1], device=seen.device))
            for block in self.blocks:
                h = block(h)
            return self.norm(h) @ self.token_embedding.weight.T

    return GPT()


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    model = torch_network(torch, v, variant)
    parameters = load(torch, model, v.weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    batch = tuple(torch.tensor(each) for each in v.batch[:2])

    def loss(seen: Any, following: Any) -> Any:
        logits = model(seen)
        return torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), following.view(-1))

    return Training(loss, parameters, optimizer, batch)


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    (tokens, positions, width, layers), heads = sizes(v), v.batch[2]
    hidden = np.where(np.tril(np.ones((positions, positions), bool)), 0, -np.inf).astype(np.float32)

    def gelu(x: Any) -> Any:
        return 0.5 * x * (1.0 + xp.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))

    def softmax(x: Any) -> Any:
        powers = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        return powers / xp.sum(powers, axis=-1, keepdims=True)

    def loss(w: Any, seen: Any, following: Any) -> Any:
        def norm(name: str, x: Any) -> Any:
            centred = x - xp.mean(x, axis=-1, keepdims=True)
            size = xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
            return centred / size * w[f"{name}.weight"] + w[f"{name}.bias"]

        def dense(name: str, x: Any) -> Any:
            return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

        n, length = seen.shape
        h = w["token_embedding.weight"][seen] + w["position_embedding.weight"][:length]
        for layer in range(layers):
            at = f"blocks.{layer}."
            qkv = dense(at + "attention.qkv", norm(at + "norm1", h)).reshape(n, length, 3, heads, width // heads)
            q, k, v = (xp.swapaxes(qkv[:, :, part], 1, 2) for part in range(3))
            y = softmax(q @ xp.swapaxes(k, -1, -2) / sqrt(width // heads) + hidden) @ v
            h = h + dense(at + "attention.output", xp.swapaxes(y, 1, 2).reshape(n, length, width))
            h = h + dense(at + "linear2", gelu(dense(at + "linear1", norm(at + "norm2", h))))
        logits = norm("norm", h) @ w["token_embedding.weight"].T
        return cross_entropy(xp, logits.reshape(-1, tokens), following.reshape(-1))

    return FunctionalTraining(loss, v.weights, adam(RATE, DECAY), v.batch[:2])
