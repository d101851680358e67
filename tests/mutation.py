"""Mutants: every gradient rule made wrong in every small way, one at a time, to see whether the laws notice.

`python -m tests.mutation [--draws N] [--backend numpy] [NAMES...]`, where a name is that of an op, of a function in an
ops file, or of the file. A mutant is killed by the first law that its op's cases break, or else by the first of the
op's conventions (tensorgrad/testing/conventions.py) that no longer holds. What is neither killed nor in `EQUIVALENT`
survives, and their number is the exit status.

A mutant is made from the syntax tree of the ops file, compiled alone, and put into the living function by its
`__code__`, so that rule tables, helpers imported elsewhere and all else stay as they are.
"""

from __future__ import annotations
import __future__

import argparse
import ast
import copy
import importlib
import pkgutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Number
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings

from tensorgrad import ops
from tensorgrad.definition import Op
from tensorgrad.testing.case import Case
from tensorgrad.testing.cases import CASES
from tensorgrad.testing.checking import LawBroken, device_named, obey
from tensorgrad.testing.conventions import CONVENTIONS

KINDS = ("sign", "term", "swap", "constant", "comparison", "branch", "axis", "call", "conj")
# The laws that ask a rule anything, the cheapest that kills most first.
FIRST, REST = ("direction",), ("second order", "linearity", "adjoint", "shape and dtype", "decomposition", "replay")
DRAWS, FEW = 20, 6
STRICT = "strict"

COMMUTATIVE = frozenset(
    {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "hypot", "logaddexp"}
    | {"logical_and", "logical_or", "logical_xor"}
)
# Without these calls a value stays what it is, in another dtype.
SAME_VALUES = frozenset({"astype"})
# Minus this is this.
ZEROS = frozenset({"zeros_like"})
FLIPS: dict[type[ast.AST], tuple[type[ast.cmpop], ...]] = {
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}

