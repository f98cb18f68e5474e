"""Importers: circuits that other software wrote, read without that software where possible."""

from pcedge.importers.files import READERS, Imported, import_circuit

__all__ = ["READERS", "Imported", "import_circuit"]
