"""The graph of format 3: loops that run a schedule's steps one after the other (docs/onnx.md, section Loops)."""

from __future__ import annotations

from string import Template

import onnx
import onnx.parser

from pcedge.export.onnx.functions import DOMAIN, DOMAIN_VERSION, FALL, IR_VERSION, OPSET
from pcedge.integer.circuit import IntegerCircuit

#: what a row of a program says, in this order (docs/onnx.md); one that a step does not use is 0
FIELDS = (
    "branch", "units", "target", "target_exponent", "a", "a_units", "a_exponent", "b", "b_units", "b_exponent",
    "data", "entries", "sources", "starts", "count", "variable",
)  # fmt: skip

_SOURCE = """
        a_end = Add(a, a_units)
        a_part = Slice(memory, a, a_end)
        source = Unsqueeze(a_part, front)
        a_next = Add(a_exponent, one)
        a_scale = Slice(exponents, a_exponent, a_next)
        scale = Unsqueeze(a_scale, front)"""
_LISTS = """
        sources_end = Add(sources, count)
        list = Slice(lists, sources, sources_end)
        more = Add(units, one)
        starts_end = Add(starts, more)
        begins = Slice(lists, starts, starts_end)
        borders = Unsqueeze(begins, front)"""
_BLOCK = """
        data_end = Add(data, count)
        flat = Slice(weights, data, data_end)
        shape = Concat<axis = 0>(one, $height, $width)
        block = Reshape(flat, shape)"""
_TABLES = """
        first = Add(data, units)
        begin = Slice(rows, data, first)
        steps = Slice(lists, front, count)
        down = Unsqueeze(steps, one)
        places = Add(down, begin)
        picked = Gather(tables, places)
        own = Unsqueeze(picked, one)"""

_ENTRIES = """
        entries_end = Add(entries, count)
        permuted = Slice(lists, entries, entries_end)
        values = Add(permuted, data)"""
_PAIR = """
        sources_end = Add(sources, units)
        a_list = Slice(lists, sources, sources_end)
        a_places = Add(a_list, a)
        a_part = Gather(memory, a_places)
        first = Unsqueeze(a_part, front)
        a_next = Add(a_exponent, one)
        a_scale = Slice(exponents, a_exponent, a_next)
        first_scale = Unsqueeze(a_scale, front)
        entries_end = Add(entries, units)
        b_list = Slice(lists, entries, entries_end)
        b_places = Add(b_list, b)
        b_part = Gather(memory, b_places)
        second = Unsqueeze(b_part, front)
        b_next = Add(b_exponent, one)
        b_scale = Slice(exponents, b_exponent, b_next)
        second_scale = Unsqueeze(b_scale, front)"""
_SECOND = """
        b_end = Add(b, b_units)
        b_part = Slice(memory, b, b_end)
        second = Unsqueeze(b_part, front)
        b_next = Add(b_exponent, one)
        b_scale = Slice(exponents, b_exponent, b_next)
        second_scale = Unsqueeze(b_scale, front)"""