# Mutants that say the same as the original, each with its reason: (rule or function, original, mutant). They are tried
# as all others are, and one that is killed after all has no place here.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "activation._elu_dx",
        "below = exp(where(x > 0, 0.0, x)) * alpha",
        "below = exp(where(x > 1, 0.0, x)) * alpha",
    ): "above 0 this is not used, and exp of what is below 1 does not overflow",
    (
        "activation._elu_dx",
        "below = exp(where(x > 0, 0.0, x)) * alpha",
        "below = exp(where(x > 0, 1.0, x)) * alpha",
    ): "above 0 this is not used",
    (
        "arithmetic._pow_dx1",
        "if not hasattr(x2, 'dtype'):",
        "if False:",
    ): "the general way gives the same for a number, in more steps",
    (
        "arithmetic._pow_dx1",
        "if x2 == 2:",
        "if False:",
    ): "the general way gives the same, a hundred times slower",
    (
        "arithmetic._pow_dx1",
        "return g * x2 * where(flat, 1.0, x1) ** (x2 - 1)",
        "return g * x2 * where(flat, 2.0, x1) ** (x2 - 1)",
    ): "any number but 0 will do: it is multiplied by an exponent of 0",
    (
        "attention._attention_joint",
        "d_keep = p * d_p if needed[4] else None",
        "d_keep = p * d_p",
    ): "a gradient that nobody asked for is dropped by the sweep",
    (
        "attention._attention_joint",
        "if not (needed[0] or needed[1] or needed[3]):",
        "if False:",
    ): "as for d_keep",
    (
        "elementwise.abs.x",
        "g * sign(conj(x)) if x.dtype.kind == 'c' else g * sign(x)",
        "g * sign(conj(x))",
    ): "a real number is its conjugate",
    (
        "elementwise._sign_dx",
        "if x.dtype.kind != 'c':",
        "if False:",
    ): "for real x the part of g across x is (g - g) / 2",
    (
        "elementwise.maximum.x2",
        "g * share_of(x1, x2, out)[1]",
        "g * share_of(x1, out, x2)[1]",
    ): "where x2 is out, x1 ties with out when it ties with x2; elsewhere the share is 0 both ways",
    (
        "elementwise.minimum.x2",
        "g * share_of(x1, x2, out)[1]",
        "g * share_of(x1, out, x2)[1]",
    ): "as for maximum",
    (
        "elementwise.share_of",
        "total = total + astype(total == 0.0, out.dtype)",
        "total = total - astype(total == 0.0, out.dtype)",
    ): "0 divided by -1 is 0, as by 1",
    (
        "factorization._det_dx",
        "if _well_conditioned(x, inverse):",
        "if _well_conditioned(inverse, x):",
    ): "a product of two sizes, in any order",
    (
        "factorization._slogdet_joint",
        "if x.dtype.kind == 'c':",
        "if True:",
    ): "a real sign adds an imaginary part of 0, which the sweep drops",
    ("factorization._eigh_joint", "if v.dtype.kind == 'c':", "if True:"): "real vectors have no phases to refuse",
    (
        "factorization._svd_parts_joint",
        "if u.dtype.kind == 'c':",
        "if True:",
    ): "real vectors have no phases to refuse, and add 0",
    ("matrices._matrix_exp_dx", "n = x.shape[-1]", "n = x.shape[-2]"): "the matrix is square",
    (
        "factorization._well_conditioned",
        "size, inverse_size = (np.linalg.norm(to_numpy(raw(each)), axis=(-2, -1)) for each in (x, inverse))",
        "size, inverse_size = (np.linalg.norm(to_numpy(raw(each))) for each in (x, inverse))",
    ): "which of two right formulas is taken: one is slower, the other loses digits sooner",
    (
        "factorization._well_conditioned",
        "return bool((size * inverse_size * _small(x.dtype) <= 1.0).all())",
        "return bool((size * inverse_size * _small(x.dtype) < 1.0).all())",
    ): "which of two right formulas is taken: one is slower, the other loses digits sooner",
    (
        "factorization._well_conditioned",
        "return bool((size * inverse_size * _small(x.dtype) <= 1.0).all())",
        "return bool((size * inverse_size <= 1.0).all())",
    ): "which of two right formulas is taken: one is slower, the other loses digits sooner",
    (
        "factorization._well_conditioned",
        "return bool((size * inverse_size * _small(x.dtype) <= 1.0).all())",
        "return bool((size * inverse_size * _small(x.dtype) <= 2.0).all())",
    ): "which of two right formulas is taken: one is slower, the other loses digits sooner",
    (
        "factorization._cofactors",
        "large = host > host.max(axis=-1, keepdims=True) * _small(host.dtype)",
        "large = host > host.max(axis=-1, keepdims=True)",
    ): "where the matrix is split is a choice: a larger polynomial part is slower",
    (
        "factorization._cofactors",
        "large = host > host.max(axis=-1, keepdims=True) * _small(host.dtype)",
        "large = host > _small(host.dtype)",
    ): "where the matrix is split is a choice: a larger polynomial part is slower",
    (
        "factorization._cofactors",
        "large = host > host.max(axis=-1, keepdims=True) * _small(host.dtype)",
        "large = host > host.max(keepdims=True) * _small(host.dtype)",
    ): "where the matrix is split is a choice: a larger polynomial part is slower",
    (
        "factorization._cofactors",
        "rank = min(int(large.sum(axis=-1).min()), host.shape[-1] - 1)",
        "rank = min(int(large.sum(axis=-1).min()), host.shape[-1] - 2)",
    ): "where the matrix is split is a choice: a larger polynomial part is slower",
    (
        "factorization._cofactors",
        "det_s = trace(matmul(s, s_adj)) / s.shape[-1]",
        "det_s = trace(matmul(s_adj, s)) / s.shape[-1]",
    ): "a trace of two factors in any order, and of a square matrix",
    (
        "factorization._cofactors",
        "det_s = trace(matmul(s, s_adj)) / s.shape[-1]",
        "det_s = trace(matmul(s, s_adj)) / s.shape[-2]",
    ): "a trace of two factors in any order, and of a square matrix",
    (
        "factorization._adjugate",
        "for step in range(1, x.shape[-1]):",
        "for step in range(1, x.shape[-2]):",
    ): "the matrix is square and commutes with its powers",
    (
        "factorization._adjugate",
        "product = matmul(x, result)",
        "product = matmul(result, x)",
    ): "the matrix is square and commutes with its powers",
    (
        "factorization.conjugate",
        "return conj(x) if x.dtype.kind == 'c' else x",
        "return conj(x)",
    ): "conj of a real array is a copy",
    (
        "factorization._refuse_phases",
        "rounding = 0.01 * np.abs(to_numpy(raw(gradient))).max(initial=0.0) + 100 * np.finfo(host.dtype).eps",
        "rounding = 0.01 * np.abs(to_numpy(raw(gradient))).max(initial=0.0) + np.finfo(host.dtype).eps",
    ): "how much is taken for rounding is a choice within two digits",
    (
        "factorization._refuse_phases",
        "rounding = 0.01 * np.abs(to_numpy(raw(gradient))).max(initial=0.0) + 100 * np.finfo(host.dtype).eps",
        "rounding = 0.01 * np.abs(to_numpy(raw(gradient))).max(initial=0.0) + 101 * np.finfo(host.dtype).eps",
    ): "how much is taken for rounding is a choice within two digits",
    (
        "factorization._refuse_phases",
        "if (np.abs(host) > rounding).any():",
        "if (np.abs(host) >= rounding).any():",
    ): "how much is taken for rounding is a choice within two digits",
    (
        "indexing._setitem_dvalue",
        "if source.size == places.size:",
        "if False:",
    ): "where no place is named twice, all values stand",
    (
        "indexing.grid_key",
        "key = [(np.arange(whole[place]) % max(shape[place], 1)).reshape([-1 if k == place else 1 "
        "for k in range(len(shape))]) for place in range(len(shape))]",
        "key = [(np.arange(whole[place]) % max(shape[place], 1)).reshape([-2 if k == place else 1 "
        "for k in range(len(shape))]) for place in range(len(shape))]",
    ): "NumPy works out any negative length",
    (
        "products._einsum_part",
        "if len(reachable) == len(wanted):",
        "if False:",
    ): "where no letter is missing, the shape is right already",
    (
        "loss._softmax_cross_entropy_dx",
        "rows = expand_dims(g, axis=-1)",
        "rows = expand_dims(g, axis=1)",
    ): "g has one axis",
    (
        "loss._softmax_cross_entropy_dx",
        "hot = one_hot(labels, p.shape[-1], dtype=p.dtype)",
        "hot = one_hot(labels, p.shape[1], dtype=p.dtype)",
    ): "p has two axes",
    (
        "normalization._batch_norm_joint",
        "if not needed[0]:",
        "if False:",
    ): "a gradient that nobody asked for is dropped by the sweep",
    (
        "reduction.spread",
        "return g if keepdims else reshape(g, kept_shape(shape, axis))",
        "return reshape(g, kept_shape(shape, axis))",
    ): "with keepdims g has that shape already",
    (
        "reduction._mean_dx",
        "return broadcast_to(spread(g / (count(x_shape, axis) or 1), axis, keepdims, x_shape), x_shape)",
        "return broadcast_to(spread(g / (count(x_shape, axis) or 2), axis, keepdims, x_shape), x_shape)",
    ): "the gradient of no elements is empty, whatever it is divided by",
    (
        "reduction._tied",
        "ties = ties + astype(ties == 0.0, ties.dtype)",
        "ties = ties - astype(ties == 0.0, ties.dtype)",
    ): "0 divided by -1 is 0, as by 1",
    (
        "pooling._shared",
        "ties = ties + astype(ties == 0.0, ties.dtype)",
        "ties = ties - astype(ties == 0.0, ties.dtype)",
    ): "0 divided by -1 is 0, as by 1",
    (
        "reduction._prod_dx",
        "if len(axes) == 1:",
        "if False:",
    ): "several axes made one, of which there is one",
    (
        "numerical._convolve_d",
        "whole = add_at(g, (slice(*_window(n, m, mode)),), (n + m - 1,))",
        "whole = add_at(g, (slice(*_window(m, n, mode)),), (n + m - 1,))",
    ): "what a mode keeps does not depend on which vector is first",
    (
        "numerical._convolve_d",
        "return convolve_vectors(whole, flip(other), 'valid')",
        "return convolve_vectors(flip(other), whole, 'valid')",
    ): "convolution commutes",
    (
        "scan._cumulative_prod_dx",
        "return zeros_like(x)",
        "return x",
    ): "x is empty there",
    (
        "scan._from_the_end",
        "for doubling in range((n - 1).bit_length()):",
        "for doubling in range((1 - n).bit_length()):",
    ): "a number has as many bits as its negative",
    (
        "scan._from_the_end",
        "if 2 * d < n:",
        "if 2 * d <= n:",
    ): "where they are equal the factors left are none",
    (
        "scan._running_logsumexp_dx",
        "if not out.shape[axis]:",
        "if False:",
    ): "NumPy takes slices of empty arrays, which the strict library does not",
    (
        "scan._running_logsumexp_dx",
        "return g",
        "return -g",
    ): "g is empty there",
    (
        "shape._concat_joint",
        "gradients.append(g[tuple(key)] if is_needed else None)",
        "gradients.append(g[tuple(key)])",
    ): "a gradient that nobody asked for is dropped by the sweep",
    (
        "scatter._largest_of_segments_dx",
        "ties = ties + astype(ties == 0.0, ties.dtype)",
        "ties = ties - astype(ties == 0.0, ties.dtype)",
    ): "0 divided by -1 is 0, as by 1",
}


