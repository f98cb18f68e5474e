"""Data sets: the shipped digits, readers of files, and symbolizers for integers of any width."""

from pcedge.data.readers import Reading, Splits, load_array, load_data, load_labels
from pcedge.data.specification import make_symbolizer, specification, symbolize
from pcedge.data.symbolizer import Symbolizer

__all__ = [
    "Reading", "Splits", "Symbolizer", "load_array", "load_data", "load_labels", "make_symbolizer", "specification",
    "symbolize",
]  # fmt: skip
