"""Neural radiance fields: a scene as a function of place and direction, seen by adding up light along rays.

Equations by number of Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi & Ng, "NeRF: representing scenes as neural
radiance fields for view synthesis", 2020 (arXiv 2003.08934). Symbols: o and d, origin and direction of a ray
r(t) = o + t d; t, how far along it, between near and far; sigma, the density of what is there, per unit of length; c,
the colour seen from direction d; delta, the distance from one sample to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any, NamedTuple

from tensorgrad import nn
from tensorgrad.creation import arange
from tensorgrad.ops import (
    broadcast_to,
    concat,
    cos,
    cumulative_prod,
    cumulative_sum,
    exp,
    expand_dims,
    relu,
    sigmoid,
    sin,
    sort,
    stack,
    take_along_axis,
    vector_norm,
)
from tensorgrad.tensor import Tensor

# ── the field ───────────────────────────────────────────────────────────────────────────────────────────────


def positional_encoding(p: Any, frequencies: int) -> Tensor:
    """gamma(p) of eq. 4, each coordinate as waves of doubling frequency.   (..., k) -> (..., 2 L k)

    gamma(p) = (sin(2^0 pi p), cos(2^0 pi p), ..., sin(2^(L-1) pi p), cos(2^(L-1) pi p))

    p: coordinates in [-1, 1]. frequencies: L. All sines of a frequency come before its cosines.

    >>> import tensorgrad as tg
    >>> positional_encoding(tg.asarray([[0.5]]), 2).shape
    (1, 4)
    """
    waves: list[Any] = []
    for k in range(frequencies):
        angle = (2.0**k * pi) * p
        waves += [sin(angle), cos(angle)]
    gamma: Tensor = concat(waves, axis=-1)
    return gamma


class NeRF(nn.Module):
    """The network F of section 3: place and direction to colour and density.   (..., 3), (..., 3) -> (..., 3), (...)

    h = layers of rectifiers on gamma(x / bound), which the layer `skip` reads again beside its own input;
    sigma = density(h w + b);   c = sigmoid(W_c relu(W_d [W_f h, gamma(d)])), figure 7 of the paper.

    depth, width: of the layers that make h; width // 2 is that of the layer that reads the direction. skip: the layer,
    from 0 on, that reads gamma(x) again; none if it is not below depth. position_frequencies, direction_frequencies: L
    of eq. 4. bound: coordinates are divided by it, so that the scene lies in [-1, 1]. density: makes a density of a
    number, relu in the paper; `softplus` has a gradient everywhere. rng: draws the weights, uniform within
    1 / sqrt(columns), and says on which device. The defaults are the paper's.
    Raises ValueError for sizes that are not positive, and where x and d are not (..., 3) of the same shape.

    >>> import tensorgrad as tg
    >>> from tensorgrad.models.nerf import NeRF
    >>> from tensorgrad.random import Generator
    >>> field = NeRF(Generator(0), depth=2, width=16)
    >>> colour, sigma = field(tg.zeros((5, 3)), tg.ones((5, 3)))
    >>> colour.shape, sigma.shape
    ((5, 3), (5,))
    """

    def __init__(
        self,
        rng: Any,
        depth: int = 8,
        width: int = 256,
        skip: int = 5,
        position_frequencies: int = 10,
        direction_frequencies: int = 4,
        bound: float = 1.0,
        density: Callable[[Any], Any] = relu,
        dtype: Any = None,
    ) -> None:
        if min(depth, width // 2, position_frequencies, direction_frequencies) < 1 or not bound > 0:
            raise ValueError(
                f"NeRF: depth {depth}, width {width}, frequencies {position_frequencies} and {direction_frequencies}, "
                f"bound {bound}; all must be positive, and width at least 2"
            )

        def linear(columns: int, units: int) -> nn.Linear:
            return nn.Linear(columns, units, generator=rng, device=rng.device, dtype=dtype)

        self.skip, self.bound, self.density = skip, bound, density
        self.position_frequencies, self.direction_frequencies = position_frequencies, direction_frequencies
        place, direction = 6 * position_frequencies, 6 * direction_frequencies
        self.layers = nn.ModuleList(
            linear((width if k else 0) + (place if k in (0, skip) else 0), width) for k in range(depth)
        )
        self.sigma = linear(width, 1)
        self.feature = linear(width, width)
        self.view = linear(width + direction, width // 2)
        self.colour = linear(width // 2, 3)

    def forward(self, x: Any, d: Any) -> tuple[Tensor, Tensor]:
        """Colour in (0, 1) and density. d: unit vectors.   (..., 3), (..., 3) -> (..., 3), (...)"""
        if x.shape != d.shape or x.shape[-1:] != (3,):
            raise ValueError(f"NeRF: places {x.shape} and directions {d.shape}; expected both as (..., 3), alike")
        place = positional_encoding(x / self.bound, self.position_frequencies)
        h: Any = place
        for k, layer in enumerate(self.layers):
            h = relu(layer(concat([h, place], axis=-1) if k and k == self.skip else h))
        sigma = self.density(self.sigma(h))[..., 0]
        direction = positional_encoding(d, self.direction_frequencies)
        seen = relu(self.view(concat([self.feature(h), direction], axis=-1)))
        return sigmoid(self.colour(seen)), sigma


# ── rays and samples ────────────────────────────────────────────────────────────────────────────────────────


def camera_rays(pose: Any, focal: float, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The rays through the middles of a camera's pixels.   (..., 4, 4) -> (..., h, w, 3), (..., h, w, 3)

    pose: takes camera coordinates to the world's; x points right, y up, and the camera looks along -z, as in OpenGL.
    focal: the distance of the picture plane, in pixels. Directions reach from one plane before the camera to the next,
    one unit deeper: t is a depth, and they are longer than 1 away from the middle. Row 0 is the upper one.
    Raises ValueError for a pose of another shape, and for sizes that are not positive.

    >>> import tensorgrad as tg
    >>> origins, directions = camera_rays(tg.eye(4), focal=1.0, height=1, width=2)
    >>> directions.tolist()
    [[[-0.5, 0.0, -1.0], [0.5, 0.0, -1.0]]]
    """
    if pose.shape[-2:] != (4, 4):
        raise ValueError(f"camera_rays: the pose has the shape {pose.shape}; expected (..., 4, 4)")
    if min(height, width) < 1 or not focal > 0:
        raise ValueError(f"camera_rays: height {height}, width {width}, focal {focal}; expected positive numbers")
    across = (arange(width, dtype=pose.dtype, device=pose.device) + (0.5 - width / 2)) / focal
    up = ((height / 2 - 0.5) - arange(height, dtype=pose.dtype, device=pose.device)) / focal
    x = broadcast_to(expand_dims(across, axis=0), (height, width))
    y = broadcast_to(expand_dims(up, axis=1), (height, width))
    seen = stack([x, y, 0.0 * x - 1.0], axis=-1).reshape((height * width, 3))  # from the camera
    rotation, place = pose[..., :3, :3], pose[..., :3, 3]
    directions = (seen @ rotation.mT).reshape((*pose.shape[:-2], height, width, 3))
    origins = broadcast_to(place.reshape((*pose.shape[:-2], 1, 1, 3)), directions.shape)
    return origins, directions