# ── sites: what there is to mutate ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Site:
    """One rule, or one function that only rules call: its syntax, its living function, and the ops that rest on it."""

    name: str
    module: ModuleType
    tree: ast.Lambda | ast.FunctionDef
    function: FunctionType
    ops: tuple[Op, ...]
    is_rule: bool

    @property
    def file(self) -> str:
        """The path of the ops file, from the root of the repository where it is in it."""
        path = Path(str(self.module.__file__))
        root = Path(__file__).parent.parent
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)

    @property
    def stem(self) -> str:
        return self.module.__name__.rpartition(".")[2]

    def compiled(self, tree: Any) -> CodeType:
        """The code of a mutant of this site, as the function would have it."""
        flags = __future__.annotations.compiler_flag
        names: dict[str, Any] = {}
        if isinstance(tree, ast.Lambda):
            made = eval(compile(ast.Expression(tree), self.file, "eval", flags, True), vars(self.module), names)
        else:
            exec(compile(ast.Module([tree], []), self.file, "exec", flags, True), vars(self.module), names)
            made = names[tree.name]
        code: CodeType = made.__code__
        return code


def op_modules() -> list[ModuleType]:
    """The files of the vocabulary."""
    return [importlib.import_module(f"{ops.__name__}.{each.name}") for each in pkgutil.iter_modules(ops.__path__)]


