"""Importers: circuits and other models that other software made, read without that software where possible."""

from pcedge.importers.files import READERS, Imported, import_circuit
from pcedge.importers.live import from_estimator

__all__ = ["READERS", "Imported", "from_estimator", "import_circuit"]