def stratified(near: float, far: float, u: Any) -> Tensor:
    """One sample from each of N equal parts of [near, far], eq. 2.   (..., N) -> (..., N)

    t_i = near + (far - near) (i - 1 + u_i) / N. u: numbers in [0, 1); all 0.5 gives the middles.
    Raises ValueError unless 0 <= near < far, and where N is 0.

    >>> import tensorgrad as tg
    >>> stratified(2.0, 6.0, tg.asarray([[0.5, 0.5]])).tolist()
    [[3.0, 5.0]]
    """
    _check_range("stratified", near, far)
    n = u.shape[-1] if u.ndim else 0
    if n < 1:
        raise ValueError(f"stratified: u has the shape {u.shape}; its last axis is the samples, at least one")
    part = arange(n, dtype=u.dtype, device=u.device)
    t: Tensor = near + ((far - near) / n) * (part + u)
    return t


def resample(t: Any, weights: Any, u: Any) -> Tensor:
    """Samples where the weights are, section 5.2.   (..., N), (..., N), (..., M) -> (..., M)

    The weights, made to add up to 1, are a density that is constant between the middles of neighbouring samples t;
    what is returned is its inverse distribution function at u, in [0, 1). The first and last weight, which have
    no middle on one side, are left out. No gradient flows through it. t is in rising order.
    Raises ValueError for fewer than 3 samples, and where t and weights differ in shape.

    >>> import tensorgrad as tg
    >>> t = tg.asarray([[0.0, 1.0, 2.0, 3.0]])
    >>> places = resample(t, tg.asarray([[0.0, 0.0, 1.0, 0.0]]), tg.asarray([[0.25, 0.5]]))
    >>> [round(each, 3) for each in places[0].tolist()]
    [1.75, 2.0]
    """
    if t.shape != weights.shape or t.ndim < 1 or t.shape[-1] < 3:
        raise ValueError(
            f"resample: t has the shape {t.shape} and weights {weights.shape}; expected the same, of 3 samples or more"
        )
    t, weights, u = _still(t), _still(weights), _still(u)
    middles = 0.5 * (t[..., 1:] + t[..., :-1])  # (..., N - 1), the edges of N - 2 bins
    mass = weights[..., 1:-1] + 1e-5  # a ray that meets nothing gets even samples
    below = cumulative_sum(mass / mass.sum(axis=-1, keepdims=True), axis=-1, include_initial=True)  # (..., N - 1)
    inner = below[..., 1:-1]  # the bin is the number of inner edges that u has passed
    place = (expand_dims(u, axis=-1) >= expand_dims(inner, axis=-2)).astype("int64").sum(axis=-1)
    low, high = take_along_axis(below, place), take_along_axis(below, place + 1)
    start, end = take_along_axis(middles, place), take_along_axis(middles, place + 1)
    found: Tensor = start + (u - low) / (high - low) * (end - start)
    return found


