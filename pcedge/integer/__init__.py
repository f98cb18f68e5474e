"""Integer circuits: the exact meaning that every implementation has."""

from pcedge.circuit.row_table import RowTable
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.integer.nested import NestedTables

__all__ = ["IntegerCircuit", "IntegerInput", "IntegerLayer", "IntegerSum", "NestedTables", "RowTable"]