def rules_of(definition: Op) -> dict[str, Any]:
    """The rules of an op by parameter, as they were given to `vjp`."""
    named = {
        (definition.parts if place == len(definition.names) else definition.names[place]): rule
        for place, rule, *_ in definition.rules
    }
    return {**named, **({"joint": definition.joint[0]} if definition.joint else {})}


def sites(modules: Iterable[ModuleType]) -> list[Site]:
    """Every rule given in these modules, and every function that nothing but rules calls."""
    modules = list(modules)
    trees = {module: ast.parse(Path(str(module.__file__)).read_text()) for module in modules}
    definitions = {
        module: {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
        for module, tree in trees.items()
    }
    found: dict[FunctionType, tuple[str, ModuleType, Any, list[Op]]] = {}
    for module, tree in trees.items():
        for name, definition, keyword in _vjp_calls(module, tree):
            function = rules_of(definition)[str(keyword.arg)]
            if not isinstance(keyword.value, (ast.Lambda, ast.Name)):
                raise TypeError(
                    f"{module.__name__}: the rule of {name} for {keyword.arg} is neither a lambda nor a name"
                )
            node = keyword.value if isinstance(keyword.value, ast.Lambda) else definitions[module][keyword.value.id]
            label = f"{name}.{keyword.arg}" if isinstance(node, ast.Lambda) else node.name
            found.setdefault(function, (label, module, node, []))[3].append(definition)
    rules = [
        Site(f"{module.__name__.rpartition('.')[2]}.{label}", module, node, function, _unique(of), True)
        for function, (label, module, node, of) in found.items()
    ]
    return rules + _helpers(rules, trees, definitions)


def _unique(definitions: Iterable[Op]) -> tuple[Op, ...]:
    return tuple(dict.fromkeys(definitions))


def _vjp_calls(module: ModuleType, tree: ast.Module) -> Iterator[tuple[str, Op, ast.keyword]]:
    """(name of the op, the op, parameter and rule) for each rule in a module."""
    for statement in tree.body:
        call = getattr(statement, "value", None)
        if (
            isinstance(statement, ast.Expr)
            and isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr == "vjp"
            and isinstance(call.func.value, ast.Name)
        ):
            for keyword in call.keywords:
                yield call.func.value.id, getattr(module, call.func.value.id).op, keyword


def _helpers(rules: list[Site], trees: dict[ModuleType, ast.Module], definitions: dict[Any, Any]) -> list[Site]:
    """The functions that rules call, directly or not, and nothing else does."""
    nodes = {
        vars(module)[name]: (module, node)
        for module, functions in definitions.items()
        for name, node in functions.items()
        if isinstance(vars(module).get(name), FunctionType) and not hasattr(vars(module)[name], "op")
    }
    public = {each for each in vars(ops).values() if isinstance(each, FunctionType)}

    def reach(function: FunctionType, of: tuple[Op, ...], module: ModuleType, node: Any) -> None:
        for called in _called(node, module):
            if called in nodes and called not in public and not set(of) <= set(reached.setdefault(called, {})):
                reached[called].update(dict.fromkeys(of))
                reach(called, of, *nodes[called])

    reached: dict[FunctionType, dict[Op, None]] = {}
    for rule in rules:
        reach(rule.function, rule.ops, rule.module, rule.tree)
    for rule in rules:
        reached.pop(rule.function, None)
    # Take away what something else calls as well, until nothing changes.
    own = {rule.function for rule in rules}
    while True:
        shared = {
            called
            for module, tree in trees.items()
            for statement in tree.body
            for part in _parts(statement)
            if vars(module).get(getattr(part, "name", "")) not in own | set(reached)
            for called in _called(part, module)
            if called in reached
        }
        if not shared:
            break
        for each in shared:
            del reached[each]
    return [
        Site(f"{nodes[each][0].__name__.rpartition('.')[2]}.{each.__name__}", *nodes[each], each, tuple(of), False)
        for each, of in reached.items()
    ]


def _parts(statement: ast.stmt) -> list[ast.AST]:
    """A statement of a module, without the rules it gives."""
    call = getattr(statement, "value", None)
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "vjp":
        return []
    return [statement]


def _called(node: ast.AST, module: ModuleType) -> list[FunctionType]:
    """The module's plain functions that a piece of syntax names."""
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
    own = {each.id for each in names if not isinstance(each.ctx, ast.Load)}
    own |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    values = [vars(module).get(each.id) for each in names if each.id not in own]
    return [each for each in values if isinstance(each, FunctionType) and not hasattr(each, "op")]


# ── mutants: what can be wrong ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Mutant:
    """One site with one thing changed."""

    site: Site
    kind: str
    line: int
    original: str
    mutated: str
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str]:
        return self.site.name, self.original, self.mutated

    def __str__(self) -> str:
        return (
            f"{self.site.file}:{self.line}: {self.site.name}, {self.kind}\n      {self.original}\n  ->  {self.mutated}"
        )