# ── volume rendering ────────────────────────────────────────────────────────────────────────────────────────


class Rendering(NamedTuple):
    """What a ray sees: colour (..., 3), depth (...), opacity (...), and the weights (..., N) of its samples.

    depth: the mean of t by the weights, towards far where the ray meets nothing. opacity: the sum of the weights.
    """

    colour: Tensor
    depth: Tensor
    opacity: Tensor
    weights: Tensor


def render(colour: Any, sigma: Any, t: Any, far: float, length: Any = 1.0, background: float = 0.0) -> Rendering:
    """The light that reaches the eye along rays, eq. 3.   (..., N, 3), (..., N), (..., N) -> a Rendering

    C = sum_i T_i (1 - exp(-sigma_i delta_i)) c_i,   T_i = exp(-sum_{j<i} sigma_j delta_j) = prod_{j<i} exp(-sigma_j
    delta_j), an exclusive running product;   delta_i = (t_{i+1} - t_i) |d|, and the last sample reaches up to far.

    t: in rising order. length: |d|, (...) or a number. background: the grey behind far.
    Raises ValueError where shapes disagree.

    >>> import tensorgrad as tg
    >>> seen = render(tg.ones((1, 2, 3)), tg.asarray([[1.0, 1.0]]), tg.asarray([[0.0, 1.0]]), far=2.0)
    >>> round(float(1 - seen.opacity[0]), 4)  # exp(-2), what a medium of density 1 and length 2 lets through
    0.1353
    """
    if sigma.shape != t.shape or colour.shape != (*sigma.shape, 3) or not t.ndim or not t.shape[-1]:
        raise ValueError(
            f"render: colour {colour.shape}, sigma {sigma.shape}, t {t.shape}; expected (..., N, 3), (..., N), (..., N)"
        )
    ends = concat([t[..., 1:], 0.0 * t[..., :1] + far], axis=-1)
    delta = (ends - t) * (expand_dims(length, axis=-1) if isinstance(length, Tensor) else length)
    passed = exp(-sigma * delta)  # the share of light that gets through each piece
    weights = cumulative_prod(passed, axis=-1, exclusive=True) * (1.0 - passed)
    opacity = weights.sum(axis=-1)
    seen = (expand_dims(weights, axis=-1) * colour).sum(axis=-2) + background * expand_dims(1.0 - opacity, axis=-1)
    depth = (weights * t).sum(axis=-1) + (1.0 - opacity) * far
    return Rendering(seen, depth, opacity, weights)


