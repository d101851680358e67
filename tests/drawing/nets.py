"""Small networks that the drawing tests share. Each gives a result and the names of its tensors."""

import tensorgrad as tg


def leaf(*shape, of=0.5):
    return tg.asarray(tg.full(shape, of), requires_grad=True)


def mlp():
    """Two linear layers under the scopes layers.0 and layers.1, on a constant input."""
    names = {
        "images": tg.ones((4, 3)),
        "layers.0.weight": leaf(5, 3),
        "layers.0.bias": leaf(5),
        "layers.1.weight": leaf(2, 5),
        "layers.1.bias": leaf(2),
    }
    h = names["images"]
    for layer in range(2):
        with tg.scope(f"layers.{layer}"):
            h = h @ names[f"layers.{layer}.weight"].mT + names[f"layers.{layer}.bias"]
            h = tg.relu(h) if layer == 0 else h
    return h.mean(), names


def two_results():
    """A qr whose results are both used, the second twice by one op."""
    a = tg.asarray([[2.0, 1.0], [0.5, 3.0], [1.0, 1.0]], requires_grad=True)
    q, r = tg.qr(a)
    return (q * 2.0).sum() + (r @ r).sum(), {"a": a}


def chain(steps):
    """A residual chain without scopes: h + relu(h w), three ops a step, one leaf a step."""
    h = leaf(2)
    for _ in range(steps):
        h = h + tg.relu(h * leaf(2, of=0.001))
    return h.sum()


def blocks(count):
    """Equal blocks block.0, block.1, ... of five ops and two leaves, then a head of another kind."""
    h = leaf(2, 3)
    for number in range(count):
        with tg.scope(f"block.{number}"):
            with tg.scope("product"):
                y = h @ leaf(3, 3) + leaf(3)
            h = h + tg.tanh(y) * 0.5
    with tg.scope("head"):
        return (h @ leaf(3, 1)).mean()


def irregular(ops):
    """A long net without scopes or repeats: what comes next follows a pseudo-random sequence."""
    h, state = leaf(2), 1
    for _ in range(ops):
        state = state * 75 % 65537
        h = [tg.tanh, tg.sin, tg.cos, tg.sigmoid, tg.atan][state % 5](h)
    return h.sum()
