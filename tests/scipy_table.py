"""SciPy and scikit-learn on tensors: what each function gives, and whether a gradient comes back through it.

SciPy reads SCIPY_ARRAY_API when it is imported, so the table is tried in a Python of its own: this file, run as a
script, prints what happened, one line of JSON per row. `tests/test_scipy.py` compares that with what stands here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tensorgrad as tg

VERSIONS = {"scipy": "1.17", "sklearn": "1.9"}  # where the rows were written; rows without a gradient may change

# What becomes of a gradient.
ARRIVES = "arrives"  # the function is made of array operations, and those are ours
REFUSED = "refused"  # compiled code reads the values: a tensor that requires a gradient raises, and says detach()
ENDS = "ends"  # a Python number comes back
NAN = "is NaN"  # the function computes a NaN, and overwrites it

STEP = 1e-6


class Row(NamedTuple):
    name: str
    call: Callable[[Any, Any], Any]  # of the module and the argument
    values: Any
    returns: str
    gradient: str

    @property
    def module(self) -> str:
        return self.name.rsplit(".", 1)[0]

    @property
    def library(self) -> str:
        return self.name.split(".", 1)[0]


_rng = np.random.default_rng(7)
_any = _rng.normal(size=(7, 3))
_positive = _rng.uniform(0.2, 1.2, size=(7, 3))
_line = _rng.normal(size=8)
_square = _rng.normal(size=(3, 3))
_other = _rng.normal(size=(7, 3))
_classes = np.array([0, 1, 2, 0, 1, 2, 0])


def _attribute(name: str) -> Callable[[Any, Any], Any]:
    """The function of that name, called with the argument alone."""
    return lambda module, x: getattr(module, name)(x)


def _namespace(x: Any) -> Any:
    return x.__array_namespace__()


ROWS = [
    Row("scipy.special.logsumexp", lambda m, x: m.logsumexp(x, axis=1), _any, "Tensor", ARRIVES),
    Row("scipy.special.softmax", lambda m, x: m.softmax(x, axis=1), _any, "Tensor", ARRIVES),
    Row("scipy.special.log_softmax", lambda m, x: m.log_softmax(x, axis=1), _any, "Tensor", ARRIVES),
    Row("scipy.special.xlogy", lambda m, x: m.xlogy(x, x), _positive, "Tensor", ARRIVES),
    Row("scipy.special.rel_entr", lambda m, x: m.rel_entr(x, x * x), _positive, "Tensor", ARRIVES),
    Row("scipy.stats.zscore", _attribute("zscore"), _any, "Tensor", ARRIVES),
    Row("scipy.stats.gmean", _attribute("gmean"), _positive, "Tensor", ARRIVES),
    Row("scipy.stats.hmean", _attribute("hmean"), _positive, "Tensor", ARRIVES),
    Row("scipy.stats.moment", lambda m, x: m.moment(x, 3), _any, "Tensor", ARRIVES),
    Row("scipy.stats.skew", _attribute("skew"), _any, "Tensor", ARRIVES),
    Row("scipy.stats.kurtosis", _attribute("kurtosis"), _any, "Tensor", ARRIVES),
    Row("scipy.stats.variation", _attribute("variation"), _positive, "Tensor", ARRIVES),
    Row("scipy.stats.sem", _attribute("sem"), _any, "Tensor", ARRIVES),
    Row("scipy.stats.differential_entropy", _attribute("differential_entropy"), _any, "Tensor", ARRIVES),
    Row("scipy.stats.iqr", _attribute("iqr"), _line, "Tensor", ARRIVES),
    Row("scipy.stats.boxcox_llf", lambda m, x: m.boxcox_llf(0.5, x), _positive, "Tensor", ARRIVES),
    Row("scipy.integrate.trapezoid", _attribute("trapezoid"), _any, "Tensor", ARRIVES),
    Row("scipy.integrate.cumulative_simpson", _attribute("cumulative_simpson"), _line, "Tensor", ARRIVES),
    Row("scipy.signal.hilbert", lambda m, x: abs(m.hilbert(x)), _line, "Tensor", ARRIVES),
    Row("scipy.signal.fftconvolve", lambda m, x: m.fftconvolve(x, x), _any, "Tensor", ARRIVES),
    Row("scipy.signal.resample", lambda m, x: m.resample(x, 11), _line, "Tensor", ARRIVES),
    Row("scipy.fft.rfft", lambda m, x: abs(m.rfft(x)), _line, "Tensor", ARRIVES),
    Row("scipy.fft.fftn", lambda m, x: abs(m.fftn(x)), _any, "Tensor", ARRIVES),
    Row("scipy.fft.fftshift", _attribute("fftshift"), _any, "Tensor", ARRIVES),
    Row("scipy.cluster.vq.whiten", _attribute("whiten"), _any, "Tensor", ARRIVES),
    Row("scipy.optimize.rosen", _attribute("rosen"), _line, "Tensor", ARRIVES),
    Row(
        "scipy.optimize.elementwise.find_root",
        lambda m, a: m.find_root(lambda x, a: x**3 - a, (a - abs(a) - 2, a + abs(a) + 2), args=(a,)).x,
        _line,
        "Tensor",
        ARRIVES,
    ),
    Row("scipy.differentiate.derivative", lambda m, x: m.derivative(lambda t: t**3, x).df, _line, "Tensor", ARRIVES),
    Row(
        "scipy.spatial.transform.Rotation",
        lambda m, x: m.Rotation.from_rotvec(x).as_matrix(),
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row("sklearn.preprocessing.MinMaxScaler", lambda m, x: m.MinMaxScaler().fit_transform(x), _any, "Tensor", ARRIVES),
    Row("sklearn.preprocessing.MaxAbsScaler", lambda m, x: m.MaxAbsScaler().fit_transform(x), _any, "Tensor", ARRIVES),
    Row("sklearn.preprocessing.normalize", _attribute("normalize"), _any, "Tensor", ARRIVES),
    Row(
        "sklearn.preprocessing.PolynomialFeatures",
        lambda m, x: m.PolynomialFeatures().fit_transform(x),
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row(
        "sklearn.decomposition.PCA",
        lambda m, x: m.PCA(2, svd_solver="full").fit_transform(x),
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row(
        "sklearn.linear_model.Ridge",
        lambda m, x: m.Ridge(solver="svd").fit(x, _namespace(x).asarray(_other)).coef_,
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row(
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        lambda m, x: m.LinearDiscriminantAnalysis().fit(x, _namespace(x).asarray(_classes)).transform(x),
        _any[:, :2],  # with no more features than classes less one, or it uses vectors of singular values that are 0
        "Tensor",
        ARRIVES,
    ),
    Row(
        "sklearn.mixture.GaussianMixture",
        lambda m, x: m.GaussianMixture(init_params="random", random_state=0).fit(x).means_,
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row(
        "sklearn.metrics.pairwise.euclidean_distances",
        lambda m, x: m.euclidean_distances(x, x[:2, :] + 1.0),
        _any,
        "Tensor",
        ARRIVES,
    ),
    Row("sklearn.metrics.pairwise.rbf_kernel", _attribute("rbf_kernel"), _any, "Tensor", ARRIVES),
    Row("sklearn.metrics.pairwise.cosine_similarity", _attribute("cosine_similarity"), _any, "Tensor", ARRIVES),
    Row("sklearn.metrics.pairwise.polynomial_kernel", _attribute("polynomial_kernel"), _any, "Tensor", ARRIVES),
    Row("sklearn.preprocessing.StandardScaler", lambda m, x: m.StandardScaler().fit_transform(x), _any, "Tensor", NAN),
    Row("sklearn.metrics.r2_score", lambda m, x: m.r2_score(_namespace(x).asarray(_other), x), _any, "float", ENDS),
    Row("scipy.special.erf", _attribute("erf"), _any, "Tensor", REFUSED),
    Row("scipy.special.expit", _attribute("expit"), _any, "Tensor", REFUSED),
    Row("scipy.special.gammaln", _attribute("gammaln"), _positive, "Tensor", REFUSED),
    Row("scipy.stats.entropy", _attribute("entropy"), _positive, "Tensor", REFUSED),
    Row("scipy.signal.convolve", lambda m, x: m.convolve(x, x, method="direct"), _any, "Tensor", REFUSED),
    Row("scipy.signal.detrend", _attribute("detrend"), _any, "Tensor", REFUSED),
    Row("scipy.fft.dct", _attribute("dct"), _any, "Tensor", REFUSED),
    Row("scipy.ndimage.gaussian_filter", lambda m, x: m.gaussian_filter(x, 1.0), _any, "Tensor", REFUSED),
    Row("scipy.cluster.vq.kmeans2", lambda m, x: m.kmeans2(x, x[:2, :], rng=0)[0], _any, "Tensor", REFUSED),
    Row("scipy.integrate.simpson", _attribute("simpson"), _any, "ndarray", REFUSED),
    Row("scipy.linalg.expm", _attribute("expm"), _square, "ndarray", REFUSED),
    Row("scipy.linalg.svdvals", _attribute("svdvals"), _any, "ndarray", REFUSED),
    Row("scipy.spatial.distance.cdist", lambda m, x: m.cdist(x, x), _any, "ndarray", REFUSED),
]


def try_row(row: Row) -> dict[str, Any]:
    """What happens: the type returned, how far values and gradient are from SciPy's own on an ndarray."""
    module = importlib.import_module(row.module)
    direction = np.random.default_rng(3).normal(size=row.values.shape)

    def reference(shift: float) -> Any:
        return np.asarray(row.call(module, row.values + shift * direction))

    expected = reference(0.0)
    found = row.call(module, tg.asarray(row.values))
    outcome = {
        "name": row.name,
        "returns": type(found).__name__,
        "value_error": _distance(_array(found), expected),
        "gradient_error": None,
        "message": "",
    }
    x = tg.asarray(row.values, requires_grad=True)
    try:
        y = row.call(module, x)
    except RuntimeError as error:
        outcome["message"] = str(error)
        return {**outcome, "gradient": REFUSED if "detach()" in str(error) else "raises"}
    if not (isinstance(y, tg.Tensor) and y.requires_grad):
        return {**outcome, "gradient": ENDS}
    weight = np.random.default_rng(4).normal(size=expected.shape)
    (gradient,) = tg.grad(tg.sum(y * weight), [x])
    slope = float(np.sum(gradient.numpy() * direction))
    if np.isnan(slope):
        return {**outcome, "gradient": NAN}
    difference = np.sum(weight * (reference(STEP) - reference(-STEP))) / (2 * STEP)
    return {**outcome, "gradient": ARRIVES, "gradient_error": _distance(np.asarray(slope), difference)}


