"""Residual networks of convolutions: ResNet-18, ResNet-20 for images of 32 x 32 pixels, and one of 8 layers.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", 2016 (arXiv 1512.03385). Parameters have the names
that torchvision gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorgrad import nn
from tensorgrad.nn import init
from tensorgrad.ops import mean, pad, relu
from tensorgrad.tensor import Tensor


class Stem(NamedTuple):
    """What stands before the blocks: a convolution of `width` channels, and maybe 3 x 3 max pooling with stride 2."""

    width: int
    kernel_size: int = 3
    stride: int = 1
    pool: bool = False


class PaddedShortcut(nn.Module):
    """Every stride-th pixel, and channels of zeros behind the others.   (n, given, h, w) -> (n, made, h / s, w / s)

    Option A of He et al. 2016, section 3.3: a shortcut without parameters.

    >>> import tensorgrad as tg
    >>> PaddedShortcut(1, 2, stride=2)(tg.ones((1, 1, 2, 2))).tolist()
    [[[[1.0]], [[0.0]]]]
    """

    def __init__(self, given: int, made: int, stride: int) -> None:
        self.more, self.stride = made - given, stride

    def forward(self, x: Any) -> Tensor:
        """The pixels that stay, with more channels."""
        kept = x[:, :, :: self.stride, :: self.stride]
        padded: Tensor = pad(kept, ((0, 0), (0, self.more), (0, 0), (0, 0)))
        return padded


class BasicBlock(nn.Module):
    """Two convolutions, each normalised, and a way around them.   (n, given, h, w) -> (n, made, h / s, w / s)

    y = relu(F(x) + shortcut(x)),   F(x) = BN_2(W_2 * relu(BN_1(W_1 * x)))              eq. 1 and 2

    with * a convolution by 3 x 3, the first with stride s. shortcut: x itself where shapes agree, else "projection",
    BN(W_s * x) by 1 x 1 (option B), or "padding", zeros for the new channels (option A). He et al. 2016, section 3.2
    and figure 5.
    """

    def __init__(self, given: int, made: int, stride: int, rng: Any, shortcut: str = "projection") -> None:
        self.conv1 = _conv(given, made, 3, stride, rng)
        self.bn1 = nn.BatchNorm2d(made, device=rng.device)
        self.conv2 = _conv(made, made, 3, 1, rng)
        self.bn2 = nn.BatchNorm2d(made, device=rng.device)
        self.downsample: nn.Module | None = None
        if stride != 1 or given != made:
            self.downsample = _shortcut(shortcut, given, made, stride, rng)

    def forward(self, x: Any) -> Tensor:
        """relu(F(x) + shortcut(x))"""
        residual = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        y: Tensor = relu(residual + (x if self.downsample is None else self.downsample(x)))
        return y


class ResNet(nn.Module):
    """A stem, stages of basic blocks, the mean over all pixels, and a matrix.   (n, c, h, w) -> (n, k)

    h_0 = pool(relu(BN(W_0 * x)));   h_l = stage_l(h_{l-1});   logits = mean_{pixels}(h_L) W^T + b

    channels: c. classes: k. rng: draws the weights, from normal distributions of variance 2 / fan out (He et al.,
    "Delving deep into rectifiers", 2015, section 2.2), and says on which device. stem: a `Stem`. widths, blocks,
    strides: of each stage, its channels, how many blocks it has, and the stride of the first of them. shortcut:
    "projection" or "padding", as in `BasicBlock`. It has 2 (sum of blocks) + 2 layers, projections not counted.
    Raises ValueError for lists that do not fit each other, and for images of other channels.

    >>> import tensorgrad as tg
    >>> from tensorgrad.random import Generator
    >>> model = ResNet(3, 5, Generator(0), Stem(4), widths=(4, 8), blocks=(1, 2), strides=(1, 2))
    >>> model(tg.zeros((2, 3, 8, 8))).shape
    (2, 5)
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        rng: Any,
        stem: Stem,
        widths: Sequence[int],
        blocks: Sequence[int],
        strides: Sequence[int],
        shortcut: str = "projection",
    ) -> None:
        if not len(widths) == len(blocks) == len(strides) > 0:
            raise ValueError(
                f"ResNet: widths {tuple(widths)}, blocks {tuple(blocks)} and strides {tuple(strides)} must be of one "
                "length, that of the list of stages, and not empty"
            )
        self.conv1 = _conv(channels, stem.width, stem.kernel_size, stem.stride, rng)
        self.bn1 = nn.BatchNorm2d(stem.width, device=rng.device)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem.pool else nn.Identity()
        self.stages = len(widths)
        given = stem.width
        for stage, (made, count, stride) in enumerate(zip(widths, blocks, strides, strict=True), 1):
            first = BasicBlock(given, made, stride, rng, shortcut)
            others = [BasicBlock(made, made, 1, rng, shortcut) for _ in range(count - 1)]
            setattr(self, f"layer{stage}", nn.Sequential(first, *others))
            given = made
        self.fc = nn.Linear(given, classes, device=rng.device, generator=rng)

    def forward(self, x: Any) -> Tensor:
        """The logits.   (n, c, h, w) -> (n, k)"""
        channels = self.conv1.in_channels
        if len(x.shape) != 4 or x.shape[1] != channels:
            raise ValueError(
                f"ResNet: x has the shape {tuple(x.shape)}; expected (n, {channels}, h, w), images of {channels} "
                f"channel{'s' * (channels > 1)}, as the network was built for"
            )
        h = self.maxpool(relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            h = getattr(self, f"layer{stage}")(h)
        logits: Tensor = self.fc(mean(h, axis=(2, 3)))
        return logits


def resnet18(classes: int, rng: Any, channels: int = 3) -> ResNet:
    """ResNet-18 for images of 224 x 224 pixels, with projections.   (n, c, h, w) -> (n, k)

    With 1,000 classes there are 11,689,512 parameters. He et al. 2016, table 1.

    >>> from tensorgrad.random import Generator
    >>> sum(theta.size for theta in resnet18(1000, Generator(0)).parameters())
    11689512
    """
    stem = Stem(64, kernel_size=7, stride=2, pool=True)
    return ResNet(channels, classes, rng, stem, (64, 128, 256, 512), (2, 2, 2, 2), (1, 2, 2, 2))


def resnet20(classes: int, rng: Any, channels: int = 3, shortcut: str = "padding") -> ResNet:
    """ResNet-20 for images of 32 x 32 pixels.   (n, c, h, w) -> (n, k)

    With 10 classes there are 269,722 parameters, 0.27 million in table 6. shortcut: the paper's "padding", option A,
    or "projection". He et al. 2016, section 4.2.

    >>> from tensorgrad.random import Generator
    >>> sum(theta.size for theta in resnet20(10, Generator(0)).parameters())
    269722
    """
    return ResNet(channels, classes, rng, Stem(16), (16, 32, 64), (3, 3, 3), (1, 2, 2), shortcut)


def resnet8(classes: int, rng: Any, channels: int = 1, stem: int = 16, widths: Sequence[int] = (48, 96, 192)) -> ResNet:
    """8 layers for images of 28 x 28 pixels: a stem at full size, three blocks that halve it.   (n, c, h, w) -> (n, k)

    stem: its channels. widths: those of the blocks, on 14 x 14, 7 x 7 and 4 x 4 pixels.

    >>> from tensorgrad.random import Generator
    >>> sum(theta.size for theta in resnet8(10, Generator(0)).parameters())
    677658
    """
    return ResNet(channels, classes, rng, Stem(stem), widths, (1, 1, 1), (2, 2, 2))


# ── parts ───────────────────────────────────────────────────────────────────────────────────────────────────


def _conv(given: int, made: int, kernel_size: int, stride: int, rng: Any) -> nn.Conv2d:
    """A convolution that keeps the size, but for the stride; a batch norm follows it and takes the bias's place."""
    conv = nn.Conv2d(given, made, kernel_size, stride, kernel_size // 2, bias=False, device=rng.device, generator=rng)
    init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", generator=rng)
    return conv


def _shortcut(kind: str, given: int, made: int, stride: int, rng: Any) -> nn.Module:
    if kind == "projection":
        return nn.Sequential(_conv(given, made, 1, stride, rng), nn.BatchNorm2d(made, device=rng.device))
    if kind == "padding":
        if made < given:
            raise ValueError(
                f"BasicBlock: a shortcut by padding adds channels, and cannot make {made} of {given}; use 'projection'"
            )
        return PaddedShortcut(given, made, stride)
    raise ValueError(f"BasicBlock: shortcut is {kind!r}; expected 'projection' or 'padding'")