class CoarseAndFine(nn.Module):
    """Two fields: the coarse one says where the fine one looks closely, section 5.2.

    coarse, fine: modules like `NeRF`; the same one may be both. near, far: where along t there is something.
    background: the grey behind far.
    Raises ValueError unless 0 <= near < far.
    """

    def __init__(self, coarse: nn.Module, fine: nn.Module, near: float, far: float, background: float = 0.0) -> None:
        _check_range("CoarseAndFine", near, far)
        self.coarse, self.fine = coarse, fine
        self.near, self.far, self.background = near, far, background

    def forward(self, o: Any, d: Any, u_coarse: Any, u_fine: Any) -> tuple[Rendering, Rendering]:
        """What the rays see by either field.   (n, 3), (n, 3), (n, N_c), (n, N_f) -> two Renderings

        u_coarse, u_fine: numbers in [0, 1), which place the samples. The fine field is asked at all N_c + N_f.
        """
        if o.shape != d.shape or o.ndim != 2 or o.shape[-1] != 3:
            raise ValueError(f"CoarseAndFine: origins {o.shape}, directions {d.shape}; expected both as (n, 3)")
        for name, u in (("u_coarse", u_coarse), ("u_fine", u_fine)):
            if u.ndim != 2 or u.shape[0] != o.shape[0]:
                raise ValueError(
                    f"CoarseAndFine: {name} has the shape {u.shape} for {o.shape[0]} rays; expected (n, N)"
                )
        t = stratified(self.near, self.far, u_coarse)
        first = self.see(self.coarse, o, d, t)
        closer = resample(t, first.weights, u_fine)
        return first, self.see(self.fine, o, d, sort(concat([t, closer], axis=-1), axis=-1))

    def see(self, field: nn.Module, o: Any, d: Any, t: Any) -> Rendering:
        """What the rays see of a field by samples at t.   (n, 3), (n, 3), (n, N) -> a Rendering"""
        length = vector_norm(d, axis=-1)
        x = expand_dims(o, axis=1) + expand_dims(t, axis=-1) * expand_dims(d, axis=1)  # (n, N, 3)
        towards = broadcast_to(expand_dims(d / expand_dims(length, axis=-1), axis=1), x.shape)
        colour, sigma = field(x.reshape((-1, 3)), towards.reshape((-1, 3)))  # one product of matrices, not n small ones
        return render(colour.reshape(x.shape), sigma.reshape(t.shape), t, self.far, length, self.background)


def radiance_loss(coarse: Rendering, fine: Rendering, colour: Any) -> Tensor:
    """The squared error of both renderings, eq. 6, as a mean over rays and channels.   (n, 3) -> ()

    >>> import tensorgrad as tg
    >>> seen = render(tg.ones((1, 1, 3)), tg.asarray([[50.0]]), tg.asarray([[0.0]]), far=1.0)
    >>> radiance_loss(seen, seen, tg.zeros((1, 3)))
    Tensor(2., dtype=float32)
    """
    loss: Tensor = ((coarse.colour - colour) ** 2).mean() + ((fine.colour - colour) ** 2).mean()
    return loss


def _check_range(name: str, near: float, far: float) -> None:
    if not 0 <= near < far:
        raise ValueError(f"{name}: near is {near} and far {far}; expected 0 <= near < far, depths before the camera")


def _still(x: Any) -> Any:
    """x without its tape."""
    return x.detach() if isinstance(x, Tensor) else x
