"""Run functions of the native engine's headers on symbolic integers: the C itself is proved, not a copy of it.

Of C there is what these functions use. Unsigned integers wrap; signed ones must not, and a shift must be by less than
the width: that is proved on the way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as File
from types import SimpleNamespace
from typing import Any

from pycparser import c_ast, c_parser

from benchmarks.symbolic import Path, Value, bounds, known

#: bits and sign of the types; a vector is one of its words
TYPES = {
    "int": (32, True),
    "int64_t": (64, True),
    "uint8_t": (8, False),
    "uint32_t": (32, False),
    "uint64_t": (64, False),
    "size_t": (64, False),
    "vec": (32, False),
}


@dataclass
class Cell:
    """A number in memory, or in passing, with its type."""

    value: Value
    type: str


class _Return(Exception):
    def __init__(self, value: object) -> None:
        self.value = value


class Machine:
    """Some functions of a header, and what they call, given in Python."""

    def __init__(self, path: Path, source: File, names: list[str], calls: dict[str, Callable[..., Any]]) -> None:
        """Parse the functions; a call of another one runs its `calls`, which takes and gives what the C would."""
        text = source.read_text(encoding="utf-8")
        self._path = path
        self._calls = calls
        self._functions = {name: _parsed(text, name) for name in names}

    def call(self, name: str, *values: Any) -> Any:
        """Run a function: numbers are cells, and so are pointers to them; structs have cells as attributes."""
        function = self._functions[name]
        scope: dict[str, Any] = {}
        for parameter, value in zip(function.decl.type.args.params, values, strict=True):
            pointer = isinstance(parameter.type, c_ast.PtrDecl)
            scope[parameter.name] = (
                value if pointer or not isinstance(value, Cell) else self._cast(value, parameter.type.type.names[-1])
            )
        try:
            self._run(function.body, scope)
        except _Return as done:
            wanted = function.decl.type.type.type.names[-1]
            return self._cast(done.value, wanted) if isinstance(done.value, Cell) else done.value
        return None

    def _cast(self, cell: Cell, wanted: str) -> Cell:
        if wanted not in TYPES:
            return cell
        bits, signed = TYPES[wanted]
        value = cell.value
        if signed:
            low, high = bounds(value)
            if not (-(1 << (bits - 1)) <= low and high < 1 << (bits - 1)):
                self._path.claim("a signed integer holds its value", value >= -(1 << (bits - 1)))
                self._path.claim("a signed integer holds its value", value < 1 << (bits - 1))
        else:
            value = value & ((1 << bits) - 1)
        return Cell(value, wanted)

    def _run(self, node: Any, scope: dict[str, Any]) -> None:
        match node:
            case c_ast.Compound():
                for item in node.block_items or []:
                    self._run(item, scope)
            case c_ast.DeclList():
                for item in node.decls:
                    self._run(item, scope)
            case c_ast.Decl():
                scope[node.name] = self._declared(node, scope)
            case c_ast.Return():
                raise _Return(self._value(node.expr, scope))
            case c_ast.If():
                if self._true(node.cond, scope):
                    self._run(node.iftrue, scope)
                elif node.iffalse:
                    self._run(node.iffalse, scope)
            case c_ast.For():
                self._run(node.init, scope)
                while self._true(node.cond, scope):
                    self._run(node.stmt, scope)
                    self._value(node.next, scope)
            case _:
                self._value(node, scope)

    def _declared(self, node: Any, scope: dict[str, Any]) -> Any:
        if isinstance(node.type, c_ast.PtrDecl):
            return self._value(node.init, scope)
        kind = node.type.type.names[-1]
        if kind == "scale_t":
            if node.init:
                raise NotImplementedError("initializers of structs")
            return SimpleNamespace(amount=Cell(0, "int"), scale=Cell(0, "uint64_t"))
        value = self._value(node.init, scope)
        cell = self._cast(value, kind)
        return Cell(cell.value, cell.type)

    def _true(self, node: Any, scope: dict[str, Any]) -> bool:
        return bool(self._value(node, scope).value)

    def _value(self, node: Any, scope: dict[str, Any]) -> Any:
        match node:
            case c_ast.Constant():
                return _constant(node.value)
            case c_ast.ID():
                return scope[node.name]
            case c_ast.StructRef():
                return getattr(self._value(node.name, scope), node.field.name)
            case c_ast.ArrayRef():
                return self._value(node.name, scope)[self._value(node.subscript, scope).value]
            case c_ast.Cast():
                return self._cast(self._value(node.expr, scope), node.to_type.type.type.names[-1])
            case c_ast.TernaryOp():
                return self._value(node.iftrue if self._true(node.cond, scope) else node.iffalse, scope)
            case c_ast.FuncCall():
                arguments = [self._value(argument, scope) for argument in node.args.exprs]
                if node.name.name in self._functions:
                    return self.call(node.name.name, *arguments)
                return self._calls[node.name.name](*arguments)
            case c_ast.Assignment():
                return self._assigned(node, scope)
            case c_ast.UnaryOp():
                return self._unary(node, scope)
            case c_ast.BinaryOp():
                first, second = self._value(node.left, scope), self._value(node.right, scope)
                return self._binary(node.op, first, second)
        raise NotImplementedError(type(node).__name__)

    def _assigned(self, node: Any, scope: dict[str, Any]) -> Cell:
        target, value = self._value(node.lvalue, scope), self._value(node.rvalue, scope)
        if node.op != "=":
            value = self._binary(node.op[:-1], target, value)
        target.value = self._cast(value, target.type).value
        return target

    def _unary(self, node: Any, scope: dict[str, Any]) -> Cell:
        cell = self._value(node.expr, scope)
        match node.op:
            case "*" | "&":
                return cell
            case "!":
                return Cell(int(not bool(cell.value)), "int")
            case "-":
                return self._binary("-", Cell(0, "int"), cell)
            case "p++" | "--" | "++":
                before = Cell(cell.value, cell.type)
                cell.value = self._binary(node.op[-1], cell, Cell(1, "int")).value
                return before if node.op == "p++" else cell
        raise NotImplementedError(node.op)

    def _binary(self, operator: str, first: Any, second: Any) -> Any:
        if not isinstance(first, Cell):  # an address
            return first.at(second)
        # The usual conversions: to the wider type, of two equal ones to the unsigned.
        kind = first.type if operator in ("<<", ">>") else max(first.type, second.type, key=_rank)
        a, b = self._cast(first, kind).value, second.value
        if operator in ("<<", ">>"):
            amount = known(b)
            self._path.claim("a shift is by less than the width", 0 <= amount < TYPES[kind][0])
            return self._cast(Cell(a << amount if operator == "<<" else a >> amount, kind), kind)
        b = self._cast(second, kind).value
        match operator:
            case "+":
                found = a + b
            case "-":
                found = a - b
            case "*":
                found = a * b
            case "&":
                found = a & b
            case "|":
                found = a | b
            case "<":
                return Cell(int(bool(a < b)), "int")
            case ">":
                return Cell(int(bool(a > b)), "int")
            case ">=":
                return Cell(int(bool(a >= b)), "int")
            case "==":
                return Cell(int(bool(a == b)), "int")
            case _:
                raise NotImplementedError(operator)
        return self._cast(Cell(found, kind), kind)


def _rank(kind: str) -> tuple[int, bool]:
    bits, signed = TYPES[kind]
    return bits, not signed


def _constant(text: str) -> Cell:
    number = int(text.rstrip("uUlL"), 0)
    suffix = text.lower()
    return Cell(number, "uint64_t" if "ull" in suffix else "uint32_t" if "u" in suffix else "int")


def _parsed(text: str, name: str) -> Any:
    """Take a function out of a header, with its constants written out."""
    found = re.search(rf"^static (?:inline )?((?:int|void|uint64_t|scale_t|vec) {name}\(.*?^}})", text, re.S | re.M)
    if not found:
        raise LookupError(f"{name} must be a function of the header")
    body = re.sub(r"UINT64_C\((\d+)\)", r"\1ULL", re.sub(r"//.*", "", found[1]))
    for constant, value in re.findall(r"^#define (\w+) (\d+)$", text, re.M):
        body = re.sub(rf"\b{constant}\b", value, body)
    types = ["uint64_t", "uint32_t", "uint8_t", "int64_t", "size_t", "vec", "scale_t", "scales_t"]
    types += ["encoder_t", "decoder_t", "block_t", "pce_program", "pce_step"]
    names = "".join(f"typedef int {kind};\n" for kind in types)
    return c_parser.CParser().parse(names + body).ext[-1]
