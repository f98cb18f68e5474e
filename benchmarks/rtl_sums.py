"""Sums by constant weights in SystemVerilog: adders of every weight, shared adders, or multiplications."""

from __future__ import annotations

from collections.abc import Sequence

from pcedge.arrays import IntArray
from pcedge.export.unrolled.adders import ZERO, AdderGraph, plain, shared, width
from pcedge.export.unrolled.cells import MULTIPLIER, Cell, chain
from pcedge.export.unrolled.lowering import used

#: ways to make sums
WAYS = ("plain adders", "shared adders", "multiplications")

#: width of an input
BITS = 16


def sum_cells(matrices: Sequence[IntArray], way: str) -> tuple[list[Cell], list[str], int]:
    """Give the cells of all matrices, each of inputs of its own; the outputs; and the bits of all inputs."""
    cells: list[Cell] = []
    outputs: list[str] = []
    place = 0
    for number, matrix in enumerate(matrices):
        columns = []
        for column in range(matrix.shape[1]):
            columns.append(f"in_{number}_{column}")
            cells.append(Cell(columns[-1], BITS, False, f"in_record[{place}+:{BITS}]", (), 0.0))
            place += BITS
        top = [(1 << BITS) - 1] * len(columns)
        if way == "multiplications":
            rows = [_products(row, columns, f"row_{number}_{index}") for index, row in enumerate(matrix.tolist())]
            cells += rows
            outputs += [row.name for row in rows]
            continue
        graph = plain(matrix) if way == "plain adders" else shared(matrix, top)
        made, rows = _graph(graph, columns, top, str(number))
        cells += made + rows
        outputs += [row.name for row in rows]
    return used(cells, outputs), outputs, place


def _products(weights: Sequence[int], columns: Sequence[str], name: str) -> Cell:
    bits = max(1, (sum(weights) * ((1 << BITS) - 1)).bit_length())
    chosen = [(weight, column) for weight, column in zip(weights, columns, strict=True) if weight]
    terms = [f"{bits}'d{weight} * {bits}'(@{place})" for place, (weight, _) in enumerate(chosen)]
    delay = MULTIPLIER + chain(bits) * len(chosen).bit_length()
    return Cell(name, bits, False, " + ".join(terms) or f"{bits}'d0", tuple(column for _, column in chosen), delay)


def _graph(graph: AdderGraph, columns: list[str], top: list[int], prefix: str) -> tuple[list[Cell], list[Cell]]:
    nodes, spans = list(columns), graph.ranges(top)
    cells = []
    for add, span in zip(graph.adds, spans[graph.inputs :], strict=True):
        bits = width(*span)
        names = ([] if add.a == ZERO else [nodes[add.a]]) + [nodes[add.b]]
        first = "" if add.a == ZERO else f"({bits}'(@0) << {add.shift_a}) "
        text = f"{first}{'-' if add.subtract else '+'} ({bits}'(@{len(names) - 1}) << {add.shift_b})"
        nodes.append(f"a_{prefix}_{len(cells)}")
        cells.append(Cell(nodes[-1], bits, span[0] < 0, text, tuple(names), chain(bits)))
    rows = []
    for index, (node, shift) in enumerate(graph.outputs):
        bits = 40
        text = f"{bits}'d0" if node == ZERO else f"{bits}'(@0) {'<<' if shift >= 0 else '>>'} {abs(shift)}"
        rows.append(Cell(f"row_{prefix}_{index}", bits, False, text, () if node == ZERO else (nodes[node],), 0.0))
    return cells, rows