def _array(found: Any) -> Any:
    return found.numpy() if isinstance(found, tg.Tensor) else np.asarray(found)


def _distance(found: Any, expected: Any) -> float:
    """The largest difference, in units of the largest value expected (or 1)."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(found - expected)) / max(1.0, np.max(np.abs(expected))))


def markdown() -> str:
    """The table as a page shows it."""
    lines = ["| function | returns | gradient |", "| --- | --- | --- |"]
    lines += [f"| `{row.name}` | {row.returns} | {row.gradient} |" for row in ROWS]
    return "\n".join(lines)


def main() -> None:
    tg.set_default_dtype("float64")  # SciPy makes arrays of its constants: in float32, they would round its results
    installed = {}
    for library in VERSIONS:
        try:
            installed[library] = importlib.import_module(library).__version__
        except ImportError:
            installed[library] = None
    print(json.dumps({"versions": installed}))
    if installed["sklearn"]:
        importlib.import_module("sklearn").set_config(array_api_dispatch=True)
    for row in ROWS:
        if not installed[row.library]:
            continue
        try:
            print(json.dumps(try_row(row)))
        except Exception as error:  # one row's failure is that row's, and is told
            print(json.dumps({"name": row.name, "returns": f"{type(error).__name__}: {error}"[:300]}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--markdown"]:
        print(markdown())
    else:
        main()
