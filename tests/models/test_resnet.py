"""Residual networks, against PyTorch and torchvision's names."""

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.models.resnet import BasicBlock, PaddedShortcut, ResNet, Stem, resnet8, resnet18, resnet20
from tensorgrad.random import Generator
from tensorgrad.train.metrics.metric import on_host


def torchvision_shapes():
    """The keys and shapes of torchvision's `resnet18().state_dict()`, which has 122 of them."""

    def norm(name, width):
        vectors = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
        return {**vectors, f"{name}.num_batches_tracked": ()}

    table = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    given = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for place in range(2):
            block = f"layer{stage}.{place}"
            table |= {f"{block}.conv1.weight": (width, given, 3, 3), **norm(f"{block}.bn1", width)}
            table |= {f"{block}.conv2.weight": (width, width, 3, 3), **norm(f"{block}.bn2", width)}
            if given != width:
                table |= {f"{block}.downsample.0.weight": (width, given, 1, 1), **norm(f"{block}.downsample.1", width)}
            given = width
    return {**table, "fc.weight": (1000, 512), "fc.bias": (1000,)}


def in_pytorch(stem, widths, counts, strides, shortcut, channels, classes):
    """The same network in PyTorch, with torchvision's names."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, given, made, stride):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(given, made, 3, stride, 1, bias=False), nn.BatchNorm2d(made)
            self.conv2, self.bn2 = nn.Conv2d(made, made, 3, 1, 1, bias=False), nn.BatchNorm2d(made)
            self.more, self.stride = made - given, stride
            if shortcut == "projection" and (stride != 1 or self.more):
                self.downsample = nn.Sequential(nn.Conv2d(given, made, 1, stride, bias=False), nn.BatchNorm2d(made))

        def forward(self, x):
            y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
            if hasattr(self, "downsample"):
                return functional.relu(y + self.downsample(x))
            way = x[:, :, :: self.stride, :: self.stride]
            return functional.relu(y + functional.pad(way, (0, 0, 0, 0, 0, self.more)))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            size = stem.kernel_size
            self.conv1 = nn.Conv2d(channels, stem.width, size, stem.stride, size // 2, bias=False)
            self.bn1 = nn.BatchNorm2d(stem.width)
            given = stem.width
            for stage, (made, count, stride) in enumerate(zip(widths, counts, strides, strict=True), 1):
                blocks = [Block(given if place == 0 else made, made, 1 if place else stride) for place in range(count)]
                setattr(self, f"layer{stage}", nn.Sequential(*blocks))
                given = made
            self.fc = nn.Linear(given, classes)

        def forward(self, x):
            h = functional.relu(self.bn1(self.conv1(x)))
            h = functional.max_pool2d(h, 3, 2, 1) if stem.pool else h
            for stage in range(1, len(widths) + 1):
                h = getattr(self, f"layer{stage}")(h)
            return self.fc(h.mean((2, 3)))

    return Network().double()


RESNET18 = (Stem(64, 7, 2, pool=True), (64, 128, 256, 512), (2, 2, 2, 2), (1, 2, 2, 2))
RESNET20 = (Stem(16), (16, 32, 64), (3, 3, 3), (1, 2, 2))
RESNET8 = (Stem(16), (48, 96, 192), (1, 1, 1), (2, 2, 2))
NETWORKS = {
    "ResNet-18": (lambda: resnet18(1000, Generator(0)), (*RESNET18, "projection", 3, 1000), 32),
    "ResNet-20, option A": (lambda: resnet20(10, Generator(0)), (*RESNET20, "padding", 3, 10), 16),
    "ResNet-20, option B": (
        lambda: resnet20(10, Generator(0), shortcut="projection"),
        (*RESNET20, "projection", 3, 10),
        16,
    ),
    "ResNet-8": (lambda: resnet8(10, Generator(0)), (*RESNET8, "projection", 1, 10), 28),
}


def varied(model):
    """The model in float64 with norms that scale and shift: as they begin, half of what they do could be left out."""
    model.double()
    rng = Generator(5)
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if len(value.shape) == 1:
            model.load_state_dict({name: rng.uniform(0.5, 1.5, value.shape)}, strict=False)
    return model


def assert_equal(found, expected, name=""):
    """To 1e-9 of the largest element: single ones may be what is left of large terms."""
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, abs(expected).max()), err_msg=name)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_gradients_and_statistics_are_pytorchs(name, training):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    make, shape, side = NETWORKS[name]
    mine, theirs = varied(make()).train(training), in_pytorch(*shape).train(training)
    theirs.load_state_dict({key: torch.tensor(on_host(value)) for key, value in mine.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(2, shape[-2], side, side))
    y = [7, 2]
    mine_x, their_x = tg.asarray(x.tolist(), dtype=tg.float64).requires_grad_(), torch.tensor(x, requires_grad=True)
    logits, expected = mine(mine_x), theirs(their_x)
    assert_equal(on_host(logits), expected)
    tg.cross_entropy(logits, tg.asarray(y)).backward()
    torch.nn.functional.cross_entropy(expected, torch.tensor(y)).backward()
    assert_equal(on_host(mine_x.grad), their_x.grad, "x")
    found = dict(mine.named_parameters())
    assert set(found) == {key for key, _ in theirs.named_parameters()}
    for key, theta in theirs.named_parameters():
        assert_equal(on_host(found[key].grad), theta.grad, key)
    for key, value in theirs.named_buffers():
        assert_equal(on_host(mine.state_dict()[key]), value, key)


def test_the_state_of_resnet18_has_torchvisions_names_and_loads_strictly():
    model, table = resnet18(1000, Generator(0)), torchvision_shapes()
    assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == table
    assert len(table) == 122
    state = {name: tg.ones(shape) if shape else tg.asarray(3) for name, shape in table.items()}
    result = model.load_state_dict(state, strict=True)
    assert not result.missing_keys
    assert not result.unexpected_keys
    assert float(model.layer2[0].downsample[0].weight.mean()) == 1.0
    with pytest.raises(RuntimeError, match=r"missing: fc\.bias"):
        model.load_state_dict({name: value for name, value in state.items() if name != "fc.bias"}, strict=True)


@pytest.mark.parametrize(
    ("model", "parameters", "layers"),
    [
        (lambda rng: resnet18(1000, rng), 11_689_512, 18),
        (lambda rng: resnet20(10, rng), 269_722, 20),
        (lambda rng: resnet20(10, rng, shortcut="projection"), 272_474, 20),
        (lambda rng: resnet8(10, rng), 677_658, 8),
    ],
)
def test_parameters_and_layers_are_as_many_as_promised(model, parameters, layers):
    model = model(Generator(0))
    assert sum(theta.size for theta in model.parameters()) == parameters
    weights = [name for name, theta in model.named_parameters() if len(theta.shape) > 1]
    assert sum("downsample" not in name for name in weights) == layers


def test_a_block_without_its_branch_is_its_shortcut():
    block = BasicBlock(2, 4, 2, Generator(0), "padding").eval()
    for norm in (block.bn1, block.bn2):
        tg.nn.init.zeros_(norm.weight)
    x = Generator(1).normal(size=(1, 2, 4, 4))
    expected = np.zeros((1, 4, 2, 2))
    expected[:, :2] = np.maximum(on_host(x)[:, :, ::2, ::2], 0)
    np.testing.assert_array_equal(on_host(block(x)), expected)
    assert not list(PaddedShortcut(2, 4, 2).parameters())


@pytest.mark.parametrize("shortcut", ["projection", "padding"])
def test_a_block_may_halve_an_image_of_as_many_channels(shortcut):
    block = BasicBlock(3, 3, 2, Generator(0), shortcut)
    assert block(Generator(1).normal(size=(2, 3, 5, 4))).shape == (2, 3, 3, 2)


def test_weights_have_the_variance_of_he_et_al():
    weight = on_host(resnet18(1000, Generator(0)).layer4[0].conv1.weight)
    assert weight.shape[:2] == (512, 256)
    assert weight.std() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=1e-2)  # 1.2 million draws, 0.07 % each way


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (2, 28, 28), (2, 784)])
def test_images_of_other_channels_are_refused(shape):
    with pytest.raises(ValueError, match=r"ResNet: x has the shape .* expected \(n, 1, h, w\), images of 1 channel"):
        resnet8(10, Generator(0))(tg.zeros(shape))


def test_what_cannot_be_built_is_refused():
    rng = Generator(0)
    with pytest.raises(ValueError, match=r"widths \(8, 16\), blocks \(1,\) and strides \(1, 2\) must be of one"):
        ResNet(1, 10, rng, Stem(8), (8, 16), (1,), (1, 2))
    with pytest.raises(ValueError, match="shortcut is 'zeros'; expected 'projection' or 'padding'"):
        BasicBlock(8, 16, 2, rng, "zeros")
    with pytest.raises(ValueError, match="cannot make 4 of 8; use 'projection'"):
        BasicBlock(8, 4, 2, rng, "padding")


def test_every_parameter_lives_where_the_generator_draws():
    pytest.importorskip("array_api_strict", reason="needs the package array-api-strict")
    model = resnet8(10, Generator(0, device="strict"), stem=2, widths=(2, 3, 4))
    assert {theta.device for theta in (*model.parameters(), *model.buffers())} == {"strict"}
    assert model(Generator(0, device="strict").normal(size=(2, 1, 8, 8))).shape == (2, 10)