#: the branches of a loop's body: from the fields of a row, memory and exponents to the mantissas `m` and exponents `x`
#: of a value, [1, units, N] and [1, 1, N]; every branch with `$revive` stands for two, of which the second revives
BRANCHES = {
    "Leaf": _TABLES + """
        m, x = pcedge.Leaf<layers = [-1]$revive>(by_variable, own, front, variable)""",
    "Sum": _SOURCE + Template(_BLOCK).substitute(height="units", width="a_units") + """
        m, x = pcedge.Sum<layers = [-1]$revive>(source, scale, block, front)""",
    "Context": _SOURCE + Template(_BLOCK).substitute(height="a_units", width="units") + """
        m, x = pcedge.Context<layers = [-1]$revive>(source, scale, block, front)""",
    "WeightedLists": _SOURCE + _LISTS + _ENTRIES + """
        m, x = pcedge.WeightedLists<$revive>(source, scale, weights, values, list, borders)""",
    "ListSum": _SOURCE + _LISTS + """
        m, x = pcedge.ListSum<layers = [-1]$revive>(source, scale, list, borders)""",
    "Product": _PAIR + """
        m, x = pcedge.Product<layers = [-1]$revive>(first, first_scale, second, second_scale)""",
    "Align": _SOURCE + _SECOND + """
        m, x = pcedge.Align<layers = [-1]>(source, scale, second, second_scale)""",
    "Interval": _TABLES.replace("units", "a_units") + _SOURCE + """
        both_lo, both_hi = pcedge.Interval<layers = [-1]>(source, by_variable, own, front, variable)
        m = Slice(source, front, front, one)
        x = Identity(scale)""",
    "KeptLeaf": _TABLES + """
        m, x = pcedge.KeptLeaf<layers = [-1]>(by_variable, own, front, variable)""",
    "TailLeaf": _TABLES + """
        symbols_count = Sub(count, one)
        sources_end = Add(sources, symbols_count)
        list = Slice(lists, sources, sources_end)
        tails = Unsqueeze(list, front)
        m, x = pcedge.TailLeaf<layers = [-1]>(by_variable, own, front, variable, tails, front)""",
    "KeptSum": _SOURCE + Template(_BLOCK).substitute(height="units", width="a_units") + """
        m, x = pcedge.KeptSum<layers = [-1]>(source, scale, block, front)""",
    "TailSum": _SOURCE + Template(_BLOCK).substitute(height="units", width="a_units") + """
        m, x = pcedge.TailSum<layers = [-1]>(source, scale, block, front)""",
    "KeptLists": _SOURCE + _LISTS + _ENTRIES + """
        m, x = pcedge.KeptLists(source, scale, weights, values, list, borders)""",
    "KeptProduct": _PAIR + """
        m, x = pcedge.KeptProduct<layers = [-1]>(first, first_scale, second, second_scale)""",
    "KeptAlign": _SOURCE + _SECOND + """
        m, x = pcedge.KeptAlign<layers = [-1]>(source, scale, second, second_scale)""",
}  # fmt: skip

#: function and whether it revives, by the number of the branch
Branch = tuple[str, bool]


def branches(coding: bool, keep: bool = False) -> list[Branch]:
    """List the branches of the likelihood's loop, which may have tails, or of the coding loop, by their numbers."""
    if keep:
        names = ("KeptLeaf", "TailLeaf", "KeptSum", "TailSum", "KeptLists", "KeptProduct", "KeptAlign")
        return [(name, False) for name in names]
    if not coding:
        return [(name, False) for name in ("Leaf", "Sum", "WeightedLists", "Product", "Align")]
    revivable = ("Leaf", "Sum", "Context", "WeightedLists", "ListSum", "Product")
    return [(name, revive) for name in revivable for revive in (False, True)] + [("Align", False), ("Interval", True)]


_GRAPH = Template("""<ir_version: $ir, opset_import: ["": $opset, "$domain": $version]>
pcedge (int64[N, $variables] symbols) => ($outputs) {
    by_variable = Transpose<perm = [1, 0]>(symbols)
    records = Shape<start = 1>(by_variable)
    none = ConstantOfShape<value = int64[1] {0}>(records)
    front = Constant<value_ints = [0]>()
    one = Constant<value_ints = [1]>()
    yes = Constant<value = bool {1}>()
    half = Constant<value_int = $half>()
    start = Constant<value_int = $start>()
    lists = Cast<to = 7>(positions)
    rows = Cast<to = 7>(states)
$loops}
""")
# Memory starts as the context of the root, wherever that lies.
_LOOP = Template("""
    ${name}_size = Concat<axis = 0>(${name}_memory, records)
    ${name}_slots = Concat<axis = 0>(${name}_exponents, records)
    ${name}_m = Expand(half, ${name}_size)
    ${name}_x = Expand(start, ${name}_slots)
    ${name}_shape = Shape<start = 0, end = 1>($name)
    ${name}_length = Squeeze(${name}_shape)
    $results = Loop(${name}_length, yes, ${name}_m, ${name}_x)<body = ${name}_step
      (int64 index, bool go, int64[] memory, int64[] exponents) => (bool on, int64[] memory_out, int64[] exponents_out$scans) {
        on = Identity(go)
        row = Gather($name, index)
        long = Cast<to = 7>(row)
        $fields = Split<axis = 0, num_outputs = $count>(long)
$limits$tree
        m_out = Squeeze($last_m, front)
        x_out = Squeeze($last_x, front)
        counting = Slice(lists, front, units)
        written = Add(counting, target)
        cells = Unsqueeze(written, one)
        memory_out = ScatterND(memory, cells, m_out)
        cell = Unsqueeze(target_exponent, one)
        exponents_out = ScatterND(exponents, cell, x_out)$traced
    }>
""")  # noqa: E501


