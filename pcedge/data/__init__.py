"""Data sets: the shipped digits, readers of files, and symbolizers for integers of any width."""

from pcedge.data.readers import Reading, Splits, is_table, load_array, load_data, load_labels, table_head
from pcedge.data.specification import make_symbolizer, specification, symbolize
from pcedge.data.symbolizer import Symbolizer

__all__ = [
    "Reading", "Splits", "Symbolizer", "is_table", "load_array", "load_data", "load_labels", "make_symbolizer",
    "specification", "symbolize", "table_head",
]  # fmt: skip
