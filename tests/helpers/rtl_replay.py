"""What the rows of an image compute, step by step in the reference's arithmetic: whether the lowering lost anything."""

from __future__ import annotations

import numpy as np

from pcedge import arithmetic, tails
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.export.rtl.lowering import Kind, RtlImage
from pcedge.schedule.steps import Zeros


class Replay:
    """Run the rows of both programs for one record."""

    def __init__(self, image: RtlImage, record: IntArray) -> None:
        self.image, self.record, self.circuit = image, record, image.circuit
        self.lanes = image.size.lanes
        self.rows = np.full((image.rows, self.lanes), -1, dtype=np.int64)  # -1: never written
        self.slots = np.zeros(image.slots, dtype=np.int64)
        #: by variable
        self.intervals: dict[int, tuple[int, int]] = {}

    def run(self, program: int) -> tuple[int, int] | None:
        """Replay the likelihood (0) or the code (1); give the likelihood."""
        columns = {name: column.values for name, column in self.image.columns.items()}
        place = self.image.starts[program]
        while True:
            row = {name: int(values[place]) for name, values in columns.items()}
            if row["kind"] == Kind.END:
                return None if program else (int(self.rows[row["a"], 0]), int(self.slots[row["a_slot"]]))
            self.step(row)
            place += 1

    def read(self, first: int, rows: int) -> IntArray:
        found = self.rows[first : first + rows].ravel()
        assert (found >= 0).all(), "a row is read that nothing wrote"
        return found

    def step(self, row: dict[str, int]) -> None:
        """Do one row; what it makes lies in whole rows, lanes without a unit are zero."""
        kind, keep = row["kind"], row["zeros"] >= Zeros.KEEP
        if kind == Kind.INTERVAL:
            self.interval(row)
            if not row["flag"]:
                return
            row = row | {"kind": Kind.LEAF, "rows": row["a_rows"]}
            kind = Kind.LEAF
        exponent = int(self.slots[row["a_slot"]])
        if kind == Kind.INIT:
            self.put(row, self.units(row) * (1 << (self.circuit.state_bits - 1)), 1 - self.circuit.state_bits)
            return
        if kind == Kind.ALIGN:
            pairs = [(row["a"], row["a_rows"], row["a_slot"]), (row["b"], row["rows"] - row["a_rows"], row["b_slot"])]
            first, second = ((self.read(at, n)[:, None], self.slots[[slot]]) for at, n, slot in pairs)
            mantissa, common = arithmetic.align(first, second, keep)
            self.put(row, mantissa[:, 0], int(common[0]))
            return
        if kind == Kind.LEAF:
            entries, exponent = self.leaf(row)
        elif kind in (Kind.UP, Kind.DOWN):
            entries, exponent = self.mixture(row), exponent - self.circuit.weight_bits
        elif kind == Kind.LIST:
            entries = self.listed(row)
            exponent -= self.circuit.weight_bits * row["flag"]
        else:
            entries, exponent = self.product(row), exponent + int(self.slots[row["b_slot"]])
        mantissa, moved = arithmetic.normalise(
            entries[:, None], np.array([exponent]), self.circuit.state_bits, row["zeros"] == Zeros.REVIVE, keep
        )
        masked = row["zeros"] in (Zeros.REVIVE, Zeros.TAIL)
        self.put(row, mantissa[:, 0] * (self.units(row) if masked else 1), int(moved[0]))

    def units(self, row: dict[str, int]) -> IntArray:
        lanes = np.arange(row["rows"] * self.lanes)
        return (lanes <= (row["rows"] - 1) * self.lanes + row["last"]).astype(np.int64)

    def put(self, row: dict[str, int], mantissa: IntArray, exponent: int) -> None:
        self.rows[row["target"] : row["target"] + row["rows"]] = mantissa.reshape(-1, self.lanes)
        self.slots[row["target_slot"]] = exponent

    def tables(self, row: dict[str, int], rows: int) -> tuple[IntArray, IntArray]:
        """Give the whole cumulative tables of every lane, and which lanes have one."""
        words = rows * self.lanes // self.image.size.table_lanes
        numbers = self.image.leaves[row["leaves"] : row["leaves"] + words].ravel()
        symbols = self.circuit.cardinalities[row["variable"]]
        starts = {name: int(self.image.variables.column(name)[row["variable"]]) for name in ("even", "odd", "tables")}
        table = np.full((len(numbers), symbols + 1), 1 << self.circuit.leaf_bits, dtype=np.int64)
        for name, memory, first in (("even", self.image.even, 0), ("odd", self.image.odd, 1)):
            count = len(range(first, symbols, 2))
            at = starts[name] + np.maximum(numbers, 0)[:, None] + starts["tables"] * np.arange(count)
            table[:, first:-1:2] = memory[at]
        return table, numbers >= 0

    def leaf(self, row: dict[str, int]) -> tuple[IntArray, int]:
        table, some = self.tables(row, row["rows"])
        symbol, bits = int(self.record[row["variable"]]), self.circuit.leaf_bits
        whole = symbol == MISSING
        counts = np.full(len(table), 1 << bits) if whole else table[:, symbol + 1] - table[:, symbol]
        if row["zeros"] == Zeros.TAIL:
            counts = tails.tailed(counts, np.array([0 if whole else self.image.tails[row["tails"] + symbol]]))
            bits += tails.TAIL_BITS
        return counts * some, -bits

    def interval(self, row: dict[str, int]) -> None:
        context = self.read(row["a"], row["a_rows"])[:, None]
        table, _ = self.tables(row, row["a_rows"])
        symbol, widths = int(self.record[row["variable"]]), self.circuit.widths
        amount, scale = arithmetic.interval_scale(context, table.shape[1] - 1, widths)
        ends = []
        for end in (symbol, symbol + 1):
            weighted = (context * table[:, end][:, None]).sum(axis=0)
            ends.append(int(arithmetic.interval_bound(weighted, np.array([end]), amount, scale, widths)[0]))
        self.intervals[row["variable"]] = (ends[0], ends[1])

    def mixture(self, row: dict[str, int]) -> IntArray:
        up, size = row["kind"] == Kind.UP, self.image.size
        columns = row["a_rows"] if up else row["rows"]
        tiles = self.image.tiles[row["weights"] : row["weights"] + row["blocks"] * columns]
        shape = (row["blocks"], columns, size.tile_rows, size.lanes)
        matrix = tiles.reshape(shape).swapaxes(1, 2).reshape(row["blocks"] * size.tile_rows, columns * size.lanes)
        needed = row["rows"] if up else row["a_rows"]
        matrix = np.pad(matrix, ((0, needed * size.lanes - len(matrix)), (0, 0)))
        weights = (matrix if up else matrix.T).astype(np.float64)
        mantissa = self.read(row["a"], row["a_rows"])[:, None]
        if row["zeros"] < Zeros.KEEP:
            return arithmetic.mix_dense(weights, mantissa)[:, 0]
        dropped = (weights == 0).astype(np.float64) if row["zeros"] == Zeros.TAIL else None
        return tails.mix(lambda vector: arithmetic.mix_dense(weights, vector), mantissa, dropped)[:, 0]

    def entries(self, row: dict[str, int]) -> list[IntArray]:
        """Give the entries of every lane's list."""
        lanes: list[IntArray] = []
        at = row["list"]
        while len(lanes) < row["rows"] * self.lanes:
            end = at + int(np.argmax(self.image.lists[at:, 0])) + 1
            lanes.append(self.image.lists[at:end])
            at = end
        return lanes

    def listed(self, row: dict[str, int]) -> IntArray:
        mantissa, keep = self.rows[row["a"] :].ravel(), row["zeros"] >= Zeros.KEEP
        sums = []
        for lane in self.entries(row):
            used = lane[lane[:, 1] == 0]
            values = mantissa[used[:, 2]]
            weights = used[:, 3] if row["flag"] else np.ones(len(used), dtype=np.int64)
            assert (values >= 0).all()
            total = int((weights * (tails.live(values) if keep else values)).sum())
            sums.append(max(total, int(keep and ((values > 0) & (weights > 0)).any())))
        return np.array(sums, dtype=np.int64)

    def product(self, row: dict[str, int]) -> IntArray:
        if row["kind"] == Kind.MULTIPLY:
            first, second = self.read(row["a"], row["rows"]), self.read(row["b"], row["rows"])
        else:
            pairs = np.concatenate(self.entries(row))
            sides = [self.rows[row[name] :].ravel()[pairs[:, at]] for name, at in (("a", 2), ("b", 3))]
            first, second = (np.where(pairs[:, 1] == 1, 0, side) for side in sides)
            assert (first >= 0).all()
            assert (second >= 0).all()
        return tails.multiply(first, second) if row["zeros"] >= Zeros.KEEP else first * second