def loop_graph(circuit: IntegerCircuit, programs: dict[str, list[Branch]], traced: int = 0) -> onnx.ModelProto:
    """Write the model of a circuit without functions and initializers.

    Args:
        circuit: the circuit.
        programs: the branches of the loops `likelihood` and, if the circuit can be coded, `code`.
        traced: entries of each step's value, at least, where the model is to give them all; 0 gives the outputs alone.
    """
    half = 1 << (circuit.state_bits - 1)
    outputs = ["int64[N] mantissa", "int64[N] exponent"]
    if "code" in programs:
        outputs += [f"int64[N, {len(circuit.order)}] {end}" for end in ("lo", "hi")]
    if traced:
        outputs += [f"int64[] {name}_{what}" for name in programs for what in ("values", "scales")]
    text = _GRAPH.substitute(
        ir=IR_VERSION, opset=OPSET, domain=DOMAIN, version=DOMAIN_VERSION, variables=len(circuit.order),
        outputs=", ".join(outputs), half=half, start=1 - circuit.state_bits,
        loops="".join(_loop(name, branches, half, traced) for name, branches in programs.items())
        + _results("code" in programs),
    )  # fmt: skip
    model = onnx.parser.parse_model(text)
    model.producer_name = "pcedge"
    return model


def _loop(name: str, branches: list[Branch], half: int, traced: int) -> str:
    ends = ["lo", "hi"] if name == "code" else []
    scans = [f"{end}_out" for end in ends] + (["m_all", "x_all"] if traced else [])
    results = [f"{name}_memory_out", f"{name}_exponents_out", *(f"{name}_{end}" for end in ends)]
    results += [f"{name}_values", f"{name}_scales"] if traced else []
    limits = "".join(f"        limit_{k} = Constant<value_ints = [{k}]>()\n" for k in range(1, len(branches)))
    last = f"0_{len(branches)}"
    padding = f"""
        {name}_room = Constant<value_ints = [{traced}]>()
        lack = Sub({name}_room, units)
        pads = Concat<axis = 0>(front, front, lack, front)
        m_all = Pad(m_out, pads)
        x_all = Squeeze(x_out, front)"""
    outputs = "".join(f"\n        {end}_out = Identity(drawn_{end}_{last})" for end in ends)
    return _LOOP.substitute(
        name=name, results=", ".join(results), scans="".join(f", int64[] {scan}" for scan in scans),
        fields=", ".join(FIELDS), count=len(FIELDS), limits=limits, tree=_tree(branches, 0, len(branches), ends, half),
        last_m=f"m_{last}", last_x=f"x_{last}", traced=outputs + (padding if traced else ""),
    )  # fmt: skip


def _tree(branches: list[Branch], low: int, high: int, ends: list[str], half: int) -> str:
    """Choose among the branches from `low` to `high` by halves."""
    # No name of the graph around may come again inside.
    names = ["m", "x", *(f"drawn_{end}" for end in ends)]
    if high - low == 1:
        function, revive = branches[low]
        fill = f"{half}, fall = 0" if revive else f"0, fall = {FALL}"
        separator = "" if function == "WeightedLists" else ", "
        text = BRANCHES[function].replace("$revive", f"{separator}fill = {fill}")
        for end in ends:
            drawn = f"Squeeze(both_{end}, front)" if function == "Interval" else "Identity(none)"
            text += f"\n        drawn_{end} = {drawn}"
        return text + "".join(f"\n        {name}_{low}_{high} = Identity({name})" for name in names)
    middle = (low + high) // 2
    results = ", ".join(f"{name}_{low}_{high}" for name in names)
    arms = []
    for side, first, last in (("then", low, middle), ("else", middle, high)):
        outputs = ", ".join(f"int64[] {name}_{first}_{last}" for name in names)
        body = _tree(branches, first, last, ends, half)
        arms.append(f"{side}_branch = b_{first}_{last} () => ({outputs}) {{{body}\n        }}")
    return f"""
        below_{low}_{high} = Less(branch, limit_{middle})
        {results} = If(below_{low}_{high})<{", ".join(arms)}>"""


def _results(coding: bool) -> str:
    text = """
    mantissa_row = Gather(likelihood_memory_out, likelihood_result)
    exponent_row = Gather(likelihood_exponents_out, likelihood_slot)
    mantissa = Squeeze(mantissa_row, front)
    exponent = Squeeze(exponent_row, front)
"""
    for end in ("lo", "hi") if coding else ():
        text += f"""
    {end}_rows = Gather(code_{end}, intervals)
    {end} = Transpose<perm = [1, 0]>({end}_rows)
"""
    return text
