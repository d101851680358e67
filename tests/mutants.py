"""Mutants of gradient rules: where rules are, and every small way to make one wrong.

A mutant is made from the syntax tree of the ops file, compiled alone, and put into the living function by its
`__code__`, so that rule tables, helpers imported elsewhere and all else stay as they are.
"""

from __future__ import annotations
import __future__

import ast
import copy
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Number
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tensorgrad import ops
from tensorgrad.definition import Op

KINDS = ("sign", "term", "swap", "constant", "comparison", "branch", "axis", "call", "conj")

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