def mutants_of(site: Site) -> list[Mutant]:
    """Every way to change one thing in a rule; those that read alike are one."""
    found: dict[str, Mutant] = {}
    before = ast.unparse(site.tree)
    for kind, node, other in _changes(site):
        tree = _changed(site.tree, node, other)
        after = ast.unparse(tree)
        if after == before or after in found:
            continue
        here = _statement(site.tree, node)
        there = _changed(here, node, other)
        original, mutated = _text(here), _text(there)
        found[after] = Mutant(
            site, kind, getattr(node, "lineno", site.tree.lineno), original, mutated, site.compiled(tree)
        )
    return list(found.values())


def _changed(tree: Any, node: ast.AST, other: ast.AST) -> Any:
    """A copy of a tree, with another node in the place of one."""
    if tree is node:
        return ast.fix_missing_locations(ast.copy_location(copy.deepcopy(other), node))
    place = next(place for place, each in enumerate(ast.walk(tree)) if each is node)
    whole = copy.deepcopy(tree)
    target = next(each for at, each in enumerate(ast.walk(whole)) if at == place)

    class Replace(ast.NodeTransformer):
        def visit(self, each: ast.AST) -> Any:
            return ast.copy_location(copy.deepcopy(other), each) if each is target else self.generic_visit(each)

    return ast.fix_missing_locations(Replace().visit(whole))


def _statement(tree: Any, node: ast.AST) -> Any:
    """The statement that a node stands in; the formula of a lambda."""
    if isinstance(tree, ast.Lambda):
        return tree.body
    around = [each for each in ast.walk(tree) if isinstance(each, ast.stmt) and any(e is node for e in ast.walk(each))]
    return around[-1]  # ast.walk goes from the outside in


def _text(node: Any) -> str:
    """The first line of a statement: of a loop or a branch, its head."""
    return ast.unparse(node).splitlines()[0]


