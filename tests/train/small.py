"""A small training that tests can start, leave and compare."""

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.data import DataLoader, TensorDataset
from tensorgrad.random import Generator
from tensorgrad.train import Accuracy, Trainer

ROWS, BATCH = 40, 8


class Net(nn.Module):
    """Two layers with dropout from the default generator: all that a checkpoint has to hold is in it."""

    def __init__(self, rng):
        self.first = nn.Linear(2, 6, generator=rng)
        self.norm = nn.BatchNorm1d(6) if hasattr(nn, "BatchNorm1d") else None
        self.last = nn.Linear(6, 2, generator=rng)

    def forward(self, x):
        h = self.first(x)
        if self.norm is not None:
            h = self.norm(h)
        return self.last(tg.dropout(tg.relu(h), 0.2, self.training, generator=tg.random.default_generator()))


def data():
    rng = Generator(1)
    x = rng.normal(size=(ROWS, 2))
    return TensorDataset(x, tg.astype(x[:, 0] * x[:, 1] > 0, tg.int64))


def training(**options):
    """A trainer, its loader and a loader to validate with; always the same."""
    rng = Generator(0)
    tg.manual_seed(5)
    model = Net(rng)
    loader = DataLoader(data(), BATCH, shuffle=True, generator=rng, transform=jitter)
    optimizer = options.pop("optimizer", None) or optim.Adam(model.parameters(), lr=0.02)
    metrics = {} if options.pop("metrics_off", False) else {"accuracy": Accuracy()}
    keep = {"rng": rng, **options.pop("keep", {})}
    trainer = Trainer(model, optimizer, options.pop("loss", tg.cross_entropy), metrics=metrics, keep=keep, **options)
    return trainer, loader, DataLoader(data(), 16)


def jitter(batch, generator):
    x, y = batch
    return x + 0.1 * generator.normal(size=x.shape), y


def weights(trainer):
    return {name: each.tolist() for name, each in trainer.model.state_dict().items()}
