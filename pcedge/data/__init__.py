"""Data sets: the shipped digits, readers of files, and symbolizers for integers of any width."""

from pcedge.data.column_spec import parse_columns
from pcedge.data.columns import Columns
from pcedge.data.finding import find_columns
from pcedge.data.readers import Splits, is_table, load_array, load_data, load_labels, table_head
from pcedge.data.reading import Reading
from pcedge.data.specification import make_symbolizer, specification, symbolize
from pcedge.data.symbolizer import Symbolizer

__all__ = [
    "Columns", "Reading", "Splits", "Symbolizer", "find_columns", "is_table", "load_array", "load_data", "load_labels",
    "make_symbolizer", "parse_columns", "specification", "symbolize", "table_head",
]  # fmt: skip
