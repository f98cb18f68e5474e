"""The C++ of an unrolled kernel: one statement a signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from pcedge.arithmetic import ZERO_EXPONENT
from pcedge.export.unrolled import operations as ops
from pcedge.tails import WEIGHT_TAIL_BITS


def write_cpp(statements: Sequence[ops.Statement], result: ops.Result, bits: int) -> tuple[str, ...]:
    """Write the lines of the function's body; `bits` is A."""
    return tuple(_lines(statements, result, bits))


def _lines(statements: Sequence[ops.Statement], result: ops.Result, bits: int) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ops.Remark):
            yield f"// {statement.text}"
            continue
        if isinstance(statement.operation, ops.Lookup):
            yield _table(statement.operation)
        yield f"const {_type(statement)} {statement.name} = {_text(statement.operation, statement.kind, bits)};"
    yield f"result.mantissa = {_unsigned(bits)}({_name(result.mantissa)});"
    yield (
        f"result.exponent = F::select(result.mantissa == 0, {_signed(32)}({ZERO_EXPONENT}), "
        f"{_signed(32)}({_exponent(result.exponent)}));"
    )
    yield f"result.score = pcedge::score_of<F, {bits}>(result.mantissa, result.exponent);"


def _table(lookup: ops.Lookup) -> str:
    kind = "std::int32_t" if lookup.storage == 32 else "std::uint16_t"
    return f"static const {kind} {lookup.table}[{len(lookup.entries)}] = {{{', '.join(map(str, lookup.entries))}}};"


def _unsigned(bits: int) -> str:
    return f"pcedge::uint_t<F, {bits}>"


def _signed(bits: int) -> str:
    return f"pcedge::sint_t<F, {bits}>"


def _kind(kind: ops.Kind) -> str:
    if kind is ops.LENGTH:
        return "pcedge::uint_t<F, pcedge::LENGTH_BITS>"
    return _signed(kind.bits) if kind.signed else _unsigned(kind.bits)


def _type(signal: ops.Signal) -> str:
    if signal.kind is ops.BIT:
        return "F::bit"
    return "unsigned" if signal.kind is ops.ADDRESS else _kind(signal.kind)


def _name(operand: ops.Operand) -> str:
    match operand:
        case ops.Constant():
            return "true" if operand is ops.TRUE else f"{_kind(operand.kind)}({operand.value})"
        case ops.Symbol():
            return f"codes[{operand.variable}]"
        case _:
            return operand


def _exponent(exponent: ops.Exponent) -> str:
    kind = _kind(exponent.kind)
    if not exponent.name:
        return f"{kind}({exponent.offset})"
    return f"{kind}({exponent.name} + {kind}({exponent.offset}))" if exponent.offset else exponent.name


def _text(operation: ops.Operation, kind: ops.Kind, bits: int) -> str:
    cast = _kind(kind)
    match operation:
        case ops.Join():
            return " | ".join(f"(unsigned({_name(symbol)}) << {place})" for symbol, place in operation.fields)
        case ops.Lookup():
            address = "0" if isinstance(operation.address, ops.Constant) else _name(operation.address)
            return f"{cast}({operation.table}[unsigned({address})])"
        case ops.Live():
            name = _name(operation.value)
            return f"F::select({name} == 1, {cast}(0), {name})"
        case ops.Dropped():
            return f"{cast}({_name(operation.value)} >> {WEIGHT_TAIL_BITS})"
        case ops.Tell():
            return _tell(operation)
        case ops.Revived():
            row = _name(operation.row)
            condition = f"{row} == 0" if operation.some is ops.TRUE else f"({row} == 0) & {_name(operation.some)}"
            return f"F::select({condition}, {cast}(1), {cast}({row}))"
        case ops.Kept():
            return _kept(operation, cast)
        case ops.Product():
            return f"{cast}({_name(operation.first)} * {_name(operation.second)})"
        case ops.ShiftAdd():
            return _add(operation, kind)
        case ops.Shifted():
            name, left = _name(operation.value), operation.left
            return f"{cast}({f'{name} >> {-left}' if left < 0 else f'{cast}({name}) << {left}'})"
        case ops.Union():
            return f"{cast}({' | '.join(map(_name, operation.entries))})"
        case ops.Excess():
            return f"pcedge::excess_length<F, {operation.long}, {operation.short}>({_name(operation.union)})"
        case ops.Scaled():
            names = f"{_name(operation.value)}, {_name(operation.excess)}"
            return f"pcedge::scale_entry<F, {operation.long}, {operation.short}, {bits}>({names})"
        case ops.Plus():
            second = _name(operation.second)
            if operation.cast:
                second = f"{cast}({second})"
            return f"{cast}({f'{operation.first} + ' if operation.first else ''}{second})"
        case ops.Ranked():
            text = f"{cast}({_exponent(operation.exponent)})"
            if operation.zero is None:
                return text
            return f"F::select({_name(operation.zero)}, {cast}({operation.low}), {text})"
        case ops.Larger():
            first, second = _name(operation.first), _name(operation.second)
            return f"F::select({first} < {second}, {second}, {first})"
        case ops.Gap():
            return f"pcedge::alignment<F, {operation.bits}, {bits}>({_name(operation.own)}, {_name(operation.common)})"
        case ops.Right():
            return f"{cast}({_name(operation.value)} >> {_name(operation.gap)})"
        case _:
            assert_never(operation)


def _tell(tell: ops.Tell) -> str:
    names = [_name(entry) for entry in tell.entries]
    if tell.which == "all" and len(names) > 1:
        return " & ".join(f"({name} != 0)" for name in names)
    return f"({' | '.join(names)}) {'==' if tell.which == 'none' else '!='} 0"


def _kept(kept: ops.Kept, cast: str) -> str:
    conditions = []
    if kept.cut:
        some = "" if kept.sure else f"({_name(kept.whole)} != 0) & "
        conditions.append(f"{some}({_name(kept.moved)} == 0)")
    if kept.lone:
        beside = "" if kept.excess is None else f" & ({_name(kept.excess)} != 0)"
        conditions.append(f"({_name(kept.whole)} == 1){beside}")
    condition = " | ".join(f"({text})" for text in conditions) if len(conditions) > 1 else conditions[0]
    return f"F::select({condition}, {cast}(1), {_name(kept.moved)})"


def _add(add: ops.ShiftAdd, kind: ops.Kind) -> str:
    bits = kind.bits
    # Said aloud: the adder takes an operand with a sign modulo 2^bits.
    first, second = (
        f"{_unsigned(bits)}({_name(name)})" if signed else _name(name)
        for name, signed in ((add.a, add.signed_a), (add.b, add.signed_b))
    )
    verb = ("signed_" if kind.signed else "") + ("minus" if add.subtract else "plus")
    return f"pcedge::{verb}<F, {bits}>({first}, {add.shift_a}, {second}, {add.shift_b})"
