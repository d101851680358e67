"""The call body of an op, written out from its kernel's signature as source text.

A body of its own has the kernel's parameter names and defaults, so that `help`, keywords and tracebacks are right,
and costs 0.9 us over the kernel, where one general body for all ops costs 4 to 16 us. It unwraps tensors, runs the
kernel, and writes a record when an input is recorded. Every name in it that is not a parameter of the op starts with
an underscore, so that a parameter may be called anything else.
"""

from __future__ import annotations

import inspect
from typing import Any

from tensorgrad import backend
from tensorgrad.definition import Op

FLOATING = repr(backend.INEXACT)  # the kinds of dtypes that carry gradients
SETTLE = "if type(_result) is not _ndarray: _result = _settle(_result)"
NEW_TENSOR = "_tensor = _new(_Tensor); _tensor.data = _result; _tensor.grad = None"


def source_of(op: Op, direct: bool) -> str:
    """The body of an op as text; `direct` where the kernel is one call of the library's own function."""
    return "\n".join(_Writer(op, direct).lines) + "\n"


class _Writer:
    """Writes one body, from the top: unwrap, run, wrap, record."""

    def __init__(self, op: Op, direct: bool) -> None:
        self.op = op
        self.data = {name: f"_data_{name}" if name in op.arrays else name for name in op.names}
        self.flat = ", ".join([self.data[name] for name in op.names] + (["*_data_parts"] if op.parts else []))
        self.records = [f"_record_{name}" for name in op.arrays]
        self.has_out = op.elementwise and op.results == 1 and not op.saves
        self.lifts = op.lift is not None and bool(op.ruled) and op.results == 1
        self.lines = [f"def {op.name}({signature_of(op, self.has_out)}):"]
        self.unwrap()
        self.run(direct)
        self.wrap()
        if op.constant or not (op.arrays or op.parts):
            self.finish()
            return
        self.stop_unrecorded()
        if op.ruled:
            self.record()
        else:
            self.finish()

    def add(self, *lines: str) -> None:
        self.lines.extend(f"    {line}" for line in lines)

    def unwrap(self) -> None:
        self.add("_traced = False")
        for name in self.op.arrays:
            taken = f"_data_{name} = {name}.data; _record_{name} = {name}.record; _traced = True"
            # The type first: a look at an identity, where isinstance is a call.
            self.add(
                f"if type({name}) is _Tensor or isinstance({name}, _Tensor): {taken}",
                f"else: _data_{name} = {name}; _record_{name} = None",
            )
        if self.op.parts:
            each = f"for _each in {self.op.parts}"
            self.add(
                f"_data_parts = tuple([_each.data if isinstance(_each, _Tensor) else _each {each}])",
                f"_record_parts = tuple([_each.record if isinstance(_each, _Tensor) else None {each}])",
                f"if not _traced: _traced = any([isinstance(_each, _Tensor) {each}])",
            )

    def run(self, direct: bool) -> None:
        op = self.op
        results = "_saved" if op.saves or op.results > 1 else "_result"
        first = f"_data_{op.arrays[0]}" if op.arrays else ""
        on_numpy = f"type({first}) is _ndarray" if op.arrays else "_data_parts and type(_data_parts[0]) is _ndarray"
        call = ", ".join(self.passed(parameter) for parameter in op.parameters)
        dtype = f"{results}[0].dtype" if op.saves else f"{results}.dtype"
        self.add("try:")
        self.add(f"    if {on_numpy}:")
        plainly = f"_function({call})" if direct else f"_kernel(_xp, {call})"
        if op.in_blocks:
            wide = f"_wide(_function, {call})" if direct else f"_wide(_kernel_of_arrays, {call})"
            plainly = f"{plainly} if {first}.size < {backend.LARGE} else {wide}"
        self.add(f"        {results} = {plainly}")
        if op.saves:
            self.add(f"        if type({results}) is not tuple: _split({results})  # raises")
        if self.lifts:
            self.add(f"        _dtype = {self.operand_dtype()}")
            self.add(f"        if {self.may_lift(dtype, direct)}:")
            self.add(f"            _values, {results} = _relift({results}, {self.flat}); {self.unpack()}")
            self.add(f"            _dtype = {dtype}")
        self.add("    else:")
        self.add(f"        _values, {results} = _elsewhere({self.flat}); {self.unpack()}")
        if self.lifts:
            self.add(f"        _dtype = {dtype}")
        self.add("except Exception as _error:")
        self.add(f"    raise _explain(_error, {self.flat}) from _error")

    def operand_dtype(self) -> str:
        """The dtype of the first operand that is lifted. A record knows it without asking the array: 20 ns less."""
        op = self.op
        if not op.arrays:
            return "_data_parts[0].dtype"
        name = op.lifted_names[0]
        if name != op.arrays[0]:
            return f"getattr(_data_{name}, 'dtype', None)"
        return f"_data_{name}.dtype if _record_{name} is None else _record_{name}.dtype"

    def may_lift(self, dtype: str, direct: bool) -> str:
        """The test that NumPy's result has another dtype than it should, for an integer among the operands."""
        op = self.op
        test = f"{dtype} is not _dtype" + (" or len(_data_parts) > 1" if op.parts else "")
        never_whole = direct and op.module.startswith("tensorgrad.")  # as NumPy's own exp, or its divide
        return test if not op.arrays or never_whole or op.lift == "operands" else f"{test} or _dtype.kind in 'biu'"

    def passed(self, parameter: inspect.Parameter) -> str:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return "*_data_parts"
        name = self.data[parameter.name]
        return f"{parameter.name}={name}" if parameter.kind is parameter.KEYWORD_ONLY else name

    def unpack(self) -> str:
        """Take the operands back from `_values`, cast where dtypes were lifted."""
        lines = [f"_data_{name} = _values[{self.op.names.index(name)}]" for name in self.op.arrays]
        return "; ".join(lines + ([f"_data_parts = _values[{len(self.op.names)}:]"] if self.op.parts else []))

    def wrap(self) -> None:
        op = self.op
        if op.saves or op.results > 1:
            self.add("_result, _saved = _split(_saved)")
        if op.results > 1:
            self.add("_result = _bundle([_settle(_each) for _each in _result])", "if not _traced: return _result")
            return
        self.add("if not _traced:", f"    {SETTLE}")
        self.add("    return _result" + (" if out is None else _fill(out, _result)" if self.has_out else ""))

    def finish(self, test: str = "", recorded: bool = False) -> None:
        """Return the tensor or tensors: where the test holds, if there is one."""
        if self.op.results > 1:
            lines = ["return " + ("_tensors" if recorded else "_results(_Tensor, None, _result)")]
        else:
            lines = [] if recorded else [SETTLE, f"{NEW_TENSOR}; _tensor.record = None"]
            became = f" if out is None else _become(out, _tensor, {self.op.name!r})" if self.has_out else ""
            lines.append(f"return _tensor{became}")
        self.add(*([f"if {test}:"] + [f"    {line}" for line in lines] if test else lines))

    def stop_unrecorded(self) -> None:
        """Return where nothing is to be recorded, and raise where an input has no rule."""
        op = self.op
        missing = [f"{each} is None" for each in self.records] + (["not any(_record_parts)"] if op.parts else [])
        self.finish(f"({' and '.join(missing)}) or (_scope := _current()) is None")
        inexact = f"_result.dtype.kind in {FLOATING}"
        if op.results > 1:
            inexact = f"any([_each.dtype.kind in {FLOATING} for _each in _result])"
        for name in op.arrays:
            if name not in op.ruled:
                self.add(f"if _record_{name} is not None and {inexact}: raise _no_gradient({name!r})")
        if op.parts and op.parts not in op.ruled:
            self.add(f"if any(_record_parts) and {inexact}: raise _no_gradient({op.parts!r})")
        if op.ruled and ("dtype" in op.names or op.results > 1):
            self.finish(f"not ({inexact})")

    def record(self) -> None:
        op = self.op
        kept = [self.kept(name) for name in op.kept_names]
        kept += [f"_shape_of({self.data.get(name, '_data_parts')})" for name in op.kept_shapes]
        inputs = [self.input(name) for name in op.names]
        if op.parts:
            inputs.append(
                "*[_plain(_each, _op) if _of is None else _of for _each, _of in zip(_data_parts, _record_parts)]"
            )
        if op.results == 1:
            self.take_shape()
            self.add("if not _shape: _result = _settle(_result)")
            self.add(f"{NEW_TENSOR}; _tensor.record = _record = _Record()")
            self.add(f"_record.shape = _shape; _record.dtype = {'_dtype' if self.lifts else '_result.dtype'}")
        else:
            self.add("_record = _Record()")
        self.add(f"_record.op = _op; _record.inputs = ({', '.join(inputs)},)")
        self.add(f"_record.kept = ({''.join(each + ', ' for each in kept)})")
        self.add("_record.serial = _next(_clock); _record.scope = _scope")
        if op.results > 1:
            self.add("_tensors = _results(_Tensor, _record, _result)")
        self.add(f"if _scope.watchers: _watched(_record, ({self.flat},), _result)")
        self.finish(recorded=True)

    def take_shape(self) -> None:
        """Note the result's shape: the operand's own tuple where they agree, so that a long chain shares one.

        Reading an array's shape makes a new tuple of 64 bytes and costs 40 ns, and tuples that are the same one are
        compared sooner in the sweep.
        """
        op = self.op
        if op.elementwise and op.names == op.arrays and len(op.arrays) == 1:
            self.add(f"_shape = {self.records[0]}.shape")
            return
        self.add("_shape = _result.shape")
        if op.elementwise:
            for word, each in zip(["if", *["elif"] * len(self.records)], self.records, strict=False):
                self.add(f"{word} {each} is not None and _shape == {each}.shape: _shape = {each}.shape")

    def input(self, name: str) -> str:
        """What stands in the record for a parameter: a parent, an attribute, or a placeholder for an array."""
        if name not in self.op.arrays:
            return name
        constant = f"_CONSTANT if type(_data_{name}) is _ndarray else _plain(_data_{name}, _op)"
        return f"_record_{name} if _record_{name} is not None else {constant}"

    def kept(self, name: str) -> str:
        """What is kept under a name: nothing, where no recorded input's rule asks for it."""
        op = self.op
        value = "_result" if name == "out" else "_data_parts" if name == op.parts else self.data.get(name)
        if value is None:
            return f"_saved[{op.saves.index(name)}]"
        asking = op.kept_when[name]
        if "joint" in asking or op.parts in asking or len(op.arrays) == 1 or asking == set(op.arrays):
            return value
        return f"{value} if {' or '.join(f'_record_{each} is not None' for each in sorted(asking))} else None"


def signature_of(op: Op, has_out: bool) -> str:
    """The kernel's parameters after xp, defaults by reference, and `out=` for elementwise ops."""
    shown, star = [], False
    for place, parameter in enumerate(op.parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and not star and not op.parts:
            shown.append("*")
            star = True
        text = f"*{parameter.name}" if parameter.kind is parameter.VAR_POSITIONAL else parameter.name
        if parameter.default is not parameter.empty:
            text += f"=_defaults[{parameter.name!r}]"
        shown.append(text)
        following: Any = op.parameters[place + 1 :]
        if parameter.kind is parameter.POSITIONAL_ONLY and not any(p.kind is p.POSITIONAL_ONLY for p in following):
            shown.append("/")
    if has_out:
        shown += ["out=None"]
    return ", ".join(shown)
