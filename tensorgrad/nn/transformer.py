"""Transformers: encoder and decoder layers, stacks of them, and both together.

Vaswani et al., "Attention is all you need", 2017. Masks are PyTorch's: True, or minus infinity, where a query may not
look; is_causal hides what comes later without a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tensorgrad import ops
from tensorgrad.backend import default_device, get_default_dtype
from tensorgrad.creation import zeros
from tensorgrad.nn.attention import MultiheadAttention, causal_bias
from tensorgrad.nn.container import ModuleList
from tensorgrad.nn.dropout import Dropout
from tensorgrad.nn.init import xavier_uniform_
from tensorgrad.nn.linear import Linear
from tensorgrad.nn.making import positive
from tensorgrad.nn.module import Module
from tensorgrad.nn.normalization import LayerNorm

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {"relu": ops.relu, "gelu": ops.gelu}
Activation = str | Callable[[Any], Any]


def _activation(what: str, activation: Activation) -> Callable[[Any], Any]:
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(f"{what}: activation is {activation!r}; expected 'relu', 'gelu' or a function")
    return ACTIVATIONS[activation]


class TransformerEncoderLayer(Module):
    """Self-attention, then a network of two layers, each with a way around it.   (l, n, d) -> (l, n, d)

    d_model: d, a multiple of nhead. dim_feedforward: the width between linear1 and linear2. dropout: in the attention's
    weights, behind both parts and between the linear layers. activation: "relu", "gelu" or a function. norm_first:
    normalise what goes into a part, instead of the sum behind it (Xiong et al., "On layer normalization in the
    transformer architecture", 2020). bias: of linear layers and norms. batch_first: arrays are (n, l, d). generator,
    device, dtype: as for `Linear`; dropout draws from it too. Vaswani et al. 2017, section 3.1.

    >>> import tensorgrad as tg
    >>> from tensorgrad import nn
    >>> nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(tg.ones((5, 7, 8)), is_causal=True).shape
    (5, 7, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        chance: dict[str, Any] = {"generator": generator}
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias=bias, batch_first=batch_first, **where, **chance
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where, **chance)
        self.dropout = Dropout(dropout, **chance)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where, **chance)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, **where)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, **where)
        self.dropout1, self.dropout2 = Dropout(dropout, **chance), Dropout(dropout, **chance)
        self.activation = _activation("TransformerEncoderLayer", activation)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """src after both parts.   (l, n, d) -> (l, n, d); masks as for `MultiheadAttention`"""
        attend = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attention(self.norm1(src), *attend)
            return x + self._feedforward(self.norm2(x))
        x = self.norm1(src + self._attention(src, *attend))
        return self.norm2(x + self._feedforward(x))

    def _attention(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)[0])

    def _feedforward(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerDecoderLayer(Module):
    """Self-attention, attention to an encoder's memory, then two layers, each with a way around.   (l, n, d) -> same

    Arguments are those of `TransformerEncoderLayer`. Call it with the target (l, n, d) and the memory (s, n, d).
    Vaswani et al. 2017, section 3.1.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        chance: dict[str, Any] = {"generator": generator}
        attention: dict[str, Any] = {"bias": bias, "batch_first": batch_first, **where, **chance}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, **attention)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where, **chance)
        self.dropout = Dropout(dropout, **chance)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where, **chance)
        self.norm_first = norm_first
        self.norm1, self.norm2, self.norm3 = (LayerNorm(d_model, layer_norm_eps, bias=bias, **where) for _ in range(3))
        self.dropout1, self.dropout2, self.dropout3 = (Dropout(dropout, **chance) for _ in range(3))
        self.activation = _activation("TransformerDecoderLayer", activation)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """tgt after all three parts.   (l, n, d), (s, n, d) -> (l, n, d); masks as for `MultiheadAttention`"""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            x = tgt + self._attention(self.norm1(tgt), *own)
            x = x + self._look(self.norm2(x), memory, *other)
            return x + self._feedforward(self.norm3(x))
        x = self.norm1(tgt + self._attention(tgt, *own))
        x = self.norm2(x + self._look(x, memory, *other))
        return self.norm3(x + self._feedforward(x))

    def _attention(self, x: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        return self.dropout1(self.self_attn(x, x, x, padding, False, mask, is_causal=is_causal)[0])

    def _look(self, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        return self.dropout2(self.multihead_attn(x, memory, memory, padding, False, mask, is_causal=is_causal)[0])

    def _feedforward(self, x: Any) -> Any:
        return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))


def _copies(layer: Module, count: int) -> ModuleList:
    """So many layers like this one, with weights of their own and one generator for all."""
    shared = {id(each): each for module in layer.modules() if (each := getattr(module, "generator", None)) is not None}
    return ModuleList(deepcopy(layer, dict(shared)) for _ in range(count))


class TransformerEncoder(Module):
    """Copies of an encoder layer on top of each other, and a norm if there is one.   (l, n, d) -> (l, n, d)

    The copies start with the weights of encoder_layer, and have weights of their own.
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies(encoder_layer, positive("TransformerEncoder", "num_layers", num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """src after all layers.   (l, n, d) -> (l, n, d)"""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Copies of a decoder layer on top of each other, and a norm if there is one.   (l, n, d), (s, n, d) -> (l, n, d)

    The copies start with the weights of decoder_layer, and have weights of their own.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies(decoder_layer, positive("TransformerDecoder", "num_layers", num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """tgt after all layers.   (l, n, d), (s, n, d) -> (l, n, d)"""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder, and a decoder that looks at what it gives.   (s, n, d), (l, n, d) -> (l, n, d)

    num_encoder_layers, num_decoder_layers: how many of each; other arguments are those of `TransformerEncoderLayer`.
    custom_encoder, custom_decoder: modules to use instead. All matrices are drawn from Xavier's uniform distribution.
    Vaswani et al. 2017.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: Any = None,
        *,
        generator: Any = None,
    ) -> None:
        shared: Any = (d_model, nhead, dim_feedforward, dropout, activation)
        shared += (layer_norm_eps, batch_first, norm_first, bias, device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*shared, generator=generator)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*shared, generator=generator)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm())
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Any = None) -> None:
        """Draw all matrices anew."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                xavier_uniform_(parameter, generator=generator)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """What the decoder makes of tgt and the encoded src.   (s, n, d), (l, n, d) -> (l, n, d)"""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str | None = None, dtype: Any = None) -> Any:
        """0 where query i may look, at keys 0 to i, minus infinity elsewhere.   -> (sz, sz)

        >>> from tensorgrad import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2).tolist()
        [[0.0, -inf], [0.0, 0.0]]
        """
        like = zeros((), dtype=dtype or get_default_dtype(), device=device or default_device())
        return causal_bias(sz, sz, like)


__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
