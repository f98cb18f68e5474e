"""Data sets: the shipped digits, and readers of .npy, .npz and IDX files."""

from pcedge.data.readers import Splits, load_array, load_data

__all__ = ["Splits", "load_array", "load_data"]
