"""Importers: circuits and other models that other software made, read without that software where possible."""

from pcedge.importers.cirkit import from_cirkit
from pcedge.importers.deeprob import from_deeprob
from pcedge.importers.files import READERS, Imported, import_circuit
from pcedge.importers.live import from_estimator
from pcedge.importers.spflow_modules import from_spflow

__all__ = [
    "READERS", "Imported", "from_cirkit", "from_deeprob", "from_estimator", "from_spflow", "import_circuit",
]  # fmt: skip