def _nodes(tree: Any) -> Iterator[ast.AST]:
    """What may be changed: no docstring, no annotation, no word of an error."""
    waiting: list[ast.AST] = [tree.body] if isinstance(tree, ast.Lambda) else list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (ast.Raise, ast.JoinedStr, ast.ImportFrom, ast.Import)) or _is_docstring(node):
            continue
        yield node
        waiting[:0] = [
            child
            for name, value in ast.iter_fields(node)
            if name not in ("annotation", "returns") and not (isinstance(node, ast.keyword) and node.arg == "strict")
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(site: Site) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """(kind, node, what to put in its place) for each change."""
    if isinstance(site.tree, ast.Lambda):
        yield from _negated(site.tree.body)
    for node in _nodes(site.tree):
        if isinstance(node, ast.Return) and node.value is not None and _returns_arrays(site):
            yield from _negated(node.value)
        change = CHANGES.get(type(node))
        if change is not None:
            for kind, other in change(node, site):
                yield kind, node, other


def _returns_arrays(site: Site) -> bool:
    returns = getattr(site.tree, "returns", None)
    return site.is_rule or returns is None or "Array" in ast.unparse(returns)


def _negated(value: ast.expr) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """Minus the value that is returned; of several, minus each."""
    for each in value.elts if isinstance(value, ast.Tuple) else [value]:
        text = ast.unparse(each)
        zero = isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id in ZEROS
        if not (text.startswith("-") or zero or text == "None"):
            yield "sign", each, ast.UnaryOp(ast.USub(), each)


Changed = Iterator[tuple[str, ast.AST]]


def _of_binary(node: ast.BinOp, _: Site) -> Changed:
    left, right = node.left, node.right
    match node.op:
        case ast.Add():
            yield "sign", ast.BinOp(left, ast.Sub(), right)
            yield "term", left
            yield "term", right
        case ast.Sub():
            yield "sign", ast.BinOp(left, ast.Add(), right)
            yield "swap", ast.BinOp(right, ast.Sub(), left)
            yield "term", left
        case ast.Mult():
            yield "term", left
            yield "term", right
        case ast.Div():
            yield "swap", ast.BinOp(right, ast.Div(), left)
            yield "term", left
        case ast.Pow() | ast.FloorDiv() | ast.Mod() | ast.MatMult():
            yield "swap", ast.BinOp(right, node.op, left)
            yield "term", left
        case ast.BitAnd() | ast.BitOr():
            yield "comparison", ast.BinOp(left, ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd(), right)


def _of_unary(node: ast.UnaryOp, _: Site) -> Changed:
    yield "sign" if isinstance(node.op, ast.USub) else "comparison", node.operand


def _of_constant(node: ast.Constant, _: Site) -> Changed:
    if isinstance(node.value, bool):
        yield "axis", ast.Constant(not node.value)
    elif isinstance(node.value, (int, float, complex)):
        yield "constant", ast.Constant(node.value + 1)


def _of_name(node: ast.Name, site: Site) -> Changed:
    value = vars(site.module).get(node.id)
    if isinstance(node.ctx, ast.Load) and isinstance(value, Number) and not isinstance(value, bool):
        yield "constant", ast.BinOp(node, ast.Add(), ast.Constant(1))


def _of_comparison(node: ast.Compare, _: Site) -> Changed:
    for flip in FLIPS[type(node.ops[0])]:
        yield "comparison", ast.Compare(node.left, [flip(), *node.ops[1:]], node.comparators)


def _of_both(node: ast.BoolOp, _: Site) -> Changed:
    yield "comparison", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for each in node.values:
        yield "term", each


def _of_choice(node: ast.IfExp, _: Site) -> Changed:
    yield "branch", node.body
    yield "branch", node.orelse


def _of_branch(node: ast.If, _: Site) -> Changed:
    for taken in (True, False):
        other = copy.copy(node)
        other.test = ast.Constant(taken)
        yield "branch", other


def _of_update(_node: ast.AugAssign, _: Site) -> Changed:
    yield "term", ast.Pass()


def _of_transpose(node: ast.Attribute, _: Site) -> Changed:
    if node.attr in ("mT", "T"):
        yield "call", node.value


def _of_call(node: ast.Call, site: Site) -> Changed:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    called = vars(site.module).get(name)
    plain = [each for each in node.args if not isinstance(each, ast.Starred)]
    if (hasattr(called, "op") or _makes_an_array(called)) and plain and name not in SAME_VALUES:
        for each in plain[1:3] if name == "where" else plain[:1]:
            yield "branch" if name == "where" else "conj" if name == "conj" else "call", each
    if (callable(called) or name == "slice") and name not in COMMUTATIVE and len(plain) == len(node.args):
        for place in range(len(plain) - 1):
            swapped = [*plain[:place], plain[place + 1], plain[place], *plain[place + 2 :]]
            yield "swap", ast.Call(node.func, swapped, node.keywords)
    for keyword in node.keywords:
        if keyword.arg in ("axis", "keepdims", "k"):
            yield "axis", ast.Call(node.func, node.args, [each for each in node.keywords if each is not keyword])


def _makes_an_array(called: Any) -> bool:
    return isinstance(called, FunctionType) and called.__annotations__.get("return") == "Array"


CHANGES: dict[type[ast.AST], Callable[[Any, Site], Changed]] = {
    ast.BinOp: _of_binary,
    ast.UnaryOp: _of_unary,
    ast.Constant: _of_constant,
    ast.Name: _of_name,
    ast.Compare: _of_comparison,
    ast.BoolOp: _of_both,
    ast.IfExp: _of_choice,
    ast.If: _of_branch,
    ast.AugAssign: _of_update,
    ast.Attribute: _of_transpose,
    ast.Call: _of_call,
}


@contextmanager
def installed(mutant: Mutant) -> Iterator[None]:
    """The mutant in the place of the original, while the context lasts."""
    function, before = mutant.site.function, mutant.site.function.__code__
    try:
        function.__code__ = mutant.code
        _retabulate(mutant.site)
        yield
    finally:
        function.__code__ = before
        _retabulate(mutant.site)


def _retabulate(site: Site) -> None:
    """The sweep knows rules that return g itself, and does not call them: let the ops look again."""
    if site.is_rule:
        for definition in site.ops:
            definition.set_rules(rules_of(definition))


# ── judging ─────────────────────────────────────────────────────────────────────────────────────────────────


class Court:
    """What mutants are tried by: the draws of each case, the same for all, and the conventions.

    Whom they let go is tried by the laws once more, on the strict library: NumPy takes what others refuse, a scalar
    for an array, or any negative number for the length to be worked out.
    """

    def __init__(
        self,
        draws: int = DRAWS,
        device: str = "cpu",
        cases: Iterable[Case] = CASES,
        conventions: dict[str, list[Callable[[], None]]] | None = None,
    ) -> None:
        self.draws, self.device, self.cases = draws, device, list(cases)
        self.conventions = CONVENTIONS if conventions is None else conventions
        self.drawn: dict[int, list[dict[str, Any]]] = {}
        self.sworn: set[tuple[int, str]] = set()

    def cases_of(self, site: Site) -> list[Case]:
        """The cases of a site's ops. Raises ValueError for an op that has none."""
        missing = [each.name for each in site.ops if all(case.definition is not each for case in self.cases)]
        if missing:
            raise ValueError(f"there is no case for {', '.join(missing)}")
        return [
            each
            for each in self.cases
            if each.definition in site.ops or any(getattr(proved, "op", None) in site.ops for proved in each.proves)
        ]

    def trials(self, cases: list[Case], draws: int) -> list[tuple[Case, dict[str, Any]]]:
        """Cases with their draws, in turns, the draws with most to see first."""
        for each in cases:
            if id(each) not in self.drawn:
                self.drawn[id(each)] = draws_of(each, self.draws)
        drawn = [(each, _some(self.drawn[id(each)], draws)) for each in cases]
        deepest = max(len(all_of_it) for _, all_of_it in drawn)
        return [(each, all_of_it[k]) for k in range(deepest) for each, all_of_it in drawn if k < len(all_of_it)]

    def by_laws(self, cases: list[Case], device: str, draws: int) -> tuple[str, str]:
        """("law" or "error", what it says) for the first law that is broken; ("", "") where none is."""
        with _quiet():
            for laws in (FIRST, REST):
                for case, args in self.trials(cases, draws):
                    try:
                        obey(case, args, device, only=laws)
                    except LawBroken as broken:
                        return "law" if isinstance(broken.__cause__, AssertionError) else "error", str(broken)
        return "", ""

    def by_conventions(self, site: Site) -> tuple[str, str]:
        """("convention", which) for the first of the ops' conventions that fails; ("", "") where none does."""
        with _quiet():
            for definition in site.ops:
                for convention in self.conventions.get(definition.name, []):
                    try:
                        convention()
                    except Exception as error:
                        return "convention", f"{convention.__doc__}: {error}"
        return "", ""

    def swear_in(self, cases: list[Case], device: str, draws: int) -> None:
        """Make sure that the original obeys the laws. Raises AssertionError where it does not."""
        new = [each for each in cases if (id(each), device) not in self.sworn]
        if new:
            _, words = self.by_laws(new, device, draws)
            if words:
                raise AssertionError(f"the law is broken before anything is changed: {words}")
            self.sworn.update((id(each), device) for each in new)

    def verdict(self, mutant: Mutant) -> tuple[str, str]:
        """("law", "error" or "convention", what it says) for a mutant that is killed; ("survived", "") for another."""
        cases = self.cases_of(mutant.site)
        with installed(mutant):
            words = self.by_laws(cases, self.device, self.draws)
            if not words[0]:
                words = self.by_conventions(mutant.site)
        if not words[0] and self.device != STRICT:
            self.swear_in(cases, STRICT, FEW)
            with installed(mutant):
                words = self.by_laws(cases, STRICT, FEW)
        return words if words[0] else ("survived", "")


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings are no verdict, and pytest makes errors of them."""
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        yield


def _some(drawn: list[Any], count: int) -> list[Any]:
    """That many draws, the smallest among them."""
    return drawn if len(drawn) <= count else [*drawn[: count - 1], drawn[-1]]


def draws_of(case: Case, count: int) -> list[dict[str, Any]]:
    """The arguments of a case, the same ones every time, the largest first."""
    found: list[dict[str, Any]] = []

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case.strategy())
    def collect(args: dict[str, Any]) -> None:
        found.append(args)

    collect()
    return sorted(found, key=lambda args: -_size(case, args))


def _size(case: Case, args: dict[str, Any]) -> int:
    values = [
        each for name in case.array_names for each in (args[name] if isinstance(args[name], list) else [args[name]])
    ]
    return min((each.size for each in values), default=0)


@dataclass
class Outcome:
    """How all mutants fared."""

    judged: list[tuple[Mutant, str]] = field(default_factory=list)
    rules: int = 0
    helpers: int = 0
    seconds: float = 0.0
    stale: list[tuple[str, str, str]] = field(default_factory=list)

    def count(self, verdict: str) -> int:
        return sum(each == verdict for _, each in self.judged)

    @property
    def survivors(self) -> list[Mutant]:
        return [mutant for mutant, verdict in self.judged if verdict == "survived"]

    def table(self) -> str:
        """Mutants by file and kind, and what became of them."""
        ends = ("law", "error", "convention", "equivalent", "survived")
        by_kind = Counter((mutant.site.stem, mutant.kind) for mutant, _ in self.judged)
        by_end = Counter((mutant.site.stem, verdict) for mutant, verdict in self.judged)
        stems = list(dict.fromkeys(mutant.site.stem for mutant, _ in self.judged))
        heads = [*KINDS, "mutants", *ends]
        widths = [max(len(each), 5) for each in heads]
        wide = max([len(each) for each in stems] + [5])

        def line(name: str, figures: Iterable[Any]) -> str:
            return f"{name:<{wide}} " + " ".join(
                f"{each:>{width}}" for each, width in zip(figures, widths, strict=True)
            )

        def figures(of: list[str]) -> list[int]:
            kinds = [sum(by_kind[stem, kind] for stem in of) for kind in KINDS]
            return [*kinds, sum(kinds), *[sum(by_end[stem, end] for stem in of) for end in ends]]

        return "\n".join(
            [line("", heads), *[line(stem, figures([stem])) for stem in stems], line("all", figures(stems))]
        )

    def summary(self) -> str:
        """The table, the survivors, and one line of figures."""
        lines = [self.table()]
        lines += [f"\nsurvived: {each}" for each in self.survivors]
        lines += [f"\nin EQUIVALENT, but killed, or no mutant at all: {each}" for each in self.stale]
        killed = sum(self.count(each) for each in ("law", "error", "convention"))
        lines.append(
            f"\n{self.rules} rules and {self.helpers} functions that only rules call: {len(self.judged)} mutants, "
            f"{killed} killed ({self.count('law')} by laws, {self.count('error')} by an error, "
            f"{self.count('convention')} by conventions), {self.count('equivalent')} equivalent, "
            f"{len(self.survivors)} survived ({self.seconds:.0f} s)"
        )
        return "\n".join(lines)


def run(chosen: list[Site], court: Court, equivalent: dict[tuple[str, str, str], str] | None = None) -> Outcome:
    """Try every mutant of these sites. Raises AssertionError where the original itself is condemned."""
    equivalent = EQUIVALENT if equivalent is None else equivalent
    started = time.perf_counter()
    outcome = Outcome(rules=sum(each.is_rule for each in chosen), helpers=sum(not each.is_rule for each in chosen))
    mutants = [mutant for site in chosen for mutant in mutants_of(site)]
    for site in _progress(chosen, "originals"):
        court.swear_in(court.cases_of(site), court.device, court.draws)
        _, words = court.by_conventions(site)
        if words:
            raise AssertionError(f"{site.name} breaks a convention before anything is changed: {words}")
    for mutant in _progress(mutants, "mutants"):
        verdict, _ = court.verdict(mutant)
        outcome.judged.append((mutant, "equivalent" if verdict == "survived" and mutant.key in equivalent else verdict))
    names, alike = {each.name for each in chosen}, {each.key for each, end in outcome.judged if end == "equivalent"}
    outcome.stale = [each for each in equivalent if each[0] in names and each not in alike]
    outcome.seconds = time.perf_counter() - started
    return outcome


def _progress(things: list[Any], what: str) -> Iterable[Any]:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return things
    return tqdm(things, desc=what, file=sys.stderr, disable=None, mininterval=1.0)  # type: ignore[no-any-return]


def selected(every: list[Site], names: Iterable[str]) -> list[Site]:
    """The sites of the ops, functions or files named. Raises ValueError for a name that none has."""
    wanted = set(names)
    known = {each: {each.stem, each.name, each.function.__name__, *[op.name for op in each.ops]} for each in every}
    unknown = wanted - set().union(*known.values())
    if unknown:
        raise ValueError(f"no rule, op or file of ops is called {', '.join(sorted(unknown))}")
    return [each for each in every if not wanted or known[each] & wanted]


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; returns how many mutants survived, at most 100."""
    parser = argparse.ArgumentParser("python -m tests.mutation", description=str(__doc__).split("\n")[0])
    parser.add_argument("names", nargs="*", help="ops, functions or files; all without")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws per case, {DRAWS} without")
    parser.add_argument("--backend", default="numpy", choices=("numpy", "strict"))
    given_ = parser.parse_args(arguments)
    court = Court(given_.draws, device_named(given_.backend))
    outcome = run(selected(sites(op_modules()), given_.names), court)
    print(outcome.summary())
    return min(len(outcome.survivors) + len(outcome.stale), 100)


if __name__ == "__main__":
    sys.exit(main())
